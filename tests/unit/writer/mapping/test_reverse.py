"""Documents → items: renamed attributes, and what is refused; the round trip is in tests/property."""

from __future__ import annotations

import datetime as dt
import re
import uuid
from typing import Any

import bson
import pytest
from bson.binary import Binary
from bson.code import Code
from bson.datetime_ms import DatetimeMS
from bson.dbref import DBRef
from bson.decimal128 import Decimal128
from bson.int64 import Int64
from bson.max_key import MaxKey
from bson.objectid import ObjectId
from bson.raw_bson import RawBSONDocument
from bson.regex import Regex
from bson.timestamp import Timestamp

from writer.mapping.reverse import item_of


def test_a_document() -> None:
    """Every type, without `_id` and metadata."""
    document = {
        "_id": 1,
        "id": 1,
        "long": Int64(2**40),
        "double": 12.75,
        "decimal": Decimal128("1.50"),
        "text": "",
        "binary": b"\0",
        "also binary": Binary(b"\1"),
        "yes": True,
        "nothing": None,
        "list": [1, "two", []],
        "map": {"a.b": {"$c": 3}, "_id": "inside", "_ddb": "inside"},
        "_ddb": {"v": "v"},
    }
    assert item_of(document) == {
        "id": {"N": "1"},
        "long": {"N": "1099511627776"},
        "double": {"N": "12.75"},
        "decimal": {"N": "1.5"},
        "text": {"S": ""},
        "binary": {"B": b"\0"},
        "also binary": {"B": b"\1"},
        "yes": {"BOOL": True},
        "nothing": {"NULL": True},
        "list": {"L": [{"N": "1"}, {"S": "two"}, {"L": []}]},
        "map": {"M": {"a.b": {"M": {"$c": {"N": "3"}}}, "_id": {"S": "inside"}, "_ddb": {"S": "inside"}}},
    }


def test_attributes_that_were_renamed() -> None:
    """Under their own names again, at the top level only; `_id_` that was not renamed stays."""
    document = {
        "_id": "x",
        "_id__": "theirs",
        "_id_": "another",
        "_ddb_": 7,
        "m": {"_id__": 1},
        "_ddb": {"v": "v", "renamed": {"_id__": "_id", "_ddb_": "_ddb"}},
    }
    assert item_of(document) == {
        "_id": {"S": "theirs"},
        "_id_": {"S": "another"},
        "_ddb": {"N": "7"},
        "m": {"M": {"_id__": {"N": "1"}}},
    }


@pytest.mark.parametrize("metadata", [{}, {"_ddb": None}, {"_ddb": {}}, {"_ddb": {"renamed": 1}}], ids=repr)
def test_without_metadata_nothing_was_renamed(metadata: dict[str, Any]) -> None:
    """As after a projection."""
    assert item_of({"_id": 1, "_id_": 1, **metadata}) == {"_id_": {"N": "1"}}


def test_another_metadata_field() -> None:
    """Its name is the caller's to say; `_ddb` is an attribute like any other then."""
    document = {"_id": 1, "_ddb": 1, "meta_": 2, "meta": {"v": "v", "renamed": {"meta_": "meta"}}}
    assert item_of(document, "meta") == {"_ddb": {"N": "1"}, "meta": {"N": "2"}}


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0"),
        (-7, "-7"),
        (0.0, "0"),
        (-0.0, "0"),
        (1.0, "1"),
        (1e22, "10000000000000000000000"),
        (1e-7, "0.0000001"),
        (Decimal128("0E+3"), "0"),
        (Decimal128("-0.0"), "0"),
        (Decimal128("1.50"), "1.5"),
        (Decimal128("1E+3"), "1000"),
        (Decimal128("1" * 34), "1" * 34),
        (Decimal128("1E-130"), "0." + "0" * 129 + "1"),
        (Decimal128("9.99E+125"), "999" + "0" * 123),
    ],
)
def test_numbers_have_one_notation(number: Any, text: str) -> None:
    """Plain digits, without needless zeros, sign of zero or exponent."""
    assert item_of({"n": number}) == {"n": {"N": text}}


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (dt.datetime(2020, 1, 1, tzinfo=dt.UTC), "date"),
        (DatetimeMS(0), "date"),
        (ObjectId("5f1a2b3c4d5e6f7081920a0b"), "objectId"),
        (Regex("a"), "regex"),
        (re.compile("a"), "regex"),
        (Timestamp(1, 1), "timestamp"),
        (Code("f()"), "javascript"),
        (Code("f()", {"x": 1}), "javascript"),
        (MaxKey(), "maxKey"),
        (Binary(b"x" * 16, 4), "binary of subtype 4"),
        (uuid.UUID(int=1), "binary of subtype 4"),
        (Binary(b"x", 128), "binary of subtype 128"),
        (float("nan"), "double that is not finite"),
        (float("-inf"), "double that is not finite"),
        (Decimal128("NaN"), "decimal that is not finite"),
        (Decimal128("Infinity"), "decimal that is not finite"),
    ],
    ids=repr,
)
def test_what_no_attribute_becomes_is_refused(value: Any, kind: str) -> None:
    """Wherever it is; the text names the place and the type, and not the value."""
    for document, place in (
        ({"a.b": value}, "a.b"),
        ({"m": {"list": [1, {"x": value}]}}, "m.list[1].x"),
        ({"l": [[value]]}, "l[0][0]"),
    ):
        with pytest.raises(ValueError, match=f"BSON value of type {re.escape(kind)}$") as caught:
            item_of({"_id": 1, "before": 1, **document})
        assert f"field {place}:" in str(caught.value)


@pytest.mark.parametrize("number", [5e-324, 1e126, Decimal128("9E-131"), Decimal128("1E+126")], ids=repr)
def test_a_number_that_dynamodb_cannot_hold_is_refused(number: Any) -> None:
    """Somebody else wrote it."""
    with pytest.raises(ValueError, match=r"^field n\[0\]: a (double|decimal) is outside"):
        item_of({"n": [number]})


def test_a_map_that_looks_like_a_reference() -> None:
    """PyMongo reads it as a `DBRef`; it comes back as the map that it is."""
    reference = {"$ref": "users", "$id": 7, "more": [1]}
    encoded = bson.encode({"_id": 1, "r": reference})
    expected = {"M": {"$ref": {"S": "users"}, "$id": {"N": "7"}, "more": {"L": [{"N": "1"}]}}}
    assert isinstance(bson.decode(encoded)["r"], DBRef)
    assert item_of(bson.decode(encoded)) == {"r": expected}
    assert item_of(RawBSONDocument(encoded)) == {"r": expected}


def test_what_a_reference_loses() -> None:
    """A `$db` of null, and only where PyMongo read a `DBRef`."""
    encoded = bson.encode({"_id": 1, "r": {"$ref": "users", "$id": 7, "$db": None}})
    without = {"$ref": {"S": "users"}, "$id": {"N": "7"}}
    assert item_of(bson.decode(encoded)) == {"r": {"M": without}}
    assert item_of(RawBSONDocument(encoded)) == {"r": {"M": {**without, "$db": {"NULL": True}}}}
