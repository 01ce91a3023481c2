"""The SQS FIFO queue: receive, extend, release, delete, park.

Law: never decides what is acknowledged. Only `open` raises FatalError: what has worked once is waited for,
whatever SQS answers.

Sources: Amazon SQS API reference for each action; developer guide, "Amazon SQS visibility timeout".
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from shared.aws_errors import aws_call
from shared.batches import MAX_ENTRIES, batches
from shared.dead_letter import entry_size
from shared.envelope import is_compressed
from shared.errors import FatalError, TransientError
from shared.sqs_answers import Fate, about_the_lock, all_done, attributes_of, number_in, verdicts
from writer.runtime import done_before
from writer.sqs.batch_calls import entries_of, ids, of_batches
from writer.sqs.empty_answers import EmptyAnswers
from writer.sqs.queue_facts import MIN_VISIBILITY, QueueFacts, check_queues, reading
from writer.sqs.received import ATTRIBUTES, messages_in
from writer.telemetry.observer import Backlog

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from types_aiobotocore_sqs import SQSClient

    from shared.dead_letter import DeadLetter
    from shared.sqs_answers import Verdict
    from writer.ports import Message

log = logging.getLogger(__name__)

WAIT_SECONDS = 5
"""Length of a long poll: an idle loop makes one request in this time, and a stop waits that long at most."""

ENOUGH_BYTES = 160 * 1024
"""Characters that are enough for one `receive`: a bulk write of them costs little beside its documents."""

ENOUGH_MESSAGES = 50
"""Messages that are enough for one `receive`: further requests would keep the first ones waiting."""

_WORTH_ASKING = 3  # messages; for fewer the others do not wait for another round trip

PROMPT_SECONDS = 2.0
"""How long a further request may keep the messages in hand waiting. Then its answer is for the next one."""

_RECEIVING = "receiving from QUEUE_URL"
_WAITING, _HELD = "ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"

_FORGETTING = 0.8  # factor for the largest size, with each request that brought smaller messages


class SqsInbox:
    """A `writer.ports.Inbox`: receives from one FIFO queue, parks in its dead-letter queue."""

    def __init__(self, sqs: SQSClient, queue_url: str, dead_letter_queue_url: str) -> None:
        self._sqs = sqs
        self._url = queue_url
        self._dead_letter_url = dead_letter_queue_url
        self._facts = QueueFacts(MIN_VISIBILITY, 0, 1)
        self._largest: float | None = None  # size of the largest recent message
        self._empty_answers = EmptyAnswers()
        self._hurrying = asyncio.Event()
        self._late: deque[asyncio.Task[list[Message]]] = deque()

    async def open(self) -> None:
        """Reads and checks the attributes of both queues. To be called before anything else.

        Raises:
            TransientError: SQS does not answer, yet.
            FatalError: a queue is missing, refuses us, or is not suitable.
        """
        self._facts = check_queues(*await self._both_attributes(at_start=True))

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
        if self._late and (messages := await self._come_late()):
            return messages
        first = self._number(ENOUGH_BYTES)
        messages = latest = await self._poll(first)
        number = first
        while len(latest) == number and not self._hurrying.is_set():
            room = ENOUGH_BYTES - sum(map(_size, messages))
            if room <= 0 or len(messages) >= ENOUGH_MESSAGES:
                break
            number = self._number(room)
            if number < _WORTH_ASKING and len(messages) >= MAX_ENTRIES:
                break
            latest = await self._promptly(number)
            messages = [*messages, *latest]
        return messages

    async def _promptly(self, number: int) -> list[Message]:
        """Further messages. The others in hand wait for them, and nothing extends their lock yet.

        An answer that takes longer is not given up: SQS has locked its messages for us, and nobody would get
        them until that ends.
        """
        answer = asyncio.create_task(self._receive(number, 0), name="further messages")
        answer.add_done_callback(_seen)
        try:
            done, _ = await asyncio.wait({answer}, timeout=PROMPT_SECONDS)
        except asyncio.CancelledError:
            answer.cancel()
            raise
        if not done:
            self._late.append(answer)
            return []
        try:
            return answer.result()
        except TransientError:
            return []

    async def _come_late(self) -> Sequence[Message]:
        """The messages of an answer that came late, locked anew, but for those whose lock has ended."""
        answer = self._late.popleft()
        try:
            messages = await answer
        except TransientError:
            return []
        try:
            lost = await self.extend(messages)
        except TransientError:
            self._late.append(answer)
            raise
        return [message for message in messages if message not in lost]

    def hurry(self) -> None:
        self._hurrying.set()

    async def _poll(self, number: int) -> list[Message]:
        """A long poll; after an empty answer that came much too early it pauses."""
        time = asyncio.get_running_loop().time
        asked = time()
        messages = await self._receive(number, WAIT_SECONDS)
        if messages or time() - asked >= WAIT_SECONDS / 2:
            self._empty_answers.well()
            return messages
        pause = self._empty_answers.pause(time())
        if pause is None:
            raise TransientError(f"{_RECEIVING}: empty answers come at once, which SQS does not do")
        await done_before(self._hurrying, asyncio.sleep(pause))
        return []

    async def _receive(self, number: int, wait: int) -> list[Message]:
        names: Any = ATTRIBUTES
        with aws_call(_RECEIVING):
            answer = await self._sqs.receive_message(
                QueueUrl=self._url,
                ReceiveRequestAttemptId=uuid.uuid4().hex,  # the SDK's retry gets the same messages
                MaxNumberOfMessages=number,
                WaitTimeSeconds=wait,
                MessageSystemAttributeNames=names,
            )
        messages, odd = messages_in(answer)
        if odd and not messages:
            raise TransientError(f"{_RECEIVING}: SQS's answer has messages that cannot be read")
        if odd:
            log.warning("messages that cannot be read were left in the queue", extra={"messages": odd})
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
        """Returns the messages whose lock is lost; if there are none, the lock on all of them is changed."""
        doing = "changing the visibility of messages"

        async def change(batch: Sequence[Message]) -> tuple[list[Message], Sequence[Verdict]]:
            entries = entries_of(batch, VisibilityTimeout=seconds)
            with aws_call(doing):
                answer = await self._sqs.change_message_visibility_batch(QueueUrl=self._url, Entries=entries)
            found = verdicts(answer, ids(entries), about_the_lock)
            lost = [batch[int(each)] for each, verdict in found.items() if verdict.fate is Fate.AT_FAULT]
            return lost, list(found.values())

        answers = await of_batches(messages, change)
        if lost := [message for some, _ in answers for message in some]:
            return lost
        all_done((verdict for _, found in answers for verdict in found), doing)
        return []

    async def delete(self, messages: Sequence[Message]) -> None:
        doing = "deleting messages"

        async def delete(batch: Sequence[Message]) -> None:
            entries = entries_of(batch)
            with aws_call(doing):
                answer = await self._sqs.delete_message_batch(QueueUrl=self._url, Entries=entries)
            found = verdicts(answer, ids(entries), about_the_lock).values()
            all_done((verdict for verdict in found if verdict.fate is not Fate.AT_FAULT), doing)
            # The lock was lost: they are delivered again, and the guard recognises them.
            if codes := sorted({verdict.code for verdict in found if verdict.fate is Fate.AT_FAULT}):
                log.warning("messages were not deleted", extra={"codes": codes})

        await of_batches(messages, delete)

    async def park(self, letters: Sequence[DeadLetter]) -> None:
        doing = "parking in DEAD_LETTER_QUEUE_URL"
        limit = self._facts.park_limit
        for batch in batches([letter.entry("", limit) for letter in letters], entry_size, limit):
            entries: list[Any] = [{**entry, "Id": str(index)} for index, entry in enumerate(batch)]
            with aws_call(doing):
                answer = await self._sqs.send_message_batch(QueueUrl=self._dead_letter_url, Entries=entries)
            all_done(verdicts(answer, ids(entries)).values(), doing)

    async def backlog(self) -> Backlog:
        """Asks both queues how many messages are in them. If an operator changed their limits, we follow.

        Source: Amazon SQS API reference, ``GetQueueAttributes``: the numbers are approximate, and become
        consistent within a minute.

        Raises:
            TransientError: SQS does not answer, or not with numbers.
        """
        queue, dead_letters = await self._both_attributes()
        with suppress(TransientError, FatalError):  # whoever starts now is told
            self._facts = check_queues(queue, dead_letters)
        waiting, held = (number_in(queue, name, reading("QUEUE_URL")) for name in (_WAITING, _HELD))
        of_dead_letters = reading("DEAD_LETTER_QUEUE_URL")
        parked = sum(number_in(dead_letters, name, of_dead_letters) for name in (_WAITING, _HELD))
        return Backlog(waiting, held, parked)

    async def _both_attributes(
        self, *, at_start: bool = False
    ) -> tuple[Mapping[str, str], Mapping[str, str]]:
        """The attributes of the queue and of the dead-letter queue."""
        found = []
        for url, name in ((self._url, "QUEUE_URL"), (self._dead_letter_url, "DEAD_LETTER_QUEUE_URL")):
            with aws_call(reading(name), at_start=at_start):
                answer = await self._sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])
            found.append(attributes_of(answer))
        return found[0], found[1]


def _seen(answer: asyncio.Task[list[Message]]) -> None:
    """Looks at the error of an answer that nobody may come to fetch: asyncio would log it."""
    if not answer.cancelled():
        answer.exception()


def _size(message: Message) -> int:
    """Size of a message in a batch. A compressed one can have any size, so it fills the batch alone."""
    return ENOUGH_BYTES if is_compressed(message.body) else len(message.body)
