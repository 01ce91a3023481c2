"""What a change becomes: which document, with which fields; and what is said about a wrong mapping."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import bson
import pytest
from bson.codec_options import DatetimeConversion
from bson.datetime_ms import DatetimeMS
from bson.decimal128 import Decimal128
from bson.int64 import Int64

from local.paths import ROOT
from shared.change import Change, Op
from shared.errors import FatalError, PoisonError
from tests.support.builders import LABEL, TABLE, delete, put, put_item
from writer.mapping.document import MAX_DOCUMENT_BYTES, image_of, locate
from writer.mapping.parser import parse_replication
from writer.mapping.rules import Rules, Table

if TYPE_CHECKING:
    from collections.abc import Mapping

LONG = "12345678901234567890123456789012345678"
EXAMPLE = """
tables:
  mytable:
    key: [id]
    fields:
      age: {default: null}
      created_at: {convert: epoch_seconds}
"""


def rules(text: str, table: str = TABLE) -> Table:
    return Rules(parse_replication(text, "replication.yaml")).table(table)


def encoded(change: Change, replication: str = "") -> bytes:
    table = rules(replication, change.table)
    image = image_of(table, change, locate(table, change))
    assert image is not None
    return image.document


def document(change: Change, replication: str = "") -> dict[str, Any]:
    return bson.decode(encoded(change, replication))


def fields(change: Change, replication: str = "") -> dict[str, Any]:
    """The document without `_id` and metadata."""
    return {
        name: value for name, value in document(change, replication).items() if name not in {"_id", "_ddb"}
    }


def document_id(change: Change, replication: str = "") -> Any:
    return locate(rules(replication), change).document_id


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
    ("rule", "image", "expected"),
    [
        ("{default: null}", {}, {"f": None}),
        ("{default: null}", {"f": 1}, {"f": 1}),
        ("{default: null}", {"f": None}, {"f": None}),
        ("{default: 5}", {"f": None}, {"f": None}),
        ("{default: 5}", {}, {"f": 5}),
        ("{default: [a, {b: 1.5}]}", {}, {"f": ["a", {"b": 1.5}]}),
        ("{default: 2020-01-01 00:00:00}", {}, {"f": dt.datetime(2020, 1, 1)}),  # noqa: DTZ001
        ("{default: 0, convert: epoch_seconds}", {}, {"f": 0}),
        ("{}", {}, {}),
        ("{convert: epoch_seconds}", {}, {}),
        ("{convert: epoch_seconds}", {"f": None}, {"f": None}),
    ],
)
def test_a_default_is_for_what_is_absent(
    rule: str, image: dict[str, Any], expected: Mapping[str, Any]
) -> None:
    """Null is a value: it is kept where the item has it, and given where the mapping says so."""
    assert fields(put(1, **image), f"tables: {{mytable: {{fields: {{f: {rule}}}}}}}") == {
        "id": 1,
        **expected,
    }


def milliseconds_of(value: Any, numbers: str = "native", unit: str = "epoch_seconds") -> int:
    """What the document holds as a date, in milliseconds since 1970."""
    text = f"tables: {{mytable: {{numbers: {numbers}, fields: {{t: {{convert: {unit}}}}}}}}}"
    options = bson.CodecOptions[dict[str, Any]](datetime_conversion=DatetimeConversion.DATETIME_MS)
    date = bson.decode(encoded(put(1, t=value), text), options)["t"]
    assert isinstance(date, DatetimeMS)
    return int(date)


@pytest.mark.parametrize("numbers", ["native", "decimal128", "double"])
@pytest.mark.parametrize(
    ("wire", "milliseconds"),
    [
        (0, 0),
        (1588166542, 1588166542000),
        (-1, -1000),
        (-2208988800, -2208988800000),
        (1.5, 1500),
        (0.0015, 2),
        (0.0025, 2),
        (-0.25, -250),
        (1588166542.123, 1588166542123),
        ({"$n": "1588166542.1234567890123"}, 1588166542123),
        ({"$n": "-1588166542.1239"}, -1588166542124),
        (9223372036854775, 9223372036854775000),
        (253402300800, 253402300800000),  # the year 10000, which Python's datetime does not have
    ],
)
def test_epoch_seconds(wire: Any, milliseconds: int, numbers: str) -> None:
    """Whole, negative and fractional seconds, whatever the table's policy makes of the number."""
    assert milliseconds_of(wire, numbers) == milliseconds


