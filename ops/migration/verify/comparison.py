"""Decides whether a document is what the mapping makes of its item. Pure.

What belongs to the table: in a collection of mode `replace` every document, for it is a mirror; in one of
mode `merge` those with a version of ours, for applications may keep documents of their own there. A document
that is marked as deleted counts as missing. Where deletions keep documents, a document needs no item.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from bson import CodecOptions, decode
from bson.codec_options import DatetimeConversion
from bson.dbref import DBRef
from bson.decimal128 import Decimal128
from bson.raw_bson import RawBSONDocument

from shared.version import is_possible
from writer.mapping.model import Deletes, Mode

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    from writer.mapping.rules import Table

_OPTIONS = CodecOptions[dict[str, Any]](datetime_conversion=DatetimeConversion.DATETIME_AUTO)
_RAW = CodecOptions(RawBSONDocument, datetime_conversion=DatetimeConversion.DATETIME_AUTO)
_MOST_NAMES = 5
_GUARDS = frozenset({"v", "deleted"})
"""Metadata that do not come from the item."""


class Kind(StrEnum):
    """How item and document can differ."""

    MISSING = "missing"
    """An item has no document."""
    DIFFERENT = "different"
    """The document is not what the mapping makes of the item."""
    EXTRA = "extra"
    """A document has no item."""
    UNMAPPABLE = "unmappable"
    """An item cannot become a document."""
    IMPOSSIBLE = "impossible"
    """A version is stored that no change can have: it may win over every change, for ever."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A difference; the reason names fields, and never their values."""

    kind: Kind
    reason: str


IMPOSSIBLE = Difference(
    Kind.IMPOSSIBLE, "its stored version is no time, or one of the future, and may win over every change"
)


def find_difference(
    table: Table, expected: bytes | None, found: bytes | None, *, item_exists: bool
) -> Difference | None:
    """Compares what should be with what is.

    Args:
        table: the rules.
        expected: the document of the item; None: there is no item, or the hook does not want it.
        found: the stored document; None: there is none.
        item_exists: whether there is an item.

    Returns:
        None if there is no difference.
    """
    if expected is None:
        if found is None or not is_extra(table, as_document(found), item_exists=item_exists):
            return None
        if item_exists:
            return Difference(Kind.EXTRA, "the hook does not want the item")
        return Difference(Kind.EXTRA, "there is no such item")
    if found is None:
        return Difference(Kind.MISSING, "there is no document")
    document = as_document(found)
    if is_marked(table, document):
        return Difference(Kind.MISSING, "the document is marked as deleted")
    if version_of(table, document) is None:
        return Difference(Kind.DIFFERENT, "the document has no version of ours")
    wanted = as_document(expected)
    names = differing_fields(table, wanted, document)
    if not names:
        return None
    shown = ", ".join(repr(name) for name in names[:_MOST_NAMES])
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    return Difference(Kind.DIFFERENT, f"these fields differ: {shown}{more}")


def impossible(now: float, *versions: str | None) -> list[str]:
    """Those of some stored versions that no change can have by now (seconds since the epoch)."""
    return [version for version in versions if version and not is_possible(version, now)]


def is_extra(table: Table, document: Mapping[str, Any], *, item_exists: bool = False) -> bool:
    """Whether a document should not exist, for it has no item, or one that the hook does not want."""
    if is_marked(table, document) or is_application_document(table, document):
        return False
    return item_exists or not keeps_documents(table)


def is_application_document(table: Table, document: Mapping[str, Any]) -> bool:
    """Whether it is an application's own document, and not ours."""
    return table.rule.mode is Mode.MERGE and version_of(table, document) is None


def keeps_documents(table: Table) -> bool:
    """Whether documents of deleted items may stay as they are."""
    return Deletes.KEEP in (table.rule.deletes, table.rule.ttl_deletes)


def is_marked(table: Table, document: Mapping[str, Any]) -> bool:
    """Whether it is marked as the document of a deleted item."""
    return table.can_mark and mark_of(table, document) is not None


def version_of(table: Table, document: Mapping[str, Any]) -> str | None:
    """The version of a document; None: we have not written it."""
    version = _metadata(table, document).get("v")
    return version if isinstance(version, str) else None


def mark_of(table: Table, document: Mapping[str, Any]) -> str | None:
    """The version of the deletion that marked a document, if one did."""
    deleted = _metadata(table, document).get("deleted")
    version = deleted.get("v") if isinstance(deleted, dict) else None
    return version if isinstance(version, str) else None


def differing_fields(table: Table, wanted: Mapping[str, Any], found: Mapping[str, Any]) -> list[str]:
    """The names of the fields that differ. Types count, the order of fields does not."""
    field = table.rule.metadata_field
    names = set(wanted) - {field}
    if table.rule.mode is Mode.MERGE:
        # A field that replication does not write is the application's, unless replication wrote it earlier.
        written = _metadata(table, found).get("names", [])
        names |= {name for name in written if name in found} if isinstance(written, list) else set()
    else:
        names |= set(found) - {field}
    different = [
        name
        for name in sorted(names)
        if name not in wanted or name not in found or not same(wanted[name], found[name])
    ]
    if not same(_item_metadata(_metadata(table, wanted)), _item_metadata(_metadata(table, found))):
        different.append(field)
    return different


def as_document(encoded: bytes) -> dict[str, Any]:
    """Decodes BSON so that two documents can be compared with `same`."""
    if b"$ref" in encoded:
        # A map that looks like a reference would become one, and lose a `$db` of null.
        plain: dict[str, Any] = _plain(RawBSONDocument(encoded, _RAW))
        return plain
    return decode(encoded, _OPTIONS)


def same(one: Any, other: Any) -> bool:
    """Whether two BSON values are the same, in value and type, whatever the order of the fields."""
    if type(one) is not type(other):
        return False
    match one:
        case dict():
            return one.keys() == other.keys() and all(same(value, other[name]) for name, value in one.items())
        case list():
            return len(one) == len(other) and all(map(same, one, other))
        case float():
            return struct.pack("d", one) == struct.pack("d", other)
        case Decimal128():
            return bool(one.bid == other.bid)
        case DBRef():
            return same(one.as_doc(), other.as_doc())
        case _:
            return bool(one == other)


def id_of_raw(document: RawBSONDocument) -> Any:
    """The `_id` of a document."""
    found = document["_id"]
    return decode(found.raw, _OPTIONS) if isinstance(found, RawBSONDocument) else found


def key_identity(key: Mapping[str, Mapping[str, Any]]) -> Hashable:
    """Equal for equal keys: numbers by value."""
    return tuple(
        (name, kind, Decimal(value) if kind == "N" else value)
        for name in sorted(key)
        for kind, value in key[name].items()
    )


def _metadata(table: Table, document: Mapping[str, Any]) -> Mapping[str, Any]:
    metadata = document.get(table.rule.metadata_field)
    return metadata if isinstance(metadata, dict) else {}


def _item_metadata(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """The metadata that come from the item; names in one order."""
    about_item = {name: value for name, value in metadata.items() if name not in _GUARDS}
    if isinstance(about_item.get("names"), list):
        about_item["names"] = sorted(map(str, about_item["names"]))
    return about_item


def _plain(value: Any) -> Any:
    if isinstance(value, RawBSONDocument):
        return {name: _plain(part) for name, part in value.items()}
    return [_plain(part) for part in value] if isinstance(value, list) else value
