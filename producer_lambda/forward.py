"""Does what `records` and `packing` decided: sends messages, parks what cannot be sent, reports the rest.

Law: a record is either surely in the queue, surely parked, or reported as failed; once a message of a lane
has failed, later messages of that lane are not sent.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, Any, TypedDict

from producer_lambda.invocation_log import log_forwarded, log_sent
from producer_lambda.letters import letter_of
from producer_lambda.packing import Message, pack, waves
from producer_lambda.records import Records
from producer_lambda.sending import Queue, Refusal, Sender
from shared.batches import batches
from shared.dead_letter import DeadLetter, entry_size
from shared.errors import TransientError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from types_aiobotocore_sqs import SQSClient

    from producer_lambda.settings import Settings

    Remaining = Callable[[], float]
    Letters = list[tuple[int, DeadLetter]]

log = logging.getLogger(__name__)

_RESERVE = 3.0  # seconds kept back for parking and answering
_LARGEST_SHARE = 0.25  # of the time, that is kept back where an invocation is short
_ANSWERING = 1 / 3  # of the reserve; the rest is for parking


class Response(TypedDict):
    """What Lambda expects with `ReportBatchItemFailures`; it retries from the lowest sequence number.

    Each entry has the member `itemIdentifier`, a record's sequence number.
    """

    batchItemFailures: list[dict[str, str]]


def reserve_of(seconds: float) -> float:
    """Of the seconds of an invocation, those in which nothing is sent any more: it has to answer in time."""
    return min(_RESERVE, seconds * _LARGEST_SHARE)


class Producer:
    """Forwards stream events to the queue."""

    def __init__(  # noqa: PLR0913 - what it is wired to
        self,
        sqs: SQSClient,
        queue: Queue,
        dead_letters: Queue,
        settings: Settings,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._queue = Sender(sqs, queue, "sending to QUEUE_URL", sleep, log_sent)
        self._dead_letters = Sender(sqs, dead_letters, "parking in DEAD_LETTER_QUEUE_URL", sleep)
        self._settings = settings
        self._now = now
        self._has_forwarded = False

    async def forward(self, event: Any, remaining: Remaining) -> Response:
        """Forwards one event.

        Args:
            event: what Lambda handed over.
            remaining: returns the seconds that are left of the invocation.

        Raises:
            FatalError: the event cannot be replicated at all, or the queue is missing or refused.
            TransientError: a record without a sequence number could not be parked, so only a retry of the
                whole event keeps it.
            LimitChangedError: a queue takes less than in an earlier invocation; some messages may be sent.
        """
        for sender in (self._queue, self._dead_letters):
            sender.limit_may_be_old = self._has_forwarded
        self._has_forwarded = True
        reserve = reserve_of(remaining())
        records = Records(event, self._settings.old_image_fields)
        messages, unsendable = pack(records, self._settings.lanes, self._queue.queue.limit)
        failed, letters = await self._send_all(messages, lambda: remaining() - reserve)
        limit = self._dead_letters.queue.limit
        letters += [(lost.position, letter_of(lost, limit)) for lost in records.malformed]
        letters += [(lost.position, letter_of(lost, limit)) for lost in unsendable]
        parked = await self._park(letters, lambda: remaining() - reserve * _ANSWERING)
        failed |= {position for position, _ in letters} - parked
        changes = sum(message.changes for message in messages)
        figures = {
            "records": len(event["Records"]),
            "changes": changes,
            "coalesced": len(event["Records"]) - len(records.malformed) - len(unsendable) - changes,
            "messages": len(messages),
            "bytes": sum(message.size for message in messages),
            "parked": len(parked),
            "failed": len(failed),
        }
        log_forwarded(figures, records.oldest, records.table, self._settings.function_name, self._now())
        return _response(event, failed)

    async def _send_all(self, messages: Sequence[Message], remaining: Remaining) -> tuple[set[int], Letters]:
        """Sends messages wave by wave; returns the positions that failed, and what to park.

        `remaining` returns the seconds that are left for it.
        """
        failed: set[int] = set()
        letters: Letters = []
        blocked: set[str] = set()
        for wave in waves(messages, self._queue.queue.limit):
            failed.update(message.position for batch in wave for message in batch if message.group in blocked)
            open_batches = [[message for message in batch if message.group not in blocked] for batch in wave]
            for message, refusal in await self._send_wave([b for b in open_batches if b], remaining):
                if refusal.permanent:
                    letters.append((message.position, _letter_of_message(message, refusal)))
                else:
                    blocked.add(message.group)
                    failed.add(message.position)
        return failed, letters

    async def _send_wave(
        self, wave: Sequence[Sequence[Message]], remaining: Remaining
    ) -> list[tuple[Message, Refusal]]:
        """Sends batches at the same time; returns what was refused. No call is left running."""
        outcomes = await asyncio.gather(
            *(self._queue.send(_entries(batch), remaining) for batch in wave), return_exceptions=True
        )
        refused: list[tuple[Message, Refusal]] = []
        for batch, refusals in zip(wave, outcomes, strict=True):
            if isinstance(refusals, BaseException):
                raise refusals
            refused += [(batch[refusal.index], refusal) for refusal in refusals]
        return refused

    async def _park(self, letters: Letters, remaining: Remaining) -> set[int]:
        """Parks letters; returns the positions of those that surely are in the dead-letter queue."""
        limit = self._dead_letters.queue.limit
        entries = [(position, letter.entry("", limit)) for position, letter in letters]
        fitting = [(position, entry) for position, entry in entries if entry_size(entry) <= limit]
        if len(fitting) < len(entries):
            log.error("too large for DEAD_LETTER_QUEUE_URL: raise its MaximumMessageSize to 1048576")
        parked: set[int] = set()
        for batch in batches(fitting, lambda pair: entry_size(pair[1]), limit):
            numbered = [{**entry, "Id": str(index)} for index, (_, entry) in enumerate(batch)]
            refused = {refusal.index for refusal in await self._dead_letters.send(numbered, remaining)}
            parked.update(position for index, (position, _) in enumerate(batch) if index not in refused)
        return parked


def _entries(batch: Sequence[Message]) -> list[dict[str, Any]]:
    return [
        {
            "Id": str(index),
            "MessageBody": message.body,
            "MessageGroupId": message.group,
            "MessageDeduplicationId": message.deduplication_id,
        }
        for index, message in enumerate(batch)
    ]


def _letter_of_message(message: Message, refusal: Refusal) -> DeadLetter:
    reason = f"SQS refused the message: {refusal.code} {refusal.reason}"
    return DeadLetter(body=message.body, group=message.group, code="refused-by-sqs", reason=reason)


def _response(event: Any, failed: set[int]) -> Response:
    if not failed:
        return {"batchItemFailures": []}
    record = event["Records"][min(failed)]
    stream_record = record.get("dynamodb") if isinstance(record, dict) else None
    sequence = stream_record.get("SequenceNumber") if isinstance(stream_record, dict) else None
    if not isinstance(sequence, str) or not sequence:
        raise TransientError("a record without a sequence number could not be parked: retry the event")
    return {"batchItemFailures": [{"itemIdentifier": sequence}]}
