"""DynamoDB AttributeValue → wire value: JSON's own types where they are exact, a tag only elsewhere.

Pure, and exact: what cannot be carried without loss is an error, never an approximation. A wire value is

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

A real map of one entry whose name is a tag's is written as ``{"$m": {...}}``: it is not taken for a tag.

Sources: Amazon DynamoDB developer guide, "Supported data types and naming rules" (38 digits, magnitude
1E-130 to 9.99E+125) and "Low-level API" (the type descriptors); binary values are base64 text in a Lambda
event and bytes from the SDK.
"""

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from decimal import Context, Decimal
from typing import Any

from shared.errors import PoisonError

BINARY, NUMBER, STRING_SET, NUMBER_SET, BINARY_SET, MAP = "$b", "$n", "$ss", "$ns", "$bs", "$m"
TAGS = frozenset({BINARY, NUMBER, STRING_SET, NUMBER_SET, BINARY_SET, MAP})

INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1

_NUMBER_TEXT = re.compile(r"-?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d{1,4})?", re.ASCII).fullmatch
_MAX_NUMBER_TEXT = 300  # the longest legal number written without exponent has 168 characters
_MAX_DIGITS, _MIN_EXPONENT, _MAX_EXPONENT = 38, -130, 125
_EXACT = Context(prec=_MAX_NUMBER_TEXT)
_DOUBLE_TEXT = 16  # sign or point plus at most 15 digits: every such decimal survives a double
_INT_TEXT = 18  # at most 18 characters of digits are inside int64


def encode_item(item: Mapping[str, Any]) -> tuple[dict[str, Any], bool]:
    """Encodes an item (a map of AttributeValues).

    Returns:
        The attributes as wire values, and whether a tag occurs in them.

    Raises:
        PoisonError: ``bad-attribute`` (not an AttributeValue), ``bad-number`` or ``too-deep``; the text names
            the attribute.
    """
    encoder = _Encoder()
    encode = encoder.encode
    encoded = {}
    for name, value in item.items():
        try:
            encoded[name] = encode(value)
        except PoisonError as error:
            raise PoisonError(error.code, f"attribute {name[:100]!r}: {error.reason}") from error
        except RecursionError as error:
            raise PoisonError("too-deep", f"attribute {name[:100]!r} is nested too deep") from error
    return encoded, encoder.tagged


def encode_number(text: str) -> int | float | dict[str, str]:
    """Encodes the text of an N value; exact, whatever the notation (``1.50`` is ``1.5``).

    Raises:
        PoisonError: ``bad-number``: not a number, or outside of what DynamoDB can hold.
    """
    if len(text) <= _INT_TEXT and text.isdigit() and text.isascii():
        return int(text)
    if len(text) > _MAX_NUMBER_TEXT or not _NUMBER_TEXT(text):
        raise PoisonError("bad-number", f"{text[:60]!r} is not a number")
    if len(text) <= _DOUBLE_TEXT and "e" not in text and "E" not in text:
        double = float(text)
        return int(double) if double.is_integer() else double
    return _encode_decimal(Decimal(text).normalize(_EXACT), text)


def _encode_decimal(number: Decimal, text: str) -> int | float | dict[str, str]:
    digits, exponent = number.as_tuple().digits, number.adjusted()
    if len(digits) > _MAX_DIGITS or not _MIN_EXPONENT <= exponent <= _MAX_EXPONENT:
        raise PoisonError("bad-number", f"{text[:60]!r} is outside of what a DynamoDB number can hold")
    if number == number.to_integral_value():
        integer = int(number)
        if INT64_MIN <= integer <= INT64_MAX:
            return integer
    double = float(number)
    if Decimal(repr(double)) == number:
        return double
    return {NUMBER: str(number)}


def binary_text(value: Any) -> str:
    """Returns a B value as canonical base64 text; it comes as base64 text or as bytes.

    Raises:
        PoisonError: ``bad-attribute``: neither bytes nor base64.
    """
    if isinstance(value, bytes | bytearray):
        return base64.b64encode(value).decode("ascii")
    try:
        if not isinstance(value, str):
            raise TypeError
        # Decoded and encoded again, so that one binary value has one text (it may be a key).
        return base64.b64encode(base64.b64decode(value, validate=True)).decode("ascii")
    except (TypeError, ValueError, binascii.Error) as error:
        raise PoisonError("bad-attribute", "a binary value is not base64") from error


class _Encoder:
    """Walks one item; remembers whether a tag was written."""

    def __init__(self) -> None:
        self.tagged = False
        self._rare: dict[str, Callable[[Any], Any]] = {
            "B": self._binary,
            "SS": self._string_set,
            "NS": self._number_set,
            "BS": self._binary_set,
        }

    def encode(self, attribute_value: Any) -> Any:
        try:
            ((kind, value),) = attribute_value.items()
        except (AttributeError, ValueError) as error:
            raise PoisonError("bad-attribute", "a value is not an AttributeValue of one type") from error
        # The commonest first: this is the producer's innermost loop.
        if kind == "S" and isinstance(value, str):
            return value
        if kind == "N" and isinstance(value, str):
            number = encode_number(value)
            if type(number) is dict:
                self.tagged = True
            return number
        if kind == "M" and isinstance(value, dict):
            return self._map(value)
        if kind == "L" and isinstance(value, list):
            return [self.encode(element) for element in value]
        if kind == "BOOL" and isinstance(value, bool):
            return value
        if kind == "NULL" and value is True:
            return None
        if kind in self._rare:
            self.tagged = True
            return self._rare[kind](value)
        raise PoisonError("bad-attribute", f"a value of type {str(kind)[:20]!r} is malformed")

    def _map(self, entries: Mapping[str, Any]) -> dict[str, Any]:
        encode = self.encode
        encoded = {name: encode(value) for name, value in entries.items()}
        if len(encoded) == 1 and not TAGS.isdisjoint(encoded):
            self.tagged = True
            return {MAP: encoded}
        return encoded

    @staticmethod
    def _binary(value: Any) -> dict[str, str]:
        return {BINARY: binary_text(value)}

    @staticmethod
    def _string_set(value: Any) -> dict[str, list[str]]:
        return {STRING_SET: sorted(_elements(value, str))}

    @staticmethod
    def _number_set(value: Any) -> dict[str, list[Any]]:
        encoded = [(encode_number(text), text) for text in _elements(value, str)]
        return {NUMBER_SET: [number for number, _ in sorted(encoded, key=lambda pair: Decimal(pair[1]))]}

    @staticmethod
    def _binary_set(value: Any) -> dict[str, list[str]]:
        texts = [binary_text(element) for element in _elements(value, str | bytes | bytearray)]
        return {BINARY_SET: sorted(texts, key=base64.b64decode)}


def _elements(value: Any, kind: Any) -> list[Any]:
    """The elements of a set; a list in the Lambda event, a list or set elsewhere."""
    if not isinstance(value, list | set | frozenset) or not all(
        isinstance(element, kind) for element in value
    ):
        raise PoisonError("bad-attribute", "a set is not a list of values of its type")
    return list(value)
