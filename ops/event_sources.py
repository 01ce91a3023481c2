"""Reads event source mappings, and decides what is wrong with one for the pipeline. Pure: it asks nobody.

Positive lists decide: a state, a last result or a response type that is not known to be good is not taken for
good, and a mapping that has another form raises an error.

Sources: AWS Lambda API reference, "EventSourceMappingConfiguration" (State, StateTransitionReason,
FunctionResponseTypes, FilterCriteria, KMSKeyArn; MaximumRetryAttempts and MaximumRecordAgeInSeconds are -1,
which is without end, where they are not set); AWS Lambda developer guide, "Process DynamoDB records with
Lambda" (what a function answers is ignored without ReportBatchItemFailures; LATEST can miss changes while the
mapping is created; tumbling windows); Amazon DynamoDB developer guide, "Change data capture for DynamoDB
Streams" (a stream keeps records for 24 hours).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

T = TypeVar("T")

WITH_NEW_IMAGES = ("NEW_IMAGE", "NEW_AND_OLD_IMAGES")
"""The view types of a stream that can be replicated."""

_STREAM_RETENTION = timedelta(hours=24)
_NEW = timedelta(minutes=10)
_ON = ("Enabled", "Updating")
_SOON_ON = ("Creating", "Enabling")
_REPORTS_FAILURES = "ReportBatchItemFailures"
_FOREVER = -1
_NOBODY_CAUSED_IT = ("", "User action", "USER_INITIATED")


@dataclass(frozen=True, slots=True)
class EventSourceMapping:
    """An event source mapping from a stream to a Lambda function.

    Attributes:
        source: the ARN of the stream.
        function: the function's name.
        state: such as Enabled; empty: not known.
        changed: when it was created or last changed.
        start: where it began to read, such as ``TRIM_HORIZON``.
        reason: why it is in this state; empty: somebody wanted it.
        last_result: of its last invocation, in AWS's words; empty: not known.
        reports_failures: whether Lambda heeds which records the function says have failed.
        filters: how many filters drop records; None: not known.
        retries: after how many Lambda gives up a record; -1: never.
        most_age: the age at which Lambda gives up a record, seconds; -1: never.
        failure_destination: the ARN that is told what was given up; empty: none.
        bisects: whether a batch whose invocation failed as a whole is halved.
        window: length of its tumbling window, seconds; 0: none.
    """

    id: str
    source: str
    function: str
    state: str
    changed: datetime
    start: str = "TRIM_HORIZON"
    reason: str = ""
    last_result: str = "OK"
    reports_failures: bool = True
    filters: int | None = 0
    retries: int = _FOREVER
    most_age: int = _FOREVER
    failure_destination: str = ""
    bisects: bool = True
    window: int = 0

    @property
    def table(self) -> str:
        """The name of the table whose stream it reads; empty: it reads something else."""
        return table_of(self.source)

    @property
    def is_on(self) -> bool:
        """Whether the function gets the stream's records."""
        return self.state in _ON

    @property
    def gives_up(self) -> bool:
        """Whether Lambda drops records before the stream itself does."""
        soon = 0 <= self.most_age < _STREAM_RETENTION.total_seconds()
        return self.retries != _FOREVER or soon


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong, and what helps.

    Attributes:
        said: the problem with its effect, as the beginning of a sentence.
        fix: what to run or to do; empty: nothing that is known.
    """

    said: str
    fix: str = ""

    def __str__(self) -> str:
        return f"{self.said}: {self.fix}" if self.fix else self.said


@dataclass(frozen=True, slots=True)
class Judgement:
    """What there is to say about a mapping. It is good where both `problems` and `unknown` are empty.

    Attributes:
        problems: because of which changes are lost, or do not come.
        unknown: what the mapping does not tell.
        notes: what is a choice and has a price.
    """

    problems: Sequence[Problem] = ()
    unknown: Sequence[str] = ()
    notes: Sequence[str] = ()


def table_of(arn: str) -> str:
    """The name of the table that the ARN of a stream names; empty: it names something else."""
    head, _, path = arn.partition(":table/")
    return path.split("/")[0] if ":dynamodb:" in head else ""


def read_mappings(answer: Mapping[str, Any]) -> list[EventSourceMapping]:
    """The mappings of an answer of ListEventSourceMappings; raises any error if it has another form."""
    return [read_mapping(each) for each in answer["EventSourceMappings"]]


def read_mapping(entry: Mapping[str, Any]) -> EventSourceMapping:
    """Reads a mapping as AWS describes it; raises any error if it has another form."""
    destinations: dict[str, Any] = _part(entry, "DestinationConfig", dict, {})
    on_failure: dict[str, Any] = _part(destinations, "OnFailure", dict, {})
    responses: list[Any] = _part(entry, "FunctionResponseTypes", list, [])
    return EventSourceMapping(
        id=_needed(entry, "UUID"),
        source=_part(entry, "EventSourceArn", str, ""),
        function=_function_of(_part(entry, "FunctionArn", str, "")),
        state=_needed(entry, "State"),
        changed=_as_datetime(entry["LastModified"]),
        start=_part(entry, "StartingPosition", str, ""),
        reason=_part(entry, "StateTransitionReason", str, ""),
        last_result=_part(entry, "LastProcessingResult", str, ""),
        reports_failures=_REPORTS_FAILURES in responses,
        filters=_filters_of(entry),
        retries=_part(entry, "MaximumRetryAttempts", int, _FOREVER),
        most_age=_part(entry, "MaximumRecordAgeInSeconds", int, _FOREVER),
        failure_destination=_part(on_failure, "Destination", str, ""),
        bisects=_part(entry, "BisectBatchOnFunctionError", bool, absent=False),
        window=_part(entry, "TumblingWindowInSeconds", int, 0),
    )


def judge(mapping: EventSourceMapping) -> Judgement:
    """What is wrong with a mapping, what it does not tell, and what is a choice.

    All of them lose changes or keep them from coming, and none of them shows in a log.
    """
    problems = [*_state_problems(mapping), *_loss_problems(mapping)]
    unknown = []
    if mapping.filters is None:
        unknown.append(
            f"whether the event source mapping of the table {mapping.table} drops changes: its filters are "
            f"encrypted, see aws lambda get-event-source-mapping --uuid {mapping.id}"
        )
    if not mapping.last_result and mapping.is_on:
        unknown.append(f"how the Lambda's last invocation for the table {mapping.table} ended")
    notes = []
    if mapping.gives_up and mapping.failure_destination:
        notes.append(
            f"{_limits(mapping).capitalize()} Lambda gives up changes of the table {mapping.table} and tells "
            f"{mapping.failure_destination}: replicator resync after it was told any."
        )
    if not mapping.bisects:
        notes.append(
            f"The event source mapping of the table {mapping.table} does not halve a batch whose invocation "
            f"failed as a whole: {_update(mapping)} --bisect-batch-on-function-error."
        )
    return Judgement(problems, unknown, notes)


def start_warning(mapping: EventSourceMapping, now: datetime) -> str | None:
    """Which changes a mapping may have missed while it was made; None: none."""
    if mapping.is_on and mapping.start != "TRIM_HORIZON" and now - mapping.changed < _NEW:
        return (
            f"the event source mapping starts at {mapping.start or 'an unknown place'} and is less than ten "
            "minutes old: changes that were made while it was created may be missing; verify finds them"
        )
    return None


def stream_problem(table: str, view: str) -> Problem | None:
    """What is wrong with the view type of a table's stream; None: nothing. Empty: it has no stream."""
    if not view:
        return Problem(
            f"the table {table} has no stream",
            f"aws dynamodb update-table --table-name {table} --stream-specification "
            "StreamEnabled=true,StreamViewType=NEW_AND_OLD_IMAGES, then deploy deploy/pipeline.yaml with the "
            "stream's ARN",
        )
    if view not in WITH_NEW_IMAGES:
        return Problem(
            f"the stream of the table {table} has the view type {view}, which has no new images",
            "switch it off, and on again with NEW_AND_OLD_IMAGES",
        )
    return None


