"""What is sent has the outcome of what happened (P1, P3), held against a model that knows nothing of packing.

The model is a table: operations make legal records (an INSERT only where no item is), and a simulated
document in merge mode sees either every change or only what was sent.
"""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from hypothesis import example, given
from hypothesis import strategies as st

from producer_lambda.packing import TARGET_BYTES, Message, pack, waves
from producer_lambda.records import Parsed, Records
from shared.batches import MAX_ENTRIES
from shared.change import Change
from shared.envelope import decode
from tests.support.strategies import stream_record

if TYPE_CHECKING:
    from collections.abc import Sequence

MIB = 1024 * 1024
Image = dict[str, int]

keys = st.integers(0, 5)
images = st.dictionaries(st.sampled_from("abc"), st.integers(0, 3))
operations = st.lists(st.tuples(keys, st.one_of(st.none(), images)), max_size=30)
before = st.dictionaries(keys, images)
lanes = st.sampled_from([0, 1, 2, 64])
limits = st.sampled_from([700, 1500, MIB])


@dataclass
class Table:
    """A table and its stream."""

    items: dict[int, Image]
    records: list[dict[str, Any]] = field(default_factory=list)
    history: dict[int, list[tuple[int, str]]] = field(default_factory=lambda: defaultdict(list))

    def write(self, key: int, image: Image | None) -> None:
        """Puts or deletes an item, as DynamoDB would."""
        old = self.items.pop(key, None)
        if old == image:  # no record for a write that changes nothing
            if image is not None:
                self.items[key] = image
            return
        name = "REMOVE" if image is None else "INSERT" if old is None else "MODIFY"
        if image is not None:
            self.items[key] = image
        self.history[key].append((len(self.records), name))
        self.records.append(
            stream_record(
                name,
                10**20 + len(self.records),
                key=attributes(key, {}),
                new=None if image is None else attributes(key, image),
                old=None if old is None else attributes(key, old),
            )
        )


def attributes(key: int, image: Image) -> dict[str, dict[str, str]]:
    return {"id": {"N": str(key)}} | {name: {"N": str(value)} for name, value in image.items()}


def history(start: dict[int, Image], todo: list[tuple[int, Image | None]]) -> Table:
    table = Table(dict(start))
    for key, image in todo:
        table.write(key, image)
    return table


def parsed(table: Table) -> list[Parsed]:
    return list(Records({"Records": table.records}))


def carried(message: Message) -> list[Change]:
    return [entry for entry in decode(message.body).entries if isinstance(entry, Change)]


@dataclass
class Replica:
    """One document under any mapping, given the changes one by one: fields, or None; and its mark."""

    mapping: str
    fields: Image | None
    marked: bool = False

    def take(self, change: Change) -> None:
        mode, deletes = self.mapping.split()
        if change.image is not None:
            names = change.gone | change.image.keys()
            kept = (self.fields or {}) if mode == "merge" else {}
            others = {name: value for name, value in kept.items() if name not in names}
            self.fields, self.marked = others | dict(change.image), False
        elif deletes == "delete":
            self.fields = None
        elif deletes == "mark":
            self.marked = True


MAPPINGS = [f"{mode} {deletes}" for mode in ("replace", "merge") for deletes in ("delete", "mark", "keep")]


@given(before, operations, lanes, st.sampled_from(MAPPINGS))
@example({}, [(1, {"a": 1}), (1, None), (1, {"b": 1})], 64, "merge delete")
@example({1: {"a": 1}}, [(1, None), (1, {"a": 2})], 64, "merge delete")
@example({1: {"a": 1, "b": 1}}, [(1, {"a": 1}), (1, {"a": 2}), (1, {"b": 3, "a": 2})], 64, "merge delete")
@example({1: {"a": 1, "b": 1}}, [(1, {"a": 1}), (1, {"a": 2})], 64, "merge delete")
@example({}, [(1, {"a": 1}), (1, None)], 64, "replace keep")
def test_what_travels_does_what_happened(
    start: dict[int, Image], todo: list[tuple[int, Image | None]], lane_count: int, mapping: str
) -> None:
    """Under every mapping the changes that are sent do to a document what all of them would do."""
    table = history(start, todo)
    everything = parsed(table)
    messages, unsendable = pack(everything, lane_count, MIB)
    assert unsendable == []
    sent = defaultdict(list)
    for message in messages:
        for change in carried(message):
            sent[change.key["id"]].append(change)
    assert sent.keys() == table.history.keys()
    for key, changes in sent.items():
        one = {"id": key, **start[key], "application": True} if key in start else None
        all_of_them, those_sent = (Replica(mapping, dict(one) if one else None) for _ in range(2))
        for record in everything:
            if record.change.key["id"] == key:
                all_of_them.take(record.change)
        for change in changes:
            those_sent.take(change)
        assert those_sent == all_of_them


