"""Decides what of a pipeline is not well, and what is not known of it. Pure.

Well is only what was seen to be well. What is normal on a pipeline that rests is not unknown: an empty queue
has no oldest message, and a stream without changes has no age.
"""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from enum import Enum
from typing import TYPE_CHECKING

from ops.console.terminal import age, count
from ops.event_source_checks import judge, start_warning, stream_problem

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ops.status.facts import Status, Table, Writer

_MOST_WAITS = 10
"""So many of what a writer waits for are sentences."""

_NO_STREAM = "off"

_MOST_SEEN = 120_000
"""SQS looks for lanes in so many of the oldest messages. Source: SQS developer guide, "Avoid large message
backlogs with the same message group ID"."""


class Outcome(Enum):
    """What a look found."""

    WELL = "ok"
    NOT_WELL = "problem"
    NOT_KNOWN = "unknown"


def outcome_of(status: Status, most_behind: float) -> Outcome:
    """What is wrong counts more than what is not known."""
    if problems_of(status, most_behind):
        return Outcome.NOT_WELL
    return Outcome.NOT_KNOWN if unknown_of(status) else Outcome.WELL


def problems_of(status: Status, most_behind: float) -> list[str]:
    """What is not well, as sentences. A stage may be `most_behind` seconds behind."""
    return [
        *_problems_of_the_source(status, most_behind),
        *_problems_of_the_queue(status, most_behind),
        *_problems_of_the_writers(status),
    ]


def unknown_of(status: Status) -> list[str]:
    """What was not seen although it matters, as sentences: what, and why or what helps."""
    return [_sentence(each) for each in (*_unknown_of_the_source(status), *_unknown_of_the_rest(status))]


def notes_of(status: Status) -> list[str]:
    """What a person should know and need not be woken for, as sentences."""
    notes: list[str] = []
    now = datetime.fromtimestamp(status.at, UTC)
    for table in status.tables:
        notes += judge(table.mapping).notes
        if warning := start_warning(table.mapping, now):
            notes.append(_sentence(f"{table.name}: {warning}"))
    if status.queue.total > _MOST_SEEN:
        notes.append(
            f"{count(status.queue.total, 'message')} wait. SQS looks for lanes in the oldest {_MOST_SEEN:,} "
            'only: if most of these are in a few lanes, the others wait: see "A flooded lane" in '
            "docs/operations.md."
        )
    for writer in status.writers.ended:
        when = "" if writer.seen is None else f", and was last seen {age(status.at - writer.seen)} ago"
        notes.append(f"The writer {writer.name} stopped without signing off{when}.")
    return notes


def _problems_of_the_source(status: Status, most_behind: float) -> Iterator[str]:
    if status.function and not status.tables and not status.tables_unknown:
        yield f"The function {status.function} reads no table: it has no event source mapping."
    for table in status.tables:
        yield from _problems_of(table)
    seconds = status.iterator_age.seconds
    if seconds is not None and seconds > most_behind:
        yield f"The Lambda is {age(seconds)} behind the stream, which keeps changes for only 24 hours."


def _problems_of(table: Table) -> Iterator[str]:
    if table.stream_view:
        view = "" if table.stream_view == _NO_STREAM else table.stream_view
        if problem := stream_problem(table.name, view):
            yield _sentence(str(problem))
    if not table.reads_latest_stream:
        yield (
            f"The event source mapping of the table {table.name} reads an old stream of the table: "
            "deploy deploy/pipeline.yaml with the new stream's ARN."
        )
    for problem in judge(table.mapping).problems:
        yield _sentence(str(problem))


def _problems_of_the_queue(status: Status, most_behind: float) -> Iterator[str]:
    queue, oldest = status.queue, status.oldest.seconds
    if oldest is not None and not queue.is_empty and oldest > most_behind:
        yield f"The oldest message has waited for {age(oldest)}: the writers are not keeping up."
    if status.progress.seen is False:
        are = "is" if queue.in_flight == 1 else "are"
        yield (
            f"{count(queue.in_flight, 'message')} {are} in flight, and none was finished in "
            f"{age(status.progress.seconds)}: a writer holds them but writes nothing, and may be "
            "frozen."
        )
    if status.dead_letters:
        verb = "waits" if status.dead_letters == 1 else "wait"
        yield f"{count(status.dead_letters, 'dead letter')} {verb}: see replicator dlq list."


def _problems_of_the_writers(status: Status) -> Iterator[str]:
    writers = status.writers
    if not (writers.asked or writers.why_unknown or status.queue.is_empty):
        wait = "waits" if status.queue.total == 1 else "wait"
        yield (
            f"{count(status.queue.total, 'message')} {wait}, and no writer is running: none has a "
            "recent record in MongoDB."
        )
    for writer in writers.asked:
        yield from _problems_of_a_writer(writer, status.at)
    older: Counter[str] = Counter()
    for writer in writers.asked:
        older.update(writer.figures.older_streams if writer.figures else {})
    for name, changes in sorted(older.items()):
        yield (
            f"{count(changes, 'change')} of the table {name} in the last 15 minutes came from an older "
            'stream than the data in MongoDB, and were discarded: see "Another stream" in docs/migration.md.'
        )


def _problems_of_a_writer(writer: Writer, now: float) -> Iterator[str]:
    if writer.error:
        seen = "" if writer.seen is None else f"; it was last seen {age(now - writer.seen)} ago"
        yield f"The writer {writer.name} does not answer: {writer.error}{seen}."
    waits = list(writer.waits.items())
    for part, (reason, since) in waits[:_MOST_WAITS]:
        yield f"The writer {writer.name} has been waiting for {part} for {age(now - since)}: {reason}."
    if (more := len(waits) - _MOST_WAITS) > 0:
        yield f"The writer {writer.name} is waiting for {count(more, 'more part')}."


def _unknown_of_the_source(status: Status) -> Iterator[str]:
    tables = "which tables are replicated, and whether their streams are being read"
    if not status.function:
        yield f"{tables}: name the pipeline with --stack, or the Lambda with --function"
        return
    if status.tables_unknown:
        yield f"{tables}: {status.tables_unknown}"
    for table in status.tables:
        if not table.stream_view:
            yield f"whether the stream of the table {table.name} is on: {table.why_unknown}"
        yield from judge(table.mapping).unknown
    if status.iterator_age.seconds is None and not status.iterator_age.is_idle:
        yield f"how far behind the stream the Lambda is: {status.iterator_age.why_unknown}"


def _unknown_of_the_rest(status: Status) -> Iterator[str]:
    writers = status.writers
    if not status.queue.is_empty and status.oldest.seconds is None:
        yield f"how long the oldest message has waited: {status.oldest.why_unknown}"
    if status.progress.seen is None:
        yield (
            "whether messages in flight are being finished: no writer reports any, and the queue's counts "
            "do not show it"
        )
    if writers.why_unknown:
        yield f"which {'other ' if writers.asked else ''}writers are running: {writers.why_unknown}"
    elif not writers.asked and status.queue.is_empty:  # else it is not well
        yield "whether a writer is running: none has a recent record in MongoDB, and no message is waiting"
    for writer in writers.asked:
        if writer.why_unknown:
            yield f"what the writer {writer.name} is doing: {writer.why_unknown}"


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}" + ("" if text.endswith(".") else ".")
