"""What is sealed can be read again, SQS takes it, and garbage is data (P3, P5)."""

import base64
import json
import re
import tracemalloc
import zlib
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shared.attribute_values import encode_item
from shared.change import Change, Op
from shared.envelope import (
    MAX_CHANGES,
    MAX_INFLATED_BYTES,
    Rejected,
    decode,
    encode_change,
    frame_size,
    is_compressed,
    seal,
)
from shared.errors import PoisonError
from tests.support.strategies import LABEL, TABLE, changes, json_values
from tests.support.worst_items import MOST_ITEM_BYTES, WORST_ITEMS, size_of_item

MIB = 1024 * 1024

# Amazon SQS API reference, SendMessage.
sqs_takes = re.compile(
    "[\x09\x0a\x0d\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]*",
).fullmatch


def envelope_of(*entries: str, **members: Any) -> str:
    """A body with these entries, each a JSON text."""
    head = json.dumps({"v": 1, "table": TABLE, "stream": LABEL} | members)
    return f'{head[:-1]}, "changes": [{", ".join(entries)}]}}'


def packed(content: bytes) -> str:
    """A message with these bytes in place of the compressed list of changes."""
    return with_z(base64.b64encode(zlib.compress(content)).decode())


def with_z(z: str) -> str:
    return seal(TABLE, LABEL, [], 0).rpartition('"z":')[0] + f'"z":"{z}"}}'


@given(st.lists(changes(), max_size=3), st.sampled_from([0, 600, MIB]))
def test_round_trip(originals: list[Change], limit: int) -> None:
    """Any changes, plain or compressed, are read as they were, in order, from a body that SQS takes."""
    encoded = [encode_change(change) for change in originals]
    body = seal(TABLE, LABEL, encoded, limit)
    assert sqs_takes(body)
    envelope = decode(body)
    assert (envelope.table, envelope.stream) == (TABLE, LABEL)
    assert envelope.entries == originals
    plain = frame_size(TABLE, LABEL) + sum(map(len, encoded)) + max(0, len(encoded) - 1)
    assert ("z" in json.loads(body)) == (plain > limit)
    assert plain > limit or len(body.encode()) == plain


# The worst items


@pytest.mark.parametrize("kind", WORST_ITEMS)
def test_worst_items_fit(kind: str) -> None:
    """A legal item of nearly 400 KB fits one message of 1 MiB, whatever it is made of."""
    item = WORST_ITEMS[kind]()
    size = size_of_item(item)
    assert MOST_ITEM_BYTES * 0.5 < size <= MOST_ITEM_BYTES
    image, tagged = encode_item(item)
    key = {"id": "k" * 2048}
    image |= key
    change = Change(TABLE, LABEL, "1" * 40, Op.PUT, key, 0, "e" * 36, image, tagged=tagged)
    body = seal("t" * 255, LABEL, [encode_change(change)], MIB)
    assert len(body.encode()) <= MIB
    assert sqs_takes(body)
    (entry,) = decode(body).entries
    assert isinstance(entry, Change)
    assert entry.image == image


@pytest.mark.parametrize("kind", ["empty binaries", "many tiny attributes"])  # most structure, most names
def test_worst_items_are_no_bombs(kind: str) -> None:
    """With old values as bad as the item itself, more than a message may carry, it is still inflated."""
    (image, _), (old, _) = encode_item(WORST_ITEMS[kind]()), encode_item(WORST_ITEMS[kind]())
    key = {"id": "k"}
    image |= key
    gone = frozenset(old) - image.keys()
    change = Change(TABLE, LABEL, "1", Op.PUT, key, 0, "e", image, old=old, gone=gone, tagged=True)
    (entry,) = decode(seal(TABLE, LABEL, [encode_change(change)], 0)).entries
    assert entry == change


# Garbage