def test_epoch_millis() -> None:
    """The other unit."""
    assert milliseconds_of(1588166542123, unit="epoch_millis") == 1588166542123
    assert milliseconds_of(-1.5, unit="epoch_millis") == -2


@pytest.mark.parametrize(
    "wire",
    [
        "1588166542",
        "",
        True,
        ["1"],
        {"a": 1},
        {"$b": "AA=="},
        {"$ss": ["1"]},
        9223372036854776,
        -9223372036854776,
        1e100,
        {"$n": "1E+125"},
        {"$n": "12345678901234567890123456789012345678"},
    ],
    ids=repr,
)
def test_what_is_no_date_is_poison(wire: Any) -> None:
    """Never a guess; the reason names the field and not the value."""
    with pytest.raises(PoisonError, match="'t'") as caught:
        milliseconds_of(wire)
    assert caught.value.code == "bad-conversion"
    assert "1588166542" not in caught.value.reason


@pytest.mark.parametrize(
    ("key", "mapping", "expected"),
    [
        ({"id": 3}, "", 3),
        ({"id": "3"}, "", "3"),
        ({"id": {"$b": "AAE="}}, "", b"\x00\x01"),
        ({"id": 1.5}, "", 1.5),
        ({"id": {"$n": "12345678901234567890"}}, "", Decimal128("12345678901234567890")),
        ({"id": {"$n": LONG}}, "", LONG),
        ({"id": 1.5}, "numbers: decimal128", Decimal128("1.5")),
        ({"id": {"$n": "12345678901234567890"}}, "numbers: double", Decimal128("12345678901234567890")),
        ({"sk": 2, "pk": 1}, "", {"pk": 1, "sk": 2}),
        ({"sk": 2, "pk": 1}, "key: [sk, pk]", {"sk": 2, "pk": 1}),
        ({"sk": 2, "pk": 1}, "key: [pk, sk]", {"pk": 1, "sk": 2}),
        ({"$a": 1, "b.c": 2}, "", {"_$a": 1, "b.c": 2}),
        ({"$a": 1, "_$a": 2}, "", {"__$a": 1, "_$a": 2}),
        ({"$id": 1}, "", 1),
        ({"$ref": 1, "$id": 2}, "", {"_$id": 2, "_$ref": 1}),
        ({"pk": {"$b": "AA=="}, "sk": {"$n": "1E+30"}}, "", {"pk": b"\0", "sk": Decimal128("1E+30")}),
    ],
    ids=repr,
)  # fmt: skip
def test_the_id(key: dict[str, Any], mapping: str, expected: Any) -> None:
    """One attribute: its value. Two: a document in the order that the mapping gives, or by name."""
    change = delete(1, key)
    got = document_id(change, f"tables: {{mytable: {{{mapping}}}}}")
    assert bson.encode({"_id": got}) == bson.encode({"_id": expected})
    assert document(put(1, key), f"tables: {{mytable: {{{mapping}}}}}")["_id"] == expected


@pytest.mark.parametrize("numbers", ["native", "decimal128", "double"])
def test_different_keys_are_different_documents(numbers: str) -> None:
    """No policy for numbers makes one document of two items (P1)."""
    texts = ["12345678901234567890", "12345678901234567891", "0.1", "0.10000000000000000001", "1", "1E+20"]
    mapping = f"tables: {{mytable: {{numbers: {numbers}}}}}"
    changes = [put_item(1, {"id": {"N": text}}) for text in texts]
    ids = {bson.encode({"_id": document_id(change, mapping)}) for change in changes}
    assert len(ids) == len(texts)


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


