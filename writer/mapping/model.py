"""The model of `replication.yaml`, and what is checked in it. Pure.

The one description of the file: reading it (`writer.mapping.parser`), its JSON Schema and the rules that
changes go by (`writer.mapping.rules`) all come from here.
"""

import itertools
from collections.abc import Iterator, Mapping
from enum import StrEnum
from functools import cached_property
from typing import Any, Self

from bson import encode as bson_encode
from bson.errors import InvalidDocument
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from shared.nesting import MAX_LEVELS, is_deeper
from writer.mapping.bson_values import Numbers
from writer.mapping.conversions import Conversion
from writer.mapping.paths import Path, parse_path
from writer.mapping.problems import Place, refuse
from writer.names import METADATA_FIELD, OURS, collection_problem, database_problem, field_problem

NOT_BSON = (InvalidDocument, OverflowError, ValueError, TypeError)
"""What the encoder raises for a value that BSON cannot hold."""

WILDCARD = "*"

_STRICT = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class Mode(StrEnum):
    """How a put meets a document that is there."""

    REPLACE = "replace"
    """The document is a mirror of the item: nothing else stays in it."""

    MERGE = "merge"
    """Fields that applications added to the document stay."""


class Deletes(StrEnum):
    """What a deletion does to the document."""

    DELETE = "delete"
    """The document is removed."""

    MARK = "mark"
    """The document stays; `deleted` in its metadata field says since when."""

    KEEP = "keep"
    """The document stays as it is."""


