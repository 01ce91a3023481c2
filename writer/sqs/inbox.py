"""The SQS FIFO queue: receive, extend, release, delete, park.

Law: translates AWS errors once; never decides what is acknowledged.

Sources: Amazon SQS API reference for each action; developer guide, "Amazon SQS visibility timeout".
"""

from __future__ import annotations

import asyncio
import json
import logging
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from shared.aws import AWS_ERRORS, translated
from shared.batches import MAX_ENTRIES, batches
from shared.dead_letter import entry_size
from shared.envelope import is_compressed
from shared.errors import FatalError, TransientError
from writer.ports import Message
from writer.telemetry.observer import Backlog

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from types_aiobotocore_sqs import SQSClient

    from shared.dead_letter import DeadLetter

log = logging.getLogger(__name__)

WAIT_SECONDS = 5
"""Length of a long poll: an idle loop makes one request in this time, and a stop waits that long at most."""

MIN_VISIBILITY = 5

ENOUGH_BYTES = 160 * 1024
"""Characters that are enough for one `receive`: a bulk write of them costs little beside its documents."""

ENOUGH_MESSAGES = 50
"""Messages that are enough for one `receive`: further requests would keep the first ones waiting."""

PROMPT_SECONDS = 2.0
"""How long a further request may keep the messages in hand waiting."""

_WAITING, _HELD = "ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"

_FORGETTING = 0.8  # factor for the largest size, with each request that brought smaller messages


@dataclass(frozen=True, slots=True)
class QueueFacts:
    """What the writer needs to know about the queues.

    Attributes:
        visibility: the queue's visibility timeout, seconds.
        park_limit: `MaximumMessageSize` of the dead-letter queue, bytes.
        max_receives: `maxReceiveCount` of the queue's redrive policy.
    """

    visibility: int
    park_limit: int
    max_receives: int


def check_queues(queue: Mapping[str, str], dead_letters: Mapping[str, str]) -> QueueFacts:
    """Checks the attributes of both queues. Pure.

    Raises:
        FatalError: the pipeline cannot keep its promises with these queues; the text names every reason.
    """
    problems = []
    if queue.get("FifoQueue") != "true":
        problems.append("QUEUE_URL is not a FIFO queue")
    if dead_letters.get("FifoQueue") != "true":
        problems.append("DEAD_LETTER_QUEUE_URL is not a FIFO queue")
    visibility = int(queue["VisibilityTimeout"])
    if visibility < MIN_VISIBILITY:
        problems.append(f"the queue's VisibilityTimeout is {visibility} s, less than {MIN_VISIBILITY} s")
    policy = json.loads(queue.get("RedrivePolicy") or "{}")
    if not policy:
        problems.append("the queue has no RedrivePolicy: what fails again and again would block its group")
    elif policy.get("deadLetterTargetArn") != dead_letters["QueueArn"]:
        problems.append("the queue's RedrivePolicy names another queue than DEAD_LETTER_QUEUE_URL")
    park_limit = int(dead_letters["MaximumMessageSize"])
    if park_limit < int(queue["MaximumMessageSize"]):
        problems.append(
            "the dead-letter queue's MaximumMessageSize is less than the queue's: large poison would not fit"
        )
    if problems:
        raise FatalError("; ".join(problems))
    return QueueFacts(visibility, park_limit, int(policy["maxReceiveCount"]))


