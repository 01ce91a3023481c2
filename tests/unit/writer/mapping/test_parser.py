"""What is said about a wrong mapping: every mistake, with its file and place."""

from __future__ import annotations

import pytest

from local.paths import ROOT
from shared.errors import FatalError
from tests.support.mapped_documents import EXAMPLE, rules
from writer.mapping.parser import parse_replication


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


def test_the_file_that_ships_is_right() -> None:
    """The example's mapping is the one of the README."""
    text = ROOT.joinpath("replication.yaml").read_text()
    assert parse_replication(text, "") == parse_replication(EXAMPLE, "")
