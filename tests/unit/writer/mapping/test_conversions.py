"""One value in, one value out; what a conversion does not take is poison, and never guessed.

The commonest cases of each are in docs/mapping.md, whose table is run. Here are the edges.
"""

from __future__ import annotations

from typing import Any

import pytest
from bson.datetime_ms import DatetimeMS
from bson.decimal128 import Decimal128

from shared.errors import PoisonError
from writer.mapping.bson_values import Numbers
from writer.mapping.conversions import Conversion, convert

BIG = 2**63 - 1
DIGITS = "1234567890123456789012345678901234"  # as many as a Decimal128 holds


def date(milliseconds: int) -> DatetimeMS:
    return DatetimeMS(milliseconds)


@pytest.mark.parametrize("conversion", Conversion)
def test_null_stays_and_lists_are_converted_by_element(conversion: Conversion) -> None:
    """Whatever the conversion: null, also in lists in lists; an empty list."""
    assert convert(conversion, "f", None) is None
    assert convert(conversion, "f", []) == []
    assert convert(conversion, "f", [None, [None, []]]) == [None, [None, []]]


@pytest.mark.parametrize("conversion", [each for each in Conversion if each is not Conversion.JSON])
def test_what_no_conversion_takes(conversion: Conversion) -> None:
    """Maps and binary values; the reason names the field by its whole path, and not the value."""
    for value in ({"SECRET": 1}, b"SECRET", [None, {"SECRET": 1}]):
        with pytest.raises(PoisonError, match=r"field 'a\.b': a (map|binary value) ") as caught:
            convert(conversion, "a.b", value)
        assert caught.value.code == "bad-conversion"
        assert "SECRET" not in caught.value.reason


@pytest.mark.parametrize(
    ("conversion", "value", "expected"),
    [
        ("epoch_millis", BIG, date(BIG)),
        ("epoch_millis", -BIG - 1, date(-BIG - 1)),
        ("epoch_millis", Decimal128("0.5"), date(0)),  # a half goes to the even neighbour
        ("epoch_millis", Decimal128("1.5"), date(2)),
        ("epoch_seconds", 0.1, date(100)),
        ("iso8601", "0001-01-01T00:00:00+00:00", date(-62135596800000)),
        ("iso8601", "9999-12-31T23:59:59.999Z", date(253402300799999)),
        ("iso8601", "1969-12-31T23:59:59.999Z", date(-1)),
        ("iso8601", "2020-04-29 13:22:22.1239", date(1588166542124)),
        ("iso8601", "20200429T132222Z", date(1588166542000)),
        ("iso8601", "0001-01-01T00:00:00+14:00", date(-62135596800000 - 14 * 3600_000)),
        ("iso8601", "9999-12-31T23:59:59-12:00", date(253402300799000 + 12 * 3600_000)),
        ("decimal", DIGITS, Decimal128(DIGITS)),
        ("decimal", 0, Decimal128("0")),
        ("decimal", 0.1, Decimal128("0.1")),
        ("decimal", Decimal128("1E+30"), Decimal128("1E+30")),
        ("decimal", "-1e-130", Decimal128("-1E-130")),
        ("string", 0, "0"),
        ("string", -0.5, "-0.5"),
        ("string", 1e-7, "0.0000001"),
        ("string", Decimal128("1E+20"), "1" + 20 * "0"),
        ("string", Decimal128("1E+39"), "1" + 39 * "0"),
        ("string", Decimal128("1E+40"), "1E+40"),
        ("string", False, "false"),
        ("string", "", ""),
        ("int", str(BIG), BIG),
        ("int", "-9223372036854775808", -BIG - 1),
        ("int", "1e2", 100),
        ("int", Decimal128("7.00"), 7),
        ("int", 3.0, 3),
        ("double", 1, 1.0),
        ("double", Decimal128("0.1"), 0.1),
        ("double", "1E-130", 1e-130),
        ("double", DIGITS, float(DIGITS)),
        ("json", "null", None),
        ("json", '"text"', "text"),
        ("json", '[{"a": {"b": []}}]', [{"a": {"b": []}}]),
        ("json", '{"$b": "AAE="}', {"$b": "AAE="}),  # no tag: it did not come from the Lambda
        ("json", "1.0", 1),
        ("json", "-0", 0),
        ("json", "12345678901234567890", Decimal128("1.234567890123456789E+19")),
    ],
    ids=repr,
)
def test_what_is_taken(conversion: str, value: Any, expected: Any) -> None:
    """To the last number that fits."""
    converted = convert(Conversion(conversion), "f", value)
    assert type(converted) is type(expected)
    assert converted == expected


@pytest.mark.parametrize(
    ("conversion", "value", "reason"),
    [
        ("json", '{"a": {"b": 1, "b": 2}}', "a name twice"),
        ("epoch_seconds", BIG, "no date"),
        ("epoch_millis", Decimal128("9223372036854775808"), "no date"),
        ("epoch_millis", "1", "a text is not a number"),
        ("iso8601", "", "not a date"),
        ("iso8601", "10000-01-01", "not a date"),
        ("iso8601", "2020-02-30", "not a date"),
        ("iso8601", "13:22:22", "not a date"),
        ("iso8601", 1588166542, "a number is not a text"),
        ("decimal", DIGITS + "5", "34 digits"),
        ("decimal", "", "not a number"),
        ("decimal", "NaN", "not a number"),
        ("decimal", "1E+126", "not a number"),
        ("decimal", "\u0663", "not a number"),
        ("decimal", "1_000", "not a number"),
        ("decimal", " 1", "not a number"),
        ("decimal", True, "a boolean is not a number"),
        ("int", "9223372036854775808", "beyond 64 bits"),
        ("int", 1e100, "beyond 64 bits"),
        ("int", 0.5, "not whole"),
        ("int", "1e-1", "not whole"),
        ("double", "Infinity", "not a number"),
        ("json", "", "not JSON"),
        ("json", "NaN", "NaN or Infinity"),
        ("json", "[-Infinity]", "NaN or Infinity"),
        ("json", "1E+126", "more than DynamoDB"),
        ("json", "9" * 39, "more than DynamoDB"),
        ("json", "[" * 100_000, "nested too deep"),
        ("json", '{"a": 1} x', "not JSON"),
        ("json", 5, "a number is not a text"),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_what_is_refused(conversion: str, value: Any, reason: str) -> None:
    """With the reason, from the first number that does not fit."""
    with pytest.raises(PoisonError, match=reason) as caught:
        convert(Conversion(conversion), "f", value)
    assert caught.value.code == "bad-conversion"


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [
        (Numbers.NATIVE, [0.1, 5, Decimal128("1.234567890123456789E+19")]),
        (Numbers.DECIMAL128, [Decimal128("0.1"), 5, Decimal128("1.234567890123456789E+19")]),
        (Numbers.DOUBLE, [0.1, 5, 12345678901234567890.0]),
    ],
)
def test_numbers_in_json_follow_the_policy(numbers: Numbers, expected: list[Any]) -> None:
    """They are the table's numbers like all others."""
    assert convert(Conversion.JSON, "f", "[0.1, 5, 12345678901234567890]", numbers) == expected


def test_a_long_name_is_cut() -> None:
    """A reason has room for what else there is to say."""
    with pytest.raises(PoisonError) as caught:
        convert(Conversion.INT, "n" * 1000, "text")
    assert len(caught.value.reason) < 200
