"""What is said about a wrong mapping: every mistake, with its file and place."""

from __future__ import annotations

import pytest

from local.paths import ROOT
from shared.errors import FatalError
from tests.support.mapped_documents import EXAMPLE, rules
from writer.mapping.parser import parse_replication
from writer.mapping.problems import MappingError


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
        ("tables: {mytable: {numbers: float}}", ["tables.mytable.numbers", "native", "double"]),
        ("tables: {mytable: {fields: {age: {convert: date}}}}", ["fields.age.convert", "epoch_seconds"]),
        ("tables: {mytable: {fields: {age: {defualt: 1}}}}", ["fields.age.defualt", "did you mean default?"]),
        ("tables: {mytable: {fields: {_ddb: {default: 1}}}}", ["tables.mytable", "'_ddb'"]),
        ("tables: {mytable: {fields: {f: {default: 2020-01-01}}}}", ["mytable.fields.f", "date", "BSON"]),
        ("tables: {mytable: {fields: {f: {default: 9223372036854775808}}}}", ["mytable.fields.f", "int"]),
        ("tables: {mytable: {fields: {f: {default: &a [*a]}}}}", ["recursive", "yaml:1:42: "]),
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


def test_the_file_that_ships_is_right() -> None:
    """The example's mapping is the one of the README."""
    text = ROOT.joinpath("replication.yaml").read_text()
    assert parse_replication(text, "") == parse_replication(EXAMPLE, "")


EVERYTHING = """\
unnamed_tables: refused
tables:
  people:
    key: [id, id]
    mode: Merge
    feilds: {}
    fields:
      born: {convert: iso-8601}
      name: {rename: $x}
      list[0].price: {drop: true}
      a: {rename: c}
      b: {rename: c}
    include: [a]
    exclude: [b]
  orders: {collection: people, key: id}
  other: {collection: system.x, database: admin}
  people: {}
  archive-*: {collection: fixed}
  plain: text
"""

EXPECTED = [
    "1:17: unnamed_tables: 'refused' is not known here (did you mean refuse?); there are replicate, refuse",
    "4:5: tables.people: the key names 'id' twice",
    "5:11: tables.people.mode: 'Merge' is not known here (did you mean merge?); there are replace, merge",
    "6:5: tables.people.feilds: there is no such setting (did you mean fields?); there are collection,",
    "8:23: tables.people.fields.born.convert: 'iso-8601' is not known here (did you mean iso8601?); there",
    "9:7: tables.people.fields.name: the new name '$x' begins with $",
    "10:7: tables.people: the path 'list[0].price' has [0]: leave it out",
    "12:7: tables.people: the field 'b' is excluded, and has rules",
    "12:7: tables.people: the fields 'a' and 'b' both become 'c'",
    "14:5: tables.people: give either include or exclude, not both",
    "15:3: tables: the tables 'people' and 'orders' both go to the collection 'people'",
    "15:37: tables.orders.key: a list is expected here, such as [id]",
    "16:23: tables.other.collection: the collection name 'system.x' is reserved",
    "16:33: tables.other: the database name 'admin' belongs to MongoDB itself",
    "17:3: 'people' appears twice",
    "18:3: tables: the pattern 'archive-*' goes to the collection 'fixed': it needs exactly one *",
    "19:10: tables.plain: settings are expected here, each as `name: value`",
]


def test_every_mistake_is_found_at_once() -> None:
    """Neither a wrong value, nor a check that failed, hides what is wrong elsewhere."""
    with pytest.raises(MappingError) as caught:
        parse_replication(EVERYTHING, "r.yaml")
    found = [mistake.located("") for mistake in caught.value.mistakes]
    assert [text for text in found if not any(begin in text for begin in EXPECTED)] == []
    assert [begin for begin in EXPECTED if not any(begin in text for text in found)] == []
    assert len(found) == len(EXPECTED)
    assert str(caught.value).startswith("r.yaml:1:17: unnamed_tables: 'refused'")


@pytest.mark.parametrize(
    ("value", "guess"),
    [("iso", "iso8601"), ("ISO8601", "iso8601"), ("iso-8601", "iso8601"), ("epoch_second", "epoch_seconds")],
)
def test_a_value_that_was_meant(value: str, guess: str) -> None:
    """As close as people write it."""
    text = f"tables: {{t: {{fields: {{f: {{convert: {value}}}}}}}}}"
    with pytest.raises(FatalError, match=rf"'{value}' is not known here \(did you mean {guess}\?\)"):
        parse_replication(text, "")
