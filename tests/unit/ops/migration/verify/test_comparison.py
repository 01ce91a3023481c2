"""When a document is what it should be, and to whom it belongs."""

from __future__ import annotations

from typing import Any

import bson
import pytest
from bson.decimal128 import Decimal128
from bson.int64 import Int64

from ops.migration.verify.comparison import (
    Kind,
    Stored,
    find_difference,
    impossible,
    key_identity,
)
from writer.mapping.parser import parse_replication
from writer.mapping.rules import Rules
from writer.write import hashable

V = "2020-04-30T17:47:21.395 01 7"
MARK = {"v": "2020-04-30T17:47:21.395 01 8", "at": None}


def judged(
    expected: dict[str, Any] | None,
    found: dict[str, Any] | None,
    rule: str = "{}",
    *,
    item_exists: bool | None = None,
) -> str | None:
    """The kind of the difference; metadata are added where there are none."""
    table = Rules(parse_replication(f"tables: {{items: {rule}}}", "r.yaml")).table("items")
    wanted = None if expected is None else bson.encode({"_id": 1, "_ddb": {"v": ""}, **expected})
    raw = None if found is None else bson.encode({"_id": 1, "_ddb": {"v": V}, **found})
    stored = None if raw is None else Stored.of(table, raw)
    there = expected is not None if item_exists is None else item_exists
    difference = find_difference(table, wanted, stored, item_exists=there)
    return None if difference is None else difference.kind


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, Int64(1)),
        (1, 1.0),
        (1, True),
        (1.5, Decimal128("1.5")),
        (Decimal128("1.5"), Decimal128("1.50")),
        (0.0, -0.0),
        ([1, 2], [2, 1]),
        ({"a": 1}, {"a": 1, "b": None}),
        ("1", b"1"),
        (None, False),
        ({"$ref": "a", "$id": 1}, {"$ref": "a", "$id": 1, "$db": None}),
    ],
    ids=repr,
)
def test_types_count(one: Any, other: Any) -> None:
    """As a query would tell them apart, or a program that reads them."""
    assert judged({"f": one}, {"f": other}) == Kind.DIFFERENT
    assert judged({"f": one}, {"f": one}) is None
    assert judged({"f": {"g": [other]}}, {"f": {"g": [other]}}) is None


def test_the_order_of_fields_and_the_version_do_not_count() -> None:
    """At every level."""
    assert judged({"a": {"x": 1, "y": 2}, "b": 2}, {"b": 2, "a": {"y": 2, "x": 1}}) is None


def test_both_kinds_of_absence() -> None:
    """An item without a document, and the other way round."""
    assert judged({}, None) == Kind.MISSING
    assert judged(None, {}) == Kind.EXTRA
    assert judged(None, None) is None


def test_the_metadata_say_what_was_renamed() -> None:
    """A document that says something else cannot be turned back into its item."""
    renamed = {"_ddb": {"v": "", "renamed": {"_id_": "_id"}}}
    assert judged({"_id_": 1, **renamed}, {"_id_": 1}) == Kind.DIFFERENT
    assert judged({"_id_": 1, **renamed}, {"_id_": 1, **renamed}) is None


@pytest.mark.parametrize("metadata", [{}, {"v": 7}, "text"], ids=repr)
def test_a_document_without_a_version(metadata: Any) -> None:
    """In a mirror it is extra without an item, and different with one; beside merged ones it is theirs."""
    assert judged(None, {"_ddb": metadata}) == Kind.EXTRA
    assert judged({}, {"_ddb": metadata}) == Kind.DIFFERENT
    assert judged(None, {"_ddb": metadata}, "{mode: merge}") is None
    assert judged({}, {"_ddb": metadata}, "{mode: merge}") == Kind.DIFFERENT


def test_fields_of_applications() -> None:
    """Beside what replication wrote they are ignored; what replication wrote earlier is not."""
    names = {"_ddb": {"v": "", "names": ["a", "b"]}}
    item = {"a": 1, "b": 2, **names}
    assert judged(item, {"a": 1, "b": 2, "score": 5, **names}, "{mode: merge}") is None
    assert judged(item, {"a": 1, "b": 2, "score": 5}, "{mode: merge}") == Kind.DIFFERENT
    turned = {"_ddb": {"v": "", "names": ["b", "a"]}}
    assert judged(item, {"a": 1, "b": 2, **turned}, "{mode: merge}") is None
    left = {"_ddb": {"v": "", "names": ["a", "b", "c"]}}
    assert judged(item, {"a": 1, "b": 2, "c": 3, **left}, "{mode: merge}") == Kind.DIFFERENT
    assert judged({"a": 1}, {"a": 1, "score": 5}) == Kind.DIFFERENT


def test_marked_documents_count_as_deleted() -> None:
    """Where deletions mark."""
    marked = {"_ddb": {"v": V, "deleted": MARK}}
    assert judged(None, marked, "{deletes: mark}") is None
    assert judged({}, marked, "{deletes: mark}") == Kind.MISSING
    assert judged(None, {}, "{deletes: mark}") == Kind.EXTRA


def test_documents_that_deletions_keep() -> None:
    """They stay; but not that of an item which the hook does not want."""
    for rule in ("{deletes: keep}", "{ttl_deletes: keep}"):
        assert judged(None, {}, rule) is None
        assert judged(None, {}, rule, item_exists=True) == Kind.EXTRA


def test_reasons_name_fields_and_not_their_values() -> None:
    """They go to logs and tickets."""
    table = Rules().table("items")
    wanted = bson.encode({"_id": 1, "_ddb": {"v": ""}, **{f"f{n}": "secret" for n in range(7)}})
    found = Stored.of(table, bson.encode({"_id": 1, "_ddb": {"v": V}}))
    difference = find_difference(table, wanted, found, item_exists=True)
    assert difference is not None
    assert difference.reason == "these fields differ: 'f0', 'f1', 'f2', 'f3', 'f4' and 2 more"


def test_a_map_that_looks_like_a_reference_is_a_map() -> None:
    """Also in lists and maps; one with another `$db` is another map."""
    for db in (None, "other"):
        reference = {"$ref": "x", "$id": 1, "$db": db}
        found = {"a": [reference], "b": {"c": {"$id": 1, "$ref": "x"}}}
        wanted = {"a": [{"$ref": "x", "$id": 1, "$db": None}], "b": {"c": {"$ref": "x", "$id": 1}}}
        assert judged(wanted, found) == (None if db is None else Kind.DIFFERENT)


def test_identities() -> None:
    """Of `_id`s and keys: numbers by value, composite ones by the order of their fields."""
    assert hashable(5) == hashable(5.0) == hashable(Decimal128("5"))
    assert hashable({"a": 1, "b": 2}) != hashable({"b": 2, "a": 1})
    assert key_identity({"a": {"N": "1E+2"}}) == key_identity({"a": {"N": "100"}})
    assert key_identity({"a": {"N": "1"}}) != key_identity({"a": {"S": "1"}})


def test_nan_is_the_same() -> None:
    """It is not equal to itself, but the same."""
    assert judged({"f": float("nan")}, {"f": float("nan")}) is None


def test_versions_that_cannot_be() -> None:
    """Of the future, or no time at all; that of a copy, of a change, and of a repair can be."""
    now = 1588166542.0  # 2020-04-29
    good = ["", None, "2020-04-29T13:22:22.123 01 7", "2020-04-29T13:22:22.123 01 7+", "+"]
    bad = ["2020-05-02T00:00:00.000 01 7", "9999-01-01T00:00:00.000 01 1", "9 01 1", "text"]
    assert impossible(now, *good, *bad) == bad
