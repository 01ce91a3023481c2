"""DynamoDB AttributeValue → wire value: JSON's own types where they are exact, a tag only elsewhere.

Pure, and exact: what JSON cannot carry without loss is an error, never an approximation. A wire value is

=================  ======================================================================================
AttributeValue     wire value
=================  ======================================================================================
S, BOOL, NULL      string, true/false, null
N                  integer if integral and in int64; float if the shortest decimal representation of the
                   nearest double is the same number; else ``{"$n": "12345678901234567890"}``
L, M               array, object
B                  ``{"$b": "<base64>"}``
SS, NS, BS         ``{"$ss": [...]}``, ``{"$ns": [...]}``, ``{"$bs": ["<base64>", ...]}``, sorted
=================  ======================================================================================

A map whose only entry has a tag's name is written as ``{"$m": {...}}``, so that nobody takes it for a tag.

Sources: Amazon DynamoDB developer guide, "Supported data types and naming rules" (38 digits, magnitude
1E-130 to 9.99E+125) and "Low-level API" (the type descriptors); binary values are base64 text in a Lambda
event and bytes from the SDK.
"""

import re
from binascii import a2b_base64, b2a_base64
from collections.abc import Callable, Collection, Iterable, Mapping
from decimal import Context, Decimal, Inexact, Overflow, Subnormal
from typing import Any

from orjson import dumps

from shared.errors import PoisonError
from shared.nesting import MAX_LEVELS

BINARY, NUMBER, STRING_SET, NUMBER_SET, BINARY_SET, MAP = "$b", "$n", "$ss", "$ns", "$bs", "$m"
TAGS = frozenset({BINARY, NUMBER, STRING_SET, NUMBER_SET, BINARY_SET, MAP})

INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1

# What a DynamoDB number can hold; everything else raises instead of being rounded.
_DYNAMODB = Context(prec=38, Emin=-130, Emax=125, traps=[Inexact, Overflow, Subnormal])
_NUMBER_TEXT = re.compile(r"-?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,4})?").fullmatch
_MAX_NUMBER_TEXT = 300  # the longest legal number written without exponent has 168 characters
_INT_TEXT = 18  # at most 18 characters of digits are inside int64
_INT64_ADJUSTED = 18  # the exponent of the largest int64's first digit
_SURE_DOUBLE = 16  # sign or point plus at most 15 digits: every such decimal survives a double
_SHORT_TEXT = 20
# Longer than that, at most 38 digits, no zeros at the ends: more than the 17 digits that a double needs, and
# beyond int64 if it is integral. Nothing but its digits holds it.
_LONG_TEXT = re.compile(
    r"-?(?:0\.[1-9][0-9]{0,37}|[1-9](?:[0-9]{0,37}+|(?!.{39})[0-9]*\.[0-9]+))(?<=[1-9])"
).fullmatch
_BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_SHORT_BINARY = 64  # characters
_OCTETS, _COLLECTIONS = (bytes, bytearray), (list, set, frozenset)  # `|` would build them at each call


def encode_item(item: Mapping[str, Any]) -> tuple[dict[str, Any], bool]:
    """Encodes an item (a map of AttributeValues).

    Returns:
        The attributes as wire values, and whether a tag occurs in them.

    Raises:
        PoisonError: ``bad-attribute`` (not an AttributeValue), ``bad-number`` or ``too-deep``; the text names
            the attribute.
    """
    encoded: dict[str, Any] = {}
    try:
        tagged = _encode(item.items(), encoded, MAX_LEVELS)
    except PoisonError as error:
        name = next(name for name in item if name not in encoded)
        raise PoisonError(error.code, f"attribute {name[:100]!r}: {error.reason}") from error
    return encoded, tagged


def encode_number(text: str) -> int | float | dict[str, str]:
    """Encodes the text of an N value; exact, whatever the notation (``1.50`` is ``1.5``).

    Raises:
        PoisonError: ``bad-number``: not a number, or outside of what DynamoDB can hold.
    """
    # DynamoDB leaves out zeros at the ends, so most texts are canonical; those are recognised first.
    if len(text) <= _INT_TEXT and text.isdigit() and text.isascii():
        return int(text)
    if len(text) > _SHORT_TEXT:
        if _LONG_TEXT(text):
            return {NUMBER: text}
    elif "." in text and "E" not in text and "e" not in text:
        try:
            double = float(text)
        except ValueError:
            pass
        else:
            if dumps(double) == text.encode() and not double.is_integer():
                return double
    elif text.removeprefix("-").isdigit() and text.isascii():
        integer = int(text)
        if INT64_MIN <= integer <= INT64_MAX:
            return integer
    return _encode_decimal(text)


