"""Nothing a DynamoDB item can hold is lost or changed on the wire (P6).

The decoder here is written from the table in the documentation, not from the encoder, and reads the JSON
text with the standard library, numbers as decimals.
"""

import base64
import json
from decimal import Context, Decimal
from typing import Any

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shared.attribute_values import encode_item, encode_number
from shared.errors import PoisonError
from tests.support.strategies import AttributeValue, Item, items, json_values, number_texts

WIDE = Context(prec=400)
INT64_MIN, INT64_MAX = -9223372036854775808, 9223372036854775807
SINGLE_TAGS = {"$b", "$n", "$ss", "$ns", "$bs", "$m"}


def as_bytes(binary: str | bytes) -> bytes:
    return base64.b64decode(binary, validate=True) if isinstance(binary, str) else binary


def meaning_of_attribute(value: AttributeValue) -> Any:
    """What an AttributeValue says, without its notation."""
    ((kind, content),) = value.items()
    match kind:
        case "N":
            return "N", Decimal(content)
        case "B":
            return "B", as_bytes(content)
        case "SS":
            return "SS", sorted(content)
        case "NS":
            return "NS", sorted(map(Decimal, content))
        case "BS":
            return "BS", sorted(map(as_bytes, content))
        case "L":
            return "L", [meaning_of_attribute(element) for element in content]
        case "M":
            return "M", meaning_of_item(content)
        case _:
            return kind, content


def meaning_of_item(item: Item) -> dict[str, Any]:
    return {name: meaning_of_attribute(value) for name, value in item.items()}


def meaning_of_wire(value: Any) -> Any:
    """What a wire value says; numbers are decimals or integers of the JSON text."""
    match value:
        case None:
            return "NULL", True
        case bool():
            return "BOOL", value
        case str():
            return "S", value
        case int() | Decimal():
            return "N", Decimal(value)
        case list():
            return "L", [meaning_of_wire(element) for element in value]
    if len(value) == 1 and value.keys() <= SINGLE_TAGS:
        return meaning_of_tag(*value.popitem())
    return "M", {name: meaning_of_wire(element) for name, element in value.items()}


def meaning_of_tag(tag: str, content: Any) -> Any:
    match tag:
        case "$n":
            return "N", Decimal(content)
        case "$b":
            return "B", as_bytes(content)
        case "$ss":
            return "SS", content
        case "$ns":
            return "NS", [meaning_of_wire(number)[1] for number in content]
        case "$bs":
            return "BS", [as_bytes(text) for text in content]
        case _:
            return "M", {name: meaning_of_wire(element) for name, element in content.items()}


def holds_tag(value: Any) -> bool:
    if isinstance(value, list):
        return any(map(holds_tag, value))
    if isinstance(value, dict):
        return (len(value) == 1 and value.keys() <= SINGLE_TAGS) or any(map(holds_tag, value.values()))
    return False


@given(items)
@example({"tag": {"M": {"$n": {"S": "not a number"}}}})
@example({"tag": {"M": {"$m": {"M": {"$m": {"M": {}}}}}}})
@example({"two": {"M": {"$n": {"S": "1"}, "$b": {"S": ""}}}})
@example({"$n": {"S": "an attribute, not a tag"}})
@example({"": {"S": ""}, "s": {"SS": []}, "l": {"L": []}, "m": {"M": {}}, "b": {"B": ""}})
@example({"n": {"NS": ["-1E-130", "9.99E+125", "0.1", "12345678901234567890.5", "3"]}})
def test_lossless(item: Item) -> None:
    """Every legal item comes back from its JSON with the same types and values, and sets sorted."""
    encoded, tagged = encode_item(item)
    text = orjson.dumps(encoded)
    read = json.loads(text, parse_float=Decimal)
    assert {name: meaning_of_wire(value) for name, value in read.items()} == meaning_of_item(item)
    assert orjson.loads(text) == encoded
    assert tagged == any(map(holds_tag, encoded.values()))


@given(number_texts())
@example("-0")
@example("-0.0")
@example("0E9999")
@example("1.50")
@example("1E+2")
@example("5.")
@example(".5")
@example("007")
@example("9007199254740993")
@example("9223372036854775807")
@example("9223372036854775808")
@example("-9223372036854775808")
@example("-9223372036854775809")
@example("999999999999999999")
@example("1000000000000000000")
@example("12345678901234.5")
@example("900719925474099.3")
@example("9.99E+125")
@example("1E-130")
@example("0.10000000000000001")
@example("9" * 38)
@example("9" * 38 + "0" * 88)
@example("-0." + "0" * 129 + "1" * 38)
def test_json_number_only_where_exact(text: str) -> None:
    """An integer of int64 is one, a decimal that a double stands for is a float, all else is digits."""
    number, encoded = Decimal(text), encode_number(text)
    if number == number.to_integral_value() and INT64_MIN <= number <= INT64_MAX:
        assert type(encoded) is int
        assert encoded == number
    elif Decimal(repr(float(number))) == number:
        assert type(encoded) is float
        assert Decimal(repr(encoded)) == number
    else:
        assert encoded == {"$n": str(number.normalize(WIDE))}


@given(number_texts())
def test_one_number_one_encoding(text: str) -> None:
    """Notation does not matter: equal numbers are equal on the wire, so they are the same key."""
    number = Decimal(text)
    spellings = {f"{number:f}", f"{number:E}", f"{number.normalize(WIDE)}"}
    assert {repr(encode_number(spelling)) for spelling in spellings} == {repr(encode_number(text))}


kinds = st.sampled_from(["S", "N", "B", "BOOL", "NULL", "M", "L", "SS", "NS", "BS", "X"])
nearly_values = st.recursive(
    st.one_of(json_values, st.dictionaries(kinds, json_values, max_size=2)),
    lambda inner: st.one_of(
        inner.map(lambda value: {"L": [value]}),
        inner.map(lambda value: {"M": {"m": value}}),
        st.tuples(kinds, inner).map(lambda entry: {entry[0]: entry[1]}),
    ),
    max_leaves=4,
)


@given(nearly_values)
def test_garbage_is_poison(value: Any) -> None:
    """Whatever stands where an AttributeValue should be: it is encoded, or poison; nothing else happens."""
    try:
        encoded, _ = encode_item({"a": value})
    except PoisonError as error:
        assert error.code in {"bad-attribute", "bad-number", "too-deep"}  # noqa: PT017 - one of two outcomes
        assert "'a'" in error.reason  # noqa: PT017 - likewise
    else:
        assert meaning_of_wire(json.loads(orjson.dumps(encoded["a"]), parse_float=Decimal)) == (
            meaning_of_attribute(value)
        )


@given(st.text(st.sampled_from("0123456789.eE+-_ \n\u0661\uff11nNaifty"), max_size=12))
def test_number_text_is_exact_or_poison(text: str) -> None:
    """A text is a number of exactly that value, or it is poison: no guess in between."""
    try:
        encoded = encode_number(text)
    except PoisonError as error:
        assert error.code == "bad-number"  # noqa: PT017 - one of two outcomes
    else:
        assert text.isascii()
        assert not set(text) & set("_ \n")
        digits = encoded["$n"] if isinstance(encoded, dict) else repr(encoded)
        assert Decimal(digits) == Decimal(text)


@pytest.mark.parametrize("length", [39, 100, 299, 301, 100_000])
def test_long_numbers_are_poison(length: int) -> None:
    """More than 38 digits are refused quickly, however many there are."""
    with pytest.raises(PoisonError, match="number"):
        encode_number("1" * length)
