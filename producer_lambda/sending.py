"""Batch calls to one queue; what SQS refuses for now is sent again while the invocation has time.

Law: an entry counts as sent only if SQS's answer says so (`shared.sqs_answers`). A call that is not answered
in time counts as not sent: SQS drops what it has already by the deduplication id.
"""

from __future__ import annotations

import asyncio
import logging
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from shared.aws_errors import aws_call, error_code, short_code
from shared.errors import TransientError
from shared.sqs_answers import Fate, Verdict, is_too_long, verdicts

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from types_aiobotocore_sqs import SQSClient
    from types_aiobotocore_sqs.type_defs import SendMessageBatchRequestEntryTypeDef

    Entries = Sequence[dict[str, Any]]

log = logging.getLogger(__name__)

MAX_CALLS_IN_FLIGHT = 16

_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 5.0  # seconds


class LimitChangedError(Exception):
    """A queue takes shorter messages than it did when its limit was asked for: ask again."""


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
class Refusal:
    """An entry that SQS did not take: for good (its own fault), or for now.

    Attributes:
        reason: for a refusal for good SQS's own text, which is not for logs; else our words.
    """

    index: int
    code: str
    reason: str
    permanent: bool


@dataclass(slots=True)
class Sender:
    """Sends entries to one queue.

    Attributes:
        doing: what it does, for messages, such as ``sending to QUEUE_URL``.
        answered: is called after each call with its entries and what became of them, by id.
        limit_may_be_old: whether the queue's limit was asked for in an earlier invocation.
    """

    sqs: SQSClient
    queue: Queue
    doing: str
    sleep: Callable[[float], Awaitable[None]]
    answered: Callable[[Entries, Mapping[str, Verdict]], None] = lambda _entries, _found: None
    limit_may_be_old: bool = False
    _calls: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(MAX_CALLS_IN_FLIGHT))

    async def send(self, entries: Entries, remaining: Callable[[], float]) -> Sequence[Refusal]:
        """Sends entries that fit one batch call; returns what SQS did not take.

        Args:
            entries: their `Id` is their index.
            remaining: returns the seconds that are left for it. Nothing is sent when there are none.

        Raises:
            FatalError: the queue is missing or refused.
            LimitChangedError: what fits the limit is too long for the queue.
        """
        permanent: list[Refusal] = []
        to_send = entries
        pause = _FIRST_PAUSE
        while True:
            refusals = await self._call(to_send, remaining)
            permanent += [refusal for refusal in refusals if refusal.permanent]
            for_now = [refusal for refusal in refusals if not refusal.permanent]
            if not for_now:
                return permanent
            wait = pause * random.uniform(0.5, 1.5)  # noqa: S311 - jitter, not cryptography
            if remaining() <= wait:
                first = for_now[0]
                fields = {"doing": self.doing, "entries": len(for_now), "code": first.code}
                log.error("giving up for this invocation", extra={**fields, "reason": first.reason})
                return permanent + for_now
            await self.sleep(wait)
            pause = min(pause * 2, _LONGEST_PAUSE)
            to_send = [entries[refusal.index] for refusal in for_now]

    async def _call(self, entries: Entries, remaining: Callable[[], float]) -> Sequence[Refusal]:
        typed = cast("Sequence[SendMessageBatchRequestEntryTypeDef]", entries)
        ids = [str(entry["Id"]) for entry in entries]
        seconds = remaining()
        if seconds <= 0:
            return [
                Refusal(int(each), "NoTimeLeft", f"{self.doing}: no time is left", permanent=False)
                for each in ids
            ]
        try:
            # An invocation is short, so each is a start: a refusal ends it with a sentence.
            with aws_call(self.doing, at_start=True):
                async with asyncio.timeout(seconds), self._calls:
                    answer = await self.sqs.send_message_batch(QueueUrl=self.queue.url, Entries=typed)
        except TransientError as error:
            if isinstance(error.__cause__, Exception):
                self._check_limit(short_code(error_code(error.__cause__)), "")
            code = type(error.__cause__).__name__
            return [Refusal(int(each), code, str(error), permanent=False) for each in ids]
        found = verdicts(answer, ids)
        self.answered(entries, found)
        for verdict in found.values():
            self._check_limit(short_code(verdict.code), verdict.reason)
        return [
            Refusal(int(each), verdict.code, verdict.reason, permanent=True)
            if verdict.fate is Fate.AT_FAULT
            else Refusal(
                int(each), verdict.code, f"{self.doing}: SQS answered {verdict.code}", permanent=False
            )
            for each, verdict in found.items()
            if verdict.fate is not Fate.DONE
        ]

    def _check_limit(self, code: str, reason: str) -> None:
        if self.limit_may_be_old and is_too_long(code, reason):
            raise LimitChangedError
