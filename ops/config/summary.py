"""The entries of a `replication.yaml`, as text and as JSON. Pure."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from bson import json_util

from shared.errors import PoisonError
from writer.mapping.model import WILDCARD, FieldRule, Replication, TableRule
from writer.mapping.rules import Rules
from writer.names import METADATA_FIELD

UNKNOWN_DATABASE = "(MONGODB_DATABASE)"
"""Stands for the database of the writer's settings where it is unknown."""


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of the file, or the entry that a table follows.

    Attributes:
        name: the name of the entry, or of the table.
        by: the entry that the table follows; empty: it follows the defaults.
        database: the database of the table's documents; empty: that of the writer's settings.
        collection: their collection; in an entry with a pattern it contains `*`.
        rule: the entry's settings.
        poison: why all changes of the table are parked, if they are.
    """

    name: str
    by: str
    database: str
    collection: str
    rule: TableRule
    poison: PoisonError | None = None


def entries_of(rules: Rules, replication: Replication) -> list[Entry]:
    """All entries: first those of single tables, then patterns in the order in which they are tried."""
    tables = [name for name in replication.tables if not name.endswith(WILDCARD)]
    patterns = [(name, replication.tables[name]) for name in replication.patterns]
    return [entry_of(rules, replication, name) for name in tables] + [
        Entry(name, name, rule.database or "", rule.collection or name, rule) for name, rule in patterns
    ]


def entry_of(rules: Rules, replication: Replication, table: str) -> Entry:
    """The entry that a table follows."""
    name, rule = rules.entry(table)
    by = name if name in replication.tables else ""
    try:
        found = rules.table(table)
    except PoisonError as error:
        return Entry(table, by, rule.database or "", "", rule, error)
    return Entry(table, by, found.database, found.collection, rule)


def namespace(database: str, collection: str, default: str) -> str:
    """`database.collection`; `default` is the database of the writer's settings, if it is known."""
    return f"{database or default or UNKNOWN_DATABASE}.{collection}"


def rule_lines(rule: TableRule) -> Iterator[tuple[str, str]]:
    """An entry's settings, without its target: pairs of a name and a text."""
    yield "key", ", ".join(rule.key) or "as in the table; two attributes: by name"
    yield "numbers", rule.numbers
    yield "mode", rule.mode
    by_time = f", {rule.ttl_deletes} when expired" if rule.ttl_deletes else ""
    by_time += f" (also by {rule.ttl_attribute})" if rule.ttl_attribute else ""
    yield "deletes", rule.deletes + by_time
    if rule.shard_key:
        yield "shard key", ", ".join(rule.shard_key)
    if rule.metadata_field != METADATA_FIELD:
        yield "metadata", rule.metadata_field
    if rule.id_attribute:
        yield "attribute _id", f"becomes {rule.id_attribute}"
    if rule.include:
        yield "include", ", ".join(rule.include)
    if rule.exclude:
        yield "exclude", ", ".join(rule.exclude)
    for path, field in rule.fields.items():
        yield "field", f"{path}: {_field_words(field)}"
    if rule.hook:
        yield "hook", rule.hook


def rule_data(rule: TableRule) -> dict[str, Any]:
    """An entry's settings, defaults included, as JSON values (dates and binary as Extended JSON)."""
    fields = {path: field.model_dump(exclude_unset=True) for path, field in rule.fields.items()}
    data: dict[str, Any] = as_json({**rule.model_dump(exclude={"fields"}), "fields": fields})
    return data


def as_json(document: Any) -> Any:
    """BSON values as objects of relaxed Extended JSON."""
    return json.loads(json_util.dumps(document, json_options=json_util.RELAXED_JSON_OPTIONS))


def as_text(document: Any) -> str:
    """BSON values as relaxed Extended JSON on one line."""
    return json.dumps(as_json(document), ensure_ascii=False)


def _field_words(field: FieldRule) -> str:
    words = ["drop"] if field.drop else []
    if field.convert:
        words.append(f"convert {field.convert}")
    if field.has_default:
        words.append(f"default {as_text(field.default)}")
    if field.rename:
        words.append(f"rename to {field.rename}")
    return ", ".join(words) or "as it is"
