"""Reads a pipeline's state from AWS, MongoDB and the writers. Never guesses: what is unknown says why."""

from __future__ import annotations

import math
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from ops.aws import asking
from ops.console.exit_status import CommandError
from ops.event_sources import read_mapping
from ops.lambda_api import NoLambdaError, naming_endpoint
from ops.status.facts import Age, Queue, Status, Table
from ops.status.progress import LEAST_SECONDS, Looks, needs_another_look
from ops.status.writer_records import Database, ask_known_writers, read_records
from shared.errors import TransientError
from shared.sqs_answers import attributes_of, number_in

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from types_boto3_cloudwatch.type_defs import MetricDataQueryTypeDef

    from ops.aws import Aws
    from ops.event_sources import EventSourceMapping
    from ops.pipeline import Pipeline
    from ops.status.facts import Writers

_NEWEST_METRICS = timedelta(minutes=10)
_WHOLE = "Complete"
_PERIOD = 60
"""Seconds. The metrics are published about once a minute (CloudWatch metrics of Lambda, of SQS)."""


class Parts(NamedTuple):
    """What is looked at.

    Attributes:
        pipeline: queues and function.
        writers: the URLs of status servers that a person has named.
        database: where writers keep their records.
    """

    pipeline: Pipeline
    writers: Sequence[str]
    database: Database


class StatusReader:
    """Looks at a pipeline, once or again and again."""

    def __init__(self, aws: Aws, parts: Parts) -> None:
        self._aws = aws
        self._parts = parts
        self._looks = Looks()

    def look(self) -> Status:
        """Looks once, and compares that with earlier looks.

        Raises:
            CommandError: the queues do not exist, or cannot be reached.
        """
        return self._looks.judge(read_status(self._aws, self._parts))

    def look_closely(self) -> Status:
        """Looks once, and a second time where only that tells whether messages in flight are finished.

        Raises:
            CommandError: as `look`.
        """
        status = self.look()
        if not needs_another_look(status):
            return status
        time.sleep(max(0.0, LEAST_SECONDS - (time.time() - status.at)))
        silent = all(writer.error for writer in status.writers.asked)
        return self._looks.judge(read_status(self._aws, self._parts, status.writers if silent else None))


def read_status(aws: Aws, parts: Parts, writers: Writers | None = None) -> Status:
    """Reads everything; the writers only if they are not given.

    Raises:
        CommandError: the queues do not exist, or cannot be reached.
    """
    pipeline = parts.pipeline
    queue = _queue(aws, pipeline.queue, "the queue")
    at = time.time()
    dead = _queue(aws, pipeline.dead_letter_queue, "the dead-letter queue")
    tables, tables_unknown = _tables(aws, pipeline.function) if pipeline.function else ([], "")
    iterator_age, oldest = _ages(aws, pipeline)
    if writers is None:
        writers = ask_known_writers(read_records(parts.database, pipeline.queue), parts.writers, at)
    return Status(
        at=at,
        function=pipeline.function,
        tables=tables,
        tables_unknown=tables_unknown,
        iterator_age=iterator_age,
        queue=queue,
        oldest=oldest,
        dead_letters=dead.total,
        writers=writers,
    )


