"""Writes a commented `replication.yaml` for described tables. Pure.

Law: what is not a comment is only what DynamoDB said: names of tables and their keys. All else is a
suggestion in a comment, and what is not known is said to be so.
"""

from __future__ import annotations

import re
import shlex
import sys
from typing import TYPE_CHECKING

import yaml

from ops.console.exit_status import CommandError
from ops.init.indexes import index_commands
from writer.names import METADATA_FIELD, OURS, collection_problem

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ops.init.tables import TableDescription

_HEAD = """\
# yaml-language-server: $schema=./replication.schema.json
# Which tables become which collections; docs/mapping.md explains every setting. Editors complete and check
# this file after: replicator config-schema > replication.schema.json

# Changes of tables that are not named below are parked as dead letters; `replicate` takes them as they are.
unnamed_tables: refuse

tables:
"""
_WITH_IMAGES = ("NEW_IMAGE", "NEW_AND_OLD_IMAGES")
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*(\.[A-Za-z0-9_-]+)*")


def mapping_text(tables: Sequence[TableDescription], database: str = "") -> str:
    """The text of the file.

    Args:
        tables: what it names.
        database: the writer's database, for the commands that make indexes; empty: not known.

    Raises:
        CommandError: one of the tables cannot be replicated.
    """
    collections = _collections(tables)
    lines = [line for table in tables for line in ("", *_entry(table, collections[table.name]))][1:]
    return _HEAD + "".join(f"{line}\n" for line in [*lines, *_indexes(tables, database)])


def commands_for_mongosh(tables: Sequence[TableDescription], database: str = "") -> list[str]:
    """The `createIndex` commands that the tables' keys and indexes suggest; raises as `mapping_text`."""
    collections = _collections(tables)
    return [
        line
        for table in tables
        if (found := list(index_commands(table, database, collections[table.name])))
        for line in (f"// {table.name}", *found)
    ]


def _collections(tables: Sequence[TableDescription]) -> dict[str, str]:
    """The collection of each table: of the same name, unless MongoDB or we refuse that."""
    found: dict[str, str] = {}
    for table in tables:
        if table.name.startswith(OURS):
            raise CommandError(
                f"the table {table.name!r} cannot be replicated: names that begin with {OURS} are our own"
            )
        if not collection_problem(table.name):
            found[table.name] = table.name
    for table in tables:
        if table.name not in found:
            name = "table_" + re.sub(r"\.{2,}", ".", table.name).strip(".")
            while name in found.values():
                name += "_"
            found[table.name] = name
    return {table.name: found[table.name] for table in tables}


def _entry(table: TableDescription, collection: str) -> Iterator[str]:
    yield f"  {_scalar(table.name)}:"
    kinds = ("Partition key", "sort key")
    parts = [
        f"{kind} {_scalar(name)} ({type_})"
        for kind, (name, type_) in zip(kinds, table.key.items(), strict=False)
    ]
    yield f"    # {' and '.join(parts)}. It cannot change once documents are there."
    yield f"    key: [{', '.join(map(_scalar, table.key))}]"
    if collection != table.name:
        yield "    # MongoDB refuses the table's name for a collection. Choose it before documents are there."
        yield f"    collection: {_scalar(collection)}"
    yield from _stream(table)
    yield from _time_to_live(table)


def _stream(table: TableDescription) -> Iterator[str]:
    named = f"--table-name={shlex.quote(table.name)} --stream-specification"
    on = f"aws dynamodb update-table {named} StreamEnabled=true,StreamViewType=NEW_AND_OLD_IMAGES"
    if table.stream_view in _WITH_IMAGES:
        yield f"    # Its stream is on: {table.stream_view}."
        return
    if not table.stream_view:
        yield "    # Its stream is off, and without one nothing is replicated. Switch it on:"
    else:
        yield f"    # Its stream is {table.stream_view}, which has no new images. Switch it off and on again:"
        yield f"    #   aws dynamodb update-table {named} StreamEnabled=false"
    yield f"    #   {on}"


def _time_to_live(table: TableDescription) -> Iterator[str]:
    time_to_live = table.time_to_live
    if time_to_live.unknown:
        yield f"    # Time to live: unknown: {_one_line(time_to_live.unknown)}."
        return
    if not time_to_live.attribute:
        yield "    # Time to live: off."
        return
    attribute = time_to_live.attribute
    yield f"    # Time to live: by {_scalar(attribute)}. Documents of expired items go. To keep them:"
    yield "    # ttl_deletes: keep"
    if attribute == METADATA_FIELD:  # no rule can be about a field of this name
        return
    yield "    # Its seconds as a date, if they are a number in every item:"
    yield "    # fields:"
    yield f"    #   {_scalar(_path(attribute))}: {{convert: epoch_seconds}}"


def _indexes(tables: Sequence[TableDescription], database: str) -> Iterator[str]:
    lines = commands_for_mongosh(tables, database)
    if not lines:
        return
    where = "" if database else ", in the database of MONGODB_DATABASE"
    yield ""
    yield f"# Indexes for the queries that these tables serve in DynamoDB. For mongosh{where}:"
    yield "#"
    yield from (f"# {line}" for line in lines)


def _path(attribute: str) -> str:
    r"""An attribute's name as a path (`writer.mapping.paths`): a dot is written `\.`, and so on."""
    return re.sub(r"([.\\*\[])", r"\\\1", attribute)


def _scalar(text: str) -> str:
    """A text as YAML: plain where nobody can take it for something else, else in quotes."""
    if _PLAIN.fullmatch(text) and yaml.safe_load(text) == text:
        return text
    return yaml.safe_dump(text, default_style='"', width=sys.maxsize, allow_unicode=True).strip()


def _one_line(text: str) -> str:
    return " ".join(text.split())
