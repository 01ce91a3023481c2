"""The wire format as it is documented; tests/property proves it for all changes and all garbage."""

import base64
import json
import zlib
from typing import Any

import pytest

from shared.change import Change, Op
from shared.envelope import (
    Envelope,
    Rejected,
    decode,
    decode_change,
    encode_change,
    frame_size,
    seal,
)
from shared.errors import PoisonError
from tests.support.strategies import LABEL

MIB = 1024 * 1024
DOCUMENTED = (
    '{"v":1,"table":"mytable","stream":"2020-04-30T17:47:21.395","changes":['
    '{"op":"put","key":{"id":3},"seq":"5123","at":1588166542000,"eid":"c086","doc":{"id":3,"Name":"John"}},'
    '{"op":"del","key":{"id":4},"seq":"5124","at":1588166542000,"eid":"9f12","ttl":true}]}'
)
CHANGES = [
    Change("mytable", LABEL, "5123", Op.PUT, {"id": 3}, 1588166542000, "c086", {"id": 3, "Name": "John"}),
    Change("mytable", LABEL, "5124", Op.DELETE, {"id": 4}, 1588166542000, "9f12", ttl=True),
]
FULL = Change(
    *("mytable", LABEL, "1", Op.PUT, {"id": {"$b": "AA=="}}, 1, "e", {"id": {"$b": "AA=="}}),
    gone=frozenset("hgfedcba"),
    old={"shard": 7},
    tagged=True,
)
ENTRY = json.loads(DOCUMENTED)["changes"][0]


def test_documented_body() -> None:
    """The documented text is exactly what is written, and what it says is read."""
    assert seal("mytable", LABEL, [encode_change(change) for change in CHANGES], MIB) == DOCUMENTED
    assert decode(DOCUMENTED) == Envelope("mytable", LABEL, CHANGES)


def test_optional_members() -> None:
    """All members of a change travel, names that left the item in a repeatable order."""
    body = seal("mytable", LABEL, [encode_change(FULL)], MIB)
    assert body.endswith('"gone":["a","b","c","d","e","f","g","h"],"old":{"shard":7},"tags":true}]}')
    assert decode(body).entries == [FULL]


def test_as_many_changes_as_an_invocation_gets() -> None:
    """10,000 entries are read, one by one; more are no message of ours."""
    body = json.loads(DOCUMENTED) | {"changes": [0] * 10_000}
    assert len(decode(json.dumps(body)).entries) == 10_000
    with pytest.raises(PoisonError):
        decode(json.dumps(body | {"changes": [0] * 10_001}))


def test_unknown_members_are_ignored() -> None:
    """A newer producer of the same version may say more."""
    body = DOCUMENTED.replace('{"v":1', '{"later":{},"v":1').replace('"op":"put"', '"later":1,"op":"put"')
    assert decode(body).entries == CHANGES


def test_compressed_at_the_limit() -> None:
    """Plain JSON up to exactly the limit; one byte more and it is compressed."""
    encoded = [encode_change(change) for change in CHANGES]
    assert seal("mytable", LABEL, encoded, len(DOCUMENTED)) == DOCUMENTED
    compressed = seal("mytable", LABEL, encoded, len(DOCUMENTED) - 1)
    assert json.loads(compressed).keys() == {"v", "table", "stream", "z"}
    assert decode(compressed).entries == CHANGES
    assert frame_size("mytable", LABEL) == len(seal("mytable", LABEL, [], MIB))


def test_characters_that_sqs_refuses_are_escaped() -> None:
    """U+FFFE and U+FFFF never stand raw in a body, in names, values or keys."""
    odd = "a\ufffe\uffff\ufffd\x00"
    change = Change(
        "mytable", LABEL, "1", Op.PUT, {odd: odd}, 1, odd, {odd: odd, "a": [odd]}, gone=frozenset({odd})
    )
    body = seal("mytable", LABEL, [encode_change(change)], MIB)
    assert not set(body) & set("\ufffe\uffff\x00")
    assert "\\ufffe\\uffff\ufffd\\u0000" in body
    assert decode(body).entries == [change]


@pytest.mark.parametrize(
    "change",
    [
        Change("t", LABEL, "1", Op.PUT, {"id": 1}, 1, "e", {"id": 1, "a": "\ud800"}),
        Change("t", LABEL, "1", Op.PUT, {"id": 1}, 1, "e", {"id": 1, "\udfff": 1}),
        Change("t", LABEL, "1", Op.PUT, {"id": 1}, 1, "e", {"id": 1, "a": [[["\ud800"]]]}),
        Change("t", LABEL, "1", Op.PUT, {"id": 1}, 1, "e", {}, gone=frozenset({"\ud800"})),
    ],
    ids=["value", "name", "nested", "gone"],
)
def test_lone_surrogates_are_poison(change: Change) -> None:
    """What is not Unicode cannot be written, and is said to be so."""
    with pytest.raises(PoisonError) as caught:
        encode_change(change)
    assert caught.value.code == "not-encodable"


