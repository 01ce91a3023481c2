"""Reads the dead-letter queue without taking anything from it.

A received message is hidden from others until it is made visible again, and meanwhile SQS hands out at most
ten messages of its message group. So each message is received once, and whatever was not deleted is made
visible again at the end, also after an error or Ctrl-C. A process that dies leaves it hidden for
`HIDE_SECONDS`.
"""

from __future__ import annotations

import math
import signal
import sys
import threading
import time
import uuid
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self

from ops.aws import asking
from ops.console.exit_status import CommandError, warn
from ops.console.terminal import count
from ops.queues.dead_letters import letter_of, received_in
from shared.batches import MAX_ENTRIES, batches
from shared.errors import TransientError
from shared.sqs_answers import Fate, about_the_lock, attributes_of, number_in, verdicts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from types import FrameType

    from types_boto3_sqs import SQSClient
    from types_boto3_sqs.type_defs import MessageTypeDef

    from ops.queues.dead_letters import Letter
    from ops.queues.selection import Selection

DEAD_LETTERS = "the dead-letter queue"
HIDE_SECONDS = 300
_LONGEST_HOLD = 240.0
"""Seconds. Then nothing more is received, so that the first messages do not become visible meanwhile."""
_MANY = 1000
WAIT_SECONDS = 1
"""A long poll asks every server of SQS; a short poll may miss messages."""


class QueueBrowser:
    """The dead-letter queue, whose letters are hidden from others until the `with` block ends."""

    def __init__(self, sqs: SQSClient, url: str) -> None:
        self._sqs = sqs
        self._url = url
        self._held: dict[str, str] = {}
        self._seen: set[str] = set()
        self._since = 0.0
        self._stopped_early = False
        self._odd = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with _uninterrupted():
            self._make_visible()

    def selected(
        self,
        selection: Selection,
        limit: int | None = None,
        others: Callable[[list[Letter]], object] = list,
    ) -> Iterator[list[Letter]]:
        """The selected letters as they are received, at most `limit`.

        Args:
            selection: which.
            limit: the most; None: all.
            others: is told those that are not selected.

        Raises:
            CommandError: the queue cannot be read.
        """
        left = limit or sys.maxsize
        found: set[str] = set()
        for batch in self.batches():
            letters = [each for each in batch if selection.matches(each)][:left]
            others([each for each in batch if each not in letters])
            if letters:
                yield letters
            left -= len(letters)
            found.update(letter.id for letter in letters)
            if not left or (selection.whole_ids and found.issuperset(selection.ids)):
                return

    def batches(self, seconds: float = math.inf) -> Iterator[list[Letter]]:
        """All letters as they are received, up to ten at once, each letter once.

        It ends when the queue has no more, or after so many seconds.

        Raises:
            CommandError: the queue cannot be read.
        """
        until = time.monotonic() + seconds
        while True:
            if time.monotonic() > until:
                self._stopped_early = True
                return
            if self._held and time.monotonic() - self._since > _LONGEST_HOLD:
                self._stopped_early = True
                return
            messages = self._receive()
            new = [each for each in messages if each.id not in self._seen]
            self._seen.update(each.id for each in new)
            if not new:  # the queue is empty, or letters have become visible again and would come forever
                return
            yield new

    def _receive(self) -> list[Letter]:
        asked = time.monotonic()
        # If we missed the answer, nobody could make visible again what it hides.
        with _uninterrupted(), asking(f"receiving from {DEAD_LETTERS}"):
            answer = self._sqs.receive_message(
                QueueUrl=self._url,
                ReceiveRequestAttemptId=uuid.uuid4().hex,  # the SDK's retry gets the same messages
                MaxNumberOfMessages=MAX_ENTRIES,
                VisibilityTimeout=HIDE_SECONDS,
                WaitTimeSeconds=WAIT_SECONDS,
                MessageAttributeNames=["All"],
                MessageSystemAttributeNames=["All"],
            )
            self._since = self._since if self._held else asked
            received, odd = whole_messages(answer, DEAD_LETTERS)
            self._odd += odd
            self._held |= {each["MessageId"]: each["ReceiptHandle"] for each in received}
        return [letter_of(each) for each in received]

    def delete(self, ids: Iterable[str]) -> dict[str, str]:
        """Deletes letters that are held. Returns the codes of those that could not be deleted, by id.

        Raises:
            CommandError: the call failed; it is unknown what was deleted.
        """
        failed: dict[str, str] = {}
        for batch in batches(ids):
            entries: list[Any] = [
                {"Id": str(index), "ReceiptHandle": self._held[each]} for index, each in enumerate(batch)
            ]
            with asking(f"deleting from {DEAD_LETTERS}"):
                answer = self._sqs.delete_message_batch(QueueUrl=self._url, Entries=entries)
            found = verdicts(answer, [entry["Id"] for entry in entries], about_the_lock)
            for each, verdict in zip(batch, found.values(), strict=True):
                if verdict.fate is Fate.DONE:
                    del self._held[each]
                else:
                    failed[each] = verdict.code
        return failed

    @property
    def held(self) -> int:
        """How many letters it hides from others."""
        return len(self._held)

    @property
    def has_odd(self) -> bool:
        """Whether SQS handed out a message that cannot be read."""
        return self._odd > 0

    def all_seen(self, expected: int) -> bool:
        """Whether everything was looked at, if there are `expected` letters."""
        return not (self._stopped_early or self.has_odd) and len(self._seen) >= expected

    def report_unseen(self, expected: int) -> None:
        """Warns if fewer letters were seen than `expected`, so that nobody takes a part for the whole."""
        seen = len(self._seen)
        if self._stopped_early:
            warn(f"Stopped after {seen:,} letters because it took too long. Run it again for the rest.")
        elif expected > seen:
            warn(
                f"About {expected - seen:,} more could not be read: someone else has them, or they are "
                "behind ten others of their message group."
            )

    def _make_visible(self) -> None:
        if len(self._held) > _MANY:
            warn(f"Making {len(self._held)} messages visible again ...")
        for batch in batches(self._held.values()):
            entries: list[Any] = [
                {"Id": str(index), "ReceiptHandle": receipt, "VisibilityTimeout": 0}
                for index, receipt in enumerate(batch)
            ]
            try:
                with asking("changing their visibility"):
                    answer = self._sqs.change_message_visibility_batch(QueueUrl=self._url, Entries=entries)
                # An entry at fault is held by another receiver by now, or gone.
                found = verdicts(answer, [entry["Id"] for entry in entries], about_the_lock).values()
                unknown = [verdict.code for verdict in found if verdict.fate is Fate.UNKNOWN]
                why = f"SQS answered {unknown[0]}" if unknown else ""
            except CommandError as error:
                why = str(error)
            if why:
                warn(
                    f"Messages of {DEAD_LETTERS} could not be made visible again ({why}); they will be "
                    f"in {HIDE_SECONDS // 60} minutes."
                )
                return


