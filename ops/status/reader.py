"""Reads a pipeline's state from AWS and the writers. Never guesses: what is unknown is None or empty."""

from __future__ import annotations

import http.client
import json
import math
import time
import urllib.error
import urllib.request
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ops.aws import asking
from ops.console.exit_status import CommandError
from ops.status.facts import Queue, Status, Table, Writer
from shared.errors import TransientError
from shared.sqs_answers import attributes_of, number_in

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from types_boto3_cloudwatch.type_defs import MetricDataQueryTypeDef

    from ops.aws import Aws
    from ops.pipeline import Pipeline

_WRITER_SECONDS = 5.0
_OTHER_TABLES = "(others)"
_NO_WRITER = "something answers, but it is not a writer"
_NEWEST_METRICS = timedelta(minutes=10)
_ODD_JSON = (RecursionError, OverflowError)
"""What reading JSON can raise besides `ValueError`: it is too deep, or a number is too large."""
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
        status, body = _readyz(opener, url)
        writer = writer_of(url, body, "" if status == http.HTTPStatus.OK else f"HTTP status {status}")
        if status != http.HTTPStatus.OK or writer.error:
            return writer
        return replace(writer, older_streams=_older_streams(opener, url))
    except (OSError, ValueError) as error:  # URLError is an OSError
        return Writer(url, str(getattr(error, "reason", error)))
    except http.client.HTTPException:
        return Writer(url, _NO_WRITER)


def _readyz(opener: urllib.request.OpenerDirector, url: str) -> tuple[int, bytes]:
    try:
        with opener.open(f"{url.rstrip('/')}/readyz", timeout=_WRITER_SECONDS) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def _older_streams(opener: urllib.request.OpenerDirector, url: str) -> Mapping[str, int] | None:
    """Changes of older streams, by table; None: the writer does not tell, or not to us."""
    try:
        with opener.open(f"{url.rstrip('/')}/status.json", timeout=_WRITER_SECONDS) as answer:
            rows = json.loads(answer.read())["tables"]
            found = {row["table"] or _OTHER_TABLES: int(row["older_stream"]) for row in rows}
    except (OSError, ValueError, LookupError, TypeError, *_ODD_JSON, http.client.HTTPException):
        return None
    return {table: changes for table, changes in found.items() if changes}


def writer_of(url: str, body: bytes, error: str = "") -> Writer:
    """Reads the answer to `/readyz`. A writer is ready only if it says so.

    Args:
        url: the writer's.
        body: what it answers.
        error: what is wrong if the body does not say what the writer waits for.
    """
    try:
        content = json.loads(body)
        waits = _waits(content["waiting_for"])
        tables = _waits(content.get("tables", {}))  # which writers of an older version do not have
        waits |= {f"table {name}": wait for name, wait in tables.items()}
        is_ready = content["status"] == "ready"
    except (ValueError, LookupError, TypeError, AttributeError, *_ODD_JSON):
        return Writer(url, error or _NO_WRITER)
    if waits:
        return Writer(url, "", waits)
    return Writer(url, error or ("" if is_ready else _NO_WRITER))


def _waits(content: Mapping[str, Any]) -> dict[str, tuple[str, float]]:
    waits = {str(part): (str(wait["reason"]), float(wait["since"])) for part, wait in content.items()}
    if not all(math.isfinite(since) for _, since in waits.values()):
        raise ValueError
    return waits


def _queue(aws: Aws, url: str, what: str) -> Queue:
    doing = f"reading the attributes of {what}"
    with asking(doing):
        found = attributes_of(aws.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"]))
        return Queue(
            visible=number_in(found, "ApproximateNumberOfMessages", doing),
            in_flight=number_in(found, "ApproximateNumberOfMessagesNotVisible", doing),
            delayed=number_in(found, "ApproximateNumberOfMessagesDelayed", doing),
        )


def _tables(aws: Aws, function: str) -> list[Table]:
    doing = f"listing the event source mappings of the function {function}"
    with asking(doing):
        pages = aws.functions.get_paginator("list_event_source_mappings").paginate(FunctionName=function)
        mappings = [
            (
                _text(mapping, "EventSourceArn", doing),
                _text(mapping, "State", doing) or "unknown",
                _text(mapping, "LastProcessingResult", doing),
            )
            for page in pages
            for mapping in page["EventSourceMappings"]
        ]
    found = []
    for arn, state, last_result in mappings:
        _, _, path = arn.partition(":table/")
        if not path:
            continue  # of another service
        name = path.split("/")[0]
        view, latest = _stream(aws, name)
        found.append(
            Table(
                name=name,
                stream_view=view,
                mapping=state,
                last_result=last_result,
                reads_latest_stream=not latest or latest == arn,
            )
        )
    return sorted(found, key=lambda table: table.name)


def _stream(aws: Aws, table: str) -> tuple[str, str]:
    """The view type and ARN of the table's stream; empty if they are not available."""
    doing = f"looking at the table {table}"
    try:
        with asking(doing):
            described = aws.dynamodb.describe_table(TableName=table)["Table"]
            stream = described.get("StreamSpecification")
            if stream and stream["StreamEnabled"]:
                return _text(stream, "StreamViewType", doing), _text(described, "LatestStreamArn", doing)
            return ("off", "") if _text(described, "TableName", doing) else ("", "")
    except CommandError:  # of another account, forbidden, or an odd answer: the mapping is what counts
        return "", ""


def _text(part: Mapping[str, Any] | Any, name: str, doing: str) -> str:
    """A text in a part of an answer; empty if it is not there.

    Raises:
        TransientError: it is no text.
    """
    text = part.get(name, "")
    if not isinstance(text, str):
        raise TransientError(f"{doing}: the answer has no {name} that can be read")
    return text


def _metrics(aws: Aws, parts: Pipeline) -> tuple[float | None, float | None]:
    """The Lambda's iterator age (milliseconds) and the age of the oldest message (seconds)."""
    name = parts.queue.split("/")[-1]
    wanted = [("oldest", "AWS/SQS", "ApproximateAgeOfOldestMessage", "QueueName", name)]
    if parts.function:
        wanted.append(("iterator", "AWS/Lambda", "IteratorAge", "FunctionName", parts.function))
    now = datetime.now(UTC)
    try:
        with asking("asking CloudWatch"):
            answer = aws.cloudwatch.get_metric_data(
                MetricDataQueries=[_query(*each) for each in wanted],
                StartTime=now - _NEWEST_METRICS,
                EndTime=now + timedelta(seconds=_PERIOD),
            )
            newest = {
                each["Id"]: float(max(zip(each["Timestamps"], each["Values"], strict=True))[1])
                for each in answer["MetricDataResults"]
                if each["Values"]
            }
    except CommandError:  # forbidden, an emulator without metrics, or an odd answer
        return None, None
    known = {each: age for each, age in newest.items() if 0 <= age < math.inf}
    return known.get("iterator"), known.get("oldest")


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
