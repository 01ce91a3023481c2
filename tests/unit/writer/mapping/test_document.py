"""What a change becomes: which document, with which fields."""

from __future__ import annotations

import datetime as dt
from typing import Any

import bson
import pytest
from bson.decimal128 import Decimal128
from bson.int64 import Int64

from shared.change import Change, Op
from shared.errors import PoisonError
from tests.support.builders import LABEL, TABLE, put, put_item
from tests.support.mapped_documents import EXAMPLE, document, encoded, fields, rules
from writer.mapping.document import MAX_DOCUMENT_BYTES, locate


def test_the_example() -> None:
    """A missing age is null, a timestamp is a date, the key is `_id` and stays a field."""
    item = {"id": {"N": "3"}, "Name": {"S": "John"}, "created_at": {"N": "1588166542"}}
    change = put_item(5, item)
    assert document(change, EXAMPLE) == {
        "_id": 3,
        "id": 3,
        "Name": "John",
        "created_at": dt.datetime(2020, 4, 29, 13, 22, 22),  # noqa: DTZ001 - as the driver decodes
        "age": None,
        "_ddb": {"v": change.version},
    }
    with_age = put_item(6, {**item, "age": {"N": "43"}})
    assert document(with_age, EXAMPLE)["age"] == 43
    assert next(iter(document(with_age, EXAMPLE))) == "_id"


@pytest.mark.parametrize(
    ("attributes", "kept", "renamed"),
    [
        ({"_id": 7}, {"_id_": 7}, {"_id_": "_id"}),
        ({"_ddb": 7}, {"_ddb_": 7}, {"_ddb_": "_ddb"}),
        ({"_id": 7, "_id_": 8}, {"_id_": 8, "_id__": 7}, {"_id__": "_id"}),
        ({"_id": 7, "_ddb": 8}, {"_id_": 7, "_ddb_": 8}, {"_id_": "_id", "_ddb_": "_ddb"}),
        ({"_id_": 7}, {"_id_": 7}, None),
        ({"_ddb": {"v": "9"}, "_ddb_": 1}, {"_ddb__": {"v": "9"}, "_ddb_": 1}, {"_ddb__": "_ddb"}),
    ],
)
def test_reserved_names_are_freed_and_the_renaming_is_recorded(
    attributes: dict[str, Any], kept: dict[str, Any], renamed: dict[str, str] | None
) -> None:
    """Nothing of the item is lost or overwritten, and it can be undone."""
    change = put(1, **attributes)
    assert fields(change) == {"id": 1, **kept}
    assert document(change)["_ddb"] == {"v": change.version, **({"renamed": renamed} if renamed else {})}


@pytest.mark.parametrize(
    ("settings", "attributes", "kept"),
    [
        ("metadata_field: _id_", {"_id": 7}, {"_id__": 7}),
        ("metadata_field: x_, id_attribute: x", {"_id": 7, "x": 8}, {"x__": 7, "x": 8}),
    ],
)
def test_a_free_name_is_not_that_of_the_metadata(
    settings: str, attributes: dict[str, Any], kept: dict[str, Any]
) -> None:
    """Otherwise the attribute would be lost."""
    found = document(put(1, **attributes), f"tables: {{mytable: {{{settings}}}}}")
    assert {name: found[name] for name in kept} == kept
    metadata = found[settings.split()[1].rstrip(",")]
    assert set(metadata["renamed"].values()) == {"_id"}


def test_odd_names_stay() -> None:
    """Names with `$`, with dots, empty ones: kept as they are, at every level."""
    image: dict[str, Any] = {"$set": 1, "a.b": {"$inc": 2, "c.d": [{"$x": 3}]}, "": 4}
    assert fields(put(1, **image)) == {"id": 1, **image}


ITEM: dict[str, dict[str, Any]] = {
    "id": {"N": "1"},
    "i": {"N": "5"},
    "l": {"N": "5000000000"},
    "f": {"N": "12.75"},
    "t": {"N": "0.1"},
    "d": {"N": "12345678901234567890.5"},
    "s": {"N": "1.2345678901234567890123456789012345678"},
    "n": {"NS": ["2", "1.5"]},
    "deep": {"M": {"x": {"L": [{"N": "0.1"}]}}},
}


