"""The status as a JSON object; null stands for what is not known, and `unknown` says why."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from ops.status.findings import Outcome, notes_of, outcome_of, problems_of, unknown_of

if TYPE_CHECKING:
    from ops.json_outputs.pipeline import StatusOutput, StatusTable, StatusWriter
    from ops.status.facts import Status, Table, Writer

_WELL = {Outcome.WELL: True, Outcome.NOT_WELL: False, Outcome.NOT_KNOWN: None}


def data_of(status: Status, most_behind: float) -> StatusOutput:
    """The status as JSON. A stage may be `most_behind` seconds behind."""
    queue, progress = status.queue, status.progress
    return {
        "well": _WELL[outcome_of(status, most_behind)],
        "problems": problems_of(status, most_behind),
        "unknown": unknown_of(status),
        "notes": notes_of(status),
        "at": _time(status.at),
        "function": status.function or None,
        "tables": None if _are_unknown(status) else [_table(each) for each in status.tables],
        "iterator_age_seconds": status.iterator_age.seconds,
        "stream_is_idle": status.iterator_age.is_idle,
        "queue": {
            "visible": queue.visible,
            "in_flight": queue.in_flight,
            "delayed": queue.delayed,
            "oldest_seconds": status.oldest.seconds,
            "finishes_messages": progress.seen if queue.in_flight else None,
            "watched_seconds": round(progress.seconds, 3),
        },
        "dead_letters": status.dead_letters,
        "behind_seconds_at_most": status.behind,
        "writers": [_writer(each) for each in status.writers.asked],
        "ended_writers": [_writer(each) for each in status.writers.ended],
    }


def _are_unknown(status: Status) -> bool:
    return not status.function or bool(status.tables_unknown)


def _table(table: Table) -> StatusTable:
    mapping = table.mapping
    return {
        "name": table.name,
        "stream_view": table.stream_view or None,
        "mapping": mapping.state,
        "mapping_id": mapping.id,
        "last_result": mapping.last_result or None,
        "reads_latest_stream": table.reads_latest_stream if table.stream_view else None,
    }


def _writer(writer: Writer) -> StatusWriter:
    figures = writer.figures
    is_known = bool(writer.error or writer.waits or figures)
    return {
        "url": writer.url or None,
        "host": writer.host or None,
        "ready": not (writer.error or writer.waits) if is_known else None,
        "error": writer.error or None,
        "waiting_for": {
            part: {"reason": reason, "since": _time(since)} for part, (reason, since) in writer.waits.items()
        },
        "seen": None if writer.seen is None else _time(writer.seen),
        "in_flight": figures.in_flight if figures else None,
        "changes_per_second": figures.rate if figures else None,
        "older_stream_changes": dict(figures.older_streams) if figures else None,
    }


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
