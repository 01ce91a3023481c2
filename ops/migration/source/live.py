"""Decides whether live replication of a table is on, and since when.

The two coroutines ask AWS; everything else is pure. What is wrong with a mapping itself is decided in
`ops.event_source_checks`.

Source: Amazon DynamoDB developer guide, "Change data capture for DynamoDB Streams" (a stream keeps records
for 24 hours).
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from ops.aws import aws_errors
from ops.event_source_checks import Judgement, Problem, judge, start_warning, stream_problem
from ops.event_sources import read_mappings
from ops.lambda_api import NoLambdaError, naming_endpoint
from ops.pipeline import Pipeline, find_pipeline
from shared.errors import TransientError
from writer.mongodb.guard import TOMBSTONE_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ops.aws import Aws
    from ops.event_sources import EventSourceMapping
    from ops.migration.source.table import Source

_STREAM_RETENTION = timedelta(hours=24)
_TOMBSTONE_RETENTION = timedelta(seconds=TOMBSTONE_SECONDS) - timedelta(days=1)  # the copy takes time, too


class NotLiveError(Exception):
    """Changes would be lost; the text says why, and what to do."""


async def check_live(  # noqa: PLR0913 - all that decides
    aws: Aws,
    source: Source,
    taken: datetime | None,
    say: Callable[[str], None],
    *,
    function: str,
    no_live: bool,
    accept_missed_deletes: bool,
) -> None:
    """Makes sure that no change is lost while the copy is made.

    Args:
        aws: where Lambda is.
        source: the table.
        taken: the time of the export; None: the table itself is copied.
        say: prints a warning.
        function: the name of the pipeline's Lambda, which has to read the stream; empty: not known.
        no_live: do not ask AWS.
        accept_missed_deletes: copy although deleted items may come back.

    Raises:
        NotLiveError: a change could be lost.
    """
    now = datetime.now(UTC)
    mappings: list[EventSourceMapping] = []
    if not no_live:
        mappings = await _mappings_now(aws, source)
        judgement = judge_replication(source, mappings, function)
        if judgement.problems:
            raise NotLiveError(f"{in_words(judgement.problems)}. (--no-live copies anyway.)")
        if judgement.unknown:
            raise NotLiveError(f"unknown: {'; '.join(judgement.unknown)}. (--no-live copies anyway.)")
        for note in judgement.notes:
            say(f"Note: {note}")
        if not function:
            say(f"Note: {whose_lambda(mappings)}: --stack NAME (REPLICATOR_STACK) checks it")
        if warning := replication_warning(mappings, now):
            say(f"Warning: {warning}")
    if taken is not None and (problem := export_problem(taken, source, mappings, now)):
        if not accept_missed_deletes:
            raise NotLiveError(
                f"{problem}. Take a new export, or copy the table itself; or give --accept-missed-deletes "
                "and run replicator resync afterwards"
            )
        say(f"Warning: {problem}. Run replicator resync afterwards.")


async def _mappings_now(aws: Aws, source: Source) -> list[EventSourceMapping]:
    """As `list_mappings`; raises NotLiveError if they cannot be listed."""
    async with aws.open_client("lambda") as client:
        try:
            return await list_mappings(client, source)
        except NoLambdaError as error:
            raise NotLiveError(f"{error}. Give --no-live if you know that replication is on") from error
        except TransientError as error:  # the SDK has tried again already
            raise NotLiveError(f"{error}. Try again, or give --no-live if you know that it is on") from error


async def list_mappings(client: Any, source: Source) -> list[EventSourceMapping]:
    """The event source mappings of a table's stream.

    Args:
        client: of AWS Lambda.
        source: the table; without a stream there are no mappings.

    Raises:
        TransientError, FatalError: as `ops.aws.aws_errors`.
        NoLambdaError: there is no Lambda API.
    """
    found: list[EventSourceMapping] = []
    marker: dict[str, str] = {}
    while source.stream:
        with (
            aws_errors("listing the event source mappings of the stream"),
            naming_endpoint(client.meta.endpoint_url),
        ):
            answer = await client.list_event_source_mappings(EventSourceArn=source.stream, **marker)
            found += [each for each in read_mappings(answer) if each.source in ("", source.stream)]
            next_marker = answer.get("NextMarker")
        if not next_marker:
            break
        marker = {"Marker": next_marker}
    return found


def judge_replication(
    source: Source, mappings: Sequence[EventSourceMapping], function: str = ""
) -> Judgement:
    """Whether changes of a table are replicated: nothing is wrong with its stream and with one mapping.

    Args:
        source: the table.
        mappings: those of its stream.
        function: the name of the Lambda that has to read it; empty: any.
    """
    if problem := stream_problem(source.name, source.view if source.stream else ""):
        return Judgement([problem])
    ours = [each for each in mappings if function in ("", each.function)]
    if not ours:
        who = f"the Lambda {function} does not read" if function else "no Lambda reads"
        said = f"{who} the stream of the table {source.name}, so changes made now are not replicated"
        fix = f"deploy deploy/pipeline.yaml with TableStreamArns={source.stream}"
        return Judgement([Problem(said, fix)])
    judgements = [judge(each) for each in sorted(ours, key=lambda each: not each.is_on)]
    return min(judgements, key=lambda each: (len(each.problems), len(each.unknown)))


def whose_lambda(mappings: Sequence[EventSourceMapping]) -> str:
    """What is not known if nobody has named the pipeline: any Lambda can read a stream."""
    names = sorted({each.function for each in mappings if each.is_on})
    read = "reads" if len(names) == 1 else "read"
    return (
        f"the Lambda {' and '.join(names)} {read} the stream; whether it belongs to the pipeline is unknown"
    )


def named_function(aws: Aws, stack: str, function: str) -> str:
    """The name of the pipeline's Lambda, by a stack or a name or ARN; empty: neither is given.

    Raises:
        CommandError: there is no such stack, or AWS does not answer.
    """
    return name_of(find_pipeline(aws, stack, Pipeline(function=function)).function)


def name_of(function: str) -> str:
    """The name of a Lambda, which is given by it or by its ARN, with or without a qualifier."""
    return function.rpartition(":function:")[2].partition(":")[0]


def replication_problem(source: Source, mappings: Sequence[EventSourceMapping]) -> str | None:
    """Why changes of a table are not replicated, and what to do about it; None: nothing says so."""
    problems = judge_replication(source, mappings).problems
    return in_words(problems) if problems else None


def in_words(problems: Sequence[Problem]) -> str:
    """All problems, as one text."""
    return "; ".join(map(str, problems))


def replication_warning(mappings: Sequence[EventSourceMapping], now: datetime) -> str | None:
    """Which changes may be missing although replication is on; None: none."""
    return next((warning for each in mappings if (warning := start_warning(each, now))), None)


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
            f"the export is of {taken:%Y-%m-%d %H:%M} UTC, but deletions are remembered for only 30 days: "
            "items deleted soon after the export would come back"
        )
    since = _label_time(source.stream)
    if since is not None and taken < since:
        return (
            f"the export is of {taken:%Y-%m-%d %H:%M:%S} UTC, before the table's stream was switched on "
            f"({since:%Y-%m-%d %H:%M:%S}): items deleted in between would come back"
        )
    on = [each for each in mappings if each.is_on]
    reaches_back = any(
        taken >= each.changed or (each.start == "TRIM_HORIZON" and each.changed - taken < _STREAM_RETENTION)
        for each in on
    )
    if on and not reaches_back:
        return (
            f"the export is of {taken:%Y-%m-%d %H:%M:%S} UTC, and the event source mapping was created "
            f"or changed later ({on[0].changed:%Y-%m-%d %H:%M:%S}): deletions in between may not "
            "have been replicated, and those items would come back"
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
