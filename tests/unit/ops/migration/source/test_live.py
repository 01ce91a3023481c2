"""Whether live replication is on, and whether an export can be copied."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from ops.aws import Aws
from ops.event_sources import EventSourceMapping
from ops.migration.source.live import (
    NotLiveError,
    check_live,
    export_problem,
    judge_replication,
    list_mappings,
    named_function,
    replication_problem,
    replication_warning,
    whose_lambda,
)
from ops.migration.source.table import Source
from shared.errors import TransientError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

NOW = datetime(2020, 5, 10, 12, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
LABEL = "2020-05-01T00:00:00.000"
STREAM = f"arn:aws:dynamodb:us-east-1:123456789012:table/people/stream/{LABEL}"
SOURCE = Source("people", "id", {"id": "N"}, 0, STREAM, "NEW_AND_OLD_IMAGES")
ON = EventSourceMapping("uuid-1", STREAM, "f", "Enabled", NOW - DAY)


@pytest.mark.parametrize(
    ("source", "mappings", "said"),
    [
        (replace(SOURCE, stream="", view=""), [ON], "has no stream"),
        (replace(SOURCE, view="KEYS_ONLY"), [ON], "KEYS_ONLY"),
        (SOURCE, [], f"TableStreamArns={STREAM}"),
        (SOURCE, [replace(ON, state="Disabled")], "is Disabled: aws lambda update-event-source-mapping"),
        (SOURCE, [replace(ON, filters=1)], "has a filter, which drops changes"),
        (SOURCE, [replace(ON, retries=3, window=5)], "without reporting them: aws lambda"),
    ],
)
def test_what_is_missing_is_told_with_what_to_do(
    source: Source, mappings: list[EventSourceMapping], said: str
) -> None:
    """A stream with new images, and a mapping that is on."""
    missing = replication_problem(source, mappings)
    assert missing is not None
    assert said in missing


def test_one_mapping_that_is_on_is_enough() -> None:
    """Others may rest, or drop changes: they are for somebody else."""
    for other in (replace(ON, state="Disabled"), replace(ON, filters=2), replace(ON, filters=None)):
        assert replication_problem(SOURCE, [other, ON]) is None
        assert judge_replication(SOURCE, [other, ON]).unknown == []


def test_the_lambda_that_is_meant() -> None:
    """Another one that reads the stream replicates nothing."""
    (problem,) = judge_replication(SOURCE, [ON], "g").problems
    assert "the Lambda g does not read the stream of the table people" in str(problem)
    assert judge_replication(SOURCE, [ON, replace(ON, function="g")], "g").problems == []


def test_a_lambda_that_nobody_has_named() -> None:
    """Any one can read a stream: that it is the pipeline's is not known."""
    off = replace(ON, function="h", state="Disabled")
    assert whose_lambda([ON, off]).startswith("the Lambda f reads the stream; whether")
    assert whose_lambda([replace(ON, function="g"), ON]).startswith("the Lambda f and g read the stream;")


@pytest.mark.parametrize(
    "function", ["f", "arn:aws:lambda:us-east-1:1:function:f", "arn:aws:lambda:us-east-1:1:function:f:live"]
)
def test_the_name_of_a_function(function: str) -> None:
    assert named_function(Aws(), "", function) == "f"
    assert not named_function(Aws(), "", "")


class OneMapping:
    """A client of Lambda: one mapping reads the stream."""

    meta: Any = SimpleNamespace(endpoint_url="https://lambda.us-east-1.amazonaws.com")

    @asynccontextmanager
    async def open_client(self, _: str) -> AsyncIterator[OneMapping]:
        yield self

    async def list_event_source_mappings(self, **_: Any) -> dict[str, Any]:
        arn = "arn:aws:lambda:us-east-1:1:function:analytics"
        entry = {"UUID": "u", "EventSourceArn": STREAM, "FunctionArn": arn, "State": "Enabled"}
        good = {"FunctionResponseTypes": ["ReportBatchItemFailures"], "LastProcessingResult": "OK"}
        return {"EventSourceMappings": [entry | good | {"LastModified": NOW}]}


