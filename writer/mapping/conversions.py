"""Conversions that `replication.yaml` can ask for: one value in, one value out. Pure.

Null stays null; of a list (or a set, which is a list by now) each element is converted. A value that would
need guessing is poison: the record is parked, and the text names the field.
"""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from bson.datetime_ms import DatetimeMS
from bson.decimal128 import Decimal128

from shared.attribute_values import INT64_MAX, INT64_MIN, encode_number
from shared.errors import PoisonError
from shared.nesting import MAX_LEVELS, is_deeper_json
from writer.mapping.bson_values import Numbers, decimal128, decode_value


class Conversion(StrEnum):
    """The conversions, by their names in the file."""

    EPOCH_SECONDS = "epoch_seconds"
    """A number of seconds since 1970 becomes a date; dates have milliseconds, finer fractions are rounded."""

    EPOCH_MILLIS = "epoch_millis"
    """A number of milliseconds since 1970 becomes a date."""

    ISO8601 = "iso8601"
    """A text such as 2020-04-29T13:22:22.5+02:00 becomes a date; without an offset it is UTC."""

    DECIMAL = "decimal"
    """A number, or a text that is one, becomes a Decimal128: at most 34 digits."""

    STRING = "string"
    """A number or a boolean becomes a text: 12.5, true."""

    INT = "int"
    """A whole number, or a text that is one, becomes an integer."""

    DOUBLE = "double"
    """A number, or a text that is one, becomes the nearest double."""

    JSON = "json"
    """A text becomes the value that it is the JSON of."""


def convert(conversion: Conversion, name: str, value: Any, numbers: Numbers = Numbers.NATIVE) -> Any:
    """Converts one field's value.

    Args:
        conversion: which one.
        name: the field's path, for messages.
        value: a BSON value.
        numbers: the policy for numbers inside JSON.

    Raises:
        PoisonError: ``bad-conversion``: the conversion does not take this value; the text names the field.
    """
    try:
        return _convert(conversion, value, numbers)
    except _UnfitError as error:
        raise PoisonError("bad-conversion", f"field {name[:100]!r}: {error}") from error


class _UnfitError(Exception):
    """A value that a conversion does not take; the text says why, without the value."""


def _convert(conversion: Conversion, value: Any, numbers: Numbers) -> Any:
    if value is None:
        return None
    if isinstance(value, list):
        return [_convert(conversion, element, numbers) for element in value]
    if conversion is Conversion.JSON:
        return _json(value, numbers)
    return _CONVERTERS[conversion](value)


def _iso8601(value: Any) -> DatetimeMS:
    try:
        time = datetime.fromisoformat(_text(value))
    except ValueError as error:
        raise _UnfitError("the text is not a date of ISO 8601") from error
    if time.tzinfo is None:
        time = time.replace(tzinfo=UTC)
    since = time - datetime(1970, 1, 1, tzinfo=UTC)
    return DatetimeMS(round((since.days * 86_400 + since.seconds) * 1000 + since.microseconds / 1000))


def _decimal(value: Any) -> Decimal128:
    decimal = decimal128(Decimal(_number_or_text(value)))
    if decimal is None:
        raise _UnfitError("the number has more than the 34 digits of a Decimal128")
    return decimal


def _string(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict | bytes):
        raise _UnfitError(f"a {_kind(value)} is neither a text nor a number nor a boolean")
    number = Decimal(_number(value))
    digits = format(number, "f")
    return digits if len(digits) <= _LONGEST_PLAIN else str(number)


def _int(value: Any) -> int:
    number = Decimal(_number_or_text(value))
    if number != number.to_integral_value():
        raise _UnfitError("the number is not whole")
    if not INT64_MIN <= number <= INT64_MAX:
        raise _UnfitError("the number is beyond 64 bits")
    return int(number)


def _json(value: Any, numbers: Numbers) -> Any:
    def number(text: str) -> Any:
        try:
            return decode_value(encode_number(text), numbers)
        except PoisonError as error:
            raise _UnfitError("a number in the JSON is more than DynamoDB could hold") from error

    def pairs(entries: list[tuple[str, Any]]) -> dict[str, Any]:
        document = dict(entries)
        if len(document) < len(entries):
            raise _UnfitError("the JSON has a name twice")
        return document

    def constant(_: str) -> Any:
        raise _UnfitError("the JSON holds NaN or Infinity")

    text = _text(value)
    if is_deeper_json(text, MAX_LEVELS):
        raise _UnfitError("it is nested too deep")
    try:
        return json.loads(
            text, parse_int=number, parse_float=number, parse_constant=constant, object_pairs_hook=pairs
        )
    except ValueError as error:
        raise _UnfitError("the text is not JSON") from error


_LONGEST_PLAIN = 40  # characters; numbers with more zeros than that are written with an exponent

_CONVERTERS: dict[Conversion, Callable[[Any], Any]] = {
    Conversion.EPOCH_SECONDS: lambda value: _date(_number(value) * 1000),
    Conversion.EPOCH_MILLIS: lambda value: _date(_number(value)),
    Conversion.ISO8601: _iso8601,
    Conversion.DECIMAL: _decimal,
    Conversion.STRING: _string,
    Conversion.INT: _int,
    Conversion.DOUBLE: lambda value: float(_number_or_text(value)),
}


def _date(milliseconds: int | Decimal) -> DatetimeMS:
    if not INT64_MIN <= milliseconds <= INT64_MAX:
        raise _UnfitError("no date can be that far from 1970")
    return DatetimeMS(round(milliseconds))


def _number(value: Any) -> int | Decimal:
    if isinstance(value, Decimal128):
        return value.to_decimal()
    if isinstance(value, float):
        return Decimal(repr(value))
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise _UnfitError(f"a {_kind(value)} is not a number")


def _number_or_text(value: Any) -> int | Decimal:
    if not isinstance(value, str):
        return _number(value)
    try:
        encode_number(value)
    except PoisonError as error:
        raise _UnfitError("the text is not a number that DynamoDB could hold") from error
    return Decimal(value)


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    raise _UnfitError(f"a {_kind(value)} is not a text")


def _kind(value: Any) -> str:
    return {dict: "map", bytes: "binary value", bool: "boolean", str: "text"}.get(type(value), "number")
