"""Asks both queues how much waits in them, again and again, as a side task. Nothing depends on the answer.

Source: Amazon SQS API reference, ``GetQueueAttributes``: the numbers are approximate, and reach consistency
within a minute.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Protocol

from shared.aws import AWS_ERRORS, translated
from shared.errors import FatalError, TransientError
from writer.stopping import done_before
from writer.telemetry.observer import Backlog

if TYPE_CHECKING:
    import asyncio

    from types_aiobotocore_sqs import SQSClient

    from writer.ports import Clock
    from writer.telemetry.observer import Observer

log = logging.getLogger(__name__)

INTERVAL = 15.0
"""Seconds between two questions: of two queues 350,000 requests a month, which cost some cents."""


class Queues:
    """The queue and its dead-letter queue, asked only for numbers."""

    def __init__(self, sqs: SQSClient, queue_url: str, dead_letter_queue_url: str) -> None:
        self._sqs = sqs
        self._url = queue_url
        self._dead_letter_url = dead_letter_queue_url

    async def backlog(self) -> Backlog:
        """Asks both.

        Raises:
            TransientError: SQS does not answer.
            FatalError: it refuses us.
        """
        try:
            waiting, in_flight = await self._ask(self._url)
            dead_letters, held = await self._ask(self._dead_letter_url)
        except AWS_ERRORS as error:
            raise translated(error, "asking the queues for their backlog") from error
        return Backlog(waiting, in_flight, dead_letters + held)

    async def _ask(self, url: str) -> tuple[int, int]:
        answer = await self._sqs.get_queue_attributes(
            QueueUrl=url,
            AttributeNames=["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"],
        )
        attributes = answer["Attributes"]
        return (
            int(attributes["ApproximateNumberOfMessages"]),
            int(attributes["ApproximateNumberOfMessagesNotVisible"]),
        )


class HasBacklog(Protocol):
    """What is asked; `Queues`, but for tests."""

    async def backlog(self) -> Backlog:
        """See `Queues.backlog`."""
        ...


async def watch_backlog(stop: asyncio.Event, queues: HasBacklog, observer: Observer, clock: Clock) -> None:
    """Tells the backlog until the stop comes.

    Errors end nothing: whoever drains the queue meets them, too, and knows what to do.
    """
    while True:
        try:
            observer.backlog(await queues.backlog())
        except (TransientError, FatalError, KeyError, ValueError) as error:  # an odd answer is none
            log.debug("the backlog is not known", extra={"reason": str(error)})
        if not await done_before(stop, clock.sleep(INTERVAL)):
            return
