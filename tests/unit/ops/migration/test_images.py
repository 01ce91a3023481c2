"""Items that were read from a table: what they become, and the way back from `_id` to the key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import bson
import pytest
from bson.decimal128 import Decimal128

from ops.migration.images import copied, key_of_id, write_of
from shared.errors import PoisonError
from tests.support.builders import put_item
from writer.mapping.parser import parse_replication
from writer.mapping.rules import Rules

if TYPE_CHECKING:
    from writer.mapping.rules import Table


def table_of(rule: str = "{}") -> Table:
    return Rules(parse_replication(f"tables: {{items: {rule}}}", "r.yaml")).table("items")


def test_a_copy_is_what_the_stream_would_make_of_the_item() -> None:
    """But for the version."""
    item: dict[str, dict[str, Any]] = {
        "id": {"N": "1"},
        "d": {"N": "1.50"},
        "b": {"B": b"\x00"},
        "_id": {"S": "x"},
        "s": {"SS": ["b", "a"]},
    }
    table = table_of("{fields: {age: {default: null}}}")
    found = write_of(table, copied("items", {"id": "N"}, item, 0))
    streamed = write_of(table, put_item(1, item, table="items"))  # type: ignore[arg-type]
    assert found is not None
    assert streamed is not None
    documents = [bson.decode(each.document or b"") for each in (found, streamed)]
    assert documents[0]["_ddb"].pop("v") == ""
    assert documents[1]["_ddb"].pop("v") != ""
    assert documents[0] == documents[1]


@pytest.mark.parametrize(
    ("item", "code"),
    [
        ({"name": {"S": "a"}}, "bad-key"),
        ({"id": {"S": "1"}}, "bad-key"),
        ({"id": {"N": "x"}}, "bad-number"),
        ({"id": "1"}, "bad-attribute"),
    ],
    ids=str,
)
def test_what_is_no_item_of_the_table_is_poison(item: dict[str, Any], code: str) -> None:
    """A line of a file can hold anything."""
    with pytest.raises(PoisonError) as error:
        copied("items", {"id": "N"}, item, 0)
    assert error.value.code == code


KEYS = [
    ({"id": "N"}, {"id": {"N": "7"}}),
    ({"id": "N"}, {"id": {"N": "-1.5"}}),
    ({"id": "N"}, {"id": {"N": "12345678901234567890"}}),
    ({"id": "N"}, {"id": {"N": "12345678901234567890123456789012345678"}}),
    ({"id": "S"}, {"id": {"S": "12"}}),
    ({"id": "B"}, {"id": {"B": b"\x00\xff"}}),
    ({"pk": "S", "sk": "N"}, {"pk": {"S": "a.b"}, "sk": {"N": "0.1"}}),
    ({"$pk": "S", "a": "B"}, {"$pk": {"S": "$"}, "a": {"B": b"1"}}),
]


@pytest.mark.parametrize(("key", "values"), KEYS, ids=repr)
@pytest.mark.parametrize("numbers", ["native", "decimal128", "double"])
def test_the_key_of_a_document(key: dict[str, str], values: dict[str, Any], numbers: str) -> None:
    """Every key that DynamoDB can have comes back, under every policy."""
    table = table_of(f"{{numbers: {numbers}}}")
    found = write_of(table, copied("items", key, values, 0))
    assert found is not None
    document_id = bson.decode(found.document or b"")["_id"]
    assert key_of_id(table, key, document_id) == values


def test_the_order_of_a_composite_key_is_that_of_the_mapping() -> None:
    """Names inside `_id` can have `_` in front, so places count."""
    table = table_of("{key: [sk, $pk]}")
    key = {"$pk": "S", "sk": "N"}
    assert key_of_id(table, key, {"sk": 1, "_$pk": "a"}) == {"sk": {"N": "1"}, "$pk": {"S": "a"}}
    assert key_of_id(table, key, {"_$pk": "a", "sk": 1}) is None


@pytest.mark.parametrize(
    "document_id",
    [bson.ObjectId("5f1a2b3c4d5e6f7081920a0b"), "text", None, True, {"id": 1}, [1], Decimal128("NaN")],
    ids=repr,
)
def test_an_id_that_no_item_can_have(document_id: Any) -> None:
    """Somebody else's document."""
    assert key_of_id(table_of(), {"id": "N"}, document_id) is None


def test_a_composite_id_needs_all_parts() -> None:
    """And is a document."""
    table, key = table_of("{key: [pk, sk]}"), {"pk": "S", "sk": "S"}
    for document_id in ("a", {"pk": "a"}, {"pk": "a", "sk": "b", "x": 1}, {"pk": "a", "sk": 1}):
        assert key_of_id(table, key, document_id) is None


def test_a_number_is_no_composite_id() -> None:
    """Nor one of a table whose key is text."""
    assert key_of_id(table_of(), {"pk": "N", "sk": "N"}, 5) is None
    assert key_of_id(table_of("{key: [id]}"), {"id": "S"}, 5) is None
    assert key_of_id(table_of("{key: [other]}"), {"id": "N"}, 5) is None
