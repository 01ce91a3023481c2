"""The documented wire values, one by one; tests/property proves them for all items."""

import base64
import sys
from collections import Counter
from typing import Any

import pytest

from shared.attribute_values import binary_text, encode_item
from shared.errors import PoisonError
from tests.support.strategies import DEEPEST, nested


@pytest.mark.parametrize(
    ("attribute_value", "wire", "tagged"),
    [
        ({"S": ""}, "", False),
        ({"BOOL": False}, False, False),
        ({"NULL": True}, None, False),
        ({"N": "3"}, 3, False),
        ({"N": "-0.0"}, 0, False),
        ({"N": "12.75"}, 12.75, False),
        ({"N": "1.50"}, 1.5, False),
        ({"N": "1E+2"}, 100, False),
        ({"N": "1e100"}, 1e100, False),
        ({"N": "9223372036854775808"}, {"$n": "9223372036854775808"}, True),
        ({"N": "0.12345678901234567890"}, {"$n": "0.1234567890123456789"}, True),
        ({"L": []}, [], False),
        ({"M": {}}, {}, False),
        ({"M": {"a.b": {"L": [{"M": {"$set": {"NULL": True}}}]}}}, {"a.b": [{"$set": None}]}, False),
        ({"B": "AAE="}, {"$b": "AAE="}, True),
        ({"B": b"\x00\x01"}, {"$b": "AAE="}, True),
        ({"B": bytearray(b"")}, {"$b": ""}, True),
        ({"SS": ["b", "a"]}, {"$ss": ["a", "b"]}, True),
        ({"SS": {"a"}}, {"$ss": ["a"]}, True),
        ({"NS": ["10", "9", "1.5"]}, {"$ns": [1.5, 9, 10]}, True),
        ({"NS": ["1" * 38, "2"]}, {"$ns": [2, {"$n": "1" * 38}]}, True),
        ({"BS": ["/w==", "AA=="]}, {"$bs": ["AA==", "/w=="]}, True),
        ({"BS": [b"\xff", b"\x00"]}, {"$bs": ["AA==", "/w=="]}, True),
        ({"M": {"$b": {"S": "AA=="}}}, {"$m": {"$b": "AA=="}}, True),
        ({"M": {"$m": {"M": {}}}}, {"$m": {"$m": {}}}, True),
        ({"M": {"$b": {"S": ""}, "x": {"S": ""}}}, {"$b": "", "x": ""}, False),
    ],
)
def test_wire_values(attribute_value: dict[str, Any], wire: Any, *, tagged: bool) -> None:
    """Each type has the form that the wire format documents, and tags are announced."""
    encoded, has_tags = encode_item({"a": attribute_value})
    assert repr(encoded) == repr({"a": wire})  # 1, 1.0 and True are equal, but not the same
    assert has_tags is tagged


@pytest.mark.parametrize(
    "value",
    [
        None,
        "text",
        7,
        [],
        {},
        {"S": "a", "N": "1"},
        {"X": "a"},
        {"S": 1},
        {"S": None},
        {"N": 1},
        {"N": True},
        {"BOOL": "true"},
        {"BOOL": 1},
        {"NULL": False},
        {"NULL": None},
        {"L": {"S": "a"}},
        {"L": "ab"},
        {"M": [{"S": "a"}]},
        {"M": {"a": "bare"}},
        {"L": ["bare"]},
        {"SS": "ab"},
        {"SS": [1]},
        {"SS": {"a": "b"}},
        {"NS": [1]},
        {"NS": ["1", "x"]},
        {"BS": [1]},
        {"BS": "AA=="},
        {"B": "A"},
        {"B": "A A="},
        {"B": "AA==\n"},
        {"B": "AA==AA=="},
        {"B": "ä"},
        {"B": "\ud800"},
        {"B": 7},
        {"B": None},
    ],
    ids=repr,
)
def test_malformed_value_is_poison(value: Any) -> None:
    """What is no AttributeValue is refused, at any depth, and the attribute is named."""
    for item in ({"bad": value}, {"bad": {"L": [{"M": {"inner": value}}]}}):
        with pytest.raises(PoisonError, match="'bad'") as caught:
            encode_item(item)
        assert caught.value.code in {"bad-attribute", "bad-number"}


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "-", "+1", ".", "-.", "e5", "1e", "1E+", "1.2.3", "--1", "0x10", "1,5"),
        *("1_000", " 1 ", "1 ", "1\n", "\u0661", "\uff11", "\u00b2", "NaN", "sNaN", "Infinity", "-inf"),
        *("1" * 39, "0." + "1" * 39, "1E+126", "9.99E+126", "1E-131", "-1E+126", "1" + "0" * 126),
        *("1E+9999", "1E-9999", "1E+99999999999", "1E" + "9" * 100_000, "0." + "0" * 130 + "1"),
    ],
    ids=lambda text: repr(text[:20]),
)
def test_malformed_number_is_poison(text: str) -> None:
    """What DynamoDB cannot hold as a number is refused, even where Python would read it."""
    with pytest.raises(PoisonError) as caught:
        encode_item({"a": {"N": text}})
    assert caught.value.code == "bad-number"


@pytest.mark.parametrize("kind", ["L", "M"])
def test_nesting(kind: str) -> None:
    """DynamoDB's 32 levels are no trouble; a bottomless item is refused and does not end the process."""
    encoded, _ = encode_item({"a": nested(DEEPEST, kind)})
    for _level in range(DEEPEST):
        (encoded,) = encoded.values() if isinstance(encoded, dict) else encoded
    with pytest.raises(PoisonError) as caught:
        encode_item({"a": {"S": "fine"}, "deep": nested(5000, kind)})
    assert caught.value.code == "too-deep"
    assert "'deep'" in caught.value.reason


def test_one_text_for_one_binary() -> None:
    """Base64 with different unused bits is the same binary, so it is the same key."""
    assert binary_text("QQ==") == binary_text("QR==") == binary_text(b"A")


def test_calls_per_item() -> None:
    """A text, boolean or null costs no call of a function of ours, a number one, a map or list two."""
    item = {
        **{f"text_{index}": {"S": "text"} for index in range(50)},
        **{f"flag_{index}": {"BOOL": True} for index in range(50)},
        **{f"none_{index}": {"NULL": True} for index in range(50)},
        **{
            f"number_{index}": {"N": text} for index, text in enumerate(["1", "-1", "12.5", "-0.1", "1" * 38])
        },
        "list": {"L": [{"S": "text"}] * 50},
        "map": {"M": {f"text_{index}": {"S": "text"} for index in range(50)}},
    }
    calls: list[str] = []
    before = sys.getprofile()
    sys.setprofile(lambda frame, event, _: calls.append(frame.f_code.co_name) if event == "call" else None)
    try:
        encode_item(item)
    finally:
        sys.setprofile(before)
    assert Counter(calls) == {"encode_item": 1, "_encode": 3, "_encode_other": 2, "encode_number": 5}


@pytest.mark.parametrize("size", [*range(200), 3000])
def test_binary_text_of_any_length(size: int) -> None:
    """Base64 of any length stays what it is, another spelling becomes it, what is none is refused."""
    octets = bytes(range(256)) * 12
    text = base64.b64encode(octets[:size]).decode()
    assert binary_text(text) == binary_text(octets[:size]) == text
    if text.endswith("=="):
        assert binary_text(text[:-3] + chr(ord(text[-3]) + 1) + "==") == text
    for other in (text + "A", "=" + text[1:] + "*", text[:-1] + "\n", text[:-4] + "Ä" + text[-3:]):
        with pytest.raises(PoisonError, match="base64"):
            binary_text(other)
