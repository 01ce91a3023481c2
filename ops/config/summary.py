"""What the entries of a `replication.yaml` say, in words and as data. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bson import json_util

from shared.errors import PoisonError
from writer.mapping.model import WILDCARD
from writer.names import METADATA_FIELD

if TYPE_CHECKING:
    from collections.abc import Iterator

    from writer.mapping.model import FieldRule, Replication, TableRule
    from writer.mapping.rules import Rules

UNKNOWN_DATABASE = "(MONGODB_DATABASE)"
"""Stands for the database of the writer's settings where that is not known."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What is told about an entry, or about a table.

    Attributes:
        name: of the entry, or of the table.
        by: the entry that a table goes by; empty: none, the defaults.
        database: where its items go; empty: the database of the writer's settings.
        collection: likewise; in an entry with a pattern it has a `*`.
        rule: what the entry says.
        poison: why all changes of the table are parked, if they are.
    """

    name: str
    by: str
    database: str
    collection: str
    rule: TableRule
    poison: PoisonError | None = None


def entries_of(rules: Rules, replication: Replication) -> list[Entry]:
    """All entries, those of single tables first, patterns in the order in which they are tried."""
    tables = [name for name in replication.tables if not name.endswith(WILDCARD)]
    patterns = [(name, replication.tables[name]) for name in replication.patterns]
    return [entry_of(rules, replication, name) for name in tables] + [
        Entry(name, name, rule.database or "", rule.collection or name, rule) for name, rule in patterns
    ]


def entry_of(rules: Rules, replication: Replication, table: str) -> Entry:
    """What a table goes by."""
    name, rule = rules.entry(table)
    by = name if name in replication.tables else ""
    try:
        found = rules.table(table)
    except PoisonError as error:
        return Entry(table, by, rule.database or "", "", rule, error)
    return Entry(table, by, found.database, found.collection, rule)


def place(database: str, collection: str, default: str) -> str:
    """A collection with its database; `default` is the one of the writer's settings, if it is known."""
    return f"{database or default or UNKNOWN_DATABASE}.{collection}"


def rule_lines(rule: TableRule) -> Iterator[tuple[str, str]]:
    """What an entry says beside where its items go: pairs of a setting and its words."""
    yield "key", ", ".join(rule.key) or "as in the table; two attributes: by name"
    yield "numbers", rule.numbers
    yield "mode", rule.mode
    by_time = f", {rule.ttl_deletes} when expired" if rule.ttl_deletes else ""
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
    """BSON values as relaxed Extended JSON, parsed."""
    return json.loads(json_util.dumps(document, json_options=json_util.RELAXED_JSON_OPTIONS))


def as_text(document: Any, indent: int | None = 2) -> str:
    """BSON values as the text of relaxed Extended JSON."""
    options = json_util.RELAXED_JSON_OPTIONS
    return json_util.dumps(document, json_options=options, ensure_ascii=False, indent=indent)


def _field_words(field: FieldRule) -> str:
    words = ["drop"] if field.drop else []
    if field.convert:
        words.append(f"convert {field.convert}")
    if field.has_default:
        words.append(f"default {as_text(field.default, indent=None)}")
    if field.rename:
        words.append(f"rename to {field.rename}")
    return ", ".join(words) or "as it is"