class SqsInbox:
    """A `writer.ports.Inbox`: receives from one FIFO queue, parks in its dead-letter queue."""

    def __init__(self, sqs: SQSClient, queue_url: str, dead_letter_queue_url: str) -> None:
        self._sqs = sqs
        self._url = queue_url
        self._dead_letter_url = dead_letter_queue_url
        self._facts = QueueFacts(MIN_VISIBILITY, 0, 1)
        self._largest: float | None = None  # size of the largest recent message
        self._hurries = False

    async def open(self) -> None:
        """Reads and checks the attributes of both queues. To be called before anything else.

        Raises:
            TransientError: SQS does not answer, yet.
            FatalError: a queue is missing, refuses us, or is not suitable.
        """
        queue = await self._attributes(self._url, "QUEUE_URL")
        dead_letters = await self._attributes(self._dead_letter_url, "DEAD_LETTER_QUEUE_URL")
        self._facts = check_queues(queue, dead_letters)

    @property
    def visibility(self) -> float:
        return self._facts.visibility

    @property
    def park_limit(self) -> int:
        return self._facts.park_limit

    @property
    def max_receives(self) -> int:
        return self._facts.max_receives

    async def receive(self) -> Sequence[Message]:
        """Sends requests as long as they come back full, until the batch is large enough.

        The number of messages of a request depends on the size of recent ones, so that all loops together
        hold a bounded amount, whatever is in the queue.
        """
        first = self._number(ENOUGH_BYTES)
        messages = latest = await self._receive(first, WAIT_SECONDS)
        number = first
        while len(latest) == number and not self._hurries:
            room = ENOUGH_BYTES - sum(map(_size, messages))
            if room <= 0 or len(messages) >= ENOUGH_MESSAGES:
                break
            number = self._number(room)
            try:
                # The messages in hand wait for it, and nothing extends their lock yet.
                latest = await asyncio.wait_for(self._receive(number, 0), PROMPT_SECONDS)
            except (TransientError, TimeoutError):
                break
            messages = [*messages, *latest]
        return messages

    def hurry(self) -> None:
        self._hurries = True

    async def _receive(self, number: int, wait: int) -> list[Message]:
        with _translated("receiving from QUEUE_URL"):
            answer = await self._sqs.receive_message(
                QueueUrl=self._url,
                MaxNumberOfMessages=number,
                WaitTimeSeconds=wait,
                MessageSystemAttributeNames=["MessageGroupId", "ApproximateReceiveCount", "SentTimestamp"],
            )
        messages = [
            Message(
                id=message["MessageId"],
                receipt=message["ReceiptHandle"],
                body=message["Body"],
                group=message["Attributes"]["MessageGroupId"],
                receives=int(message["Attributes"]["ApproximateReceiveCount"]),
                sent_at=int(message["Attributes"]["SentTimestamp"]),
            )
            for message in answer.get("Messages", [])
        ]
        if messages:
            largest = max(map(_size, messages))
            self._largest = max(largest, (self._largest or 0) * _FORGETTING)
        return messages

    def _number(self, room: int) -> int:
        """How many messages fit into so many characters; one, until their size is known."""
        if self._largest is None:
            return 1
        return max(1, min(MAX_ENTRIES, int(room / max(self._largest, 1))))

    async def extend(self, messages: Sequence[Message]) -> Sequence[Message]:
        return await self._change_visibility(messages, self._facts.visibility)

    async def release(self, messages: Sequence[Message], delay: int) -> None:
        await self._change_visibility(messages, delay)

    async def _change_visibility(self, messages: Sequence[Message], seconds: int) -> Sequence[Message]:
        lost: list[Message] = []
        for batch in batches(messages):
            with _translated("changing the visibility of messages"):
                answer = await self._sqs.change_message_visibility_batch(
                    QueueUrl=self._url,
                    Entries=[
                        {"Id": str(index), "ReceiptHandle": message.receipt, "VisibilityTimeout": seconds}
                        for index, message in enumerate(batch)
                    ],
                )
            failed = answer.get("Failed", [])
            if any(not entry["SenderFault"] for entry in failed):
                raise TransientError("SQS did not change the visibility of some messages")
            lost += [batch[int(entry["Id"])] for entry in failed]
        return lost

    async def delete(self, messages: Sequence[Message]) -> None:
        for batch in batches(messages):
            with _translated("deleting messages"):
                answer = await self._sqs.delete_message_batch(
                    QueueUrl=self._url,
                    Entries=[
                        {"Id": str(index), "ReceiptHandle": message.receipt}
                        for index, message in enumerate(batch)
                    ],
                )
            failed = answer.get("Failed", [])
            if any(not entry["SenderFault"] for entry in failed):
                raise TransientError("SQS did not delete some messages")
            if failed:  # the lock was lost: they are delivered again, and the guard recognises them
                log.warning("messages were not deleted", extra={"codes": sorted({e["Code"] for e in failed})})

    async def park(self, letters: Sequence[DeadLetter]) -> None:
        limit = self._facts.park_limit
        entries = [letter.entry("", limit) for letter in letters]
        for batch in batches(entries, entry_size, limit):
            numbered: list[Any] = [{**entry, "Id": str(index)} for index, entry in enumerate(batch)]
            with _translated("parking in DEAD_LETTER_QUEUE_URL"):
                answer = await self._sqs.send_message_batch(QueueUrl=self._dead_letter_url, Entries=numbered)
            if failed := answer.get("Failed"):
                raise TransientError(f"parking in DEAD_LETTER_QUEUE_URL: SQS answered {failed[0]['Code']}")

    async def backlog(self) -> Backlog:
        """Asks both queues how many messages are in them.

        Source: Amazon SQS API reference, ``GetQueueAttributes``: the numbers are approximate, and become
        consistent within a minute.

        Raises:
            TransientError: SQS does not answer.
            FatalError: it refuses us.
        """
        queue = await self._attributes(self._url, "QUEUE_URL")
        dead_letters = await self._attributes(self._dead_letter_url, "DEAD_LETTER_QUEUE_URL")
        parked = int(dead_letters[_WAITING]) + int(dead_letters[_HELD])
        return Backlog(int(queue[_WAITING]), int(queue[_HELD]), parked)

    async def _attributes(self, url: str, name: str) -> Mapping[str, str]:
        with _translated(f"reading the attributes of {name}"):
            answer = await self._sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])
        return {str(attribute): value for attribute, value in answer["Attributes"].items()}


@contextmanager
def _translated(doing: str) -> Iterator[None]:
    """Translates AWS errors; `doing` says what failed."""
    try:
        yield
    except AWS_ERRORS as error:
        raise translated(error, doing) from error


def _size(message: Message) -> int:
    """Size of a message in a batch. A compressed one can have any size, so it fills the batch alone."""
    return ENOUGH_BYTES if is_compressed(message.body) else len(message.body)