def test_numbers() -> None:
    """Per policy: native is exact everywhere, decimal128 for all fractions, double where it is chosen."""

    def policy(name: str) -> dict[str, Any]:
        return fields(put_item(1, ITEM), f"tables: {{mytable: {{numbers: {name}}}}}")

    long = "1.2345678901234567890123456789012345678"
    decimal = Decimal128("12345678901234567890.5")
    assert policy("native") == {
        "id": 1, "i": 5, "l": Int64(5000000000), "f": 12.75, "t": 0.1, "d": decimal, "s": long,
        "n": [1.5, 2], "deep": {"x": [0.1]},
    }  # fmt: skip
    assert policy("decimal128") == {
        "id": 1, "i": 5, "l": 5000000000, "f": Decimal128("12.75"), "t": Decimal128("0.1"), "d": decimal,
        "s": long, "n": [Decimal128("1.5"), 2], "deep": {"x": [Decimal128("0.1")]},
    }  # fmt: skip
    assert policy("double") == {
        "id": 1, "i": 5, "l": 5000000000, "f": 12.75, "t": 0.1, "d": 12345678901234567890.5,
        "s": 1.2345678901234568, "n": [1.5, 2], "deep": {"x": [0.1]},
    }  # fmt: skip


def test_fractions_without_any_tag_follow_the_policy_too() -> None:
    """Most items are untagged, and are not walked without need."""
    change = put_item(1, {"id": {"N": "1"}, "f": {"N": "0.1"}})
    assert not change.tagged
    assert fields(change)["f"] == 0.1
    assert fields(change, "tables: {mytable: {numbers: decimal128}}")["f"] == Decimal128("0.1")


def test_other_types() -> None:
    """Binary, sets, booleans, null, empty containers and maps that look like tags."""
    item: dict[str, dict[str, Any]] = {
        "id": {"N": "1"},
        "b": {"B": "AAE="},
        "bs": {"BS": ["Ag==", "AQ=="]},
        "ss": {"SS": ["b", "a"]},
        "no": {"BOOL": False},
        "null": {"NULL": True},
        "empty": {"M": {}},
        "none": {"L": []},
        "text": {"S": ""},
        "tag": {"M": {"$b": {"S": "AAE="}}},
        "ref": {"M": {"$ref": {"S": "c"}, "$id": {"N": "1"}}},
    }
    expected = {
        "_id": 1, "id": 1, "b": b"\0\1", "bs": [b"\1", b"\2"], "ss": ["a", "b"], "no": False, "null": None,
        "empty": {}, "none": [], "text": "", "tag": {"$b": "AAE="}, "ref": {"$ref": "c", "$id": 1},
        "_ddb": {"v": put_item(1, item).version},
    }  # fmt: skip
    assert encoded(put_item(1, item)) == bson.encode(expected)


def test_a_document_that_mongodb_does_not_take_is_poison() -> None:
    """16 MiB with room for what is around it; said before anything is sent."""
    with pytest.raises(PoisonError) as caught:
        document(put(1, text="x" * MAX_DOCUMENT_BYTES))
    assert caught.value.code == "too-large"


def test_a_reason_never_quotes_a_value() -> None:
    """Reasons are for people and dashboards: the item stays in the letter's body."""
    for change in (put(1, **{"a\0": "SECRET"}), put(1, a=[{"b": {"\0": "SECRET"}}]), put(1, a=2**64 - 1)):
        with pytest.raises(PoisonError) as caught:
            document(change)
        assert caught.value.code == "not-bson"
        assert "SECRET" not in caught.value.reason
        assert "1844" not in caught.value.reason


@pytest.mark.parametrize("text", ["", "# nothing\n", "tables: {}", "tables: {other: {key: [a, b]}}"])
def test_a_table_without_a_rule_is_replicated_as_it_is(text: str) -> None:
    """To the collection of its own name, without conversions."""
    change = put(1, created_at=5)
    assert locate(rules(text), change).collection == TABLE
    assert fields(change, text) == {"id": 1, "created_at": 5}


def test_the_version_is_the_changes_place_in_the_order() -> None:
    """Label and digits, so that the stored string sorts like the changes."""
    change = Change(TABLE, LABEL, "0007", Op.PUT, {"id": 1}, 0, "e", {"id": 1})
    assert document(change)["_ddb"]["v"] == f"{LABEL} 01 7"
