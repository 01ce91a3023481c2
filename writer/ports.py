"""What the writer needs from outside: `Inbox`, `Sink`, `Clock`. Small, and our own; adapters wrap libraries.

Law: an adapter raises only `TransientError` and `FatalError` (`shared.errors`). A problem of one record is a
return value.
"""

from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from shared.dead_letter import DeadLetter
from writer.write import Place, Write


@dataclass(frozen=True, slots=True)
class Message:
    """A received queue message, locked for us until its visibility timeout ends.

    Attributes:
        id: the SQS message id; the same at every delivery.
        receipt: the receipt handle of this delivery.
        group: its message group (lane).
        receives: how often it was received, this time included.
        sent_at: when it was sent, milliseconds since the epoch.
    """

    id: str
    receipt: str
    body: str
    group: str
    receives: int
    sent_at: int


class Inbox(Protocol):
    """The queue."""

    @property
    def visibility(self) -> float:
        """Seconds for which received messages are locked; `extend` locks them for as long again."""

    @property
    def park_limit(self) -> int:
        """Size of the largest message that can be parked, bytes."""

    @property
    def max_receives(self) -> int:
        """How often a message is delivered at most; then SQS moves it to the dead-letter queue."""

    async def receive(self) -> Sequence[Message]:
        """Waits a few seconds for a batch of messages; it fits into memory, and groups are oldest first."""

    def hurry(self) -> None:
        """From now on a batch is what one request returns: we stop, and other writers can take the rest."""

    async def extend(self, messages: Sequence[Message]) -> Sequence[Message]:
        """Extends the lock on messages; returns those whose lock was lost already."""

    async def release(self, messages: Sequence[Message], delay: int) -> None:
        """Makes messages visible again after `delay` seconds. Best effort: a lost lock is no error."""

    async def delete(self, messages: Sequence[Message]) -> None:
        """Acknowledges messages. A lost lock is no error: a repeated delivery is recognised."""

    async def park(self, letters: Sequence[DeadLetter]) -> None:
        """Puts letters into the dead-letter queue; returns when all of them are certainly there."""


class FailureKind(StrEnum):
    """What to do about a write that MongoDB refused."""

    PERMANENT = "permanent"
    """No retry can help: park it."""
    HEALABLE = "healable"
    """Another item's change may make it possible (a duplicate in a unique index): try again later."""
    TRANSIENT = "transient"
    """The answer is not about this record (a right is missing, an unknown code): it waits, others go on."""


@dataclass(frozen=True, slots=True)
class Failure:
    """One write that MongoDB refused.

    Attributes:
        code: MongoDB's error code, or a word where it has none.
        reason: MongoDB's message, without the document.
        index: the unique index that refused the write, by its fields; empty: none did, or it is not known.
        of_place: it is about the whole collection, such as a right: no record can be at fault.
        of_document: the code is on the list of document faults, but all documents of the batch got it.
    """

    kind: FailureKind
    code: str
    reason: str
    index: str = ""
    of_place: bool = False
    of_document: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a batch of writes; all but `failures` are durable (`w=majority`).

    Attributes:
        failures: by index of the write.
        inserted: documents that did not exist before.
        modified: documents replaced.
        deleted: documents removed.
        stale: puts that changed nothing because the document or a tombstone was newer or the same.
        stale_at: the same, by place.
        older_stream_at: those of them, by place, that come from an older stream than what is stored, as far
            as that is known.
    """

    failures: Mapping[int, Failure] = field(default_factory=dict)
    inserted: int = 0
    modified: int = 0
    deleted: int = 0
    stale: int = 0
    stale_at: Mapping[Place, int] = field(default_factory=dict, compare=False)
    older_stream_at: Mapping[Place, int] = field(default_factory=dict, compare=False)


class Sink(Protocol):
    """The target database."""

    async def apply(self, writes: Sequence[Write]) -> Outcome:
        """Applies writes; can be repeated. Several writes of one document are newest first."""

    async def ping(self) -> None:
        """Returns if the database accepts writes; raises like `apply` if it does not."""


class Clock(Protocol):
    """Time; tests have a clock of their own, and need not wait."""

    def monotonic(self) -> float:
        """Seconds on a clock that never goes back."""

    def now(self) -> float:
        """Seconds since the epoch."""

    def sleep(self, seconds: float) -> Coroutine[None, None, None]:
        """Waits."""
