"""What cannot be read of an answer of AWS or of a writer is not known: no figure, and not "All is well"."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.parsers import ResponseParserError

from ops.console.exit_status import CommandError
from ops.pipeline import Pipeline, find_pipeline
from ops.status.reader import read_status, writer_of

NOW = datetime(2026, 1, 1, tzinfo=UTC)  # fixed: it stands in names of tests
NUMBERS = {
    "ApproximateNumberOfMessages": "1",
    "ApproximateNumberOfMessagesNotVisible": "2",
    "ApproximateNumberOfMessagesDelayed": "3",
}
ARN = "arn:aws:dynamodb:us-east-1:123456789012:table/people/stream/1"
MAPPING = {"EventSourceArn": ARN, "State": "Enabled", "LastProcessingResult": "OK"}
TABLE = {
    "TableName": "people",
    "StreamSpecification": {"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"},
    "LatestStreamArn": ARN,
}
PARTS = Pipeline("https://sqs/queue.fifo", "https://sqs/dead.fifo", "f")
ODD: list[Any] = [{}, None, [], "x", ResponseParserError("no JSON"), RuntimeError("?")]


def metric(name: str, *values: Any) -> dict[str, Any]:
    return {"Id": name, "Timestamps": [NOW] * len(values), "Values": list(values)}


class Aws:
    """Clients of all services, with an answer for each call; all is well but for what is set apart."""

    def __init__(self, **answers: Any) -> None:
        metrics = [metric("iterator", 2000.0), metric("oldest", 7.0)]
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
    return read_status(aws, PARTS, [])


def test_a_pipeline_that_answers() -> None:
    status = status_of()
    assert (status.queue.visible, status.queue.in_flight, status.queue.delayed) == (1, 2, 3)
    assert (status.dead_letters, status.iterator_age, status.oldest) == (6, 2.0, 7.0)
    assert [(each.name, each.stream_view, each.mapping) for each in status.tables] == [
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
        {"EventSourceMappings": [{**MAPPING, "LastProcessingResult": 5}]},
    ],
    ids=repr,
)
def test_mappings_that_cannot_be_read(answer: Any) -> None:
    """They are not taken for none."""
    with pytest.raises(CommandError, match=r"^listing the event source mappings of the function f: "):
        status_of(list_event_source_mappings=answer)


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
    assert (status.iterator_age, status.oldest, status.behind) == (None, None, None)


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
    assert writer_of("u", json.dumps(content).encode()).error == "something answers, but it is not a writer"
    assert writer_of("u", json.dumps(content).encode(), "HTTP status 503").error == "HTTP status 503"


@pytest.mark.parametrize("body", [b"[" * 100_000, b"\xff", b""], ids=["deep", "no text", "empty"])
def test_a_writers_answer_that_is_no_json(body: bytes) -> None:
    assert writer_of("u", body).error == "something answers, but it is not a writer"


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
