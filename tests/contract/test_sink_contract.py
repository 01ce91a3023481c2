"""What the writer may rely on in a sink: one suite for the fake and for a real MongoDB (P1, P2)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import bson
import pytest
from bson.decimal128 import Decimal128
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.errors import TransientError
from tests.support.builders import delete, put, write
from writer.ports import FailureKind, Outcome

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shared.change import Change
    from tests.contract.worlds import Document, World
    from writer.ports import Sink


async def apply(world: World, *changes: Change, collection: str = "items") -> Outcome:
    return await world.sink.apply([write(change, collection=collection) for change in changes])


def state(world: World) -> dict[Any, Any]:
    """The field `n` of every document."""
    return {document["_id"]: document.get("n") for document in world.documents()}


async def test_a_put_creates_and_replaces_the_document(world: World) -> None:
    """The whole document: a field that left the item leaves the document."""
    assert await apply(world, put(1, n=1, gone=True)) == Outcome(inserted=1)
    assert await apply(world, put(2, n=2)) == Outcome(modified=1)
    assert world.documents() == [{"_id": 1, "id": 1, "n": 2, "_ddb": {"v": put(2).version}}]


@pytest.mark.parametrize("sequence", [1, 2], ids=["older", "same"])
async def test_a_stale_put_changes_nothing(world: World, sequence: int) -> None:
    """Older or redelivered: counted, no error, and the document stays (P2)."""
    await apply(world, put(2, n=2))
    assert await apply(world, put(sequence, n=0)) == Outcome(stale=1)
    assert state(world) == {1: 2}


async def test_what_is_stale_is_told_by_collection(world: World) -> None:
    """Found and left as it is, or kept out by a tombstone; what was written is not in it."""
    await world.sink.apply([write(put(2, key), collection=c) for key in (1, 2) for c in ("items", "beside")])
    await apply(world, delete(3, 1), collection="beside")
    outcome = await world.sink.apply(
        [
            write(put(1, 1)),
            write(put(1, 2)),
            write(put(1, 3)),
            write(put(1, 1), collection="beside"),
            write(put(1, 2), collection="beside"),
            write(put(3, 3), collection="beside"),
            write(put(1), collection="third"),
        ]
    )
    assert (outcome.stale, outcome.inserted) == (4, 3)
    assert outcome.stale_at == {("", "items"): 2, ("", "beside"): 2}


async def test_versions_compare_as_numbers(world: World) -> None:
    """9 is before 10; a later stream is after every number of an earlier one."""
    await apply(world, put(9, n=9))
    await apply(world, put(10, n=10))
    assert state(world) == {1: 10}
    await apply(world, put(1, n=1, stream="2021-01-01T00:00:00.000"))
    assert state(world) == {1: 1}
    assert (await apply(world, put(11, n=11))).stale == 1


async def test_a_delete_removes_what_is_not_newer(world: World) -> None:
    """An older document and one of the same version go, a newer one stays, an absent one is no error."""
    await apply(world, put(2, 1), put(3, 2), put(4, 3))
    outcome = await apply(world, delete(3, 1), delete(3, 2), delete(3, 3), delete(3, 4))
    assert outcome == Outcome(deleted=2)
    assert list(state(world)) == [3]


async def test_a_deleted_item_does_not_come_back(world: World) -> None:
    """The tombstone outranks an older put, even if the document never existed (P2)."""
    await apply(world, delete(5))
    assert await apply(world, put(4)) == Outcome(stale=1)
    assert await apply(world, put(5)) in (Outcome(inserted=1), Outcome(stale=1))  # the same version: no order
    assert (await apply(world, delete(5))).failures == {}
    assert state(world) == {}


async def test_an_older_deletion_does_not_lower_the_tombstone(world: World) -> None:
    """Redelivered out of order: the highest version stays."""
    await apply(world, delete(5))
    await apply(world, delete(3))
    assert (await apply(world, put(4))).stale == 1
    assert state(world) == {}


async def test_a_put_that_is_older_than_its_tombstone_takes_back_what_it_left(world: World) -> None:
    """An earlier try of the same put may have inserted the document and died: it is deleted again."""
    await apply(world, delete(5))
    world.insert({"_id": 1, "_ddb": {"v": put(4).version}})
    outcome = await apply(world, put(4))
    assert state(world) == {}
    assert (outcome.stale, outcome.deleted, outcome.inserted) == (1, 1, 0)


async def test_a_buried_put_is_told_from_its_neighbours(world: World) -> None:
    """Wherever it stands in a batch of deletions and other puts."""
    await apply(world, delete(5, 3), put(1, 1))
    outcome = await apply(world, delete(4, 1), put(4, 2, n=2), put(4, 3), put(4, 4, n=4))
    assert state(world) == {2: 2, 4: 4}
    assert (outcome.inserted, outcome.stale, outcome.deleted) == (2, 1, 1)


async def test_a_put_that_is_newer_than_its_tombstone_is_written(world: World) -> None:
    """The item was created again, and a late duplicate of its deletion does no harm."""
    await apply(world, delete(5))
    assert await apply(world, put(6, n=6)) == Outcome(inserted=1)
    assert (await apply(world, delete(5))).deleted == 0
    assert state(world) == {1: 6}


@pytest.mark.parametrize("metadata", [{}, {"_ddb": "text"}, {"_ddb": {}}, {"_ddb": {"v": 7}}], ids=repr)
async def test_a_document_without_our_version_is_the_oldest(world: World, metadata: Document) -> None:
    """Somebody else wrote it: it is replaced, and deleted."""
    world.insert({"_id": 1, "n": 0, **metadata})
    world.insert({"_id": 2, "n": 0, **metadata})
    outcome = await apply(world, put(1, 1, n=1), delete(1, 2))
    assert outcome == Outcome(modified=1, deleted=1)
    assert state(world) == {1: 1}


async def test_any_field_name_survives_insert_and_replacement(world: World) -> None:
    """`$` and dots, at every level (the reason for the pipeline)."""
    image: Document = {"$set": "$x", "a.b": {"$inc": {"c.d": ["$$ROOT"]}}, "": 1, "$$": {"$literal": 1}}
    for sequence in (1, 2):
        changed = {**image, "n": sequence}
        await apply(world, put(sequence, **changed))
        (document,) = world.documents()
        assert {name: document[name] for name in changed} == changed


IDS = [
    7,
    "text",
    b"\x00binary",
    1.5,
    Decimal128("12345678901234567890"),
    Decimal128("0.1"),
    {"pk": "a", "sk": 1},
    {"sk": 1, "pk": "a"},
    {"_$a": 1, "b.c": Decimal128("1.5")},
    {"a": b"x", "b": "y"},
    "",
]


@pytest.mark.parametrize("identity", IDS, ids=repr)
async def test_every_kind_of_id(world: World, identity: Any) -> None:
    """Put, replaced, deleted, buried: the whole life of a document, alone and in a batch."""

    async def applied(change: Change) -> Outcome:
        other = write(put(int(change.sequence), "other"), collection="beside")
        return await world.sink.apply([write(change, identity), other])

    assert (await applied(put(1, n=1))).inserted == 2
    assert (await applied(put(2, n=2))).modified == 2
    assert bson.encode({"": world.documents()[0]["_id"]}) == bson.encode({"": identity})
    assert (await applied(delete(3))).deleted == 1
    late = await applied(put(2, n=2))
    assert (late.stale, late.stale_at) == (2, {("", "items"): 1, ("", "beside"): 1})
    assert world.documents() == []


async def test_ids_that_look_alike_are_different(world: World) -> None:
    """1 and "1", and composite keys in another order, do not meet."""
    ids = [1, "1", b"1", {"a": 1, "b": 2}, {"b": 2, "a": 1}]
    assert (await world.sink.apply([write(put(1), identity) for identity in ids])).inserted == len(ids)
    await world.sink.apply([write(delete(2), {"a": 1, "b": 2}), write(delete(2), "1")])
    assert (await world.sink.apply([write(put(1), identity) for identity in ids])).stale == len(ids)
    assert len(world.documents()) == len(ids) - 2


async def test_applying_a_batch_again_changes_nothing(world: World) -> None:
    """At-least-once delivery is harmless: same documents, everything stale."""
    batch = [put(3, 1, n=1), delete(4, 2), put(2, 3, n=3)]
    world.insert({"_id": 3, "n": 9, "_ddb": {"v": put(9).version}})
    first = await apply(world, *batch)
    before = world.documents()
    again = await apply(world, *batch)
    assert first == Outcome(inserted=1, stale=1)
    assert again == Outcome(stale=2)
    assert world.documents() == before


async def test_an_empty_batch_is_no_work(world: World) -> None:
    """No call, no error."""
    assert await world.sink.apply([]) == Outcome()


async def test_a_document_that_the_validator_refuses_fails_alone(world: World) -> None:
    """Permanent, with MongoDB's code; its neighbours are written, in any order of the batch (P5)."""
    world.require("items", "n")
    outcome = await apply(world, put(1, 1, n=1), put(2, 2), put(3, 3, n=3), delete(4, 4))
    assert {index: (f.kind, f.code) for index, f in outcome.failures.items()} == {
        1: (FailureKind.PERMANENT, "121")
    }
    assert outcome.failures[1].reason
    assert outcome.inserted == 2
    assert state(world) == {1: 1, 3: 3}


