"""The tables that the function reads: their event source mappings, and their streams."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ops.aws import asking
from ops.doctor.findings import Finding, not_well, unknown, well
from ops.doctor.looking import look
from ops.event_source_checks import judge, stream_problem
from ops.event_sources import read_mappings
from ops.lambda_api import naming_endpoint

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ops.aws import Aws
    from ops.event_sources import EventSourceMapping

_LIST = "lambda:ListEventSourceMappings"
_DESCRIBE = "dynamodb:DescribeTable"


@dataclass(frozen=True, slots=True)
class Tables:
    """What is known of the tables.

    Attributes:
        names: those that the function reads; None: not known.
        keys: their key attributes, the partition key first, as far as they are known.
    """

    names: Sequence[str] | None
    keys: Mapping[str, Sequence[str]]


def check_tables(aws: Aws, function: str, name_it: str, *, only: str = "") -> tuple[Tables, list[Finding]]:
    """Looks at the event source mappings of a function, and at the streams that they read.

    Args:
        aws: the clients.
        function: its name; empty: not known.
        name_it: what to do in that case.
        only: the one table to look at; empty: all that it reads.
    """
    if not function:
        text = "Cannot tell which tables are replicated: the Lambda function is unknown."
        return Tables(None, {}), [unknown("tables", text, name_it)]
    mappings: list[EventSourceMapping] = []
    what = f"The event source mappings of the function {function}"
    found = look("tables", what, _LIST, lambda: _list(aws, function, mappings))
    if found:
        return Tables(None, {}), found
    streams = [each for each in mappings if each.table and each.table == (only or each.table)]
    if not streams:
        what = f"does not read the table {only}" if only else "reads no table"
        text = f"The function {function} {what}: it has no event source mapping."
        advice = f"Deploy deploy/pipeline.yaml with {'its stream in ' * bool(only)}TableStreamArns."
        return Tables([], {}), [not_well("tables", text, advice)]
    keys: dict[str, Sequence[str]] = {}
    for mapping in sorted(streams, key=lambda each: each.table):
        found += _judge(mapping)
        what = f"The table {mapping.table}"
        found += look("table-stream", what, _DESCRIBE, lambda each=mapping: _stream(aws, each, keys))  # type: ignore[misc]
    return Tables(list(dict.fromkeys(sorted(each.table for each in streams))), keys), found


def _list(aws: Aws, function: str, mappings: list[EventSourceMapping]) -> list[Finding]:
    with asking("listing them"), naming_endpoint(aws.functions.meta.endpoint_url):
        pages = aws.functions.get_paginator("list_event_source_mappings").paginate(FunctionName=function)
        mappings += [mapping for page in pages for mapping in read_mappings(page)]
    return []


def _judge(mapping: EventSourceMapping) -> Iterator[Finding]:
    judged = judge(mapping)
    check = "event-source-mapping"
    for problem in judged.problems:
        fix = problem.fix or f"See aws lambda get-event-source-mapping --uuid {mapping.id}"
        yield not_well(check, f"{_upper(problem.said)}.", _advice(fix))
    for text in judged.unknown:
        advice = "The next invocation will tell." if not mapping.last_result else "Look at it."
        yield unknown(check, f"{_upper(text)}.", advice)
    if not judged.problems and not judged.unknown:
        notes = f" However: {judged.notes[0]}" if judged.notes else ""
        yield well(check, f"The event source mapping of the table {mapping.table} is {mapping.state}.{notes}")


def _stream(aws: Aws, mapping: EventSourceMapping, keys: dict[str, Sequence[str]]) -> Iterator[Finding]:
    with asking("describing it"):
        table: Any = aws.dynamodb.describe_table(TableName=mapping.table)["Table"]
        schema = sorted(table["KeySchema"], key=lambda each: str(each["KeyType"]) != "HASH")
        keys[mapping.table] = [str(each["AttributeName"]) for each in schema]
        stream = table.get("StreamSpecification", {})
        view = str(stream["StreamViewType"]) if stream.get("StreamEnabled", False) else ""
        latest = str(table["LatestStreamArn"]) if view else ""
    if problem := stream_problem(mapping.table, view):
        yield not_well("table-stream", f"{_upper(problem.said)}.", _advice(problem.fix))
    elif latest != mapping.source:
        yield not_well(
            "table-stream",
            f"The event source mapping of the table {mapping.table} reads an old stream, which is no "
            "longer the table's.",
            f"Deploy deploy/pipeline.yaml with {latest} in TableStreamArns, then replicator verify "
            f"{mapping.table}.",
        )
    else:
        yield well("table-stream", f"The stream of the table {mapping.table} is on: {view}.")


def _advice(fix: str) -> str:
    return f"Run {fix}." if fix.startswith("aws ") else f"{_upper(fix)}."


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]