def _encode_decimal(text: str) -> int | float | dict[str, str]:
    if len(text) > _MAX_NUMBER_TEXT or not _NUMBER_TEXT(text):
        raise PoisonError("bad-number", f"{text[:60]!r} is not a number")
    try:
        number = Decimal(text).normalize(_DYNAMODB)
    except (Inexact, Overflow, Subnormal) as error:
        reason = f"{text[:60]!r} is outside the range of a DynamoDB number"
        raise PoisonError("bad-number", reason) from error
    if number.adjusted() <= _INT64_ADJUSTED and number == number.to_integral_value():
        integer = int(number)
        if INT64_MIN <= integer <= INT64_MAX:
            return integer
    text = str(number)
    double = float(text)
    if len(text) <= _SURE_DOUBLE or Decimal(repr(double)) == number:
        return double
    return {NUMBER: text}


def binary_text(value: Any) -> str:
    """Returns a B value, base64 text or bytes, as canonical base64 text.

    Raises:
        PoisonError: ``bad-attribute``: neither bytes nor base64.
    """
    if isinstance(value, str):
        # One value has several texts, because bits of the last four characters can be unused; and it may be a
        # key. For all characters before them a look at the alphabet is enough, and much faster.
        if len(value) > _SHORT_BINARY and len(value) % 4 == 0 and value.isascii():
            groups = value[:-4]
            if value[-4] != "=" and not groups.encode().translate(None, _BASE64):
                return groups + b2a_base64(_from_base64(value[-4:]), newline=False).decode()
        value = _from_base64(value)
    elif not isinstance(value, _OCTETS):
        raise PoisonError("bad-attribute", "a binary value is not base64")
    return b2a_base64(value, newline=False).decode()


def _from_base64(text: str) -> bytes:
    try:
        return a2b_base64(text, strict_mode=True)
    except ValueError as error:  # binascii.Error is one
        raise PoisonError("bad-attribute", "a binary value is not base64") from error


def _encode(entries: Iterable[tuple[Any, Any]], encoded: Any, levels: int) -> bool:
    """Encodes the entries of a map into a dict, or those of a list, by index, into a list.

    `levels` are those that are left, this one included.

    The producer's innermost loop: one call for all entries, the commonest types first. Returns whether a tag
    was written.
    """
    tagged = False
    for place, attribute_value in entries:
        try:
            ((kind, value),) = attribute_value.items()
        except (AttributeError, ValueError) as error:
            raise PoisonError("bad-attribute", "a value is not an AttributeValue of one type") from error
        if kind == "S" and isinstance(value, str):
            encoded[place] = value
        elif kind == "N" and isinstance(value, str):
            encoded[place] = number = encode_number(value)
            if type(number) is dict:
                tagged = True
        elif kind == "BOOL" and isinstance(value, bool):
            encoded[place] = value
        elif kind == "NULL" and value is True:
            encoded[place] = None
        else:
            encoded[place], has_tag = _encode_other(kind, value, levels - 1)
            if has_tag:
                tagged = True
    return tagged


def _encode_other(kind: Any, value: Any, levels: int) -> tuple[Any, bool]:
    """Encodes the other types; returns also whether a tag was written."""
    if levels == 0 and kind in ("M", "L"):
        raise PoisonError("too-deep", "it is nested too deep")
    if kind == "M" and isinstance(value, dict):
        entries: dict[str, Any] = {}
        tagged = _encode(value.items(), entries, levels)
        if len(entries) == 1 and not TAGS.isdisjoint(entries):
            return {MAP: entries}, True
        return entries, tagged
    if kind == "L" and isinstance(value, list):
        elements = [None] * len(value)
        return elements, _encode(enumerate(value), elements, levels)
    if kind == "B":
        return {BINARY: binary_text(value)}, True
    if kind in _SETS:
        return _SETS[kind](value), True
    raise PoisonError("bad-attribute", f"a value of type {str(kind)[:20]!r} is malformed")


def _string_set(value: Any) -> dict[str, list[str]]:
    return {STRING_SET: sorted(_elements(value, str))}


def _number_set(value: Any) -> dict[str, list[Any]]:
    texts = _elements(value, str)
    numbers = [encode_number(text) for text in texts]
    if max(map(len, texts), default=0) <= _SURE_DOUBLE:
        return {NUMBER_SET: sorted(numbers)}  # no tags, and Python compares exactly
    return {NUMBER_SET: [encode_number(text) for text in sorted(texts, key=Decimal)]}


def _binary_set(value: Any) -> dict[str, list[str]]:
    elements = _elements(value, str, bytes, bytearray)
    octets = [_from_base64(element) if type(element) is str else element for element in elements]
    return {BINARY_SET: [b2a_base64(element, newline=False).decode() for element in sorted(octets)]}


def _elements(value: Any, *kinds: type) -> Collection[Any]:
    """The elements of a set; a list in the Lambda event, a list or set elsewhere."""
    if not isinstance(value, _COLLECTIONS) or not {*map(type, value)}.issubset(kinds):
        raise PoisonError("bad-attribute", "a set is not a list of values of its type")
    return value


_SETS: Mapping[str, Callable[[Any], Any]] = {"SS": _string_set, "NS": _number_set, "BS": _binary_set}