GOOD = {
    "op": "put",
    "key": {"id": 3},
    "seq": "1",
    "at": 1588166542000,
    "eid": "e",
    "doc": {"id": 3},
    "ttl": True,
    "fresh": True,
    "gone": ["x"],
    "old": {"x": 1},
    "tags": True,
}
GOOD_ENTRY = json.dumps(GOOD)
nearly_changes = st.dictionaries(st.sampled_from([*GOOD, "more"]), json_values, max_size=3).map(
    lambda wrong: GOOD | wrong
)
entries = st.one_of(json_values, nearly_changes)


def read(body: str) -> list[Change | Rejected]:
    """The entries; none if the whole message is poison, and any other error is the test's failure."""
    try:
        return list(decode(body).entries)
    except PoisonError as error:
        assert error.code in {"bad-envelope", "unknown-version"}  # noqa: PT017 - one of two outcomes
        return []


@given(st.text(max_size=40))
@example("\ud800")
@example('{"v":1,"table":"\\ud800"}')
@example("[" * 100_000)
@example('{"v":' + "[" * 1000 + "]" * 1000 + "}")
@example('{"v":' + "9" * 5000 + "}")
def test_any_text_is_data(body: str) -> None:
    """Whatever the text of a message is: entries or poison."""
    read(body)


@given(st.dictionaries(st.sampled_from(["v", "table", "stream", "changes", "z"]), json_values))
def test_any_members_are_data(wrong: dict[str, Any]) -> None:
    """Whatever the members of an envelope are: entries or poison."""
    read(json.dumps({"v": 1, "table": TABLE, "stream": LABEL, "changes": [GOOD]} | wrong))


@given(st.one_of(st.binary(max_size=60), json_values.map(lambda value: json.dumps(value).encode())))
def test_any_compressed_bytes_are_data(content: bytes) -> None:
    """Whatever is inside `z`, well compressed or not compressed at all: entries or poison."""
    read(packed(content))
    assert read(with_z(base64.b64encode(content).decode())) == []


@given(st.lists(entries, max_size=3))
@example([GOOD | {"at": 2**63}])
@example([GOOD | {"at": True}])
@example([GOOD | {"old": []}])
@example([GOOD | {"gone": {"x": 1}}])
@example([GOOD | {"seq": "٣"}])
@example([GOOD | {"op": ["put"]}])
@example([GOOD | {"doc": None}])
@example([GOOD | {"op": "del"}])
@example([GOOD | {"key": {}}])
def test_neighbours_of_garbage_survive(wrong: list[Any]) -> None:
    """An entry that is no change does not touch the others, and is rejected alike when it is sent again."""
    texts = [json.dumps(entry).replace("NaN", "1").replace("Infinity", "1") for entry in wrong]
    (good,) = decode(envelope_of(GOOD_ENTRY)).entries
    first, *between, last = decode(envelope_of(GOOD_ENTRY, *texts, GOOD_ENTRY)).entries
    assert first == last == good
    assert len(between) == len(wrong)
    for entry in between:
        if isinstance(entry, Rejected):
            (again,) = decode(seal(entry.table, entry.stream, [entry.encoded], MIB)).entries
            assert again == entry
        else:
            (again,) = decode(seal(entry.table, entry.stream, [encode_change(entry)], MIB)).entries
            assert again == entry


@pytest.mark.parametrize("depth", [255, 600])
def test_deep_garbage_is_rejected_alone(depth: int) -> None:
    """An entry nested deeper than JSON is written by the library is still told apart from its neighbours."""
    deep = "[" * depth + "]" * depth
    rejected, good = decode(envelope_of(deep, GOOD_ENTRY)).entries
    assert isinstance(good, Change)
    assert isinstance(rejected, Rejected)
    assert rejected.encoded == deep.encode()


