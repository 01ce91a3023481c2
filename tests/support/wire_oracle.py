"""What an envelope says, by docs/design.md and docs/types.md ("On the wire"), with no code under test."""

from __future__ import annotations

import base64
import json
import zlib
from decimal import Context, Decimal
from typing import TYPE_CHECKING, Any

from bson.decimal128 import Decimal128
from bson.int64 import Int64

from tests.support.oracle import frozen, inside_id, renamed_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_DECIMAL128_DIGITS = 34
_EXACT = Context(prec=60)


def entries_of(body: str) -> list[Any]:
    """The entries of an envelope; of one that is none, nothing."""
    envelope = json.loads(body)
    if "z" in envelope:
        found = json.loads(zlib.decompress(base64.b64decode(envelope["z"], validate=True)))
    else:
        found = envelope["changes"]
    assert isinstance(found, list)
    return found


def document_of_entry(entry: dict[str, Any]) -> dict[str, Any]:
    """The document of a put, without metadata."""
    is_tagged = entry.get("tags") is True
    image = {name: bson_of_wire(value, is_tagged=is_tagged) for name, value in entry["doc"].items()}
    names = {original: name for name, original in renamed_of(image).items()}
    fields = {names.get(name, name): value for name, value in image.items()}
    for name, value in entry["key"].items():
        assert frozen(bson_of_wire(value, is_tagged=is_tagged)) == frozen(image[name]), "another key"
    return {"_id": document_id_of(entry), **fields}


def document_id_of(entry: dict[str, Any]) -> Any:
    """The `_id` of a change: the value of its key, or a document of both."""
    is_tagged = entry.get("tags") is True
    key, names = entry["key"], sorted(entry["key"])
    values = {inside_id(name, names): bson_of_wire(key[name], is_tagged=is_tagged) for name in names}
    return next(iter(values.values())) if len(values) == 1 else values


def bson_of_wire(wire: Any, *, is_tagged: bool) -> Any:
    """A BSON value, as PyMongo reads it; an assertion fails for what is no wire value."""
    if is_tagged and isinstance(wire, dict) and len(wire) == 1:
        ((tag, content),) = wire.items()
        if tag in _TAGS:
            return _TAGS[tag](content)
    match wire:
        case None | str() | bool() | float():
            return wire
        case int():
            assert -(2**63) <= wire < 2**63
            return wire if -(2**31) <= wire < 2**31 else Int64(wire)
        case list():
            return [bson_of_wire(element, is_tagged=is_tagged) for element in wire]
        case _:
            return _map(wire, is_tagged=is_tagged)


def _map(content: Any, *, is_tagged: bool = True) -> dict[str, Any]:
    return {name: bson_of_wire(value, is_tagged=is_tagged) for name, value in content.items()}


def _binary(content: Any) -> bytes:
    return base64.b64decode(content, validate=True)


def _decimal(content: Any) -> Any:
    number = Decimal(content)
    if len(number.as_tuple().digits) > _DECIMAL128_DIGITS:
        shortest = number.normalize(_EXACT)
        if len(shortest.as_tuple().digits) > _DECIMAL128_DIGITS:
            return str(number)
        zeros = _DECIMAL128_DIGITS - len(shortest.as_tuple().digits)
        number = shortest.quantize(
            Decimal(1).scaleb(int(shortest.as_tuple().exponent) - zeros), context=_EXACT
        )
    return Decimal128(number)


def _strings(content: Any) -> list[str]:
    assert all(isinstance(element, str) for element in content)
    return list(content)


def _binaries(content: Any) -> list[bytes]:
    return [_binary(element) for element in content]


def _numbers(content: Any) -> list[Any]:
    numbers = [bson_of_wire(element, is_tagged=True) for element in content]
    assert all(
        (isinstance(number, int | float | Decimal128) and not isinstance(number, bool))
        or (isinstance(element, dict) and list(element) == ["$n"])  # a text, if it has too many digits
        for element, number in zip(content, numbers, strict=True)
    )
    return numbers


_TAGS: Mapping[str, Callable[[Any], Any]] = {
    "$b": _binary,
    "$n": _decimal,
    "$ss": _strings,
    "$ns": _numbers,
    "$bs": _binaries,
    "$m": _map,
}
