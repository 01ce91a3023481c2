"""Reads event source mappings, as Lambda describes them. Pure: it asks nobody, and judges nothing.

A mapping that has another form raises an error. What is wrong with one `ops.event_source_checks` decides.

Sources: AWS Lambda API reference, "EventSourceMappingConfiguration" (State, StateTransitionReason,
FunctionResponseTypes, FilterCriteria, KMSKeyArn; MaximumRetryAttempts and MaximumRecordAgeInSeconds are -1,
which is without end, where they are not set); Amazon DynamoDB developer guide, "Change data capture for
DynamoDB Streams" (a stream keeps records for 24 hours).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Mapping

T = TypeVar("T")

FOREVER = -1
"""Retries or age without end."""

REPORTS_FAILURES = "ReportBatchItemFailures"

_STREAM_RETENTION = timedelta(hours=24)
_ON = ("Enabled", "Updating")
_ARN = re.compile(
    r"arn:[^:]+:(?P<service>[^:]+):[^:]*:[^:]*:(?:table/(?P<table>[^/:]+)/stream/.+|.+)", re.DOTALL
).fullmatch


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
    retries: int = FOREVER
    most_age: int = FOREVER
    failure_destination: str = ""
    bisects: bool = True
    window: int = 0

    @property
    def table(self) -> str:
        """The name of the table whose stream it reads; empty: it reads something else."""
        return table_of(self.source) if self.source else ""

    @property
    def is_on(self) -> bool:
        """Whether the function gets the stream's records."""
        return self.state in _ON

    @property
    def gives_up(self) -> bool:
        """Whether Lambda drops records before the stream itself does."""
        soon = 0 <= self.most_age < _STREAM_RETENTION.total_seconds()
        return self.retries != FOREVER or soon


def table_of(arn: str) -> str:
    """The name of the table that the ARN of a stream names; empty: it names something else, such as a queue.

    Raises:
        ValueError: it is no ARN of an event source.
    """
    match = _ARN(arn)
    if match is None or (match["service"] == "dynamodb" and not match["table"]):
        raise ValueError("no ARN of an event source")
    return str(match["table"]) if match["service"] == "dynamodb" else ""


def read_mappings(answer: Mapping[str, Any]) -> list[EventSourceMapping]:
    """The mappings of an answer of ListEventSourceMappings; raises any error if it has another form."""
    return [read_mapping(each) for each in answer["EventSourceMappings"]]


def read_mapping(entry: Mapping[str, Any]) -> EventSourceMapping:
    """Reads a mapping as AWS describes it; raises any error if it has another form."""
    destinations: dict[str, Any] = _part(entry, "DestinationConfig", dict, {})
    source = _part(entry, "EventSourceArn", str, "")
    if source:
        table_of(source)  # raises, so that `table` does not
    on_failure: dict[str, Any] = _part(destinations, "OnFailure", dict, {})
    responses: list[Any] = _part(entry, "FunctionResponseTypes", list, [])
    return EventSourceMapping(
        id=_needed(entry, "UUID"),
        source=source,
        function=_function_of(_part(entry, "FunctionArn", str, "")),
        state=_needed(entry, "State"),
        changed=_as_datetime(entry["LastModified"]),
        start=_part(entry, "StartingPosition", str, ""),
        reason=_part(entry, "StateTransitionReason", str, ""),
        last_result=_part(entry, "LastProcessingResult", str, ""),
        reports_failures=REPORTS_FAILURES in responses,
        filters=_filters_of(entry),
        retries=_part(entry, "MaximumRetryAttempts", int, FOREVER),
        most_age=_part(entry, "MaximumRecordAgeInSeconds", int, FOREVER),
        failure_destination=_part(on_failure, "Destination", str, ""),
        bisects=_part(entry, "BisectBatchOnFunctionError", bool, absent=False),
        window=_part(entry, "TumblingWindowInSeconds", int, 0),
    )


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