async def test_a_failure_is_told_by_its_place_in_the_batch(world: World) -> None:
    """Whatever collections the batch goes to."""
    world.require("items", "n")
    batch = [
        write(put(1, 1), collection="beside"),
        write(put(1, 1, n=1)),
        write(put(1, 2), collection="beside"),
        write(put(1, 2)),
    ]
    outcome = await world.sink.apply(batch)
    assert list(outcome.failures) == [3]
    assert outcome.inserted == 3


async def test_a_duplicate_on_another_unique_index_is_healable(world: World) -> None:
    """Once the other item has given the value up, the same write succeeds."""
    world.make_unique("items", "email")
    await apply(world, put(1, 1, email="x"))
    outcome = await apply(world, put(2, 2, email="x"), put(3, 3, email="y"))
    assert {index: (f.kind, f.code) for index, f in outcome.failures.items()} == {
        0: (FailureKind.HEALABLE, "11000")
    }
    assert outcome.inserted == 1
    await apply(world, put(4, 1, email="z"))
    assert await apply(world, put(2, 2, email="x")) == Outcome(inserted=1)


async def test_a_unique_value_changes_hands_within_a_batch(world: World) -> None:
    """One document gives it up, and a new one takes it: no failure, in whatever order MongoDB is told."""
    world.make_unique("items", "email")
    await apply(world, put(1, 1, email="x"))
    outcome = await apply(world, put(2, 1, email="z"), put(2, 2, email="x"))
    assert outcome == Outcome(inserted=1, modified=1)
    assert {document["_id"]: document["email"] for document in world.documents()} == {1: "z", 2: "x"}