def _state_problems(mapping: EventSourceMapping) -> list[Problem]:
    problems = []
    name = f"the event source mapping of the table {mapping.table}"
    if not mapping.is_on:
        why = "" if mapping.reason in _NOBODY_CAUSED_IT else f" ({mapping.reason})"
        problems.append(Problem(f"{name} is {mapping.state}{why}", _fix_of_state(mapping)))
    result = mapping.last_result
    if result and not (result.startswith("OK") or result == "No records processed"):
        problems.append(
            Problem(
                f"the Lambda's last invocation for the table {mapping.table} failed ({result})",
                "replicator logs shows why",
            )
        )
    return problems


def _fix_of_state(mapping: EventSourceMapping) -> str:
    if mapping.state in _SOON_ON:
        return "wait until it is Enabled"
    if mapping.state == "Deleting":
        return f"deploy deploy/pipeline.yaml with TableStreamArns={mapping.source}"
    return f"{_update(mapping)} --enabled, and wait until it is Enabled"


def _loss_problems(mapping: EventSourceMapping) -> list[Problem]:
    problems = []
    name = f"the event source mapping of the table {mapping.table}"
    if not mapping.reports_failures:
        problems.append(
            Problem(
                f"{name} lacks {_REPORTS_FAILURES}, so Lambda takes changes that could not be sent for done",
                f"{_update(mapping)} --function-response-types {_REPORTS_FAILURES}",
            )
        )
    if mapping.filters:
        problems.append(
            Problem(
                f"{name} has a filter, which drops changes",
                f"{_update(mapping)} --filter-criteria '{{\"Filters\":[]}}'",
            )
        )
    if mapping.gives_up and not mapping.failure_destination:
        problems.append(
            Problem(
                f"{_limits(mapping)}, Lambda gives up changes of the table {mapping.table}, and tells nobody",
                f"{_update(mapping)} --maximum-retry-attempts -1 --maximum-record-age-in-seconds -1",
            )
        )
    if mapping.window:
        problems.append(
            Problem(
                f"{name} has a tumbling window, which the Lambda cannot answer",
                f"{_update(mapping)} --tumbling-window-in-seconds 0",
            )
        )
    return problems


