"""What `replicator status` found out, and what of it is not well. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ops.console.terminal import age, count

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_WITH_NEW_IMAGES = ("NEW_IMAGE", "NEW_AND_OLD_IMAGES")


@dataclass(frozen=True, slots=True)
class Table:
    """A table that the Lambda reads.

    Attributes:
        name: of the table.
        view: view type of its stream; "off": it has none; empty: not known.
        state: of the event source mapping, such as Enabled.
        result: of the mapping's last invocation, in AWS's words.
        is_latest: the mapping reads the stream that the table has now, and not an earlier one.
    """

    name: str
    view: str
    state: str
    result: str
    is_latest: bool = True


@dataclass(frozen=True, slots=True)
class Queue:
    """Numbers of messages; SQS calls them approximate."""

    visible: int
    in_flight: int
    delayed: int

    @property
    def is_empty(self) -> bool:
        """Whether nothing is in it."""
        return self.visible + self.in_flight + self.delayed == 0


@dataclass(frozen=True, slots=True)
class Writer:
    """What a writer says.

    Attributes:
        url: its status server.
        error: why it does not answer; empty: it does.
        waits: part → reason and since when (seconds since the epoch).
    """

    url: str
    error: str = ""
    waits: Mapping[str, tuple[str, float]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Status:
    """Everything.

    Attributes:
        at: when it was found out, seconds since the epoch.
        function: name of the Lambda function; empty: not known, and neither are the tables.
        tables: those that it reads, by name.
        iterator_age: how old the records are that it got last, seconds; None: not known.
        queue: the queue.
        oldest: age of the queue's oldest message, seconds; None: not known.
        dead_letters: how many there are.
        writers: those that were asked.
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
        """The most seconds that MongoDB is behind DynamoDB; None: not known."""
        oldest = 0.0 if self.queue.is_empty else self.oldest
        return None if self.iterator_age is None or oldest is None else self.iterator_age + oldest

    def problems(self, most_behind: float) -> list[str]:
        """What is not well, each a sentence.

        Args:
            most_behind: seconds that a stage may be behind.
        """
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
            found.append(f"The oldest message waits for {age(self.oldest)}: the writers do not keep up.")
        if self.dead_letters:
            verb = "waits" if self.dead_letters == 1 else "wait"
            found.append(f"{count(self.dead_letters, 'dead letter')} {verb}: see replicator dlq list.")
        for writer in self.writers:
            if writer.error:
                found.append(f"The writer {writer.url} does not answer: {writer.error}.")
            for part, (reason, since) in writer.waits.items():
                waited = age(self.at - since)
                found.append(f"The writer {writer.url} waits for {part} since {waited}: {reason}.")
        return found

    def data(self, most_behind: float) -> dict[str, Any]:
        """The object for scripts; null is what is not known."""
        problems = self.problems(most_behind)
        return {
            "well": not problems,
            "problems": problems,
            "at": round(self.at, 3),
            "function": self.function or None,
            "tables": [
                {
                    "name": each.name,
                    "stream_view": each.view or None,
                    "mapping": each.state,
                    "last_result": each.result or None,
                    "reads_latest_stream": each.is_latest,
                }
                for each in self.tables
            ],
            "iterator_age_seconds": self.iterator_age,
            "queue": {
                "visible": self.queue.visible,
                "in_flight": self.queue.in_flight,
                "delayed": self.queue.delayed,
                "oldest_seconds": self.oldest,
            },
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
                }
                for each in self.writers
            ],
        }


def _problems_of(table: Table) -> list[str]:
    found = []
    if table.view == "off":
        found.append(f"The table {table.name} has no stream.")
    elif table.view and table.view not in _WITH_NEW_IMAGES:
        found.append(f"The stream of the table {table.name} has no new images: it is {table.view}.")
    if table.state != "Enabled":
        found.append(f"The event source mapping of the table {table.name} is {table.state}.")
    if not table.is_latest:
        found.append(
            f"The event source mapping of the table {table.name} reads a stream that the table has no more."
        )
    if "PROBLEM" in table.result or "FAILED" in table.result:
        found.append(f"The Lambda's last invocation for the table {table.name} failed: {table.result}.")
    return found
