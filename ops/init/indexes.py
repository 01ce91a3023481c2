"""Which indexes MongoDB needs for the queries that a table's keys serve in DynamoDB, for mongosh. Pure.

Law: a command is printed only if mongosh makes exactly this index of it; else a comment says why there is
none.

A secondary index holds only the items that have its key attributes. So does the partial index that stands for
it; MongoDB uses it for every query that compares these fields with a value.

Sources: MongoDB manual, "Partial Indexes", "Field Names with Periods and Dollar Signs"; ECMAScript,
"OrdinaryOwnPropertyKeys" (names that are array indexes come first, in numeric order).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from writer.names import METADATA_FIELD

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ops.init.tables import TableDescription

_RESERVED = {"_id": "_id_", METADATA_FIELD: f"{METADATA_FIELD}_"}
"""Attributes that get another name (docs/mapping.md, "metadata_field, id_attribute")."""

_LAST_ARRAY_INDEX = 2**32 - 2


def index_commands(table: TableDescription, database: str, collection: str) -> Iterator[str]:
    """The lines for mongosh: commands, and comments that begin with `//`.

    Args:
        table: the table.
        database: its target; empty: the one that mongosh uses.
        collection: its collection.
    """
    place = f"db.getSiblingDB({_js(database)})" if database else "db"
    key = tuple(table.key)
    made: dict[tuple[tuple[str, ...], tuple[str, ...]], str] = {((key[0],), ()): "_id"}
    if len(key) > 1:
        made = {}
        wanted = [("", "the table's key: _id serves queries by the whole key only", key)]
    else:
        wanted = []
    wanted += [(each.name, f"the index {each.name}", each.key) for each in table.indexes]
    for name, words, attributes in wanted:
        fields = tuple(_RESERVED.get(each, each) for each in attributes)
        optional = tuple(_RESERVED.get(each, each) for each in attributes if each not in key)
        if other := made.get((fields, optional)):
            yield f"// {words}: the index {other} serves it, too"
        elif problem := _problem(fields):
            yield f"// {words}: {problem}"
        else:
            made[fields, optional] = name or "of the table's key"
            yield f"// {words}"
            arguments = _arguments(name, fields, optional)
            yield f"{place}.getCollection({_js(collection)}).createIndex({arguments});"


def _arguments(name: str, fields: Sequence[str], optional: Sequence[str]) -> str:
    options: dict[str, object] = {}
    if name:
        options["name"] = name
    if optional:
        options["partialFilterExpression"] = {field: {"$exists": True} for field in optional}
    keys = _js(dict.fromkeys(fields, 1))
    return f"{keys}, {_js(options)}" if options else keys


def _problem(fields: Sequence[str]) -> str | None:
    """Why there is no command for these fields, in their order."""
    for field in fields:
        if "." in field or field.startswith("$") or "\0" in field:
            return f"MongoDB cannot index a field called {_js(field)}; rename it in the mapping"
        if field == "__proto__":
            return "mongosh cannot write a field called __proto__; rename it in the mapping"
    numbers = [field for field in fields if _is_array_index(field)]
    if list(fields[: len(numbers)]) != sorted(numbers, key=int):
        return f"mongosh would change the order of {', '.join(map(_js, fields))}; rename them in the mapping"
    return None


def _is_array_index(name: str) -> bool:
    """Whether JavaScript takes a name for a number, and puts it first."""
    is_number = name.isascii() and name.isdigit() and str(int(name)) == name
    return is_number and int(name) <= _LAST_ARRAY_INDEX


def _js(value: object) -> str:
    """A value as JavaScript: JSON is a part of it, but for `__proto__`."""
    return json.dumps(value)