def _queue(aws: Aws, url: str, what: str) -> Queue:
    doing = f"reading the attributes of {what}"
    with asking(doing):
        found = attributes_of(aws.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"]))
        return Queue(
            visible=number_in(found, "ApproximateNumberOfMessages", doing),
            in_flight=number_in(found, "ApproximateNumberOfMessagesNotVisible", doing),
            delayed=number_in(found, "ApproximateNumberOfMessagesDelayed", doing),
        )


def _tables(aws: Aws, function: str) -> tuple[list[Table], str]:
    """The tables that a function reads, or why they are not known."""
    try:
        mappings = _mappings(aws, function)
    except (CommandError, NoLambdaError) as error:
        return [], str(error)
    tables = [_table(aws, each) for each in mappings if each.table]  # others are of another service
    return sorted(tables, key=lambda table: table.name), ""


def _mappings(aws: Aws, function: str) -> list[EventSourceMapping]:
    doing = f"listing the event source mappings of the function {function}"
    with asking(doing):
        lambda_api = aws.functions
        with naming_endpoint(lambda_api.meta.endpoint_url):
            pages = lambda_api.get_paginator("list_event_source_mappings").paginate(FunctionName=function)
            entries = [entry for page in pages for entry in page["EventSourceMappings"]]
        return [read_mapping(entry) for entry in entries]


def _table(aws: Aws, mapping: EventSourceMapping) -> Table:
    """The table that a mapping reads, and its stream as it is now."""
    doing = f"looking at the table {mapping.table}"
    try:
        with asking(doing):
            described = aws.dynamodb.describe_table(TableName=mapping.table)["Table"]
            stream = described.get("StreamSpecification")
            if not (stream and stream["StreamEnabled"]):
                is_described = _text(described, "TableName", doing) != ""
                return Table(mapping, "off" if is_described else "", f"{doing}: no description")
            view, latest = _text(stream, "StreamViewType", doing), _text(described, "LatestStreamArn", doing)
    except CommandError as error:  # of another account, forbidden, or an odd answer
        return Table(mapping, "", str(error))
    return Table(mapping, view, f"{doing}: no view type", reads_latest_stream=latest in ("", mapping.source))


def _text(part: Mapping[str, Any] | Any, name: str, doing: str) -> str:
    """A text in a part of an answer; empty if it is not there.

    Raises:
        TransientError: it is no text.
    """
    text = part.get(name, "")
    if not isinstance(text, str):
        raise TransientError(f"{doing}: the answer has no {name} that can be read")
    return text


def _ages(aws: Aws, pipeline: Pipeline) -> tuple[Age, Age]:
    """The Lambda's iterator age, and the age of the oldest message."""
    queue, function = pipeline.queue.split("/")[-1], pipeline.function
    wanted = [("oldest", "AWS/SQS", "ApproximateAgeOfOldestMessage", "QueueName", queue, "Maximum")]
    if function:
        wanted += [
            ("iterator", "AWS/Lambda", "IteratorAge", "FunctionName", function, "Maximum"),
            ("invocations", "AWS/Lambda", "Invocations", "FunctionName", function, "Sum"),
            ("throttles", "AWS/Lambda", "Throttles", "FunctionName", function, "Sum"),
        ]
    now = datetime.now(UTC)
    doing = "asking CloudWatch"
    try:
        with asking(doing):
            answer = aws.cloudwatch.get_metric_data(
                MetricDataQueries=[_query(*each) for each in wanted],
                StartTime=now - _NEWEST_METRICS,
                EndTime=now + timedelta(seconds=_PERIOD),
            )
            results = [each for each in answer["MetricDataResults"] if _is_whole(each)]
            found = {each["Id"]: _newest_first(each) for each in results}
    except CommandError as error:  # forbidden, an emulator without metrics, or an odd answer
        return Age(why_unknown=str(error)), Age(why_unknown=str(error))
    minutes = int(_NEWEST_METRICS.total_seconds() // 60)
    nothing = f"CloudWatch has no data for the last {minutes} minutes, and is about a minute late"
    oldest = _age(found.get("oldest"), nothing)
    iterator = _age(found.get("iterator"), nothing)
    calls = [found.get("invocations"), found.get("throttles")]
    was_called = any(values is None or any(value != 0 for value in values) for values in calls)
    if iterator.seconds is None and found.get("iterator") == [] and not was_called:
        return Age(is_idle=True), oldest
    return replace(iterator, seconds=None if iterator.seconds is None else iterator.seconds / 1000), oldest


def _is_whole(result: Mapping[str, Any] | Any) -> bool:
    """Whether CloudWatch has given all values of a metric: what it could not read is no "nothing".

    Source: Amazon CloudWatch API reference, "MetricDataResult" (StatusCode).
    """
    return bool(result.get("StatusCode", _WHOLE) == _WHOLE)


def _newest_first(result: Mapping[str, Any] | Any) -> list[float]:
    pairs = zip(result["Timestamps"], result["Values"], strict=True)
    return [float(value) for _, value in sorted(pairs, reverse=True)]


def _age(values: list[float] | None, nothing: str) -> Age:
    if not values:
        return Age(why_unknown=nothing)
    if not 0 <= values[0] < math.inf:
        return Age(why_unknown="CloudWatch's answer has no age that can be read")
    return Age(values[0])


def _query(  # noqa: PLR0913, PLR0917 - what names a metric
    name: str, namespace: str, metric: str, dimension: str, value: str, statistic: str
) -> MetricDataQueryTypeDef:
    return {
        "Id": name,
        "MetricStat": {
            "Metric": {
                "Namespace": namespace,
                "MetricName": metric,
                "Dimensions": [{"Name": dimension, "Value": value}],
            },
            "Period": _PERIOD,
            "Stat": statistic,
        },
    }
