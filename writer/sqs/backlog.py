"""Asks both queues how much waits in them.

Source: Amazon SQS API reference, ``GetQueueAttributes``: the numbers are approximate, and reach consistency
within a minute.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.aws import AWS_ERRORS, translated
from writer.telemetry.observer import Backlog

if TYPE_CHECKING:
    from types_aiobotocore_sqs import SQSClient


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