async def test_only_the_pipelines_lambda_replicates() -> None:
    """A backfill beside another one would lose changes; where nobody has named ours, that is said."""
    said: list[str] = []
    aws: Any = OneMapping()

    async def check(function: str) -> None:
        await check_live(
            aws, SOURCE, None, said.append, function=function, no_live=False, accept_missed_deletes=False
        )

    with pytest.raises(NotLiveError, match="the Lambda producer does not read the stream"):
        await check("producer")
    await check("analytics")
    assert not any("whether that is the pipeline's" in line for line in said)
    await check("")
    assert "the Lambda analytics reads the stream; whether it belongs to the pipeline is unknown" in said[-1]


def test_what_a_mapping_does_not_tell() -> None:
    """It is no problem, and not on."""
    judgement = judge_replication(SOURCE, [replace(ON, filters=None)])
    assert judgement.problems == []
    assert "filters are encrypted" in judgement.unknown[0]


def test_a_young_mapping_that_starts_at_latest() -> None:
    """It can have missed changes while it was made."""
    young = replace(ON, start="LATEST", changed=NOW - timedelta(minutes=5))
    assert "LATEST" in (replication_warning([young], NOW) or "")
    assert replication_warning([replace(young, changed=NOW - HOUR)], NOW) is None
    assert replication_warning([replace(young, start="TRIM_HORIZON")], NOW) is None


@pytest.mark.parametrize(
    ("taken", "mapping", "said"),
    [
        (NOW - HOUR, ON, None),  # after the mapping was made
        (NOW - DAY - 23 * HOUR, ON, None),  # the mapping began with what the stream had then
        (NOW - DAY - 25 * HOUR, ON, "may not have been replicated"),
        (NOW - DAY - HOUR, replace(ON, start="LATEST"), "may not have been replicated"),
        (
            datetime(2020, 4, 30, 23, tzinfo=UTC),
            replace(ON, changed=NOW - 20 * DAY),
            "before the table's stream",
        ),
    ],
    ids=str,
)
def test_exports_and_deletions(taken: datetime, mapping: EventSourceMapping, said: str | None) -> None:
    """Deletions between the export and the beginning of replication cannot be known."""
    found = export_problem(taken, SOURCE, [mapping], NOW)
    assert (found is None) == (said is None)
    assert (said or "") in (found or "")


def test_an_export_older_than_tombstones() -> None:
    """They are kept for 30 days; the copy takes its time, too."""
    old = replace(SOURCE, stream=STREAM.replace("2020-05-01", "2020-01-01"))
    mapping = replace(ON, changed=datetime(2020, 1, 2, tzinfo=UTC))
    assert export_problem(NOW - 28 * DAY, old, [mapping], NOW) is None
    assert "30 days" in (export_problem(NOW - 30 * DAY, old, [mapping], NOW) or "")


class Lambda:
    """Gives one answer."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.meta = SimpleNamespace(endpoint_url="https://lambda.us-east-1.amazonaws.com")

    async def list_event_source_mappings(self, **_: Any) -> Any:
        return self.answer


@pytest.mark.parametrize(
    "answer",
    [
        *({}, None, [], "x"),
        {"EventSourceMappings": None},
        {"EventSourceMappings": [{}]},
        {"EventSourceMappings": [{"UUID": "u", "State": "Enabled", "LastModified": "x"}]},
        {"EventSourceMappings": [{"UUID": "u", "State": "Enabled", "LastModified": 1, "FunctionArn": 5}]},
        {"EventSourceMappings": [{"UUID": "u", "State": 5, "LastModified": NOW}]},
        {
            "EventSourceMappings": [
                {"UUID": "u", "State": "Enabled", "LastModified": NOW, "FilterCriteria": 5}
            ]
        },
    ],
    ids=repr,
)
async def test_mappings_that_cannot_be_read_are_not_known(answer: Any) -> None:
    """They are not taken for none, and the command ends with a sentence."""
    with pytest.raises(TransientError, match="listing the event source mappings of the stream"):
        await list_mappings(Lambda(answer), SOURCE)


async def test_mappings_of_a_stream() -> None:
    answer = {
        "EventSourceMappings": [
            {
                "UUID": "uuid-1",
                "State": "Enabled",
                "StartingPosition": "TRIM_HORIZON",
                "LastModified": NOW - DAY,
                "FunctionArn": "arn:aws:lambda:us-east-1:123456789012:function:f:live",
                "EventSourceArn": STREAM,
                "LastProcessingResult": "OK",
                "FunctionResponseTypes": ["ReportBatchItemFailures"],
                "BisectBatchOnFunctionError": True,
            }
        ]
    }
    assert await list_mappings(Lambda(answer), SOURCE) == [ON]
