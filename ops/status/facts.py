"""The state of a pipeline, and what of it is not well. Pure."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from ops.console.terminal import age, count

_WITH_NEW_IMAGES = ("NEW_IMAGE", "NEW_AND_OLD_IMAGES")


@dataclass(frozen=True, slots=True)
class Table:
    """A table that the Lambda reads.

    Attributes:
        name: the name of the table.
        stream_view: the view type of its stream; "off": it has no stream; empty: unknown.
        mapping: the state of the event source mapping, such as Enabled.
        last_result: the result of the mapping's last invocation, in AWS's words.
        reads_latest_stream: whether the mapping reads the table's current stream, not an earlier one.
    """

    name: str
    stream_view: str
    mapping: str
    last_result: str
    reads_latest_stream: bool = True


@dataclass(frozen=True, slots=True)
class Queue:
    """How many messages a queue has; SQS calls the numbers approximate."""

    visible: int
    in_flight: int
    delayed: int

    @property
    def is_empty(self) -> bool:
        """Whether it has no messages."""
        return self.visible + self.in_flight + self.delayed == 0


@dataclass(frozen=True, slots=True)
class Writer:
    """What a writer answers.

    Attributes:
        url: the URL of its status server.
        error: why it does not answer; empty: it answers.
        waits: what it waits for, with the reason and the start (seconds since the epoch).
        older_streams: how many changes of the last 15 minutes came from an older stream than what is in
            MongoDB, by table; None: unknown.
    """

    url: str
    error: str = ""
    waits: Mapping[str, tuple[str, float]] = field(default_factory=dict)
    older_streams: Mapping[str, int] | None = None


@dataclass(frozen=True, slots=True)
class Status:
    """The state of the whole pipeline.

    Attributes:
        at: when it was read, seconds since the epoch.
        function: the name of the Lambda function; empty: unknown, and so are the tables.
        tables: the tables that it reads, sorted by name.
        iterator_age: the age of the last records that it got, seconds; None: unknown.
        queue: the queue.
        oldest: the age of the queue's oldest message, seconds; None: unknown.
        dead_letters: how many dead letters there are.
        writers: the writers that were asked.
    """

    at: float
    function: str
    tables: Sequence[Table]
    iterator_age: float | None
    queue: Queue
    oldest: float | None
    dead_letters: int
    writers: Sequence[Writer]

    @property
    def behind(self) -> float | None:
        """How far MongoDB is behind DynamoDB at most, seconds; None: unknown."""
        oldest = 0.0 if self.queue.is_empty else self.oldest
        return None if self.iterator_age is None or oldest is None else self.iterator_age + oldest

    def problems(self, most_behind: float) -> list[str]:
        """What is not well, as sentences. A stage may be `most_behind` seconds behind."""
        found: list[str] = []
        if self.function and not self.tables:
            found.append(f"The function {self.function} reads no table: it has no event source mapping.")
        for table in self.tables:
            found += _problems_of(table)
        if self.iterator_age is not None and self.iterator_age > most_behind:
            found.append(
                f"The Lambda is {age(self.iterator_age)} behind the stream, which forgets after a day."
            )
        if self.oldest is not None and not self.queue.is_empty and self.oldest > most_behind:
            found.append(f"The oldest message has waited for {age(self.oldest)}: the writers do not keep up.")
        if self.dead_letters:
            verb = "waits" if self.dead_letters == 1 else "wait"
            found.append(f"{count(self.dead_letters, 'dead letter')} {verb}: see replicator dlq list.")
        for writer in self.writers:
            if writer.error:
                found.append(f"The writer {writer.url} does not answer: {writer.error}.")
            for part, (reason, since) in writer.waits.items():
                waited = age(self.at - since)
                found.append(f"The writer {writer.url} has waited for {part} for {waited}: {reason}.")
        for name, changes in sorted(self._older_streams().items()):
            found.append(
                f"{count(changes, 'change')} of the table {name} in the last 15 minutes came from an older "
                'stream than what is in MongoDB, and did not win: see "Another stream" in docs/migration.md.'
            )
        return found

    def _older_streams(self) -> Mapping[str, int]:
        """The changes of older streams by table, of all writers that told."""
        found: Counter[str] = Counter()
        for writer in self.writers:
            found.update(writer.older_streams or {})
        return found

    def data(self, most_behind: float) -> dict[str, Any]:
        """The state as a JSON object; null stands for what is unknown."""
        problems = self.problems(most_behind)
        return {
            "well": not problems,
            "problems": problems,
            "at": round(self.at, 3),
            "function": self.function or None,
            "tables": [
                {name: None if value == "" else value for name, value in asdict(each).items()}
                for each in self.tables
            ],
            "iterator_age_seconds": self.iterator_age,
            "queue": asdict(self.queue) | {"oldest_seconds": self.oldest},
            "dead_letters": self.dead_letters,
            "behind_seconds_at_most": self.behind,
            "writers": [
                {
                    "url": each.url,
                    "ready": not (each.error or each.waits),
                    "error": each.error or None,
                    "waiting_for": {
                        part: {"reason": reason, "since": since}
                        for part, (reason, since) in each.waits.items()
                    },
                    "older_stream_changes": each.older_streams,
                }
                for each in self.writers
            ],
        }


def _problems_of(table: Table) -> list[str]:
    found = []
    if table.stream_view == "off":
        found.append(f"The table {table.name} has no stream.")
    elif table.stream_view and table.stream_view not in _WITH_NEW_IMAGES:
        found.append(f"The stream of the table {table.name} has no new images: it is {table.stream_view}.")
    if table.mapping != "Enabled":
        found.append(f"The event source mapping of the table {table.name} is {table.mapping}.")
    if not table.reads_latest_stream:
        found.append(
            f"The event source mapping of the table {table.name} reads a stream that the table no longer has."
        )
    if "PROBLEM" in table.last_result or "FAILED" in table.last_result:
        found.append(f"The Lambda's last invocation for the table {table.name} failed: {table.last_result}.")
    return found