def _limits(mapping: EventSourceMapping) -> str:
    limits = []
    if mapping.retries != _FOREVER:
        limits.append(f"{mapping.retries:,} retries")
    if mapping.most_age != _FOREVER:
        limits.append(f"{mapping.most_age:,} s")
    return f"after {' or '.join(limits)}"


def _update(mapping: EventSourceMapping) -> str:
    return f"aws lambda update-event-source-mapping --uuid {mapping.id}"


def _filters_of(entry: Mapping[str, Any]) -> int | None:
    if entry.get("FilterCriteria") is None:
        is_encrypted = bool(entry.get("KMSKeyArn") or entry.get("FilterCriteriaError"))
        return None if is_encrypted else 0
    criteria: dict[str, Any] = _part(entry, "FilterCriteria", dict, {})
    return len(_part(criteria, "Filters", list, []))


def _function_of(arn: str) -> str:
    return arn.partition(":function:")[2].partition(":")[0]


def _needed(entry: Mapping[str, Any], name: str) -> str:
    text = entry[name]
    if not isinstance(text, str) or not text:
        raise TypeError(name)
    return text


def _part(entry: Mapping[str, Any], name: str, kind: type[T], absent: T) -> T:
    """A part of an answer; `absent` if it is not there, or null.

    Raises:
        TypeError: it is of another kind.
    """
    value = entry.get(name)
    if value is None:
        return absent
    if type(value) is not kind:  # a bool is no int here
        raise TypeError(name)
    return value


def _as_datetime(value: Any) -> datetime:
    if isinstance(value, datetime):
        return value if value.tzinfo else value.replace(tzinfo=UTC)
    return datetime.fromtimestamp(float(value), UTC)
