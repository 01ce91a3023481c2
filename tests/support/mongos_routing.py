"""Where a router sends a write on a sharded collection of two shards. Pure.

Sources: MongoDB manual, "Sharded Cluster Query Routing", "Shard Keys", and "db.collection.updateOne()" about
upserts on sharded collections, as of 5.0 and 6.0.
"""

from __future__ import annotations

import contextlib
import zlib
from typing import TYPE_CHECKING, Any

import bson

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SHARDS = (0, 1)


class NoTarget(Exception):  # noqa: N818 - an answer, not an error of ours
    """A write names no shard (code 61, ShardKeyNotFound)."""


def target(name: str, operation: Mapping[str, Any], key: Sequence[str]) -> Sequence[int]:
    """The shards that get a write."""
    if name == "insert":
        return [shard_of(values_of(operation, key))]
    query = operation["q"]
    if operation.get("multi"):
        return SHARDS
    with contextlib.suppress(NoTarget):
        return [shard_of([_equality(query, path) for path in key])]
    if operation.get("upsert"):
        raise NoTarget("Failed to target upsert by query :: could not extract exact shard key")
    _equality(query, "_id")
    return SHARDS


def _equality(query: Mapping[str, Any], path: str) -> Any:
    if path not in query:
        raise NoTarget(f"a write must contain the shard key or an exact match on {path}")
    value = query[path]
    if isinstance(value, dict) and any(name.startswith("$") for name in value):
        if list(value) != ["$eq"]:
            raise NoTarget(f"{path} is no equality")
        value = value["$eq"]
    return _single(value)


def values_of(document: Mapping[str, Any], key: Sequence[str]) -> list[Any]:
    values = []
    for path in key:
        value: Any = document
        for name in path.split("."):
            value = _single(value).get(name) if isinstance(value, dict) else None
        values.append(_single(value))
    return values


def _single(value: Any) -> Any:
    if isinstance(value, list):
        raise NoTarget("Shard key cannot contain array values or array descendants.")
    return value


def shard_of(values: Sequence[Any]) -> int:
    """Numbers that are equal lead to the same shard, whatever their type."""
    return zlib.crc32(bson.encode({"values": [_plain(value) for value in values]})) & 1


def _plain(value: Any) -> Any:
    is_number = isinstance(value, int | float | bson.Decimal128) and not isinstance(value, bool)
    return float(str(value)) if is_number else value