@given(before, operations)
def test_of_successive_puts_one_travels(
    start: dict[int, Image], todo: list[tuple[int, Image | None]]
) -> None:
    """All deletions travel, and of the puts between two of them the newest."""
    table = history(start, todo)
    messages, _ = pack(parsed(table), 64, MIB)
    sent = sorted(int(change.sequence) - 10**20 for message in messages for change in carried(message))
    expected = []
    for records in table.history.values():
        for (index, name), (_, following) in pairwise([*records, (0, "REMOVE")]):
            if name == "REMOVE" or following == "REMOVE":
                expected.append(index)
    assert sent == sorted(expected)


@given(before, operations, st.data())
def test_whatever_was_applied_before_no_old_place_is_left(
    start: dict[int, Image], todo: list[tuple[int, Image | None]], data: st.DataObject
) -> None:
    """With old values, a document leaves the places where it was, however many changes came before in vain.

    A batch that Lambda repeats may be packed anew when a part of it was applied already.
    """
    table = history(start, todo)
    event = list(Records({"Records": table.records}, frozenset({"a"})))
    messages, _ = pack(event, 64, MIB)
    sent = sorted(
        (change for message in messages for change in carried(message)), key=lambda change: change.version
    )
    for key in table.history:
        done = data.draw(st.integers(0, len(event)))
        places = {start[key].get("a")} if key in start else set()
        version = ""
        for change in (record.change for record in event[:done] if record.change.key["id"] == key):
            places, version = place_after(change), change.version
        for change in (change for change in sent if change.key["id"] == key):
            if change.old is not None:
                places.discard(change.old.get("a"))
            if change.version >= version:
                places |= place_after(change)
        assert places == ({table.items[key].get("a")} if key in table.items else set())


def place_after(change: Change) -> set[Any]:
    """Where the document is after a change: by its attribute `a`."""
    return set() if change.image is None else {change.image.get("a")}


@given(before, operations, lanes, limits)
def test_messages(
    start: dict[int, Image], todo: list[tuple[int, Image | None]], lane_count: int, limit: int
) -> None:
    """Lanes are in order, small, alike in every batch; each record is covered; ids are repeatable."""
    table = history(start, todo)
    everything = parsed(table)
    messages, _ = pack(everything, lane_count, limit)
    assert pack(everything, lane_count, limit)[0] == messages
    assert len({message.deduplication_id for message in messages}) == len(messages)

    covered: dict[int, int] = {}
    lane_sequences: dict[str, list[int]] = defaultdict(list)
    for message in messages:
        body_bytes = len(message.body.encode())
        assert message.size == body_bytes <= limit
        assert message.changes == 1 or body_bytes <= TARGET_BYTES
        assert message.changes == 1 or "z" not in json.loads(message.body)
        assert is_group_id(message.group)
        positions = []
        for change in carried(message):
            indexes = stood_for(table, change)
            positions += indexes
            covered |= dict.fromkeys(indexes, message.position)
            lane_sequences[message.group].append(int(change.sequence))
            (alone,), _ = pack([everything[indexes[0]]], lane_count, limit)
            assert alone.group == message.group
        assert message.position == min(positions)
    assert covered.keys() == set(range(len(everything)))
    assert all(position <= index for index, position in covered.items())
    assert all(numbers == sorted(numbers) for numbers in lane_sequences.values())


def stood_for(table: Table, change: Change) -> list[int]:
    """The records that a change stands for: itself, and the puts right before it."""
    newest = int(change.sequence) - 10**20
    found: list[int] = []
    for index, name in table.history[change.key["id"]]:
        if name == "REMOVE":
            found = [index] if index == newest else []
        else:
            found.append(index)
        if index == newest:
            break
    return found


def is_group_id(text: str) -> bool:
    return 1 <= len(text) <= 128 and all(0x21 <= ord(character) <= 0x7E for character in text)


def message_of(index: int, group: int, size: int) -> Message:
    return Message(index, f"lane/{group}", str(index), json.dumps(index), 1, size)


@given(
    st.lists(st.tuples(st.integers(0, 30), st.integers(1, 1200)), max_size=60).map(
        lambda pairs: [message_of(index, *pair) for index, pair in enumerate(pairs)]
    )
)
def test_waves(messages: Sequence[Message]) -> None:
    """Every message is sent once; a wave has one of a lane at most; calls keep to SQS's limits."""
    limit = 1000
    sent: dict[str, list[Message]] = defaultdict(list)
    for wave in waves(messages, limit):
        groups = [message.group for batch in wave for message in batch]
        assert len(groups) == len(set(groups))
        for batch in wave:
            assert 1 <= len(batch) <= MAX_ENTRIES
            assert len(batch) == 1 or sum(message.size for message in batch) <= limit
            for message in batch:
                sent[message.group].append(message)
    by_lane = {group: [m for m in messages if m.group == group] for group in {m.group for m in messages}}
    assert sent == by_lane
