"""Performs what `records` and `packing` decided: sends messages, parks what cannot be sent, reports the rest.

Law: a record is either surely in the queue, surely parked, or reported as failed; once a message of a lane
has failed, later messages of that lane are not sent.
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypedDict, cast

from producer_lambda.invocation_log import log_forwarded, log_sent
from producer_lambda.packing import Message, Unsendable, pack, waves
from producer_lambda.records import Malformed, Records
from shared.aws import AWS_ERRORS, translated
from shared.batches import batches
from shared.dead_letter import DeadLetter, as_it_came, entry_size
from shared.errors import FatalError, TransientError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

    from types_aiobotocore_sqs import SQSClient
    from types_aiobotocore_sqs.type_defs import SendMessageBatchRequestEntryTypeDef

    from producer_lambda.settings import Settings

log = logging.getLogger(__name__)

MAX_CALLS_IN_FLIGHT = 16

_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 5.0  # seconds
_RESERVE = 3.0  # seconds kept back for parking and answering
_PASSING = ("kms", "throttl", "accessdenied", "overlimit")  # in codes, lower case


class ItemFailure(TypedDict):
    """One entry of a partial batch response."""

    itemIdentifier: str


class Response(TypedDict):
    """What Lambda wants back with `ReportBatchItemFailures`; it retries from the lowest sequence number."""

    batchItemFailures: list[ItemFailure]


@dataclass(frozen=True, slots=True)
class Queue:
    """A queue as the producer needs it.

    Attributes:
        url: its URL.
        limit: its `MaximumMessageSize`, bytes; batch calls are kept below it too.
    """

    url: str
    limit: int


@dataclass(frozen=True, slots=True)
class _Refused:
    """An entry that SQS did not take: for good (its own fault), or for now."""

    index: int
    code: str
    reason: str
    permanent: bool


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
        self._sqs = sqs
        self._queue = queue
        self._dead_letters = dead_letters
        self._settings = settings
        self._sleep = sleep
        self._now = now
        self._calls = asyncio.Semaphore(MAX_CALLS_IN_FLIGHT)

    async def forward(self, event: Any, remaining: Callable[[], float]) -> Response:
        """Forwards one event.

        Args:
            event: what Lambda handed over.
            remaining: tells how many seconds are left of the invocation.

        Raises:
            FatalError: the event cannot be replicated at all, or the queue is missing or refused.
            TransientError: a record without a sequence number could not be parked, so only a retry of the
                whole event keeps it.
        """
        records = Records(event, self._settings.old_image_fields)
        messages, unsendable = pack(records, self._settings.lanes, self._queue.limit)
        malformed = records.malformed
        failed, letters = await self._send_all(messages, remaining)
        letters += [(record.position, self._letter_of_malformed(record)) for record in malformed]
        letters += [(change.position, self._letter_of_unsendable(change)) for change in unsendable]
        parked = await self._park(letters, remaining)
        failed |= {position for position, _ in letters} - parked
        changes = sum(message.changes for message in messages)
        figures = {
            "records": len(event["Records"]),
            "changes": changes,
            "coalesced": len(event["Records"]) - len(malformed) - len(unsendable) - changes,
            "messages": len(messages),
            "bytes": sum(message.size for message in messages),
            "parked": len(parked),
            "failed": len(failed),
        }
        log_forwarded(figures, records.oldest, self._settings.function_name, self._now())
        return _response(event, failed)

    async def _send_all(
        self, messages: Sequence[Message], remaining: Callable[[], float]
    ) -> tuple[set[int], list[tuple[int, DeadLetter]]]:
        """Sends messages wave by wave; returns positions that failed, and what is to be parked."""
        failed: set[int] = set()
        letters: list[tuple[int, DeadLetter]] = []
        blocked: set[str] = set()
        for wave in waves(messages, self._queue.limit):
            open_batches = [[m for m in batch if m.group not in blocked] for batch in wave]
            sent = [batch for batch in open_batches if batch]
            skipped = [m for batch in wave for m in batch if m.group in blocked]
            failed.update(message.position for message in skipped)
            outcomes = await asyncio.gather(
                *(self._send_batch(batch, remaining) for batch in sent), return_exceptions=True
            )
            for batch, refusals in zip(sent, outcomes, strict=True):
                if isinstance(refusals, BaseException):
                    raise refusals
                for refused in refusals:
                    message = batch[refused.index]
                    if refused.permanent:
                        letters.append((message.position, _letter_of_message(message, refused)))
                    else:
                        blocked.add(message.group)
                        failed.add(message.position)
        return failed, letters

    async def _send_batch(
        self, batch: Sequence[Message], remaining: Callable[[], float]
    ) -> Sequence[_Refused]:
        entries: list[dict[str, Any]] = [
            {
                "Id": str(index),
                "MessageBody": message.body,
                "MessageGroupId": message.group,
                "MessageDeduplicationId": message.deduplication_id,
            }
            for index, message in enumerate(batch)
        ]
        return await self._deliver(self._queue.url, entries, remaining, "sending to QUEUE_URL")

    async def _park(
        self, letters: Iterable[tuple[int, DeadLetter]], remaining: Callable[[], float]
    ) -> set[int]:
        """Parks letters; returns the positions of those that surely are."""
        limit = self._dead_letters.limit
        entries = [(position, letter.entry("", limit)) for position, letter in letters]
        too_large = {position for position, entry in entries if entry_size(entry) > limit}
        if too_large:
            log.error("too large for DEAD_LETTER_QUEUE_URL: raise its MaximumMessageSize to 1048576")
            entries = [pair for pair in entries if pair[0] not in too_large]
        parked: set[int] = set()
        for batch in batches(entries, lambda pair: entry_size(pair[1]), limit):
            numbered = [{**entry, "Id": str(index)} for index, (_, entry) in enumerate(batch)]
            doing = "parking in DEAD_LETTER_QUEUE_URL"
            refusals = await self._deliver(self._dead_letters.url, numbered, remaining, doing)
            refused = {refusal.index for refusal in refusals}
            parked.update(position for index, (position, _) in enumerate(batch) if index not in refused)
        return parked

    async def _deliver(
        self, url: str, entries: Sequence[dict[str, Any]], remaining: Callable[[], float], doing: str
    ) -> Sequence[_Refused]:
        """One batch call, repeated for what was refused for now while the invocation has time.

        An entry whose first try was lost on the way may be sent twice: the deduplication id makes it once.
        """
        permanent: list[_Refused] = []
        open_entries = list(entries)
        pause = _FIRST_PAUSE
        while True:
            refusals = await self._call(url, open_entries, doing)
            permanent += [refusal for refusal in refusals if refusal.permanent]
            for_now = [refusal for refusal in refusals if not refusal.permanent]
            if not for_now:
                return permanent
            wait = pause * random.uniform(0.5, 1.5)  # noqa: S311 - jitter, not cryptography
            if remaining() - wait < _RESERVE:
                log.error(
                    "giving up for this invocation",
                    extra={"doing": doing, "entries": len(for_now), "code": for_now[0].code},
                )
                return permanent + for_now
            await self._sleep(wait)
            pause = min(pause * 2, _LONGEST_PAUSE)
            open_entries = [entries[refusal.index] for refusal in for_now]

    async def _call(self, url: str, entries: Sequence[dict[str, Any]], doing: str) -> list[_Refused]:
        typed: list[SendMessageBatchRequestEntryTypeDef] = [entry for entry in entries]  # type: ignore[misc]  # noqa: C416
        try:
            async with self._calls:
                answer = await self._sqs.send_message_batch(QueueUrl=url, Entries=typed)
        except AWS_ERRORS as error:
            ours = translated(error, doing)
            if isinstance(ours, FatalError):
                raise ours from error
            return [
                _Refused(int(entry["Id"]), type(error).__name__, str(ours), permanent=False)
                for entry in entries
            ]
        refused = {
            entry["Id"]: _Refused(
                int(entry["Id"]),
                entry["Code"],
                entry.get("Message", ""),
                permanent=_is_permanent(entry["Code"], sender_fault=entry["SenderFault"]),
            )
            for entry in answer.get("Failed", [])
        }
        taken = {entry["Id"] for entry in answer.get("Successful", [])}
        if url == self._queue.url:
            log_sent(entries, cast("Mapping[str, Any]", answer))
        # Only what SQS says it took is surely in the queue: a proxy's empty answer is no success.
        return [
            refused.get(entry["Id"]) or _Refused(int(entry["Id"]), "NotAnswered", "", permanent=False)
            for entry in entries
            if entry["Id"] not in taken
        ]

    def _letter_of_malformed(self, record: Malformed) -> DeadLetter:
        return DeadLetter(
            body=as_it_came(record.record, self._dead_letters.limit),
            group=f"{record.table[:80] or 'unknown'}/malformed",
            code=record.code,
            reason=record.reason,
            table=record.table,
            sequence=record.sequence,
        )

    def _letter_of_unsendable(self, unsendable: Unsendable) -> DeadLetter:
        change = unsendable.change
        text = json.dumps(
            {"op": change.op.value, "key": change.key, "seq": change.sequence, "doc": change.image}
        )
        return DeadLetter(
            body=as_it_came(text, self._dead_letters.limit),
            group=f"{change.table[:80]}/malformed",
            code=unsendable.code,
            reason=unsendable.reason,
            table=change.table,
            sequence=change.sequence,
        )


def _letter_of_message(message: Message, refused: _Refused) -> DeadLetter:
    reason = f"SQS refused the message: {refused.code} {refused.reason}"
    return DeadLetter(body=message.body, group=message.group, code="refused-by-sqs", reason=reason)


def _is_permanent(code: str, *, sender_fault: bool) -> bool:
    # Trouble with the queue's KMS key, permissions and throttling count as the sender's fault, but pass.
    # AWS's JSON protocol says KmsThrottled, its query protocol KMS.ThrottlingException.
    return sender_fault and not any(word in code.lower() for word in _PASSING)


def _response(event: Any, failed: set[int]) -> Response:
    if not failed:
        return {"batchItemFailures": []}
    record = event["Records"][min(failed)]
    stream_record = record.get("dynamodb") if isinstance(record, dict) else None
    sequence = stream_record.get("SequenceNumber") if isinstance(stream_record, dict) else None
    if not isinstance(sequence, str) or not sequence:
        raise TransientError("a record without a sequence number could not be parked: retry the event")
    return {"batchItemFailures": [{"itemIdentifier": sequence}]}
