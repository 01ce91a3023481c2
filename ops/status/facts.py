"""What is known of a pipeline. It decides nothing: what is not known says why, and is not guessed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ops.event_sources import EventSourceMapping


@dataclass(frozen=True, slots=True)
class Table:
    """A table that the Lambda reads.

    Attributes:
        mapping: the event source mapping of its stream.
        stream_view: the view type of its stream; "off": it has no stream; empty: not known.
        why_unknown: why the stream is not known.
        reads_latest_stream: whether the mapping reads the table's current stream, not an earlier one.
    """

    mapping: EventSourceMapping
    stream_view: str
    why_unknown: str = ""
    reads_latest_stream: bool = True

    @property
    def name(self) -> str:
        """The name of the table."""
        return self.mapping.table


@dataclass(frozen=True, slots=True)
class Queue:
    """How many messages a queue has; SQS calls the numbers approximate."""

    visible: int
    in_flight: int
    delayed: int

    @property
    def total(self) -> int:
        """All messages."""
        return self.visible + self.in_flight + self.delayed

    @property
    def is_empty(self) -> bool:
        """Whether it has no messages."""
        return self.total == 0


@dataclass(frozen=True, slots=True)
class Age:
    """An age that CloudWatch has measured.

    Attributes:
        seconds: None: not known.
        is_idle: CloudWatch answered, and has seen nothing that could have an age.
        why_unknown: why it is not known.
    """

    seconds: float | None = None
    is_idle: bool = False
    why_unknown: str = ""


@dataclass(frozen=True, slots=True)
class Figures:
    """What a writer tells about its work.

    Attributes:
        rate: changes per second that it has finished just now.
        in_flight: messages that it holds.
        older_streams: how many changes of the last 15 minutes came from an older stream than the data in
            MongoDB, by table.
    """

    rate: float
    in_flight: int
    older_streams: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Writer:
    """What a writer answers.

    Attributes:
        url: the URL of its status server; empty: its record in MongoDB names none.
        error: why it does not answer; empty: it answers.
        waits: what it waits for, with the reason and the start (seconds since the epoch).
        figures: what it tells about its work; None: not known.
        why_unknown: why that is not known, although it answers.
        seen: when it last renewed its record in MongoDB, seconds since the epoch; None: it has none that is
            known.
        host: the name of its machine, as the record says; empty: not known.
    """

    url: str
    error: str = ""
    waits: Mapping[str, tuple[str, float]] = field(default_factory=dict)
    figures: Figures | None = None
    why_unknown: str = ""
    seen: float | None = None
    host: str = ""

    @property
    def name(self) -> str:
        """What it is called in sentences."""
        return self.url or f"on {self.host}"


@dataclass(frozen=True, slots=True)
class Writers:
    """The writers that are known.

    Attributes:
        asked: those that should run, and were asked.
        ended: those that stopped renewing their record, and do not answer.
        why_unknown: why there may be others; empty: each has a record in MongoDB, or a person has named all.
    """

    asked: Sequence[Writer] = ()
    ended: Sequence[Writer] = ()
    why_unknown: str = ""


@dataclass(frozen=True, slots=True)
class Progress:
    """Whether messages in flight are finished.

    Attributes:
        seen: whether one was; None: not known.
        seconds: how long was looked.
    """

    seen: bool | None = True
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Status:
    """The state of the whole pipeline.

    Attributes:
        at: when it was read, seconds since the epoch.
        function: the name of the Lambda function; empty: not known, and so are the tables.
        tables: the tables that it reads, sorted by name.
        tables_unknown: why the tables are not known; empty: they are.
        iterator_age: the age of the last records that the Lambda got.
        queue: the queue.
        oldest: the age of the queue's oldest message.
        dead_letters: how many dead letters there are.
        writers: the writers.
        progress: of the messages in flight.
    """

    at: float
    function: str
    tables: Sequence[Table]
    iterator_age: Age
    queue: Queue
    oldest: Age
    dead_letters: int
    writers: Writers = Writers()
    tables_unknown: str = ""
    progress: Progress = Progress()

    @property
    def behind(self) -> float | None:
        """How far MongoDB is behind DynamoDB at most, seconds; None: not known."""
        in_stream = 0.0 if self.iterator_age.is_idle else self.iterator_age.seconds
        in_queue = 0.0 if self.queue.is_empty else self.oldest.seconds
        return None if in_stream is None or in_queue is None else in_stream + in_queue
