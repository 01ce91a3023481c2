"""`replication.yaml`: per-table rules, and what a change becomes under them. Pure.

The model is the one description of the file: reading, checking and applying it go by it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

import yaml
from bson import encode as bson_encode
from bson.errors import InvalidDocument
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from shared.attribute_values import INT64_MAX, INT64_MIN
from shared.errors import FatalError, PoisonError
from shared.keys import canonical_key
from writer.bson_values import Numbers, decode_map
from writer.conversions import Conversion, convert
from writer.guard import METADATA_FIELD, TOMBSTONES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shared.change import Change

MAX_DOCUMENT_BYTES = 16 * 1024 * 1024 - 64 * 1024
"""MongoDB's limit of 16 MiB (manual, "MongoDB limits and thresholds"), less room for what is around it."""

_NOT_BSON = (InvalidDocument, OverflowError, RecursionError, ValueError, TypeError)
"""What the encoder raises at a value that BSON cannot hold."""

_STRICT = ConfigDict(extra="forbid", frozen=True)


class FieldRule(BaseModel):
    """What happens to one top-level field.

    Attributes:
        default: the value where the item has no such attribute; given as `null`, the field becomes null.
        convert: a conversion of its value.
    """

    model_config = _STRICT

    default: Any = None
    convert: Conversion | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        try:
            bson_encode({"default": self.default})
        except _NOT_BSON as error:
            kind = type(self.default).__name__
            raise ValueError(f"the default, a {kind}, is not a value that BSON can hold") from error
        return self

    @property
    def has_default(self) -> bool:
        """Tells a default of null from no default."""
        return "default" in self.model_fields_set


class TableRule(BaseModel):
    """How the items of one table become documents.

    Attributes:
        collection: name of the collection; by default that of the table.
        key: the order of the parts of a composite key in `_id`; by default by name. It cannot change once
            documents are there.
        numbers: the policy for numbers (`writer.bson_values`).
        fields: rules for single fields.
    """

    model_config = _STRICT

    collection: str | None = Field(default=None, min_length=1)
    key: tuple[str, ...] = Field(default=(), max_length=2)
    numbers: Numbers = Numbers.NATIVE
    fields: dict[str, FieldRule] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.collection is not None and not _may_be_collection(self.collection):
            raise ValueError(f"the collection name {self.collection!r} is reserved, or MongoDB refuses it")
        if len(set(self.key)) < len(self.key):
            raise ValueError(f"the key names {self.key[0]!r} twice")
        for name in self.fields:
            if name == METADATA_FIELD or name in self.key:
                raise ValueError(f"the field {name!r} cannot have rules: it is a key attribute or reserved")
        return self


class Replication(BaseModel):
    """The whole file. Tables without an entry are replicated under the default rules."""

    model_config = _STRICT

    tables: dict[str, TableRule] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _check(self) -> Self:
        owners: dict[str, str] = {}
        for table, rule in self.tables.items():
            collection = rule.collection or table
            if collection in owners:
                raise ValueError(
                    f"the tables {owners[collection]!r} and {table!r} both go to the collection "
                    f"{collection!r}: their versions cannot be compared, so each needs one of its own"
                )
            owners[collection] = table
        return self

    def rule(self, table: str) -> TableRule:
        """The rule of a table."""
        return self.tables.get(table, _DEFAULT_RULE)

    def collection(self, table: str) -> str:
        """The collection of a table.

        Raises:
            PoisonError: ``bad-collection``: the table is not in the file, and its name cannot be that of a
                collection, or is that of another table's.
        """
        rule = self.tables.get(table)
        if rule is not None and rule.collection is not None:
            return rule.collection
        if not _may_be_collection(table):
            raise PoisonError(
                "bad-collection", f"MongoDB has no collection {table!r}: name one in the mapping"
            )
        if rule is None and table in self._renamed:
            raise PoisonError("bad-collection", f"the collection {table!r} is that of another table")
        return table

    @cached_property
    def _renamed(self) -> frozenset[str]:
        return frozenset(rule.collection for rule in self.tables.values() if rule.collection is not None)


_DEFAULT_RULE = TableRule()


def _may_be_collection(name: str) -> bool:
    """Source: MongoDB manual, "Naming restrictions"; the driver refuses the names with dots."""
    reserved = name == TOMBSTONES or name.startswith("system.")
    return not (reserved or "$" in name or "\0" in name or ".." in name or name[0] == "." or name[-1] == ".")


def parse_replication(text: str, source: str) -> Replication:
    """Reads the text of a `replication.yaml`.

    Args:
        text: the file's content.
        source: its name, for messages.

    Raises:
        FatalError: not YAML, or not of the model; the text names each place and what is allowed there.
    """
    try:
        content = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError) as error:  # ValueError: a date such as 2020-13-45
        raise FatalError(f"{source} is not YAML: {error}") from error
    try:
        return Replication.model_validate(content if content is not None else {})
    except ValidationError as error:
        problems = (
            f"{'.'.join(str(part) for part in problem['loc']) or 'the file'}: {problem['msg']}"
            for problem in error.errors(include_url=False)
        )
        raise FatalError(f"{source}: {'; '.join(problems)}") from error