def whole_messages(answer: Any, where: str) -> tuple[list[MessageTypeDef], int]:
    """The messages of an answer to a receive, and how many more cannot be read, of which it warns.

    Raises:
        CommandError: none of them can be read, so that it is not known what there is.
    """
    received, odd = received_in(answer)
    if odd and not received:
        raise CommandError(f"receiving from {where}: SQS's answer has no readable message")
    if odd:
        warn(f"{count(odd, 'message')} in SQS's answer cannot be read; they stay in {where}.")
    return received, odd


def letters_in(sqs: SQSClient, url: str) -> int:
    """About how many letters there are, hidden ones included.

    Raises:
        CommandError: there is no such queue, or it cannot be read.
    """
    names = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")
    return sum(queue_numbers(sqs, url, DEAD_LETTERS, *names))


def queue_numbers(sqs: SQSClient, url: str, what: str, *names: str) -> list[int]:
    """Numbers that every queue has, in the order of their names.

    Raises:
        CommandError: there is no such queue, or it cannot be read.
    """
    attributes = queue_attributes(sqs, url, what, *names)
    try:
        return [number_in(attributes, name, f"reading the attributes of {what}") for name in names]
    except TransientError as error:
        raise CommandError(str(error)) from error


def queue_attributes(sqs: SQSClient, url: str, what: str, *names: Any) -> dict[str, str]:
    """Attributes of a queue, without those that it does not have.

    Raises:
        CommandError: there is no such queue, or it cannot be read.
    """
    with asking(f"reading the attributes of {what}"):
        answer = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)
    return attributes_of(answer)


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Delays a signal until the block ends; a second signal takes effect at once."""
    if threading.current_thread() is not threading.main_thread():  # only the main thread gets signals
        yield
        return
    waiting: list[int] = []
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def wait(number: int, _frame: FrameType | None) -> None:
        waiting.append(number)
        if len(waiting) > 1:
            restore()
            signal.raise_signal(number)

    for number in before:
        signal.signal(number, wait)
    try:
        yield
    finally:
        restore()
        if len(waiting) == 1:
            signal.raise_signal(waiting[0])
