"""A field's rule gives a default to what is absent and makes dates of numbers; it never guesses."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import bson
import pytest
from bson.codec_options import DatetimeConversion
from bson.datetime_ms import DatetimeMS

from shared.errors import PoisonError
from tests.support.builders import put
from tests.support.mapped_documents import encoded, fields

if TYPE_CHECKING:
    from collections.abc import Mapping


@pytest.mark.parametrize(
    ("rule", "image", "expected"),
    [
        ("{default: null}", {}, {"f": None}),
        ("{default: null}", {"f": 1}, {"f": 1}),
        ("{default: null}", {"f": None}, {"f": None}),
        ("{default: 5}", {"f": None}, {"f": None}),
        ("{default: 5}", {}, {"f": 5}),
        ("{default: [a, {b: 1.5}]}", {}, {"f": ["a", {"b": 1.5}]}),
        ("{default: 2020-01-01 00:00:00}", {}, {"f": dt.datetime(2020, 1, 1)}),  # noqa: DTZ001
        ("{default: 0, convert: epoch_seconds}", {}, {"f": 0}),
        ("{}", {}, {}),
        ("{convert: epoch_seconds}", {}, {}),
        ("{convert: epoch_seconds}", {"f": None}, {"f": None}),
    ],
)
def test_a_default_is_for_what_is_absent(
    rule: str, image: dict[str, Any], expected: Mapping[str, Any]
) -> None:
    """Null is a value: it is kept where the item has it, and given where the mapping says so."""
    assert fields(put(1, **image), f"tables: {{mytable: {{fields: {{f: {rule}}}}}}}") == {
        "id": 1,
        **expected,
    }


def milliseconds_of(value: Any, numbers: str = "native", unit: str = "epoch_seconds") -> int:
    """What the document holds as a date, in milliseconds since 1970."""
    text = f"tables: {{mytable: {{numbers: {numbers}, fields: {{t: {{convert: {unit}}}}}}}}}"
    options = bson.CodecOptions[dict[str, Any]](datetime_conversion=DatetimeConversion.DATETIME_MS)
    date = bson.decode(encoded(put(1, t=value), text), options)["t"]
    assert isinstance(date, DatetimeMS)
    return int(date)


@pytest.mark.parametrize("numbers", ["native", "decimal128", "double"])
@pytest.mark.parametrize(
    ("wire", "milliseconds"),
    [
        (0, 0),
        (1588166542, 1588166542000),
        (-1, -1000),
        (-2208988800, -2208988800000),
        (1.5, 1500),
        (0.0015, 2),
        (0.0025, 2),
        (-0.25, -250),
        (1588166542.123, 1588166542123),
        ({"$n": "1588166542.1234567890123"}, 1588166542123),
        ({"$n": "-1588166542.1239"}, -1588166542124),
        (9223372036854775, 9223372036854775000),
        (253402300800, 253402300800000),  # the year 10000, which Python's datetime does not have
    ],
)
def test_epoch_seconds(wire: Any, milliseconds: int, numbers: str) -> None:
    """Whole, negative and fractional seconds, whatever the table's policy makes of the number."""
    assert milliseconds_of(wire, numbers) == milliseconds


def test_epoch_millis() -> None:
    """The other unit."""
    assert milliseconds_of(1588166542123, unit="epoch_millis") == 1588166542123
    assert milliseconds_of(-1.5, unit="epoch_millis") == -2


@pytest.mark.parametrize(
    "wire",
    [
        "1588166542",
        "",
        True,
        ["1"],
        {"a": 1},
        {"$b": "AA=="},
        {"$ss": ["1"]},
        9223372036854776,
        -9223372036854776,
        1e100,
        {"$n": "1E+125"},
        {"$n": "12345678901234567890123456789012345678"},
    ],
    ids=repr,
)
def test_what_is_no_date_is_poison(wire: Any) -> None:
    """Never a guess; the reason names the field and not the value."""
    with pytest.raises(PoisonError, match="'t'") as caught:
        milliseconds_of(wire)
    assert caught.value.code == "bad-conversion"
    assert "1588166542" not in caught.value.reason
