"""Conversions that `replication.yaml` can ask for: one value in, one value out. Pure."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum
from typing import Any

from bson.datetime_ms import DatetimeMS
from bson.decimal128 import Decimal128

from shared.attribute_values import INT64_MAX, INT64_MIN
from shared.errors import PoisonError


class Conversion(StrEnum):
    """The conversions, by their names in the file."""

    EPOCH_SECONDS = "epoch_seconds"
    """A number of seconds since 1970 becomes a date; dates have milliseconds, finer fractions are rounded."""

    EPOCH_MILLIS = "epoch_millis"
    """A number of milliseconds since 1970 becomes a date."""


_MILLISECONDS = {Conversion.EPOCH_SECONDS: 1000, Conversion.EPOCH_MILLIS: 1}


def convert(conversion: Conversion, name: str, value: Any) -> Any:
    """Converts one field's value; null stays null.

    Raises:
        PoisonError: ``bad-conversion``: the value is not what the conversion takes; the text names the field.
    """
    if value is None:
        return None
    milliseconds = _number(name, value) * _MILLISECONDS[conversion]
    if not INT64_MIN <= milliseconds <= INT64_MAX:
        raise PoisonError("bad-conversion", f"field {name!r}: no date can be that far from 1970")
    return DatetimeMS(round(milliseconds))


def _number(name: str, value: Any) -> int | Decimal:
    if isinstance(value, Decimal128):
        return value.to_decimal()
    if isinstance(value, float):
        return Decimal(repr(value))
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise PoisonError("bad-conversion", f"field {name!r}: a {type(value).__name__} is not a number")