async def test_collections_do_not_meet(world: World) -> None:
    """The same key in two collections is two documents, with tombstones of their own."""
    await world.sink.apply([write(put(1), collection="a"), write(put(1), collection="b")])
    await world.sink.apply([write(delete(2), collection="a"), write(put(2, n=2), collection="b")])
    assert world.documents("a") == []
    assert [document["n"] for document in world.documents("b")] == [2]
    assert (await world.sink.apply([write(put(1), collection="a")])).stale == 1


KEYS, LAST = (1, 2), 6


def change_of(key: int, sequence: int, deletions: frozenset[tuple[int, int]]) -> Change:
    return delete(sequence, key) if (key, sequence) in deletions else put(sequence, key, n=sequence)


@st.composite
def deliveries(draw: st.DrawFn) -> tuple[list[list[list[Change]]], dict[int, int]]:
    """Two writers' batches (at most one change per key), reordered and duplicated, and the right end."""
    everything = [(key, sequence) for key in KEYS for sequence in range(1, LAST + 1)]
    deletions = draw(st.frozensets(st.sampled_from(everything)))
    missing = list(everything)
    extra = draw(st.lists(st.sampled_from(everything), max_size=8))
    order = draw(st.permutations(missing + extra))
    writers: list[list[list[Change]]] = [[], []]
    for key, sequence in order:
        batches, joins = writers[draw(st.integers(0, 1))], draw(st.booleans())
        change = change_of(key, sequence, deletions)
        if joins and batches and all(other.key != change.key for other in batches[-1]):
            batches[-1].append(change)
        else:
            batches.append([change])
    return writers, {key: LAST for key in KEYS if (key, LAST) not in deletions}


@pytest.mark.asyncio(loop_scope="module")
@settings(max_examples=40)
@given(deliveries())
async def test_two_writers_end_in_the_reference_state(
    shared_world: World, delivered: tuple[list[list[list[Change]]], dict[int, int]]
) -> None:
    """Whatever is duplicated, reordered and raced by another writer, the newest change decides (P1)."""
    world = shared_world
    writers, expected = delivered
    world.clear()

    async def run(batches: Sequence[Sequence[Change]]) -> None:
        for batch in batches:
            await repeated(world.sink, batch)

    await asyncio.gather(*(run(batches) for batches in writers))
    assert state(world) == expected


async def repeated(sink: Sink, batch: Sequence[Change]) -> None:
    """Applies a batch as the service does: again after a transient error."""
    for _ in range(20):
        try:
            await sink.apply([write(change) for change in batch])
        except TransientError:
            continue
        return
    pytest.fail("the batch met a transient error twenty times")