@dataclass(frozen=True, slots=True)
class Target:
    """Where a change goes.

    Attributes:
        document_id: the `_id`, as a BSON value.
        identity: equal for equal (collection, `_id`), for grouping.
    """

    collection: str
    document_id: Any
    identity: tuple[str, bytes]


def locate(replication: Replication, change: Change) -> Target:
    """Finds the document of a change.

    `_id` is the value of a single key attribute, or a document of both for a composite key.

    Raises:
        PoisonError: ``bad-collection``, ``bad-key`` (not the attributes that the mapping names, more than
            two, or not of a type that a key can have), ``not-bson`` (a name with NUL, an integer beyond
            int64) or ``bad-value``.
    """
    rule = replication.rule(change.table)
    names = rule.key or tuple(sorted(change.key))
    if len(names) > 2 or set(names) != change.key.keys():  # noqa: PLR2004 - a partition and a sort key
        raise PoisonError(
            "bad-key",
            f"the item's key is ({', '.join(sorted(change.key))}), but the mapping says ({', '.join(names)})",
        )
    collection = replication.collection(change.table)
    # Two keys must not become one `_id`: the lossy policy is for values only.
    numbers = Numbers.NATIVE if rule.numbers is Numbers.DOUBLE else rule.numbers
    key = decode_map(change.key, numbers, tagged=change.tagged)
    if any(isinstance(value, dict | list | bool) or value is None for value in key.values()):
        raise PoisonError("bad-key", "a key attribute is not a string, number or binary value")
    if any(isinstance(value, int) and not INT64_MIN <= value <= INT64_MAX for value in key.values()):
        raise PoisonError("not-bson", "BSON cannot hold the key: an integer is beyond int64")
    if len(names) == 1:
        wire_id, document_id = change.key[names[0]], key[names[0]]
    else:
        if any("\0" in name for name in names):
            raise PoisonError("not-bson", "BSON cannot hold the key: an attribute name holds a NUL character")
        fields = [_inside_id(name, names) for name in names]
        wire_id = {field: change.key[name] for field, name in zip(fields, names, strict=True)}
        document_id = {field: key[name] for field, name in zip(fields, names, strict=True)}
    return Target(collection, document_id, (collection, canonical_key({"": wire_id})))


def _inside_id(name: str, names: tuple[str, ...]) -> str:
    """MongoDB refuses fields with a leading $ inside `_id` (manual, "The _id Field")."""
    if not name.startswith("$"):
        return name
    field = f"_{name}"
    while field in names:
        field = f"_{field}"
    return field


def document_of(replication: Replication, change: Change, target: Target) -> bytes:
    """Returns the document of a put, as BSON: `_id`, the converted image, the metadata.

    Encoding it here keeps a record that BSON cannot hold from failing its neighbours' bulk write, and the
    driver copies the bytes as they are.

    Raises:
        PoisonError: ``bad-value``, ``bad-conversion``, ``not-bson`` (a name with NUL, an integer beyond
            int64, nested too deep) or ``too-large``.
    """
    rule = replication.rule(change.table)
    image: Mapping[str, Any] = change.image or {}
    fields = decode_map(image, rule.numbers, tagged=change.tagged)
    for name, field_rule in rule.fields.items():
        if name not in fields:
            if field_rule.has_default:
                fields[name] = field_rule.default
        elif field_rule.convert is not None:
            fields[name] = convert(field_rule.convert, name, fields[name])
    metadata: dict[str, Any] = {"v": change.version}
    document = {"_id": target.document_id, **_freed_names(fields, metadata), METADATA_FIELD: metadata}
    try:
        encoded = bson_encode(document)
    except _NOT_BSON as error:
        # The driver's text can quote the document, which must not reach a log: only its kind is kept.
        raise PoisonError("not-bson", f"BSON cannot hold the item: {_why(error)}") from error
    if len(encoded) > MAX_DOCUMENT_BYTES:
        raise PoisonError("too-large", f"the document has {len(encoded)} bytes, more than MongoDB takes")
    return encoded


def _freed_names(fields: dict[str, Any], metadata: dict[str, Any]) -> dict[str, Any]:
    """Moves attributes that are named like `_id` or the metadata field to the next free name."""
    taken = [name for name in ("_id", METADATA_FIELD) if name in fields]
    for name in taken:
        free = f"{name}_"
        while free in fields:
            free += "_"
        fields[free] = fields.pop(name)
        metadata.setdefault("renamed", {})[free] = name
    return fields


def _why(error: Exception) -> str:
    match error:
        case OverflowError():
            return "an integer is beyond int64"
        case RecursionError():
            return "it is nested too deep"
        case InvalidDocument():
            return "an attribute name holds a NUL character, or a value is of no BSON type"
        case _:
            return f"{type(error).__name__}, such as text that is not Unicode"
