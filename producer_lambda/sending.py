"""Batch calls to one queue; what SQS refuses for now is sent again while the invocation has time.

Law: an entry counts as sent only if SQS's answer says so.
"""

from __future__ import annotations

import asyncio
import logging
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from shared.aws import AWS_ERRORS, translated
from shared.errors import FatalError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence

    from types_aiobotocore_sqs import SQSClient
    from types_aiobotocore_sqs.type_defs import SendMessageBatchRequestEntryTypeDef

    Entries = Sequence[dict[str, Any]]

log = logging.getLogger(__name__)

MAX_CALLS_IN_FLIGHT = 16

_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 5.0  # seconds
_RESERVE = 3.0  # seconds kept back for parking and answering
_PASSING = ("kms", "throttl", "accessdenied", "overlimit")  # in codes, lower case


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
    """An entry that SQS did not take: for good (its own fault), or for now."""

    index: int
    code: str
    reason: str
    permanent: bool


@dataclass(frozen=True, slots=True)
class Sender:
    """Sends entries to one queue.

    Attributes:
        doing: what it does, for messages, such as ``sending to QUEUE_URL``.
        answered: is called after each call with its entries and SQS's answer.
    """

    sqs: SQSClient
    queue: Queue
    doing: str
    sleep: Callable[[float], Awaitable[None]]
    answered: Callable[[Entries, Mapping[str, Any]], None] = lambda _entries, _answer: None
    _calls: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(MAX_CALLS_IN_FLIGHT))

    async def send(self, entries: Entries, remaining: Callable[[], float]) -> Sequence[Refusal]:
        """Sends entries that fit one batch call; returns what SQS did not take.

        An entry whose answer was lost may be sent twice: SQS keeps it once, by its deduplication id.

        Args:
            entries: with their indices as ids.
            remaining: returns the seconds that are left of the invocation.

        Raises:
            FatalError: the queue is missing or refused.
        """
        permanent: list[Refusal] = []
        to_send = entries
        pause = _FIRST_PAUSE
        while True:
            refusals = await self._call(to_send)
            permanent += [refusal for refusal in refusals if refusal.permanent]
            for_now = [refusal for refusal in refusals if not refusal.permanent]
            if not for_now:
                return permanent
            wait = pause * random.uniform(0.5, 1.5)  # noqa: S311 - jitter, not cryptography
            if remaining() - wait < _RESERVE:
                log.error(
                    "giving up for this invocation",
                    extra={"doing": self.doing, "entries": len(for_now), "code": for_now[0].code},
                )
                return permanent + for_now
            await self.sleep(wait)
            pause = min(pause * 2, _LONGEST_PAUSE)
            to_send = [entries[refusal.index] for refusal in for_now]

    async def _call(self, entries: Entries) -> Sequence[Refusal]:
        typed = cast("Sequence[SendMessageBatchRequestEntryTypeDef]", entries)
        try:
            async with self._calls:
                answer = await self.sqs.send_message_batch(QueueUrl=self.queue.url, Entries=typed)
        except AWS_ERRORS as error:
            ours = translated(error, self.doing)
            if isinstance(ours, FatalError):
                raise ours from error
            code = type(error).__name__
            return [Refusal(int(entry["Id"]), code, str(ours), permanent=False) for entry in entries]
        content = cast("Mapping[str, Any]", answer)
        self.answered(entries, content)
        return list(_refusals(entries, content))


def _refusals(entries: Entries, answer: Mapping[str, Any]) -> Iterator[Refusal]:
    """The entries that the answer does not call successful: a proxy's empty answer is no success."""
    sent = {entry["Id"] for entry in answer.get("Successful", [])}
    failed = {entry["Id"]: entry for entry in answer.get("Failed", [])}
    for entry in entries:
        if entry["Id"] in sent:
            continue
        index, failure = int(entry["Id"]), failed.get(entry["Id"])
        if failure is None:
            yield Refusal(index, "NotAnswered", "", permanent=False)
        else:
            permanent = _is_permanent(failure["Code"], sender_fault=failure["SenderFault"])
            yield Refusal(index, failure["Code"], failure.get("Message", ""), permanent)


def _is_permanent(code: str, *, sender_fault: bool) -> bool:
    # Problems with the queue's KMS key, permissions and throttling count as the sender's fault, but pass.
    # AWS's JSON protocol says KmsThrottled, its query protocol KMS.ThrottlingException.
    return sender_fault and not any(word in code.lower() for word in _PASSING)
