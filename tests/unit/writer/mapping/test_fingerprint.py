"""Whether two mappings are taken for the same."""

from __future__ import annotations

import json

import pytest

from writer.mapping.fingerprint import fingerprint_of
from writer.mapping.hooks import load_hooks
from writer.mapping.parser import parse_replication
from writer.mapping.rules import Rules


def rules_of(text: str, table: str = "orders", database: str = "shop") -> str:
    replication = parse_replication(text, "replication.yaml")
    return fingerprint_of(Rules(replication, load_hooks(replication), database).table(table), database).rules


SAME = [
    ("", "tables: {orders: {}}"),
    ("", "unnamed_tables: refuse\ntables: {orders: {}, other: {mode: merge}}"),
    ("", "tables: {orders: {collection: orders, database: shop, mode: replace, deletes: delete}}"),
    ("", "tables: {orders: {ttl_deletes: delete, id_attribute: _id_, metadata_field: _ddb}}"),
    ("", "tables: {orders: {fields: {a: {}}}}"),
    ("tables: {'or*': {collection: 'x-*'}}", "tables: {orders: {collection: x-ders}}"),
    ("tables: {orders: {exclude: [a, b]}}", "tables: {orders: {exclude: [b, a]}}"),
    (
        "tables: {orders: {mode: merge, fields: {a: {rename: b, convert: iso8601}, c: {drop: true}}}}",
        "tables: {orders: {fields: {c: {drop: true}, a: {convert: iso8601, rename: b}}, mode: merge}}",
    ),
]

DIFFERENT = [
    ("", "tables: {orders: {collection: other}}"),
    ("", "tables: {orders: {database: other}}"),
    ("", "tables: {orders: {numbers: decimal128}}"),
    ("", "tables: {orders: {ttl_deletes: keep}}"),
    ("", "tables: {orders: {fields: {a: {default: null}}}}"),
    ("tables: {orders: {fields: {a: {default: 1}}}}", "tables: {orders: {fields: {a: {default: 1.0}}}}"),
    ("tables: {orders: {fields: {a: {default: 1}}}}", "tables: {orders: {fields: {a: {default: true}}}}"),
    (
        "tables: {orders: {fields: {a: {default: 2020-01-01T00:00:00Z}}}}",
        "tables: {orders: {fields: {a: {default: '2020-01-01T00:00:00Z'}}}}",
    ),
    ("tables: {orders: {key: [a, b]}}", "tables: {orders: {key: [b, a]}}"),
    ("tables: {orders: {hook: 'operator:add'}}", "tables: {orders: {}}"),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_what_makes_the_same_documents_is_the_same(one: str, other: str) -> None:
    """However it is written down: no command is refused for the order of keys."""
    assert rules_of(one) == rules_of(other)


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_what_can_make_other_documents_is_another_mapping(one: str, other: str) -> None:
    """Else a command would write what the writers do not."""
    assert rules_of(one) != rules_of(other)


def test_the_hash_stays_the_same_between_versions() -> None:
    """A writer and a command of different versions compare it; new settings are left out by default."""
    found = fingerprint_of(Rules(None, None, "shop").table("orders"), "shop")
    assert json.loads(found.rules) == {"database": "shop", "collection": "orders"}
    assert found.hash == "919e792b493f3e22"
