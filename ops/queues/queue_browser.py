"""Reading a FIFO queue without taking anything from it.

What is received is hidden from others until it is given back, and of a message group SQS hands out no more
than ten messages while it is. So each message is received once, and all that was not deleted is made visible
again at the end, also after an error or Ctrl-C. A process that dies leaves it hidden for `HIDE_SECONDS`.
"""

from __future__ import annotations

import signal
import threading
import time
import uuid
from contextlib import contextmanager
from typing import TYPE_CHECKING, Self

from botocore.exceptions import BotoCoreError, ClientError

from ops.aws import asking
from ops.console.exit_status import warn
from shared.batches import MAX_ENTRIES, batches

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import FrameType

    from types_boto3_sqs import SQSClient
    from types_boto3_sqs.type_defs import MessageTypeDef

HIDE_SECONDS = 300
_LONGEST_HOLD = 240.0
"""Seconds after which nothing more is received: what came first must not become visible meanwhile."""
_MANY = 1000
WAIT_SECONDS = 1
"""A long poll asks every server of SQS; a short one may overlook messages."""


class QueueBrowser:
    """A queue whose messages are looked at one by one, as long as its `with` block."""

    def __init__(self, sqs: SQSClient, url: str, what: str) -> None:
        """Begins with nothing received.

        Args:
            sqs: the client.
            url: of the queue.
            what: what people call the queue, in messages.
        """
        self._sqs = sqs
        self._url = url
        self._what = what
        self._held: dict[str, str] = {}
        self._seen: set[str] = set()
        self._since = 0.0
        self.was_cut = False
        """The hold would have become too long before the end of the queue."""

    @property
    def seen(self) -> int:
        """How many messages were received, each counted once."""
        return len(self._seen)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with _uninterrupted():
            self._give_back()

    def batches(self) -> Iterator[list[MessageTypeDef]]:
        """Messages as they are received, up to ten at once, each once; until there are no more.

        Raises:
            CommandError: the queue cannot be read.
        """
        while True:
            if self._held and time.monotonic() - self._since > _LONGEST_HOLD:
                self.was_cut = True
                return
            messages = self._receive()
            if not messages:
                return
            new = [each for each in messages if each["MessageId"] not in self._seen]
            self._seen.update(each["MessageId"] for each in new)
            if not new:  # nothing hides them any more: they would come for ever
                return
            yield new

    def _receive(self) -> list[MessageTypeDef]:
        asked = time.monotonic()
        # Nobody could give back what an answer hides that we did not wait for, or did not note.
        with _uninterrupted(), asking(f"receiving from {self._what}"):
            messages = self._sqs.receive_message(
                QueueUrl=self._url,
                ReceiveRequestAttemptId=uuid.uuid4().hex,  # the SDK's retry gets the same messages
                MaxNumberOfMessages=MAX_ENTRIES,
                VisibilityTimeout=HIDE_SECONDS,
                WaitTimeSeconds=WAIT_SECONDS,
                MessageAttributeNames=["All"],
                MessageSystemAttributeNames=["All"],
            ).get("Messages", [])
            self._since = self._since if self._held else asked
            self._held |= {each["MessageId"]: each["ReceiptHandle"] for each in messages}
        return messages

    def delete(self, ids: Iterable[str]) -> dict[str, str]:
        """Deletes messages that are held; returns why for those that could not be deleted, by id.

        Raises:
            CommandError: the call failed, and nobody knows what of it is deleted.
        """
        failed: dict[str, str] = {}
        for batch in batches(ids):
            with asking(f"deleting from {self._what}"):
                answer = self._sqs.delete_message_batch(
                    QueueUrl=self._url,
                    Entries=[
                        {"Id": str(index), "ReceiptHandle": self._held[each]}
                        for index, each in enumerate(batch)
                    ],
                )
            failed |= {batch[int(each["Id"])]: each["Code"] for each in answer.get("Failed", [])}
            for each in batch:
                if each not in failed:
                    del self._held[each]
        return failed

    def _give_back(self) -> None:
        if len(self._held) > _MANY:
            warn(f"Making {len(self._held)} messages visible again ...")
        for batch in batches(self._held.values()):
            try:  # an entry that fails is somebody else's by now, or gone
                self._sqs.change_message_visibility_batch(
                    QueueUrl=self._url,
                    Entries=[
                        {"Id": str(index), "ReceiptHandle": receipt, "VisibilityTimeout": 0}
                        for index, receipt in enumerate(batch)
                    ],
                )
            except (BotoCoreError, ClientError) as error:
                warn(
                    f"Messages of {self._what} could not be made visible again ({error}); they are in "
                    f"{HIDE_SECONDS // 60} minutes, by themselves."
                )
                return


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """A signal waits until what was begun is done; a second one does not."""
    if threading.current_thread() is not threading.main_thread():  # signals are not for other threads
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
