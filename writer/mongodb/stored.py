"""What MongoDB holds, as the writer reads it. Pure.

Law: applications and people write there, too. What cannot be read is nobody's of ours, and raises nothing.
"""

from collections.abc import Hashable, Mapping
from datetime import UTC, datetime
from typing import Any, TypeGuard

from bson import decode
from bson.codec_options import CodecOptions, DatetimeConversion
from bson.errors import BSONError
from bson.raw_bson import RawBSONDocument

from writer.mongodb.apply import Tombstone
from writer.write import Mark, hashable

CODEC: CodecOptions[dict[str, Any]] = CodecOptions(
    datetime_conversion=DatetimeConversion.DATETIME_AUTO, unicode_decode_error_handler="surrogateescape"
)
"""How documents are read, whatever the URI says: read otherwise, a key is not equal to itself. Dates that
Python does not have and text that is not UTF-8 are read as something that is equal to no value of ours."""

RAW: CodecOptions[RawBSONDocument] = CodecOptions(
    document_class=RawBSONDocument,
    datetime_conversion=DatetimeConversion.DATETIME_AUTO,
    unicode_decode_error_handler="surrogateescape",
)
"""Documents as bytes."""


def key_of(found: RawBSONDocument) -> Hashable:
    """The `_id` of a document, as `writer.write.hashable` has it; if it cannot be, equal to no other."""
    try:
        key = hashable(decode(found.raw, CODEC)["_id"])
        hash(key)  # code and patterns have none
    except (BSONError, TypeError):
        return object()
    return key


def is_tombstone(found: Mapping[str, Any]) -> bool:
    """Whether a document can be a tombstone that a writer wrote."""
    removed, marked = found.get("v"), found.get("marked")
    parts = (removed is None or _is_version(removed), marked is None or _mark(marked) is not None)
    return all(parts) and (removed, marked) != (None, None)


def tombstone_of(found: Mapping[str, Any], version: str) -> Tombstone:
    """The part of a tombstone that is newer than a version; what cannot be read is not newer."""
    removed, mark = found.get("v"), _mark(found.get("marked"))
    return Tombstone(
        removed if _is_version(removed) and removed > version else "",
        mark if mark is not None and mark.version > version else None,
    )


def _mark(found: object) -> Mark | None:
    match found:
        case {"v": version, "at": None | datetime() as at} if _is_version(version):
            # null: the time of the deletion is not known
            return Mark(version, None if at is None else round(at.replace(tzinfo=UTC).timestamp() * 1000))
    return None


def _is_version(found: object) -> TypeGuard[str]:
    return isinstance(found, str) and found.isascii()