@pytest.mark.parametrize("depth", [1010, 1500])
def test_bottomless_garbage_is_data(depth: int) -> None:
    """What is nested deeper than this Python can write is refused too, if need be with its whole message."""
    rejected = read(envelope_of("[" * depth + "]" * depth, GOOD_ENTRY))[:1]
    assert all(isinstance(entry, Rejected) for entry in rejected)


# Bombs

ENTRY = GOOD_ENTRY.encode()
BOMBS = {
    "spaces": b"[" + b" " * MAX_INFLATED_BYTES + b"]",
    "brackets": b"[" * MAX_INFLATED_BYTES,
    "levels": b"[" + b",".join([b"[" * 300 + b"]" * 300] * 300) + b"]",
    "entries": b"[0" + b",0" * MAX_CHANGES + b"]",
    "string": b'["' + b"x" * MAX_INFLATED_BYTES + b'"]',
    **{
        kind: b"[" + ENTRY.replace(b'"doc": {"id": 3}', b'"doc":{"a":[' + unit * count + b"0]}") + b"]"
        for kind, unit, count in (
            ("maps", b"{},", 900_000),
            ("lists", b"[],", 900_000),
            ("zeros", b"0,", 1_700_000),
        )
    },
}
MOST_UNPACKED = 3.2 * MAX_INFLATED_BYTES
"""Bytes: twice the inflated text, for a moment, and a copy of it without its strings."""


@pytest.mark.parametrize("kind", BOMBS)
def test_bombs_are_poison(kind: str) -> None:
    """A small message that would become large in memory is refused before it does (P7)."""
    body = packed(BOMBS[kind])
    assert len(body) < 100_000
    tracemalloc.start()
    try:
        with pytest.raises(PoisonError) as caught:
            decode(body)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert caught.value.code == "bad-envelope"
    assert peak < MOST_UNPACKED


def test_what_is_in_strings_is_no_structure() -> None:
    """Braces and commas inside of strings make no objects, and hide none."""
    maps = b'{"\\"[{,":0},' * 830_000
    with pytest.raises(PoisonError, match="more values"):
        decode(packed(b"[" + maps + b"0]"))
    image = {"id": 3, "a": ',[{"\\' * 700_000}
    change = Change(TABLE, LABEL, "1", Op.PUT, {"id": 3}, 0, "e", image)
    (entry,) = decode(seal(TABLE, LABEL, [encode_change(change)], 0)).entries
    assert entry == change


SEALED = packed(f"[{GOOD_ENTRY}]".encode())
HEAD, _, Z = SEALED[:-1].rpartition(',"z":')
DISGUISES = {
    "whitespace": json.dumps(json.loads(SEALED)),
    "another order": "{" + f'"z":{Z},{HEAD[1:]}' + "}",
    "a further member": HEAD + f',"more":1,"z":{Z}' + "}",
    "two": HEAD + f',"z":{Z},"z":{Z}' + "}",
    "behind changes": HEAD + f',"changes":[{GOOD_ENTRY}],"z":{Z}' + "}",
    "before changes": HEAD + f',"z":{Z},"changes":[{GOOD_ENTRY}]' + "}",
    "an escaped name": HEAD + f',"\\u007a":{Z}' + "}",
}


@pytest.mark.parametrize("disguise", DISGUISES)
def test_nothing_is_inflated_that_is_not_known_to_be(disguise: str) -> None:
    """What the inbox does not count as compressed is not unpacked, and the other way round (P7)."""
    assert is_compressed(SEALED)
    assert len(decode(SEALED).entries) == 1
    assert read(DISGUISES[disguise]) == []


_names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40)


@given(_names, _names, _names)
def test_compressed_is_what_seal_compresses(name: str, table: str, stream: str) -> None:
    """Whatever names stand in an envelope, and only then."""
    change = encode_change(Change(TABLE, LABEL, "1", Op.PUT, {name: name}, 0, "e", {name: name}))
    assert is_compressed(seal(table, stream, [change], 0))
    assert not is_compressed(seal(table, stream, [change], MIB))
