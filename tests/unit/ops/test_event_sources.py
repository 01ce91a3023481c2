"""What is wrong with an event source mapping: whatever loses changes is a sentence, and nothing else is."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ops.event_source_checks import judge, start_warning, stream_problem
from ops.event_sources import EventSourceMapping, read_mapping, table_of

NOW = datetime(2020, 5, 10, 12, tzinfo=UTC)
ARN = "arn:aws:dynamodb:us-east-1:123456789012:table/people/stream/2020-05-01T00:00:00.000"
QUEUE = "arn:aws:sqs:us-east-1:123456789012:failures"
ANSWER: dict[str, Any] = {
    "UUID": "u-1",
    "StartingPosition": "TRIM_HORIZON",
    "BatchSize": 1000,
    "MaximumBatchingWindowInSeconds": 0,
    "ParallelizationFactor": 10,
    "EventSourceArn": ARN,
    "FunctionArn": "arn:aws:lambda:us-east-1:123456789012:function:f:live",
    "LastModified": NOW,
    "LastProcessingResult": "No records processed",
    "State": "Enabled",
    "StateTransitionReason": "User action",
    "DestinationConfig": {"OnFailure": {}},
    "MaximumRecordAgeInSeconds": -1,
    "BisectBatchOnFunctionError": True,
    "MaximumRetryAttempts": -1,
    "TumblingWindowInSeconds": 0,
    "FunctionResponseTypes": ["ReportBatchItemFailures"],
}
"""As AWS describes what deploy/pipeline.yaml makes."""


def mapping(**changes: Any) -> EventSourceMapping:
    return read_mapping({**ANSWER, **changes})


def test_what_the_template_makes_is_good() -> None:
    """Also what AWS leaves out where it is not set, and other batch sizes."""
    found = mapping()
    assert (found.table, found.function, found.state, found.start) == (
        "people",
        "f",
        "Enabled",
        "TRIM_HORIZON",
    )
    for each in (found, mapping(BatchSize=1, DestinationConfig=None, FilterCriteria={"Filters": []})):
        judgement = judge(each)
        assert (judgement.problems, judgement.unknown, judgement.notes) == ([], [], [])
    least = {name: ANSWER[name] for name in ("UUID", "EventSourceArn", "State", "LastModified")}
    (problem,) = judge(read_mapping(least)).problems
    assert str(problem) == (
        "the event source mapping of the table people lacks ReportBatchItemFailures, so Lambda treats "
        "changes that could not be sent as done: aws lambda update-event-source-mapping --uuid u-1 "
        "--function-response-types ReportBatchItemFailures"
    )


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"FunctionResponseTypes": []}, "lacks ReportBatchItemFailures"),
        ({"FunctionResponseTypes": ["Other"]}, "lacks ReportBatchItemFailures"),
        ({"FilterCriteria": {"Filters": [{"Pattern": "{}"}]}}, "has a filter, which drops changes"),
        ({"MaximumRetryAttempts": 0}, "after 0 retries, Lambda gives up on changes of the table people"),
        ({"MaximumRecordAgeInSeconds": 86_399}, "after 86,399 s, Lambda gives up on changes"),
        ({"MaximumRetryAttempts": 5, "MaximumRecordAgeInSeconds": 60}, "after 5 retries or 60 s, Lambda"),
        ({"TumblingWindowInSeconds": 30}, "has a tumbling window"),
        (
            {"State": "Disabled"},
            "people is Disabled: aws lambda update-event-source-mapping --uuid u-1 --enabled",
        ),
        ({"State": "Creating"}, "people is Creating: wait until it is Enabled"),
        (
            {"State": "Deleting"},
            f"people is Deleting: deploy deploy/pipeline.yaml with TableStreamArns={ARN}",
        ),
        ({"State": "Sleeping"}, "people is Sleeping: "),
        (
            {"State": "Disabled", "StateTransitionReason": "Stream not found"},
            "is Disabled (Stream not found): ",
        ),
        ({"LastProcessingResult": "PROBLEM: Function call failed"}, "failed (PROBLEM: Function call failed)"),
        ({"LastProcessingResult": "?"}, "failed (?)"),
    ],
    ids=repr,
)
def test_what_loses_changes(changes: dict[str, Any], said: str) -> None:
    """One sentence, with what helps."""
    judgement = judge(mapping(**changes))
    (problem,) = judgement.problems
    assert said in str(problem)
    assert problem.fix
    assert judgement.unknown == []


@pytest.mark.parametrize(
    "changes",
    [
        {"LastProcessingResult": "OK"},
        {"LastProcessingResult": "OK - 3 records"},
        {"State": "Updating"},
        {"MaximumRecordAgeInSeconds": 86_400},  # the stream itself keeps no more
        {"ParallelizationFactor": 3},
        {"StartingPosition": "LATEST"},
    ],
    ids=repr,
)
def test_what_loses_nothing(changes: dict[str, Any]) -> None:
    assert judge(mapping(**changes)).problems == []


def test_a_limit_that_somebody_is_told_of_is_a_choice() -> None:
    """As the template allows it, with a queue for what was given up."""
    judgement = judge(
        mapping(MaximumRetryAttempts=7, DestinationConfig={"OnFailure": {"Destination": QUEUE}})
    )
    assert judgement.problems == []
    (note,) = judgement.notes
    assert note == (
        f"After 7 retries Lambda gives up on changes of the table people and reports them to {QUEUE}: "
        "run replicator resync after any such report."
    )
    assert "does not split a batch" in judge(mapping(BisectBatchOnFunctionError=False)).notes[0]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"KMSKeyArn": "arn:aws:kms:us-east-1:123456789012:key/1"}, "its filters are encrypted"),
        (
            {"FilterCriteriaError": {"ErrorCode": "KMSAccessDenied", "Message": "no"}},
            "its filters are encrypted",
        ),
        ({"LastProcessingResult": ""}, "how the Lambda's last invocation for the table people ended"),
    ],
)
def test_what_a_mapping_does_not_tell(changes: dict[str, Any], said: str) -> None:
    judgement = judge(mapping(**changes))
    assert judgement.problems == []
    assert said in judgement.unknown[0]


@pytest.mark.parametrize(
    "changes",
    [
        *({"UUID": odd} for odd in (None, "", 5)),
        *({"State": odd} for odd in (None, "", 5)),
        {"EventSourceArn": 5},
        {"LastModified": "x"},
        {"LastProcessingResult": 5},
        {"FunctionResponseTypes": "ReportBatchItemFailures"},
        {"FilterCriteria": "x"},
        {"FilterCriteria": {"Filters": "x"}},
        {"MaximumRetryAttempts": "-1"},
        {"MaximumRetryAttempts": True},
        {"DestinationConfig": {"OnFailure": "x"}},
    ],
    ids=repr,
)
def test_a_mapping_of_another_form_is_not_read(changes: dict[str, Any]) -> None:
    with pytest.raises((TypeError, ValueError)):
        mapping(**changes)


def test_a_young_mapping_that_starts_at_latest() -> None:
    """It can have missed changes while it was made."""
    young = mapping(StartingPosition="LATEST", LastModified=NOW - timedelta(minutes=5))
    assert "LATEST" in (start_warning(young, NOW) or "")
    assert start_warning(replace(young, changed=NOW - timedelta(hours=1)), NOW) is None
    assert start_warning(replace(young, start="TRIM_HORIZON"), NOW) is None
    assert start_warning(replace(young, state="Disabled"), NOW) is None


def test_streams() -> None:
    """Only new images can be replicated; other services have ARNs, too."""
    assert stream_problem("people", "NEW_IMAGE") is None
    assert "has no stream: aws dynamodb update-table --table-name people" in str(stream_problem("people", ""))
    assert "KEYS_ONLY, which has no new images" in str(stream_problem("people", "KEYS_ONLY"))
    assert table_of(ARN) == "people"
    assert table_of("arn:aws:kinesis:us-east-1:123456789012:stream/s") == ""
    for odd in ("people", "arn:aws:dynamodb:us-east-1:1:table/people", ARN.replace("people", "")):
        with pytest.raises(ValueError, match="no ARN"):
            table_of(odd)
        with pytest.raises(ValueError, match="no ARN"):
            mapping(EventSourceArn=odd)
