"""`lambda_handler`: wiring only. One event loop and one SQS client live across invocations.

The first invocation reads the environment; importing this module does not.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, Protocol

from producer_lambda.bodies import write_bodies
from producer_lambda.forward import Producer, Response, reserve_of
from producer_lambda.sending import MAX_CALLS_IN_FLIGHT, LimitChangedError, Queue
from producer_lambda.settings import Settings
from shared import logs
from shared.aws import sqs_client
from shared.aws_errors import aws_call
from shared.release import VERSION, commit
from shared.sqs_answers import attributes_of, message_limit_in

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractAsyncContextManager

    from types_aiobotocore_sqs import SQSClient

log = logging.getLogger(__name__)

_ATTEMPTS = 2  # the SDK's own tries of one call; `sending` repeats while the invocation has time
_READ_TIMEOUT = 10.0  # seconds
_COLLECT_AFTER = 50_000  # new objects; a handful of records makes Python's default of 700


class Context(Protocol):
    """The part of Lambda's context object that is used here."""

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until Lambda ends the invocation."""
        ...


class _Runtime:
    """The event loop and the producer of this execution environment, made in time to answer."""

    def __init__(self, environment: Mapping[str, str], context: Context) -> None:
        self._settings = Settings.read(environment)
        logs.configure(self._settings.log_level)
        log.info("started", extra={"version": VERSION, "commit": commit()})
        self._runner = asyncio.Runner()
        self._resources = AsyncExitStack()
        self._thresholds = gc.get_threshold()
        try:
            self._sqs = self._runner.run(self._resources.enter_async_context(_client()))
            write_bodies(self._sqs)
            self._producer = self._open(context)
        except BaseException:
            self.close()
            raise
        # All objects up to now live as long as the process, and those of an event form no cycles. The garbage
        # collector would go through all of them again and again, a third of an invocation's time.
        gc.freeze()
        gc.set_threshold(_COLLECT_AFTER, *self._thresholds[1:])

    def _open(self, context: Context) -> Producer:
        seconds = _seconds(context)
        return self._runner.run(_open(self._sqs, self._settings, seconds - reserve_of(seconds)))

    def handle(self, event: Any, context: Context) -> Response:
        try:
            return self._forward(event, context)
        except LimitChangedError:
            log.warning("a queue takes smaller messages than before: reading its MaximumMessageSize again")
        self._producer = self._open(context)
        return self._forward(event, context)

    def _forward(self, event: Any, context: Context) -> Response:
        return self._runner.run(self._producer.forward(event, lambda: _seconds(context)))

    def close(self) -> None:
        gc.set_threshold(*self._thresholds)
        gc.unfreeze()
        self._runner.run(self._resources.aclose())
        self._runner.close()


def _client() -> AbstractAsyncContextManager[SQSClient]:
    return sqs_client(MAX_CALLS_IN_FLIGHT, attempts=_ATTEMPTS, read_timeout=_READ_TIMEOUT)


async def _open(sqs: SQSClient, settings: Settings, seconds: float) -> Producer:
    queue, dead_letters = await asyncio.gather(
        _queue(sqs, settings.queue_url, "QUEUE_URL", seconds),
        _queue(sqs, settings.dead_letter_queue_url, "DEAD_LETTER_QUEUE_URL", seconds),
    )
    return Producer(sqs, queue, dead_letters, settings)


async def _queue(sqs: SQSClient, url: str, name: str, seconds: float) -> Queue:
    doing = f"reading the attributes of {name}"
    with aws_call(doing, at_start=True):
        async with asyncio.timeout(seconds):
            answer = await sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["MaximumMessageSize"])
    return Queue(url, message_limit_in(attributes_of(answer), doing))


def _seconds(context: Context) -> float:
    return context.get_remaining_time_in_millis() / 1000


_runtime: _Runtime | None = None


def lambda_handler(event: Any, context: Context) -> Response:
    """Forwards the change records of one stream event to the queue.

    Returns:
        The partial batch response: empty, or the lowest sequence number that is not surely forwarded.

    Raises:
        FatalError: settings, permissions or the stream are wrong; the text says what to do.
        TransientError: SQS does not answer at the start; or a record can be neither parked nor reported.

    Lambda counts either as an error and retries the whole event, so nothing is lost.
    """
    global _runtime  # noqa: PLW0603 - Lambda keeps the module between invocations, and so the client
    if _runtime is None:
        _runtime = _Runtime(os.environ, context)
    return _runtime.handle(event, context)
