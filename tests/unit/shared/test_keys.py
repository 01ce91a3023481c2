"""Lanes: all changes of a key go one way, and SQS accepts its name."""

import hashlib
import re

import pytest

from shared.attribute_values import encode_item
from shared.errors import PoisonError
from shared.keys import canonical_key, lane_of
from tests.support.strategies import Item

# Amazon SQS API reference, SendMessage: MessageGroupId.
sqs_takes = re.compile(r"[A-Za-z0-9!-/:-@\[-`{-~]{1,128}").fullmatch
LONG = "t" * 255


def canonical(key: Item) -> bytes:
    return canonical_key(encode_item(key)[0])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"a": {"S": "x"}, "b": {"N": "1"}}, {"b": {"N": "1"}, "a": {"S": "x"}}),
        ({"a": {"N": "1.50"}}, {"a": {"N": "1.5"}}),
        ({"a": {"N": "1E+2"}}, {"a": {"N": "100"}}),
        ({"a": {"N": "-0"}}, {"a": {"N": "0"}}),
        ({"a": {"N": "12345678901234567890.0"}}, {"a": {"N": "1234567890123456789E1"}}),
        ({"a": {"B": b"A"}}, {"a": {"B": "QQ=="}}),
    ],
)
def test_equal_keys_are_equal(one: Item, other: Item) -> None:
    """Order of attributes and notation do not make another key."""
    assert canonical(one) == canonical(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"a": {"N": "1"}}, {"a": {"S": "1"}}),
        ({"a": {"S": "QQ=="}}, {"a": {"B": "QQ=="}}),
        ({"a": {"S": "x"}}, {"b": {"S": "x"}}),
        ({"a": {"S": 'x","b":"y'}}, {"a": {"S": "x"}, "b": {"S": "y"}}),
        ({"a": {"N": "9007199254740993"}}, {"a": {"N": "9007199254740992"}}),
        ({"a": {"S": "\ufffe"}}, {"a": {"S": "\uffff"}}),
    ],
)
def test_different_keys_are_different(one: Item, other: Item) -> None:
    """Type and name belong to a key, and no value can imitate another key."""
    assert canonical(one) != canonical(other)


def test_key_that_is_not_unicode_is_poison() -> None:
    """A lone surrogate cannot be written, so it is refused."""
    with pytest.raises(PoisonError) as caught:
        canonical_key({"a": "\ud800"})
    assert caught.value.code == "not-encodable"


@pytest.mark.parametrize("table", ["abc", "a.b-c_D9", "t" * 68, "t" * 69, LONG])
@pytest.mark.parametrize("lanes", [0, 1, 64, 100_000])
def test_sqs_takes_the_name(table: str, lanes: int) -> None:
    """Whatever the table is called, its lanes have names that SQS allows."""
    names = {lane_of(table, canonical({"a": {"N": str(number)}}), lanes) for number in range(200)}
    assert all(map(sqs_takes, names))
    assert len(names) == {0: 200, 1: 1}.get(lanes, len(names))
    assert lanes != 64 or 50 < len(names) <= 64


def test_long_tables_have_lanes_of_their_own() -> None:
    """Shortening does not put two tables, or a table and a shortened one, into one lane."""
    key = canonical({"a": {"N": "1"}})
    shortened = lane_of(LONG, key, 64)
    assert shortened != lane_of(LONG[:-1] + "u", key, 64)
    assert shortened.startswith("t" * 40)
    assert "~" in shortened  # no table name holds one


def test_lanes_stay() -> None:
    """Other names after an update would put a key into two lanes while messages are in the queue."""
    key = canonical({"id": {"N": "3"}})
    assert lane_of("mytable", key, 64) == "mytable/7"
    assert lane_of("mytable", key, 0) == "mytable/b42282f360abdc92cbba8773b7d1d08e"
    assert lane_of("t" * 68, key, 1) == f"{'t' * 68}/0"
    digest = hashlib.blake2b(b"t" * 69, digest_size=16).hexdigest()
    assert lane_of("t" * 69, key, 1) == f"{'t' * 40}~{digest}/0"
