"""Decides whether live replication of a table is on, and since when.

The two coroutines ask AWS; everything else is pure.

Sources: AWS Lambda API reference, "EventSourceMappingConfiguration" (State, StartingPosition, LastModified);
AWS Lambda developer guide, "Process DynamoDB records with Lambda" (a mapping that starts at LATEST can miss
changes while it is created); Amazon DynamoDB developer guide, "Change data capture for DynamoDB Streams" (a
stream keeps records for 24 hours).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from ops.aws import aws_errors
from shared.errors import TransientError
from writer.mongodb.guard import TOMBSTONE_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable

    from ops.aws import Aws
    from ops.migration.source.table import Source

_STREAM_RETENTION = timedelta(hours=24)
_TOMBSTONE_RETENTION = timedelta(seconds=TOMBSTONE_SECONDS) - timedelta(days=1)  # the copy takes time, too
_ON = ("Enabled", "Updating")
_WITH_IMAGES = ("NEW_IMAGE", "NEW_AND_OLD_IMAGES")


@dataclass(frozen=True, slots=True)
class EventSourceMapping:
    """An event source mapping from a stream to a Lambda function.

    Attributes:
        start: where it began to read, such as ``TRIM_HORIZON``.
        changed: when it was created or last changed.
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


class NotLiveError(Exception):
    """Changes would be lost; the text says why, and what to do."""


async def check_live(  # noqa: PLR0913 - all that decides
    aws: Aws,
    source: Source,
    taken: datetime | None,
    say: Callable[[str], None],
    *,
    no_live: bool,
    accept_missed_deletes: bool,
) -> None:
    """Makes sure that no change is lost while the copy is made.

    Args:
        aws: where Lambda is.
        source: the table.
        taken: the time of the export; None: the table itself is copied.
        say: prints a warning.
        no_live: do not ask AWS.
        accept_missed_deletes: copy although deleted items may come back.

    Raises:
        NotLiveError: a change could be lost.
    """
    now = datetime.now(UTC)
    mappings: list[EventSourceMapping] = []
    if not no_live:
        async with aws.open_client("lambda") as client:
            try:
                mappings = await list_mappings(client, source)
            except TransientError as error:  # the SDK has tried again already
                raise NotLiveError(
                    f"{error}. Try again, or give --no-live if you know that it is on"
                ) from error
        if problem := replication_problem(source, mappings):
            raise NotLiveError(f"{problem}. (--no-live copies all the same.)")
        if warning := replication_warning(mappings, now):
            say(f"Warning: {warning}")
    if taken is not None and (problem := export_problem(taken, source, mappings, now)):
        if not accept_missed_deletes:
            raise NotLiveError(
                f"{problem}. Take a new export, or copy the table itself; or give --accept-missed-deletes, "
                "and run verify and repair afterwards"
            )
        say(f"Warning: {problem}. Run verify and repair afterwards.")


async def list_mappings(client: Any, source: Source) -> list[EventSourceMapping]:
    """The event source mappings of a table's stream.

    Args:
        client: of AWS Lambda.
        source: the table; without a stream there are no mappings.

    Raises:
        TransientError, FatalError: as `ops.aws.aws_errors`.
    """
    found: list[EventSourceMapping] = []
    marker: dict[str, str] = {}
    while source.stream:
        with aws_errors("listing the event source mappings of the stream"):
            answer = await client.list_event_source_mappings(EventSourceArn=source.stream, **marker)
            found += [
                _mapping_of(each)
                for each in answer["EventSourceMappings"]
                if each.get("EventSourceArn", source.stream) == source.stream
            ]
            next_marker = answer.get("NextMarker")
        if not next_marker:
            break
        marker = {"Marker": next_marker}
    return found


def replication_problem(source: Source, mappings: list[EventSourceMapping]) -> str | None:
    """Why changes of a table are not replicated, and what to do about it; None: they are."""
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
    """Which changes may be missing although replication is on; None: none."""
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
    """Why items that were deleted after an export may come back; None: as far as we can tell, they cannot.

    A copied item loses to every change that was replicated. Nobody knows of a deletion that came after the
    export and was never replicated.

    Args:
        taken: the time of the export.
        source: the table.
        mappings: of its stream.
        now: the time.
    """
    if now - taken > _TOMBSTONE_RETENTION:
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
        taken >= each.changed or (each.start == "TRIM_HORIZON" and each.changed - taken < _STREAM_RETENTION)
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


def _mapping_of(entry: Any) -> EventSourceMapping:
    """Reads a mapping; raises any error if it has another form."""
    texts = (entry["UUID"], entry["State"], entry.get("StartingPosition", ""), entry.get("FunctionArn", ""))
    if not all(isinstance(each, str) for each in texts):
        raise TypeError("no text")
    id_, state, start, arn = texts
    function = arn.partition(":function:")[2].partition(":")[0]
    return EventSourceMapping(id_, state, start, _as_datetime(entry["LastModified"]), function)


def _as_datetime(value: Any) -> datetime:
    if isinstance(value, datetime):
        return value if value.tzinfo else value.replace(tzinfo=UTC)
    return datetime.fromtimestamp(float(value), UTC)
