"""Reads a pipeline's state from AWS and the writers. Never guesses: what is unknown is None or empty."""

from __future__ import annotations

import http.client
import json
import time
import urllib.error
import urllib.request
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from botocore.exceptions import BotoCoreError, ClientError

from ops.aws import asking
from ops.status.facts import Queue, Status, Table, Writer

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from types_boto3_cloudwatch.type_defs import MetricDataQueryTypeDef

    from ops.aws import Aws
    from ops.pipeline import Pipeline

_WRITER_SECONDS = 5.0
_OTHER_TABLES = "(others)"
_NO_WRITER = "something answers, but it is not a writer"
_NEWEST_METRICS = timedelta(minutes=10)
_PERIOD = 60
"""Seconds. Both metrics are published about once a minute (CloudWatch metrics of Lambda, of SQS)."""


def read_status(aws: Aws, parts: Pipeline, writers: Iterable[str]) -> Status:
    """Reads everything; `writers` are the URLs of their status servers.

    Raises:
        CommandError: the queues or the function do not exist, or cannot be reached.
    """
    queue = _queue(aws, parts.queue, "the queue")
    dead = _queue(aws, parts.dead_letter_queue, "the dead-letter queue")
    tables = _tables(aws, parts.function) if parts.function else []
    iterator_age, oldest = _metrics(aws, parts)
    return Status(
        at=time.time(),
        function=parts.function,
        tables=tables,
        iterator_age=None if iterator_age is None else iterator_age / 1000,
        queue=queue,
        oldest=oldest,
        dead_letters=dead.visible + dead.in_flight + dead.delayed,
        writers=[ask_writer(each) for each in writers],
    )


def ask_writer(url: str) -> Writer:
    """Reads a writer's `/readyz`, and of its figures what `Writer` has."""
    if urlsplit(url).scheme not in ("http", "https"):
        return Writer(url, "it is not an http:// URL")
    # Writers are in our network; a proxy in the environment is for other hosts.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"{url.rstrip('/')}/readyz", timeout=_WRITER_SECONDS) as answer:
            writer = _writer(url, answer.read())
            return writer if writer.error else replace(writer, older_streams=_older_streams(opener, url))
    except urllib.error.HTTPError as error:
        with error:
            return _writer(url, error.read(), f"HTTP status {error.code}")
    except (OSError, ValueError) as error:  # URLError is an OSError
        return Writer(url, str(getattr(error, "reason", error)))
    except http.client.HTTPException:
        return Writer(url, _NO_WRITER)


def _older_streams(opener: urllib.request.OpenerDirector, url: str) -> Mapping[str, int] | None:
    """Changes of older streams, by table; None: the writer does not tell, or not to us."""
    try:
        with opener.open(f"{url.rstrip('/')}/status.json", timeout=_WRITER_SECONDS) as answer:
            rows = json.loads(answer.read())["tables"]
            found = {row["table"] or _OTHER_TABLES: int(row["older_stream"]) for row in rows}
    except (OSError, ValueError, KeyError, TypeError, http.client.HTTPException):
        return None
    return {table: changes for table, changes in found.items() if changes}


def _writer(url: str, body: bytes, error: str = "") -> Writer:
    try:
        content = json.loads(body)
        waits = {
            str(part): (str(wait["reason"]), float(wait["since"]))
            for part, wait in content["waiting_for"].items()
        }
        tables = content.get("tables", {})  # which writers of an older version do not have
        waits |= {
            f"table {name}": (str(wait["reason"]), float(wait["since"])) for name, wait in tables.items()
        }
    except (ValueError, KeyError, TypeError, AttributeError):
        return Writer(url, error or _NO_WRITER)
    return Writer(url, "" if waits or not error else error, waits)


def _queue(aws: Aws, url: str, what: str) -> Queue:
    with asking(f"reading the attributes of {what}"):
        found: Mapping[Any, str] = aws.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])[
            "Attributes"
        ]
    return Queue(
        visible=int(found["ApproximateNumberOfMessages"]),
        in_flight=int(found["ApproximateNumberOfMessagesNotVisible"]),
        delayed=int(found["ApproximateNumberOfMessagesDelayed"]),
    )


def _tables(aws: Aws, function: str) -> list[Table]:
    found = []
    with asking(f"listing the event source mappings of the function {function}"):
        pages = aws.functions.get_paginator("list_event_source_mappings").paginate(FunctionName=function)
        mappings = [each for page in pages for each in page["EventSourceMappings"]]
    for mapping in mappings:
        arn = mapping.get("EventSourceArn", "")
        _, _, path = arn.partition(":table/")
        if not path:
            continue  # of another service
        name = path.split("/")[0]
        view, latest = _stream(aws, name)
        found.append(
            Table(
                name=name,
                stream_view=view,
                mapping=mapping.get("State", "unknown"),
                last_result=mapping.get("LastProcessingResult", ""),
                reads_latest_stream=not latest or latest == arn,
            )
        )
    return sorted(found, key=lambda table: table.name)


def _stream(aws: Aws, table: str) -> tuple[str, str]:
    """The view type and ARN of the table's stream; empty if they are not available."""
    try:
        described = aws.dynamodb.describe_table(TableName=table)["Table"]
    except (BotoCoreError, ClientError):  # of another account, or forbidden: the mapping is what counts
        return "", ""
    stream = described.get("StreamSpecification")
    if not (stream and stream.get("StreamEnabled")):
        return "off", ""
    return stream.get("StreamViewType", ""), described.get("LatestStreamArn", "")


def _metrics(aws: Aws, parts: Pipeline) -> tuple[float | None, float | None]:
    """The Lambda's iterator age (milliseconds) and the age of the oldest message (seconds)."""
    name = parts.queue.split("/")[-1]
    wanted = [("oldest", "AWS/SQS", "ApproximateAgeOfOldestMessage", "QueueName", name)]
    if parts.function:
        wanted.append(("iterator", "AWS/Lambda", "IteratorAge", "FunctionName", parts.function))
    now = datetime.now(UTC)
    try:
        answer = aws.cloudwatch.get_metric_data(
            MetricDataQueries=[_query(*each) for each in wanted],
            StartTime=now - _NEWEST_METRICS,
            EndTime=now + timedelta(seconds=_PERIOD),
        )
    except (BotoCoreError, ClientError):  # forbidden, or an emulator without metrics
        return None, None
    newest = {
        each["Id"]: max(zip(each["Timestamps"], each["Values"], strict=True))[1]
        for each in answer["MetricDataResults"]
        if each["Values"]
    }
    return newest.get("iterator"), newest.get("oldest")


def _query(name: str, namespace: str, metric: str, dimension: str, value: str) -> MetricDataQueryTypeDef:
    return {
        "Id": name,
        "MetricStat": {
            "Metric": {
                "Namespace": namespace,
                "MetricName": metric,
                "Dimensions": [{"Name": dimension, "Value": value}],
            },
            "Period": _PERIOD,
            "Stat": "Maximum",
        },
    }
