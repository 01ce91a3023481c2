"""What is sealed can be read again, SQS takes it, and garbage is data (P3, P5)."""

import base64
import json
import re
import zlib
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shared.attribute_values import encode_item
from shared.change import Change, Op
from shared.envelope import MAX_CHANGES, MAX_INFLATED_BYTES, Rejected, decode, encode_change, frame_size, seal
from shared.errors import PoisonError
from tests.strategies import LABEL, TABLE, changes, json_values
from tests.worst_items import MOST_ITEM_BYTES, WORST_ITEMS, size_of_item

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
    z = base64.b64encode(zlib.compress(content)).decode()
    return json.dumps({"v": 1, "table": TABLE, "stream": LABEL, "z": z})


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
    change = Change(TABLE, LABEL, "1" * 40, Op.PUT, {"id": "k" * 2048}, 0, "e" * 36, image, tagged=tagged)
    body = seal("t" * 255, LABEL, [encode_change(change)], MIB)
    assert len(body.encode()) <= MIB
    assert sqs_takes(body)
    (entry,) = decode(body).entries
    assert isinstance(entry, Change)
    assert entry.image == image


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
    z = base64.b64encode(content).decode()
    assert read(json.dumps({"v": 1, "table": TABLE, "stream": LABEL, "z": z})) == []


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


@pytest.mark.parametrize(
    "bomb",
    [
        b"[" + b" " * MAX_INFLATED_BYTES + b"]",
        b"[" * MAX_INFLATED_BYTES,
        b"[0" + b",0" * MAX_CHANGES + b"]",
        b'["' + b"x" * MAX_INFLATED_BYTES + b'"]',
    ],
    ids=["spaces", "brackets", "entries", "string"],
)
def test_bombs_are_poison(bomb: bytes) -> None:
    """A small message that would become large in memory is refused before it does (P7)."""
    body = packed(bomb)
    assert len(body) < 100_000
    with pytest.raises(PoisonError) as caught:
        decode(body)
    assert caught.value.code == "bad-envelope"
