"""What the writer reports about its work: `Observer`, and the facts it receives. Pure.

Law: an observer never raises, never waits, and never sees a document, a key or a secret. This module and
`writer.telemetry.account` decide what is measured; each observer decides where it goes (metrics, the status
page, CloudWatch).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

MOST_TABLES = 100
"""Tables with figures of their own: the first that messages name. All others count as one."""

LONGEST_NAME = 255
"""Characters of a DynamoDB table's name; anything longer is not one."""


class Operation(StrEnum):
    """What a change does to its item."""

    PUT = "put"
    DELETE = "delete"
    UNKNOWN = "unknown"
    """The change could not be read, and is parked."""


class Result(StrEnum):
    """What became of a change."""

    APPLIED = "applied"
    """It is in MongoDB. A deletion always counts as applied: its tombstone is written, whatever was there."""
    STALE = "stale"
    """A put whose document was newer or the same already: a repeated or late delivery."""
    OLDER_STREAM = "older_stream"
    """The same, but for a put from an older stream of the table than what is in MongoDB. None of that stream
    will ever win: somebody should know."""
    COALESCED = "coalesced"
    """Another change of the same document stands for it, or the mapping does not replicate it."""
    PARKED = "parked"
    """It is in the dead-letter queue, with its reason."""


class Call(StrEnum):
    """A request to one of the two servers."""

    RECEIVE = "receive"
    DELETE = "delete"
    EXTEND = "extend"
    PARK = "park"
    RELEASE = "release"
    BULK = "bulk"
    """All requests of a batch to MongoDB."""


class Cause(StrEnum):
    """What a `Trouble` is about."""

    DYNAMODB = "dynamodb"
    """A call to DynamoDB failed; it is repeated."""
    MONGODB = "mongodb"
    """A call to MongoDB failed; it is repeated."""
    SQS = "sqs"
    """A call to SQS failed; it is repeated."""
    LOCK_LOST = "lock-lost"
    """A batch was given back because another writer may hold its messages by now."""
    HEALABLE = "healable"
    """Messages stay for a later try: another item's change may free a unique value."""
    REFUSED = "refused"
    """MongoDB refused writes of a table for a reason that is not about the records; they wait."""
    SWEPT = "swept"
    """The sweep removed documents that a dying writer had brought back."""


class Counted(NamedTuple):
    """Changes of one table with one result. The table is empty if they could not be read."""

    table: str
    operation: Operation
    result: Result
    changes: int


class Lag(NamedTuple):
    """How old changes were when they were acknowledged.

    Attributes:
        seconds: since their creation; stream records have whole seconds only.
        changes: how many changes.
    """

    table: str
    seconds: float
    changes: int


class Parked(NamedTuple):
    """A dead letter. Its reason is not here: it can quote the item."""

    table: str
    code: str


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch that has ended.

    Attributes:
        messages, changes: how many it had.
        counted: what became of the changes, except those that were given back.
        lags: of applied and stale changes.
        parked: one entry per dead letter.
        given_back: messages that stay for a later try.
        plan, apply, settle: seconds that each step took.
    """

    messages: int
    changes: int
    counted: Sequence[Counted] = ()
    lags: Sequence[Lag] = ()
    parked: Sequence[Parked] = ()
    given_back: int = 0
    plan: float = 0.0
    apply: float = 0.0
    settle: float = 0.0


@dataclass(frozen=True, slots=True)
class InHand:
    """What one loop holds.

    Attributes:
        messages: received and not settled.
        changes: changes in them, as far as they have been read.
        oldest: creation time of the oldest change in them, seconds since the epoch; None: not known yet.
    """

    messages: int
    changes: int = 0
    oldest: float | None = None


@dataclass(frozen=True, slots=True)
class Backlog:
    """What is in the queues (`GetQueueAttributes`: approximate, up to a minute late).

    Attributes:
        waiting: messages that a writer could receive.
        in_flight: messages that any writer holds.
        dead_letters: messages in the dead-letter queue.
    """

    waiting: int
    in_flight: int
    dead_letters: int


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something went wrong that passes by itself, or that a person should know.

    Attributes:
        cause: of a small, fixed set, so that it can be counted.
        words: what happened, in a sentence; never a document, a key or a secret.
    """

    cause: Cause
    words: str


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known from the start.

    Attributes:
        version: of this program.
        commit: that it was made of; empty: not known.
        pool_size: MongoDB connections.
        loops: batches in hand at once.
        queue_url, dead_letter_queue_url: of the queues, for commands that a person copies.
        program: what people call it.
    """

    version: str
    commit: str
    pool_size: int
    loops: int
    queue_url: str = ""
    dead_letter_queue_url: str = ""
    program: str = "writer"


class Observer:
    """Is notified of what happens. This one ignores everything; subclasses override what they use."""

    def batch(self, batch: Batch) -> None:
        """A batch has ended."""

    def in_hand(self, loop: int, held: InHand | None) -> None:
        """What a loop holds from now on; None: nothing."""

    def called(self, call: Call, seconds: float) -> None:
        """A request was answered after so many seconds."""

    def backlog(self, backlog: Backlog) -> None:
        """The queues were asked for their backlog."""

    def oldest_received(self, age: float) -> None:
        """Messages were received, of which the oldest had waited in the queue for so many seconds."""

    def trouble(self, trouble: Trouble) -> None:
        """Something went wrong."""


class Observers(Observer):
    """Several observers as one."""

    def __init__(self, *observers: Observer) -> None:
        self._observers = observers

    def batch(self, batch: Batch) -> None:
        for each in self._observers:
            each.batch(batch)

    def in_hand(self, loop: int, held: InHand | None) -> None:
        for each in self._observers:
            each.in_hand(loop, held)

    def called(self, call: Call, seconds: float) -> None:
        for each in self._observers:
            each.called(call, seconds)

    def backlog(self, backlog: Backlog) -> None:
        for each in self._observers:
            each.backlog(backlog)

    def oldest_received(self, age: float) -> None:
        for each in self._observers:
            each.oldest_received(age)

    def trouble(self, trouble: Trouble) -> None:
        for each in self._observers:
            each.trouble(trouble)
