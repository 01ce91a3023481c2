"""Wire values → BSON values under a table's number policy. Pure: `bson` here is a codec, not a client.

=============  =========================================================================================
policy         numbers
=============  =========================================================================================
native         int32/int64 if integral and it fits; double if it round-trips exactly; Decimal128 up to 34
               digits; a string beyond (35 to 38 digits)
decimal128     like native, but every non-integer is Decimal128
double         whatever is not an int64 becomes the nearest double, which may lose digits: asked for
=============  =========================================================================================

Source: MongoDB manual, "BSON types" (Decimal128 has 34 digits and exponents -6143 to 6144).
"""

from binascii import a2b_base64
from collections.abc import Mapping
from decimal import Context, Decimal, Inexact, Overflow
from enum import StrEnum
from typing import Any

from bson.decimal128 import Decimal128

from shared.attribute_values import BINARY, BINARY_SET, MAP, NUMBER, NUMBER_SET, STRING_SET, encode_number
from shared.errors import PoisonError
from shared.nesting import MAX_LEVELS, is_deeper_wire

_NUMBERS = frozenset({int, float})  # as JSON has them: not bool
_TOO_DEEP = "the item is nested too deep"
_DECIMAL128 = Context(prec=34, Emin=-6143, Emax=6144, clamp=1, traps=[Inexact, Overflow])
_SIGN_BIT, _EXPONENT_BIT, _EXPONENT_BIAS = 127, 113, 6176


class Numbers(StrEnum):
    """How DynamoDB numbers become BSON numbers."""

    NATIVE = "native"
    """Other numbers are doubles where these are exact, decimals (Decimal128) elsewhere."""

    DECIMAL128 = "decimal128"
    """Every other number is a decimal (Decimal128)."""

    DOUBLE = "double"
    """Every other number is the nearest double, which can lose digits."""


def decode_map(
    wire: Mapping[str, Any], numbers: Numbers, *, tagged: bool, is_shallow: bool = False
) -> Mapping[str, Any]:
    """Returns an item's attributes (or its key) as BSON values; the same mapping if they are already.

    Args:
        wire: attribute name → wire value.
        numbers: the table's policy.
        tagged: whether a tag can occur; without tags, JSON's values are the native ones already.
        is_shallow: whether somebody has looked how deep it is nested, and it is not too deep.

    Raises:
        PoisonError: ``bad-value``: something looks like a tag but is malformed; ``too-deep``.
    """
    if not tagged and numbers is not Numbers.DECIMAL128:
        if not is_shallow and is_deeper_wire(wire):
            raise PoisonError("too-deep", _TOO_DEEP)
        return wire
    return {name: decode_value(value, numbers) for name, value in wire.items()}


def decode_value(wire: Any, numbers: Numbers, levels: int = MAX_LEVELS - 1) -> Any:
    """Returns one wire value as a BSON value, which may have so many levels. Raises as `decode_map`."""
    kind = type(wire)
    if kind is dict:
        if len(wire) == 1:
            ((name, value),) = wire.items()
            if name in _TAG_DECODERS:
                return _TAG_DECODERS[name](value, numbers, levels)
        return _document(wire, numbers, levels)
    if kind is list:
        if levels == 0:
            raise PoisonError("too-deep", _TOO_DEEP)
        inside = levels - 1
        return [decode_value(element, numbers, inside) for element in wire]
    if kind is float and numbers is Numbers.DECIMAL128:
        return decimal_or_text(Decimal(repr(wire)))
    return wire


def _document(wire: Mapping[str, Any], numbers: Numbers, levels: int) -> dict[str, Any]:
    if levels == 0:
        raise PoisonError("too-deep", _TOO_DEEP)
    inside = levels - 1
    return {name: decode_value(value, numbers, inside) for name, value in wire.items()}


def _binary(value: Any, _numbers: Numbers, _levels: int) -> bytes:
    try:
        return a2b_base64(value, strict_mode=True)
    except (TypeError, ValueError) as error:  # binascii.Error is a ValueError
        raise PoisonError("bad-value", "a tagged binary value is not base64") from error


def _number(value: Any, numbers: Numbers, _levels: int) -> Any:
    if not isinstance(value, str):
        raise PoisonError("bad-value", "a tagged number is not a text")
    encode_number(value)  # refuses what is not a DynamoDB number
    if numbers is Numbers.DOUBLE:
        return float(value)
    return decimal_or_text(Decimal(value))


def decimal128(number: Decimal) -> Decimal128 | None:
    """The number as a Decimal128, or None if that cannot hold it exactly."""
    try:
        number = _DECIMAL128.create_decimal(number)
    except (Inexact, Overflow):
        return None
    # `Decimal128(number)` works digit by digit and bit by bit, and takes five times as long. The same bits:
    # sign, exponent, and the digits as one integer (IEEE 754-2008, binary integer decimal encoding).
    sign, _, exponent = number.as_tuple()
    power = int(exponent)
    digits = abs(int(number.scaleb(-power, _DECIMAL128)))
    bits = sign << _SIGN_BIT | power + _EXPONENT_BIAS << _EXPONENT_BIT | digits
    return Decimal128.from_bid(bits.to_bytes(16, "little"))


def decimal_or_text(number: Decimal) -> Decimal128 | str:
    """The number as a Decimal128, or as a text if that cannot hold it exactly."""
    decimal = decimal128(number)
    return str(number) if decimal is None else decimal


def _string_set(value: Any, _numbers: Numbers, _levels: int) -> list[str]:
    if not (isinstance(value, list) and {*map(type, value)} <= {str}):
        raise PoisonError("bad-value", "a tagged string set is not a list of strings")
    return value


def _number_set(value: Any, numbers: Numbers, _levels: int) -> list[Any]:
    if not isinstance(value, list):
        raise PoisonError("bad-value", "a tagged number set is not a list")
    if numbers is not Numbers.DECIMAL128 and _NUMBERS.issuperset(map(type, value)):
        return value
    return [_element(element, numbers) for element in value]


def _element(wire: Any, numbers: Numbers) -> Any:
    if type(wire) in _NUMBERS or (type(wire) is dict and wire.keys() == {NUMBER}):
        return decode_value(wire, numbers)
    raise PoisonError("bad-value", "a tagged number set has other elements")


def _binary_set(value: Any, numbers: Numbers, levels: int) -> list[bytes]:
    if not isinstance(value, list):
        raise PoisonError("bad-value", "a tagged binary set is not a list")
    return [_binary(element, numbers, levels) for element in value]


def _map(value: Any, numbers: Numbers, levels: int) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise PoisonError("bad-value", "an escaped map is not a map")
    return _document(value, numbers, levels)


_TAG_DECODERS = {
    BINARY: _binary,
    NUMBER: _number,
    STRING_SET: _string_set,
    NUMBER_SET: _number_set,
    BINARY_SET: _binary_set,
    MAP: _map,
}
