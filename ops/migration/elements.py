"""Takes BSON apart without reading its values, and decides whether two values are the same. Pure.

PyMongo's decoder is not enough to compare documents that anybody may have written: it stops at text that is
not UTF-8, reads `undefined` as null and a symbol as a string, and keeps the last one of two fields with one
name. What a value means is not looked at here; `bson.decode` does that, for `_id` and metadata alone.

Source: bsonspec.org, "BSON version 1.1".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from bson import decode, encode
from bson.errors import BSONError
from bson.raw_bson import RawBSONDocument

from writer.mongodb.stored import CODEC, RAW
from writer.write import hashable

if TYPE_CHECKING:
    from collections.abc import Sequence

_ID = b"_id"
_DOCUMENT, _ARRAY, _REGEX, _INT32 = 0x03, 0x04, 0x0B, 0x10
_FIXED = {
    0x01: 8,  # double
    0x06: 0,  # undefined
    0x07: 12,  # ObjectId
    0x08: 1,  # boolean
    0x09: 8,  # date
    0x0A: 0,  # null
    0x10: 4,  # int32
    0x11: 8,  # timestamp
    0x12: 8,  # int64
    0x13: 16,  # decimal128
    0x7F: 0,  # MaxKey
    0xFF: 0,  # MinKey
}
_MORE = {
    0x02: 4,  # string
    0x03: 0,  # document
    0x04: 0,  # array
    0x05: 5,  # binary
    0x0C: 16,  # DBPointer
    0x0D: 4,  # code
    0x0E: 4,  # symbol
    0x0F: 0,  # code with scope
}
"""Types that begin with a length: the bytes that it does not count."""


class Element(NamedTuple):
    """A field of a document.

    Attributes:
        kind: the type of its value.
        value: the bytes of its value.
        start: where it begins in its document.
    """

    name: bytes
    kind: int
    value: bytes
    start: int


def elements(document: bytes) -> Sequence[Element]:
    """The fields of a document, in order; a name can occur twice.

    Raises:
        ValueError: it is not BSON.
    """
    found = []
    place, end = 4, len(document) - 1
    while place < end:
        element = _element_at(document, place)
        found.append(element)
        place += 2 + len(element.name) + len(element.value)
    if place != end:
        raise ValueError("a value is cut off")
    return found


def _element_at(document: bytes, place: int) -> Element:
    kind = document[place]
    name_end = document.index(0, place + 1)
    first = name_end + 1
    size = _FIXED.get(kind)
    if size is None:
        more = _MORE.get(kind)
        if more is not None:
            size = int.from_bytes(document[first : first + 4], "little") + more
        elif kind == _REGEX:
            size = document.index(0, document.index(0, first) + 1) + 1 - first
        else:
            raise ValueError(f"there is no type {kind}")
    return Element(document[place + 1 : name_end], kind, document[first : first + size], place)


def same(one: Element, other: Element) -> bool:
    """Whether two values are the same, type by type and bit by bit, whatever the order of fields."""
    if one.kind != other.kind:
        return False
    if one.value == other.value:
        return True
    if one.kind not in (_DOCUMENT, _ARRAY):
        return False
    mine, its = elements(one.value), elements(other.value)
    if one.kind == _ARRAY:
        return len(mine) == len(its) and all(map(same, mine, its))
    return same_fields(mine, its)


def same_fields(mine: Sequence[Element], its: Sequence[Element]) -> bool:
    """Whether two documents have the same fields; one with a name twice is like no other."""
    by_name = {each.name: each for each in its}
    return len({each.name for each in mine}) == len(mine) == len(its) == len(by_name) and all(
        each.name in by_name and same(each, by_name[each.name]) for each in mine
    )


def id_of(document: RawBSONDocument) -> Element:
    """The `_id` of a stored document; raises as `elements`, and if there is none."""
    raw = bytes(document.raw)
    first = _element_at(raw, 4)  # MongoDB stores it first
    if first.name == _ID:
        return first
    for each in elements(raw):
        if each.name == _ID:
            return each
    raise ValueError("no _id")


def value_of(element: Element) -> Any:
    """A value as PyMongo reads it; where PyMongo could not name it again, as raw BSON: `{"": value}`."""
    if element.kind == _INT32:
        return int.from_bytes(element.value, "little", signed=True)
    raw = _document_of(b"", element)
    try:
        value = decode(raw, CODEC)[""]
        hash(hashable(value))  # the writer's code keeps such `_id`s in sets
        if encode({"": value}) == raw:
            return value
    except (BSONError, TypeError, ValueError, OverflowError):
        pass
    return RawBSONDocument(raw, RAW)


def can_be_named(value: Any) -> bool:
    """Whether a value that PyMongo has read can be written again: in a filter, in a report."""
    try:
        encode({"": value})
    except (BSONError, ValueError):  # text that is not UTF-8
        return False
    return True


def raw_id(document_id: Any) -> RawBSONDocument:
    """The document `{_id: …}` of an `_id` that `value_of` has read."""
    raw = document_id.raw if isinstance(document_id, RawBSONDocument) else encode({"": document_id})
    return RawBSONDocument(_document_of(_ID, elements(bytes(raw))[0]), RAW)


def _document_of(name: bytes, element: Element) -> bytes:
    content = bytes([element.kind]) + name + b"\0" + element.value
    return (len(content) + 5).to_bytes(4, "little") + content + b"\0"