@pytest.mark.parametrize("version", [0, 2, 10**15, 1.0, True, None, "1", [1], {"v": 1}])
def test_unknown_version_is_poison(version: Any) -> None:
    """An envelope of another version is refused with a reason an operator understands."""
    with pytest.raises(PoisonError, match="this writer reads envelopes of version 1") as caught:
        decode(json.dumps(json.loads(DOCUMENTED) | {"v": version}))
    assert caught.value.code == "unknown-version"
    shown = str(version) if isinstance(version, int | float) else f"a {type(version).__name__}"
    assert str(caught.value).endswith(f"not {shown}")


@pytest.mark.parametrize(
    "wrong",
    [
        {"table": ""},
        {"table": None},
        {"table": 7},
        {"stream": ""},
        {"stream": ["x"]},
        {"changes": None},
        {"changes": {}},
        {"changes": "x"},
        {"z": None},
        {"z": 7},
        {"z": ["x"]},
        {"z": ""},
        {"z": "ä"},
        {"z": "no base64"},
        {"z": base64.b64encode(b"not zlib").decode()},
        {"z": base64.b64encode(zlib.compress(b"[]")).decode() + "\n"},
        {"z": base64.b64encode(zlib.compress(b"[1]")[:-2]).decode()},
        {"z": base64.b64encode(zlib.compress(b"[1")).decode()},
        {"z": base64.b64encode(zlib.compress(b"{}")).decode()},
        {"z": base64.b64encode(zlib.compress(b"\xff")).decode()},
    ],
    ids=repr,
)
def test_bad_envelope_is_poison(wrong: dict[str, Any]) -> None:
    """An envelope without a table, a stream or a list of changes is refused as a whole."""
    with pytest.raises(PoisonError) as caught:
        decode(json.dumps(json.loads(DOCUMENTED) | wrong))
    assert caught.value.code == "bad-envelope"


@pytest.mark.parametrize(
    "z", ["", "ä", "no base64", "bm8gemxpYg==", "eJyLjgUAARUAuQ==\\n", "eJyLNowFAAH2", "eJyLNgQAATsAjQ=="]
)
def test_what_is_compressed_badly_is_poison(z: str) -> None:
    """Neither base64, nor zlib, nor whole, nor a list."""
    with pytest.raises(PoisonError) as caught:
        decode(f'{{"v":1,"table":"t","stream":"{LABEL}","z":"{z}"}}')
    assert caught.value.code == "bad-envelope"


@pytest.mark.parametrize("member", ["table", "stream"])
def test_names_are_bounded(member: str) -> None:
    """255 characters, as DynamoDB has it; a longer one would stand in every letter of the message."""
    envelope = json.loads(DOCUMENTED)
    assert len(decode(json.dumps(envelope | {member: "2" * 255})).entries) == 2
    with pytest.raises(PoisonError, match="more than 255 characters"):
        decode(json.dumps(envelope | {member: "2" * 256}))


@pytest.mark.parametrize("body", ["", "null", "[]", "7", '"x"', "{", "{}x", '{"v":1e999}'])
def test_no_envelope_is_poison(body: str) -> None:
    """What is no JSON object is refused as a whole."""
    with pytest.raises(PoisonError) as caught:
        decode(body)
    assert caught.value.code == "bad-envelope"


@pytest.mark.parametrize(
    "wrong",
    [
        {"op": "PUT"},
        {"op": None},
        {"op": "x", "doc": None},
        {"op": "del"},
        {"doc": None},
        {"doc": []},
        {"key": None},
        {"key": {}},
        {"key": [1]},
        {"seq": 1},
        {"eid": None},
        {"at": "1"},
        {"at": 1.5},
        {"at": True},
        {"at": -1},
        {"at": 10**14},
        {"at": 2**63 - 1},
        {"gone": None},
        {"gone": "x"},
        {"gone": [1]},
        {"old": []},
        {"old": "x"},
    ],
    ids=repr,
)
def test_bad_change_is_rejected(wrong: dict[str, Any]) -> None:
    """One entry that is no change is data, as it came, beside its neighbours."""
    entry = ENTRY | wrong
    envelope = decode(json.dumps(json.loads(DOCUMENTED) | {"changes": [ENTRY, entry, ENTRY]}))
    first, rejected, last = envelope.entries
    assert first == last == CHANGES[0]
    assert isinstance(rejected, Rejected)
    assert rejected.code == "bad-change"
    assert (rejected.table, rejected.stream) == ("mytable", LABEL)
    assert json.loads(rejected.encoded) == entry


def test_a_change_whose_time_is_not_known() -> None:
    """It travels with a null, and is read with a null and without the member."""
    change = CHANGES[0]._replace(at=None)
    assert json.loads(encode_change(change))["at"] is None
    assert decode_change("mytable", LABEL, encode_change(change)) == change
    without = {name: value for name, value in ENTRY.items() if name != "at"}
    assert decode(json.dumps(json.loads(DOCUMENTED) | {"changes": [without]})).entries == [change]


@pytest.mark.parametrize(("stream", "sequence"), [(LABEL, "x"), (LABEL, ""), (LABEL, "9" * 100), ("$v", "1")])
def test_change_without_a_version_is_rejected(stream: str, sequence: str) -> None:
    """A change that could not be ordered is never applied."""
    members = {"stream": stream, "changes": [ENTRY | {"seq": sequence}]}
    (rejected,) = decode(json.dumps(json.loads(DOCUMENTED) | members)).entries
    assert isinstance(rejected, Rejected)
    assert rejected.code == "bad-version"