def test_an_item_whose_key_is_called_id_with_underscore() -> None:
    """The key attribute `_id` is the document's `_id`, and its field moves like any other."""
    change = put(1, {"_id": "k"})
    assert document(change) == {
        "_id": "k",
        "_id_": "k",
        "_ddb": {"v": change.version, "renamed": {"_id_": "_id"}},
    }


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


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("tables: [", ["not YAML"]),
        ("tables: {t: {fields: {f: {default: 2020-13-45}}}}", ["replication.yaml"]),
        ("[]", ["the file"]),
        ("table: {}", ["table:", "no such setting", "did you mean tables"]),
        ("tables: {mytable: {keys: [id]}}", ["tables.mytable.keys", "did you mean key?", "numbers"]),
        ("tables: {mytable: {key: id}}", ["tables.mytable.key"]),
        ("tables: {mytable: {key: [a, b, c]}}", ["tables.mytable.key"]),
        ("tables: {mytable: {key: [a, a]}}", ["tables.mytable", "'a' twice"]),
        ("tables: {mytable: {numbers: float}}", ["tables.mytable.numbers", "'native'", "'double'"]),
        ("tables: {mytable: {fields: {age: {convert: date}}}}", ["fields.age.convert", "epoch_seconds"]),
        ("tables: {mytable: {fields: {age: {defualt: 1}}}}", ["fields.age.defualt", "did you mean default?"]),
        ("tables: {mytable: {fields: {_ddb: {default: 1}}}}", ["tables.mytable", "'_ddb'"]),
        ("tables: {mytable: {fields: {f: {default: 2020-01-01}}}}", ["mytable.fields.f", "date", "BSON"]),
        ("tables: {mytable: {fields: {f: {default: 9223372036854775808}}}}", ["mytable.fields.f", "int"]),
        ("tables: {mytable: {fields: {f: {default: &a [*a]}}}}", ["recursive", "line 1"]),
        ("tables: {mytable: {fields: {f: {default: {1: a}}}}}", ["tables.mytable.fields.f", "dict"]),
        ("tables: {mytable: {collection: ''}}", ["tables.mytable.collection"]),
        ("tables: {mytable: {collection: system.users}}", ["tables.mytable", "system.users"]),
        ("tables: {mytable: {collection: _replicator_tombstones}}", ["tables.mytable", "reserved"]),
        ("tables: {mytable: {collection: a..b}}", ["tables.mytable", "a..b"]),
        ("tables: {mytable: {collection: a$b}}", ["tables.mytable", "a$b"]),
        ("tables: {a: {collection: c}, b: {collection: c}}", ["'a'", "'b'", "'c'"]),
        ("tables: {a: {collection: b}, b: {}}", ["'a'", "'b'"]),
        ("tables: {12: {}}", ["12"]),
        ("tables: {a: {key: x}, b: {numbers: y}}", ["tables.a.key", "tables.b.numbers"]),
    ],
)  # fmt: skip
def test_mistakes_in_the_file_name_file_and_place(text: str, named: list[str]) -> None:
    """All of them in one sentence; never a traceback."""
    with pytest.raises(FatalError) as caught:
        rules(text)
    for part in ["replication.yaml", *named]:
        assert part in str(caught.value)


@pytest.mark.parametrize("text", ["", "# nothing\n", "tables: {}", "tables: {other: {key: [a, b]}}"])
def test_a_table_without_a_rule_is_replicated_as_it_is(text: str) -> None:
    """To the collection of its own name, without conversions."""
    change = put(1, created_at=5)
    assert locate(rules(text), change).collection == TABLE
    assert fields(change, text) == {"id": 1, "created_at": 5}


def test_the_file_that_ships_is_right() -> None:
    """The example's mapping is the one of the README."""
    text = ROOT.joinpath("replication.yaml").read_text()
    assert parse_replication(text, "") == parse_replication(EXAMPLE, "")


def test_the_version_is_the_changes_place_in_the_order() -> None:
    """Label and digits, so that the stored string sorts like the changes."""
    change = Change(TABLE, LABEL, "0007", Op.PUT, {"id": 1}, 0, "e", {"id": 1})
    assert document(change)["_ddb"]["v"] == f"{LABEL} 01 7"
