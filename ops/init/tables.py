"""Reads what DynamoDB says of tables. Never guesses: what could not be read says why.

Sources: Amazon DynamoDB API reference, ``DescribeTable``, ``DescribeTimeToLive``, ``ListTables``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ops.aws import CHECK_WHERE, asking, code_of, no_table
from ops.console.exit_status import CommandError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ops.aws import Aws

_WILDCARD = "*"
_TTL_ON = ("ENABLED", "ENABLING")


@dataclass(frozen=True, slots=True)
class SecondaryIndex:
    """A local or global secondary index.

    Attributes:
        name: its name.
        key: its key attributes, those of the partition key first.
    """

    name: str
    key: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TimeToLive:
    """What is known of a table's time to live.

    Attributes:
        attribute: the attribute that holds the time; empty: it is off, or not known.
        unknown: why it is not known; empty: it is.
    """

    attribute: str = ""
    unknown: str = ""


@dataclass(frozen=True, slots=True)
class TableDescription:
    """A table.

    Attributes:
        name: its name.
        key: its key attributes and their types, the partition key first.
        stream_view: the view type of its stream; empty: it is off.
        time_to_live: its time to live.
        indexes: its secondary indexes.
    """

    name: str
    key: Mapping[str, str]
    stream_view: str = ""
    time_to_live: TimeToLive = TimeToLive()
    indexes: Sequence[SecondaryIndex] = ()


def read_tables(aws: Aws, wanted: Iterable[str]) -> list[TableDescription]:
    """Describes tables, each once.

    Args:
        aws: the clients.
        wanted: names, or patterns: the beginning of names and `*`.

    Raises:
        CommandError: a table does not exist, a pattern fits none, or AWS refuses or does not answer.
    """
    names = dict.fromkeys(name for each in wanted for name in _names_of(aws, each))
    found = [_describe(aws, name) for name in names]
    return list({table.name: table for table in found}.values())  # a name and its ARN are one table


def _names_of(aws: Aws, text: str) -> list[str]:
    if _WILDCARD not in text:
        return [text]
    beginning = text.removesuffix(_WILDCARD)
    if _WILDCARD in beginning:
        raise CommandError(f"the pattern {text!r} is not the beginning of a name with one * at its end")
    with asking("listing the tables"):
        pages = aws.dynamodb.get_paginator("list_tables").paginate()
        names = [name for page in pages for name in page["TableNames"] if name.startswith(beginning)]
    if not names:
        raise CommandError(f"no table matches the pattern {text!r}{_here(aws)}")
    return sorted(names)


def _describe(aws: Aws, name: str) -> TableDescription:
    try:
        with asking(f"describing the table {name!r}"):
            table: Any = aws.dynamodb.describe_table(TableName=name)["Table"]
            return _description_of(table, _time_to_live(aws, name))
    except CommandError as error:
        if code_of(error) == "ResourceNotFoundException":
            raise CommandError(no_table(name, aws.dynamodb.meta.region_name)) from error
        raise


def _here(aws: Aws) -> str:
    return f" in the region {aws.dynamodb.meta.region_name}{CHECK_WHERE}"


def _time_to_live(aws: Aws, name: str) -> TimeToLive:
    try:
        with asking("describing its time to live"):
            found: Any = aws.dynamodb.describe_time_to_live(TableName=name)["TimeToLiveDescription"]
            is_on = found["TimeToLiveStatus"] in _TTL_ON
            return TimeToLive(str(found["AttributeName"]) if is_on else "")
    except CommandError as error:
        if code_of(error) in ("AccessDenied", "AccessDeniedException"):
            return TimeToLive(unknown="the permission dynamodb:DescribeTimeToLive is missing")
        return TimeToLive(unknown=str(error))


def _description_of(table: Any, time_to_live: TimeToLive) -> TableDescription:
    """Reads a description; raises any error if it has another form."""
    types = {each["AttributeName"]: each["AttributeType"] for each in table["AttributeDefinitions"]}
    stream = table.get("StreamSpecification", {})
    indexes = [
        SecondaryIndex(each["IndexName"], _key_of(each))
        for kind in ("LocalSecondaryIndexes", "GlobalSecondaryIndexes")
        for each in table.get(kind) or ()
    ]
    return TableDescription(
        name=table["TableName"],
        key={name: types[name] for name in _key_of(table)},
        stream_view=stream["StreamViewType"] if stream.get("StreamEnabled", False) else "",
        time_to_live=time_to_live,
        indexes=indexes,
    )


def _key_of(described: Any) -> tuple[str, ...]:
    """The key attributes, partition key first; a global index can have several of each kind."""
    schema = sorted(described["KeySchema"], key=lambda each: str(each["KeyType"]) != "HASH")
    if not schema:
        raise ValueError("no key")
    return tuple(each["AttributeName"] for each in schema)
