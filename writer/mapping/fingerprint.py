"""Whether two mappings make the same documents of a table: its effective rules as text, and their hash. Pure.

Law: writers and commands have one function for it. The text has what differs from the defaults and nothing
else, so the order of a file's keys, a default that is written out, and a later version with more settings
change nothing. Of a hook it has the name: two versions of its code look the same.
"""

import hashlib
import json
from typing import Any

from bson import json_util

from writer.mapping.model import FieldRule, TableRule
from writer.mapping.rules import Table
from writer.records import Fingerprint

_HASH_LENGTH = 16
_ID_ATTRIBUTE = "_id_"  # what `id_attribute` is by default


def fingerprint_of(table: Table, database: str) -> Fingerprint:
    """Describes the rules of a table; `database`: that of tables that name none."""
    rule = table.rule
    rules = {
        "database": table.database or database,
        "collection": table.collection,
        **_without_defaults(rule),
    }
    text = json.dumps(rules, sort_keys=True, separators=(",", ":"))
    return Fingerprint(hashlib.sha256(text.encode()).hexdigest()[:_HASH_LENGTH], text)


def _without_defaults(rule: TableRule) -> dict[str, Any]:
    places = {"database", "collection"}  # the caller has the effective ones
    rules = rule.model_dump(mode="json", exclude_defaults=True, exclude={*places, "fields"})
    if rules.get("ttl_deletes") == rule.deletes:
        del rules["ttl_deletes"]
    if rules.get("id_attribute") == _ID_ATTRIBUTE:
        del rules["id_attribute"]
    for name in ("include", "exclude"):
        if name in rules:
            rules[name] = sorted(set(rules[name]))
    if fields := {path: found for path, field in rule.fields.items() if (found := _field(field))}:
        rules["fields"] = fields
    return rules


def _field(rule: FieldRule) -> dict[str, Any]:
    found = rule.model_dump(mode="json", exclude_defaults=True, exclude={"default"})
    if rule.has_default:
        # A date is not its text, and null is not "no default".
        found["default"] = json.loads(json_util.dumps(rule.default))
    return found
