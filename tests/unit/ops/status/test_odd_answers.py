"""What cannot be read of an answer of AWS or of a writer is not known: no figure, and not "All is well"."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.parsers import ResponseParserError

from ops.console.exit_status import CommandError
from ops.pipeline import Pipeline, find_pipeline
from ops.status.facts import Age
from ops.status.reader import Parts, read_status
from ops.status.writer_answers import figures_of, writer_of
from ops.status.writer_records import Database

NOW = datetime(2026, 1, 1, tzinfo=UTC)  # fixed: it stands in names of tests
NUMBERS = {
    "ApproximateNumberOfMessages": "1",
    "ApproximateNumberOfMessagesNotVisible": "2",
    "ApproximateNumberOfMessagesDelayed": "3",
}
ARN = "arn:aws:dynamodb:us-east-1:123456789012:table/people/stream/1"
MAPPING = {
    "UUID": "u-1",
    "EventSourceArn": ARN,
    "State": "Enabled",
    "LastModified": NOW,
    "LastProcessingResult": "OK",
    "FunctionResponseTypes": ["ReportBatchItemFailures"],
}
TABLE = {
    "TableName": "people",
    "StreamSpecification": {"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"},
    "LatestStreamArn": ARN,
}
PARTS = Parts(Pipeline("https://sqs/queue.fifo", "https://sqs/dead.fifo", "f"), [], Database("", ""))
ODD: list[Any] = [{}, None, [], "x", ResponseParserError("no JSON"), RuntimeError("?")]


def metric(name: str, *values: Any) -> dict[str, Any]:
    return {"Id": name, "Timestamps": [NOW] * len(values), "Values": list(values)}


class Aws:
    """Clients of all services, with an answer for each call; all is well but for what is set apart."""

    def __init__(self, **answers: Any) -> None:
        metrics = [metric("iterator", 2000.0), metric("oldest", 7.0)]
        self.meta = SimpleNamespace(endpoint_url="https://lambda.us-east-1.amazonaws.com")
        self.answers: dict[str, Any] = {
            "get_queue_attributes": {"Attributes": NUMBERS},
            "list_event_source_mappings": {"EventSourceMappings": [MAPPING]},
            "describe_table": {"Table": TABLE},
            "get_metric_data": {"MetricDataResults": metrics},
        } | answers
        self.sqs = self.functions = self.dynamodb = self.cloudwatch = self.cloudformation = self

    def __getattr__(self, name: str) -> Any:
        if name not in self.__dict__.get("answers", {}):
            raise AttributeError(name)

        def call(**_: Any) -> Any:
            answer = self.answers[name]
            if isinstance(answer, Exception):
                raise answer
            return answer

        return call

    def get_paginator(self, name: str) -> Any:
        aws = self

        class Pages:
            def paginate(self, **_: Any) -> Any:
                yield getattr(aws, name)()

        return Pages()


def status_of(**answers: Any) -> Any:
    aws: Any = Aws(**answers)
    return read_status(aws, PARTS)


def test_a_pipeline_that_answers() -> None:
    status = status_of()
    assert (status.queue.visible, status.queue.in_flight, status.queue.delayed) == (1, 2, 3)
    assert (status.dead_letters, status.iterator_age, status.oldest) == (6, Age(2.0), Age(7.0))
    assert [(each.name, each.stream_view, each.mapping.state) for each in status.tables] == [
        ("people", "NEW_IMAGE", "Enabled")
    ]


@pytest.mark.parametrize(
    "answer",
    [
        *ODD,
        {"Attributes": {}},
        *(
            {"Attributes": {**NUMBERS, "ApproximateNumberOfMessages": odd}}
            for odd in ("-5", "x", "", 0, None)
        ),
    ],
    ids=repr,
)
def test_numbers_of_a_queue_are_not_guessed(answer: Any) -> None:
    """A sentence, with exit status 2."""
    with pytest.raises(CommandError, match=r"^reading the attributes of the queue: "):
        status_of(get_queue_attributes=answer)


@pytest.mark.parametrize(
    "answer",
    [
        *ODD,
        {"EventSourceMappings": None},
        {"EventSourceMappings": [None]},
        {"EventSourceMappings": [{**MAPPING, "EventSourceArn": 5}]},
        {"EventSourceMappings": [{**MAPPING, "FilterCriteria": "x"}]},
        {"EventSourceMappings": [{**MAPPING, "LastProcessingResult": 5}]},
    ],
    ids=repr,
)
def test_mappings_that_cannot_be_read(answer: Any) -> None:
    """They are not taken for none, and the rest is read."""
    status = status_of(list_event_source_mappings=answer)
    assert status.tables == []
    assert status.tables_unknown.startswith("listing the event source mappings of the function f: ")
    assert status.queue.visible == 1


@pytest.mark.parametrize(
    "answer",
    [
        *ODD,
        {"Table": {}},
        {"Table": None},
        {"Table": {**TABLE, "StreamSpecification": "x"}},
        {"Table": {**TABLE, "StreamSpecification": {"StreamEnabled": True, "StreamViewType": 5}}},
    ],
    ids=repr,
)
def test_a_stream_that_cannot_be_read_is_not_known(answer: Any) -> None:
    (table,) = status_of(describe_table=answer).tables
    assert table.stream_view == ""
    assert table.why_unknown.startswith("looking at the table people")


def test_a_table_without_a_stream() -> None:
    (table,) = status_of(describe_table={"Table": {"TableName": "people"}}).tables
    assert table.stream_view == "off"


@pytest.mark.parametrize(
    "answer",
    [
        *ODD,
        {"MetricDataResults": None},
        {"MetricDataResults": [None]},
        {"MetricDataResults": [metric("iterator", None), metric("oldest", "x")]},
        {"MetricDataResults": [metric("iterator", -5.0), metric("oldest", float("nan"))]},
        {"MetricDataResults": [{"Id": "oldest", "Timestamps": [], "Values": [1.0]}]},
    ],
    ids=repr,
)
def test_ages_that_cannot_be_read_are_not_known(answer: Any) -> None:
    status = status_of(get_metric_data=answer)
    assert (status.iterator_age.seconds, status.oldest.seconds, status.behind) == (None, None, None)
    assert not status.iterator_age.is_idle
    assert status.iterator_age.why_unknown
    assert status.oldest.why_unknown


def test_a_stream_without_changes_has_no_age() -> None:
    """CloudWatch says so itself: it has seen no invocation, and none that was put off."""
    nothing = [metric(name) for name in ("oldest", "iterator", "invocations", "throttles")]
    status = status_of(get_metric_data={"MetricDataResults": nothing})
    assert status.iterator_age == Age(is_idle=True)
    for called in ("invocations", "throttles"):
        results = [metric(called, 0.0, 3.0) if each["Id"] == called else each for each in nothing]
        status = status_of(get_metric_data={"MetricDataResults": results})
        assert status.iterator_age.why_unknown == (
            "CloudWatch has no data for the last 10 minutes, and is about a minute late"
        )
    status = status_of(get_metric_data={"MetricDataResults": nothing[:3]})
    assert not status.iterator_age.is_idle


@pytest.mark.parametrize("code", ["InternalError", "PartialData", "Forbidden", None])
@pytest.mark.parametrize("name", ["iterator", "invocations", "throttles"])
def test_what_cloudwatch_could_not_read_is_no_idle_stream(name: str, code: str | None) -> None:
    """It answers with no values and a code, for each metric."""
    names = ("oldest", "iterator", "invocations", "throttles")
    codes = dict.fromkeys(names, "Complete")
    results = [metric(each) | {"StatusCode": code if each == name else codes[each]} for each in names]
    status = status_of(get_metric_data={"MetricDataResults": results})
    assert not status.iterator_age.is_idle
    assert status.behind is None
    assert status.iterator_age.why_unknown


@pytest.mark.parametrize(
    "answer",
    [
        *ODD,
        {"Stacks": []},
        {"Stacks": [{"Outputs": [{}]}]},
        {"Stacks": [{"Outputs": "x"}]},
        {"Stacks": [{}]},
        {
            "Stacks": [
                {
                    "Outputs": [
                        {"OutputKey": name, "OutputValue": 5}
                        for name in ("QueueUrl", "DeadLetterQueueUrl", "FunctionName")
                    ]
                }
            ]
        },
    ],
    ids=repr,
)
def test_a_stack_that_cannot_be_read(answer: Any) -> None:
    """A sentence, with exit status 2."""
    aws: Any = Aws(describe_stacks=answer)
    with pytest.raises(CommandError, match="CloudFormation stack s"):
        find_pipeline(aws, "s", Pipeline())


READY = {"status": "ready", "waiting_for": {}, "tables": {}}


@pytest.mark.parametrize(
    "content",
    [
        {**READY, "status": "starting"},
        {**READY, "status": "waiting"},
        {"waiting_for": {}},
        {**READY, "waiting_for": []},
        {**READY, "waiting_for": None},
        {**READY, "tables": None},
        [],
        None,
    ],
    ids=repr,
)
def test_a_writer_is_ready_only_if_it_says_so(content: Any) -> None:
    assert writer_of("u", json.dumps(content).encode()).error == "something answers, but is not a writer"
    assert writer_of("u", json.dumps(content).encode(), "HTTP status 503").error == "HTTP status 503"


@pytest.mark.parametrize("body", [b"[" * 100_000, b"\xff", b""], ids=["deep", "no text", "empty"])
def test_a_writers_answer_that_is_no_json(body: bytes) -> None:
    assert writer_of("u", body).error == "something answers, but is not a writer"


@pytest.mark.parametrize("since", ["NaN", "Infinity", '"x"', "null"])
def test_a_wait_since_no_time(since: str) -> None:
    body = json.dumps({"status": "waiting", "waiting_for": {"sqs": {"reason": "r", "since": 0}}})
    body = body.replace("0", since)
    assert writer_of("u", body.encode(), "HTTP status 503").error == "HTTP status 503"


def test_a_writer_that_says_it_is_ready() -> None:
    """One of an older version does not name tables."""
    for content in (READY, {"status": "ready", "waiting_for": {}}):
        writer = writer_of("u", json.dumps(content).encode())
        assert (writer.error, writer.waits) == ("", {})


FIGURES: dict[str, Any] = {
    "changes_per_second": 1.5,
    "in_hand": 3,
    "tables": [{"table": "t", "older_stream": 2}],
}


NO_TABLES: list[Any] = [None, 5, [5], [{}], [{"table": "t", "older_stream": -1}]]


@pytest.mark.parametrize(
    "content",
    [
        *({name: value for name, value in FIGURES.items() if name != missing} for missing in FIGURES),
        *({**FIGURES, "changes_per_second": odd} for odd in (-1, None, "x", True, float("nan"), 10**400)),
        *({**FIGURES, "in_hand": odd} for odd in (-1, None, "x", True)),
        *({**FIGURES, "tables": odd} for odd in NO_TABLES),
        [],
        None,
    ],
    ids=repr,
)
def test_figures_that_cannot_be_read_are_not_known(content: Any) -> None:
    """None of them is taken for zero."""
    assert figures_of(json.dumps(content).encode()) is None
    found = figures_of(json.dumps(FIGURES).encode())
    assert found is not None
    assert (found.rate, found.in_flight, found.older_streams) == (1.5, 3, {"t": 2})