class FieldRule(BaseModel):
    """What happens to one field."""

    model_config = _STRICT

    default: Any = None
    """The value where the item has no such attribute; given as `null`, the field becomes null."""

    rename: str | None = Field(default=None, min_length=1)
    """Another name for the field, in the same place."""

    drop: bool = Field(default=False, strict=True)
    """Leave the field out."""

    convert: Conversion | None = None
    """A conversion of its value; of the elements, if it is a list or a set."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.drop and self.model_fields_set - {"drop"}:
            raise ValueError("a field that is dropped has no other rules")
        if self.rename is not None and (problem := field_problem(self.rename)):
            raise ValueError(f"the new name {self.rename!r} {problem}")
        if is_deeper([self.default], MAX_LEVELS):
            raise ValueError("the default is nested too deep")
        try:
            bson_encode({"default": self.default})
        except NOT_BSON as error:
            kind = type(self.default).__name__
            raise ValueError(f"the default, a {kind}, is not a value that BSON can hold") from error
        return self

    @property
    def has_default(self) -> bool:
        """Whether a default is given, which may be null."""
        return "default" in self.model_fields_set


class TableRule(BaseModel):
    """How the items of one table, or of all tables whose names fit a pattern, become documents."""

    model_config = _STRICT

    database: str | None = None
    """The target database; by default the one in the writer's settings."""

    collection: str | None = None
    """The target collection; by default that of the table's name. In a pattern's entry, its one `*` stands
    for what the pattern's `*` stands for."""

    key: tuple[str, ...] = Field(default=(), max_length=2)
    """The key attributes in the order that they have in a composite `_id`; by default by name. It cannot
    change once documents are there."""

    numbers: Numbers = Numbers.NATIVE
    """What numbers become. Whole numbers that fit into 64 bits are integers everywhere."""

    mode: Mode = Mode.REPLACE
    """How a new or changed item meets a document that is there."""

    deletes: Deletes = Deletes.DELETE
    """What a deletion does."""

    ttl_deletes: Deletes | None = None
    """What a deletion by time to live does; by default as `deletes` says."""

    ttl_attribute: str | None = Field(default=None, min_length=1)
    """The table's attribute of time to live, for the replica of a global table: a deletion counts as one by
    time to live, too, if the item had passed it. The Lambda's `OLD_IMAGE_FIELDS` must name it."""

    shard_key: tuple[str, ...] = ()
    """Fields of the collection's shard key, as paths of the document. Not needed if that is `_id`."""

    metadata_field: str = METADATA_FIELD
    """The field that holds the version of the document. It cannot change once documents are there."""

    id_attribute: str | None = None
    """The name of the field for an attribute called `_id`, which is not the document's `_id`; by default
    `_id_`."""

    include: tuple[str, ...] = ()
    """If given, only these attributes are replicated (paths; a path stands for all that is below it)."""

    exclude: tuple[str, ...] = ()
    """Attributes that are not replicated (paths)."""

    fields: dict[str, FieldRule] = Field(default_factory=dict)
    """Rules for single fields, by their paths: names joined by dots; a dot in a name is written `\\.`."""

    hook: str | None = Field(default=None, pattern=r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*$")
    """`module:function`, a Python function `(document, change) -> document | None` that has the last word."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        paths: dict[str, Path] = {}
        unreadable: list[tuple[Place, str]] = []
        listed = [((name,), text) for name in ("include", "exclude") for text in getattr(self, name)]
        for place, text in (*listed, *((("fields", text), text) for text in self.fields)):
            try:
                paths[text] = parse_path(text)
            except ValueError as error:
                unreadable.append((place, f"the path {text!r} {error}"))
        fields = (self._field_problems(), self._target_problems(paths))
        refuse(self._name_problems(), unreadable, *fields, self._shard_problems())
        return self

    @field_validator("collection")
    @classmethod
    def _check_collection(cls, collection: str | None) -> str | None:
        if collection is not None and (problem := collection_problem(collection.replace(WILDCARD, "x"))):
            raise ValueError(f"the collection name {collection!r} {problem}")
        return collection

    def _name_problems(self) -> Iterator[tuple[Place, str]]:
        if self.database is not None and (problem := database_problem(self.database)):
            yield ("database",), f"the database name {self.database!r} {problem}"
        names = {"metadata_field": self.metadata_field, "id_attribute": self.id_attribute}
        for setting, name in names.items():
            if name is not None and (problem := field_problem(name)):
                yield (setting,), f"{setting}: the name {name!r} {problem}"
        if self.id_attribute == self.metadata_field:
            yield ("id_attribute",), f"id_attribute and metadata_field are both {self.metadata_field!r}"
        if self.ttl_attribute is not None and self.ttl_deletes is None:
            yield ("ttl_attribute",), "ttl_attribute without ttl_deletes changes nothing"
        if len(set(self.key)) < len(self.key):
            yield ("key",), f"the key names {self.key[0]!r} twice"

    def _field_problems(self) -> Iterator[tuple[Place, str]]:
        for text in self.exclude:
            if text in self.fields:
                yield ("fields", text), f"the field {text!r} is excluded, and has rules"
        if "include" in self.model_fields_set and not self.include:
            yield ("include",), "include is empty, which would leave nothing: without it all is replicated"
        if self.include and self.exclude:
            yield ("exclude",), "give either include or exclude, not both"

    def _target_problems(self, paths: Mapping[str, Path]) -> Iterator[tuple[Place, str]]:
        """Two fields must not become one."""
        targets: dict[Path, str] = {}
        for text, rule in self.fields.items():
            if rule.drop or text not in paths:
                continue
            *parents, name = paths[text]
            target = (*parents, rule.rename or name)
            if (other := targets.setdefault(target, text)) != text:
                yield ("fields", text), f"the fields {other!r} and {text!r} both become {target[-1]!r}"
            if target == (self.metadata_field,):
                why = f"the field {text!r} cannot become {target[0]!r}: that holds the metadata"
                yield ("fields", text), why

    def _shard_problems(self) -> Iterator[tuple[Place, str]]:
        at = ("shard_key",)
        for path in self.shard_key:
            names = path.split(".")
            if names[0] == "_id":
                yield at, f"shard_key names {path!r}: a shard key of _id needs no entry"
            elif names[0] == self.metadata_field:
                yield at, f"shard_key names {path!r}: the metadata changes with each version"
            elif any(field_problem(name) for name in names):
                yield at, f"shard_key {path!r} is not a path that MongoDB takes"
        stays = {self.deletes, self.ttl_deletes} - {Deletes.DELETE, None}
        if stays and not set(self.shard_key) <= set(self.key):
            why = (
                "a document that stays after its deletion is not found again if the item is created anew "
                "with another shard key: with shard_key, deletes and ttl_deletes can only be delete, unless "
                "all of the shard key is named in key"
            )
            yield at, why


class UnnamedTables(StrEnum):
    """What becomes of the tables that the file does not name."""

    REPLICATE = "replicate"
    """They go, as they are, to collections of their own names: a hundred of them for each writer."""

    REFUSE = "refuse"
    """Their changes are parked."""


class Replication(BaseModel):
    """The whole file."""

    model_config = _STRICT

    unnamed_tables: UnnamedTables = UnnamedTables.REPLICATE
    """What becomes of tables without an entry, neither of their own nor of a pattern."""

    tables: dict[str, TableRule] = Field(default_factory=dict)
    """By the name of the DynamoDB table, or a pattern: the beginning of names and `*`, or `*` alone. The
    exact name comes first, then the longest beginning. Tables without an entry go by the defaults, or are
    refused: `unnamed_tables`."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        refuse(self._pattern_problems(), self._owner_problems(), self._case_problems())
        refuse(self._overlap_problems())  # of patterns that are well written
        return self

    def _pattern_problems(self) -> Iterator[tuple[Place, str]]:
        for table, rule in self.tables.items():
            at = ("tables", table)
            if table.startswith(OURS):
                why = f"the table {table!r} is reserved: names with {OURS} are those of our own collections"
                yield at, why
            collection = rule.collection or ""
            stars = collection.count(WILDCARD)
            if not table.endswith(WILDCARD):
                if WILDCARD in table:
                    yield at, f"the table name {table!r} has a * that is not at its end"
                elif stars:
                    yield at, f"the collection of the table {table!r} has a *, which only patterns have"
            elif WILDCARD in table[:-1]:
                yield at, f"the pattern {table!r} has more than one *"
            elif collection and stars != 1:
                why = f"the pattern {table!r} goes to the collection {collection!r}: it needs exactly one *"
                yield at, why

    def _owner_problems(self) -> Iterator[tuple[Place, str]]:
        """Two tables must not go to one collection."""
        owners: dict[tuple[str | None, str], str] = {}
        for table, rule in self.tables.items():
            place = (rule.database, rule.collection or table)
            if (other := owners.setdefault(place, table)) != table:
                why = (
                    f"the tables {other!r} and {table!r} both go to the collection {place[1]!r}: "
                    "their versions cannot be compared, so each needs one of its own"
                )
                yield ("tables", table), why

    def _case_problems(self) -> Iterator[tuple[Place, str]]:
        """MongoDB refuses a database whose name differs from another's only in case."""
        seen: dict[str, str] = {}
        for name in sorted(self.databases):
            if (other := seen.setdefault(name.lower(), name)) != name:
                why = f"the databases {other!r} and {name!r} differ only in case, which MongoDB refuses"
                yield ("tables",), why

    def _overlap_problems(self) -> Iterator[tuple[Place, str]]:
        """Nor must two patterns be able to send two tables to one collection."""
        moving = [name for name in self.patterns if self.tables[name].collection is not None]
        for one, other in itertools.combinations(moving, 2):
            first, second = self.tables[one], self.tables[other]
            if first.database == second.database and _overlap(
                first.collection or "", second.collection or ""
            ):
                why = (
                    f"the patterns {one!r} and {other!r} can send two tables to one collection: give them "
                    "different databases, or collections with different beginnings"
                )
                yield ("tables", other), why

    @cached_property
    def patterns(self) -> tuple[str, ...]:
        """The keys of `tables` that are patterns, in the order they are tried."""
        found = (table for table in self.tables if table.endswith(WILDCARD))
        return tuple(sorted(found, key=len, reverse=True))

    @property
    def databases(self) -> frozenset[str]:
        """The databases that entries name."""
        return frozenset(rule.database for rule in self.tables.values() if rule.database is not None)


def _overlap(one: str, other: str) -> bool:
    """Whether a name can fit both patterns."""
    (before, _, after), (front, _, end) = one.partition(WILDCARD), other.partition(WILDCARD)
    beginnings = before.startswith(front) or front.startswith(before)
    return beginnings and (after.endswith(end) or end.endswith(after))
