"""Is live replication of a table on, and since when? Decisions are pure; one function asks AWS.

Sources: AWS Lambda API reference, "EventSourceMappingConfiguration" (State, StartingPosition, LastModified);
AWS Lambda developer guide, "Process DynamoDB records with Lambda" (a mapping that starts at LATEST can miss
changes while it is created); Amazon DynamoDB developer guide, "Change data capture for DynamoDB Streams" (a
stream keeps records for 24 hours).
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from ops.migration.source.table import asked
from writer.mongodb.guard import TOMBSTONE_SECONDS

if TYPE_CHECKING:
    from ops.migration.source.table import Source

_STREAM_KEEPS = timedelta(hours=24)
_TOMBSTONES_KEEP = timedelta(seconds=TOMBSTONE_SECONDS) - timedelta(days=1)  # the copy takes its time, too
_ON = ("Enabled", "Updating")
_WITH_IMAGES = ("NEW_IMAGE", "NEW_AND_OLD_IMAGES")


@dataclass(frozen=True, slots=True)
class EventSourceMapping:
    """An event source mapping from a stream to a Lambda function.

    Attributes:
        start: where it began to read, such as ``TRIM_HORIZON``.
        changed: when it was made or changed.
        function: the function's name.
    """

    id: str
    state: str
    start: str
    changed: datetime
    function: str = ""

    @property
    def is_on(self) -> bool:
        """Whether the function gets the stream's records."""
        return self.state in _ON


async def list_mappings(client: Any, source: Source) -> list[EventSourceMapping]:
    """The event source mappings of a table's stream.

    Args:
        client: of AWS Lambda.
        source: the table; one without a stream has none.

    Raises:
        TransientError, FatalError: as `ops.migration.source.table.asked`.
    """
    found: list[EventSourceMapping] = []
    marker: dict[str, str] = {}
    while source.stream:
        ask = functools.partial(client.list_event_source_mappings, EventSourceArn=source.stream, **marker)
        answer = await asked("listing the event source mappings of the stream", ask)
        found += [
            EventSourceMapping(
                each["UUID"],
                each["State"],
                each.get("StartingPosition", ""),
                _as_datetime(each["LastModified"]),
                each.get("FunctionArn", "").partition(":function:")[2].partition(":")[0],
            )
            for each in answer["EventSourceMappings"]
            if each.get("EventSourceArn", source.stream) == source.stream
        ]
        if not answer.get("NextMarker"):
            break
        marker = {"Marker": answer["NextMarker"]}
    return found


def replication_problem(source: Source, mappings: list[EventSourceMapping]) -> str | None:
    """What keeps changes of a table from being replicated, and what to do about it; None: nothing."""
    if not source.stream:
        return (
            f"the table {source.name!r} has no stream, so changes that are made during the copy would be "
            f"lost: aws dynamodb update-table --table-name {source.name} --stream-specification "
            "StreamEnabled=true,StreamViewType=NEW_AND_OLD_IMAGES, then deploy deploy/pipeline.yaml with the "
            "stream's ARN"
        )
    if source.view not in _WITH_IMAGES:
        return (
            f"the stream of the table {source.name!r} has the view type {source.view}, which has no new "
            "images: switch it off, and on again with NEW_AND_OLD_IMAGES"
        )
    if not mappings:
        return (
            f"no Lambda reads the stream of the table {source.name!r}, so changes that are made during the "
            f"copy would be lost: deploy deploy/pipeline.yaml with TableStreamArns={source.stream}"
        )
    if not any(mapping.is_on for mapping in mappings):
        states = ", ".join(f"{mapping.id} is {mapping.state}" for mapping in mappings)
        return (
            f"the event source mapping of the table {source.name!r} is not on ({states}): aws lambda "
            f"update-event-source-mapping --uuid {mappings[0].id} --enabled, and wait until it is Enabled"
        )
    return None


def replication_warning(mappings: list[EventSourceMapping], now: datetime) -> str | None:
    """What may have been missed although replication is on."""
    recent = [each for each in mappings if each.is_on and now - each.changed < timedelta(minutes=10)]
    if recent and recent[0].start == "LATEST":
        return (
            "the event source mapping starts at LATEST and is less than ten minutes old: changes that were "
            "made while it was created may be missing; verify finds them"
        )
    return None


def export_problem(
    taken: datetime, source: Source, mappings: list[EventSourceMapping], now: datetime
) -> str | None:
    """Why items may come back that were deleted after an export; None: they cannot, as far as can be told.

    A copied item loses to every change that was replicated. A deletion that was made after the export and
    never replicated cannot be known.

    Args:
        taken: the export's time.
        source: the table.
        mappings: of its stream.
        now: the time.
    """
    if now - taken > _TOMBSTONES_KEEP:
        return (
            f"the export is of {taken:%Y-%m-%d %H:%M} UTC, and what is known about deletions is kept for 30 "
            "days: items that were deleted soon after the export would come back"
        )
    since = _label_time(source.stream)
    if since is not None and taken < since:
        return (
            f"the export is of {taken:%Y-%m-%d %H:%M:%S} UTC, before the table's stream was switched on "
            f"({since:%Y-%m-%d %H:%M:%S}): items that were deleted in between would come back"
        )
    on = [each for each in mappings if each.is_on]
    reaches_back = any(
        taken >= each.changed or (each.start == "TRIM_HORIZON" and each.changed - taken < _STREAM_KEEPS)
        for each in on
    )
    if on and not reaches_back:
        return (
            f"the export is of {taken:%Y-%m-%d %H:%M:%S} UTC, and the event source mapping was made or "
            f"changed later ({on[0].changed:%Y-%m-%d %H:%M:%S}): it cannot be told whether deletions in "
            "between were replicated, and items that were deleted would come back"
        )
    return None


def _label_time(stream: str) -> datetime | None:
    """The time at the end of a stream's ARN, when it was switched on."""
    label = stream.partition("/stream/")[2]
    try:
        found = datetime.fromisoformat(label)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _as_datetime(value: Any) -> datetime:
    if isinstance(value, datetime):
        return value if value.tzinfo else value.replace(tzinfo=UTC)
    return datetime.fromtimestamp(float(value), UTC)
