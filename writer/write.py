"""`Write`: what a plan consists of and a sink performs. Pure data."""

from collections.abc import Hashable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from bson.decimal128 import Decimal128

from shared.change import Change

Identity = tuple[str, str, "Hashable"]
"""Database, collection and key: equal for equal documents."""

Place = tuple[str, str]
"""Database (empty: that of the settings) and collection. At most one table goes to a place."""

Shard = Mapping[str, Any]
"""Where a document is in a sharded collection: the values of the shard key's fields by path. Filters have
them beside `_id`. Empty: `_id` alone finds the document."""

_NOWHERE_ELSE: Shard = MappingProxyType({})


class Target(NamedTuple):
    """Where a change goes.

    Attributes:
        database: its name; empty: that of the settings.
        document_id: the `_id`, as a BSON value.
        identity: equal for equal documents, for grouping.
        metadata_field: name of the field with the document's version.
    """

    database: str
    collection: str
    document_id: Any
    identity: Identity
    metadata_field: str


class Merge(NamedTuple):
    """How a put keeps the fields that applications added to the document.

    Attributes:
        unset: fields that are removed, beside those that an earlier put wrote.
        names: the fields that this put writes.
        reset: version of a deletion that this put also stands for: nothing of an older document stays.
    """

    unset: Sequence[str]
    names: Sequence[str]
    reset: str = ""


class Mark(NamedTuple):
    """The item is deleted, and its document stays, marked as deleted.

    Attributes:
        version: version of the deletion.
        at: its time, milliseconds since the epoch; None: not known.
    """

    version: str
    at: int | None


class Removal(NamedTuple):
    """A document is removed from a place, unless its version is higher.

    Attributes:
        version: of the deletion, or of the change that moved the document to another shard.
        same: whether a document of exactly that version is removed, too (not the one that moved).
    """

    shard: Shard
    version: str
    same: bool = True


class Write(NamedTuple):
    """What is done to one document, guarded: removals, then a put, then a mark; each may be missing.

    Attributes:
        change: the change behind it, for parking and logs.
        version: that of the change. A put touches only a document with a lower one.
        message: index of the message with the change.
        messages: indices of all messages whose changes it stands for, including that one.
        changes: number of changes it stands for, including the one it writes.
        removals: without a put: the item was deleted.
        document: the BSON of a put, or None.
        merge: how the put keeps other fields; None: it replaces the document as a whole.
        keeps_marks: whether documents here can have marks, which a put keeps if the deletion was later.
        mark: the item was deleted after the put, and its document stays.
        shard: where the document is, or will be.
    """

    target: Target
    change: Change
    version: str
    message: int
    messages: frozenset[int]
    changes: int
    removals: Sequence[Removal] = ()
    document: bytes | None = None
    merge: Merge | None = None
    keeps_marks: bool = False
    mark: Mark | None = None
    shard: Shard = _NOWHERE_ELSE

    @property
    def identity(self) -> Identity:
        """Equal for equal documents."""
        return self.target.identity


def hashable(value: Any) -> Hashable:
    """Equal if MongoDB considers two `_id` equal: numbers by value, documents with the order of fields."""
    if isinstance(value, dict):
        return tuple((name, hashable(part)) for name, part in value.items())
    if isinstance(value, list):  # an application's documents may be anything
        return tuple(hashable(part) for part in value)
    found: Hashable = value.to_decimal() if isinstance(value, Decimal128) else value
    return found
