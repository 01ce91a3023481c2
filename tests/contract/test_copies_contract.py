"""Copied items beside live changes: they lose to every change, and deleted items stay deleted (P1, P2).

One suite for the steps of `writer.mongodb.apply` on the fake store, for the writer's own sink, and for the
store of the backfill, which inserts first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pymongo
import pytest

from ops.migration.images import copied, write_of
from ops.migration.store import Store
from tests.contract.worlds import Document, FakeWorld, MongoWorld
from tests.support.builders import delete, put, write
from writer.mapping.parser import parse_replication
from writer.mapping.rules import Rules
from writer.mongodb.sink import MongoSink
from writer.ports import FailureKind, Outcome
from writer.write import Mark

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from local.stack import Stack
    from tests.contract.worlds import World
    from writer.mapping.rules import Table
    from writer.mongodb.apply import Tombstone
    from writer.write import Write

KEY = {"id": "N"}


@pytest.fixture(params=["memory", "sink", "store"])
async def world(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    if request.param == "memory":
        yield FakeWorld()
        return
    stack: Stack = request.getfixturevalue("stack")
    database: str = request.getfixturevalue("database")
    kind = Store if request.param == "store" else MongoSink
    sink = kind.connect(stack.mongodb_uri, database, 4)
    await sink.open()
    with pymongo.MongoClient[Document](stack.mongodb_uri) as client:
        yield MongoWorld(sink, client[database])
    sink.close()


def table_of(rule: str = "{}") -> Table:
    return Rules(parse_replication(f"tables: {{items: {rule}}}", "r.yaml")).table("items")


def copy_of(number: int, *, rule: str = "{}", **attributes: str) -> Write:
    """The write of a copied item whose attributes are texts."""
    item = {"id": {"N": str(number)}, **{name: {"S": value} for name, value in attributes.items()}}
    found = write_of(table_of(rule), copied("items", KEY, item, 0))
    assert found is not None
    return found


def live(number: int, sequence: int, **attributes: Any) -> Write:
    return write(put(sequence, number, **attributes))


def state(world: World) -> dict[Any, Any]:
    """The field `n` of every document."""
    return {document["_id"]: document.get("n") for document in world.documents()}


async def test_a_copy_is_written_where_nothing_is(world: World) -> None:
    """With the lowest version there is; once more changes nothing."""
    assert await world.sink.apply([copy_of(1, n="a"), copy_of(2, n="b")]) == Outcome(inserted=2)
    assert world.documents()[0] == {"_id": 1, "id": 1, "n": "a", "_ddb": {"v": ""}}
    assert await world.sink.apply([copy_of(1, n="x"), copy_of(3, n="c")]) == Outcome(inserted=1, stale=1)
    assert state(world) == {1: "a", 2: "b", 3: "c"}


async def test_a_copy_loses_to_every_change(world: World) -> None:
    """Whichever comes first."""
    await world.sink.apply([live(1, 5, n="live"), live(2, 1, n="live")])
    outcome = await world.sink.apply([copy_of(1, n="old"), copy_of(2, n="old"), copy_of(3, n="old")])
    assert (outcome.inserted, outcome.modified, outcome.stale) == (1, 0, 2)
    assert outcome.older_stream_at == {}  # it comes from none
    assert (await world.sink.apply([live(3, 1, n="live")])).modified == 1
    assert state(world) == {1: "live", 2: "live", 3: "live"}


async def test_a_copy_of_a_deleted_item_is_not_written(world: World) -> None:
    """The tombstone outranks it; what an earlier try left is taken back."""
    await world.sink.apply([write(delete(5, 1)), write(delete(5, 2))])
    world.insert({"_id": 2, "id": 2, "n": "left", "_ddb": {"v": ""}})
    outcome = await world.sink.apply([copy_of(1, n="old"), copy_of(2, n="left"), copy_of(3, n="there")])
    assert (outcome.inserted, outcome.stale, outcome.deleted) == (1, 2, 1)
    assert state(world) == {3: "there"}


async def test_a_deletion_after_the_copy_removes_it(world: World) -> None:
    """The other order."""
    await world.sink.apply([copy_of(1, n="old")])
    assert (await world.sink.apply([write(delete(5, 1))])).deleted == 1
    assert state(world) == {}


@pytest.mark.parametrize("metadata", [{}, {"_ddb": "text"}, {"_ddb": {}}, {"_ddb": {"v": 7}}], ids=repr)
async def test_a_document_without_our_version_is_replaced(world: World, metadata: Document) -> None:
    """As a live put would do; but only once."""
    world.insert({"_id": 1, "n": "theirs", **metadata})
    await world.sink.apply([live(2, 1, n="live")])
    outcome = await world.sink.apply([copy_of(1, n="copy"), copy_of(2, n="copy")])
    assert (outcome.modified, outcome.stale) == (1, 1)
    assert state(world) == {1: "copy", 2: "live"}
    assert (await world.sink.apply([copy_of(1, n="copy again")])).stale == 1


async def test_what_an_application_added_before_the_copy_stays_when_merging(world: World) -> None:
    """The copy is merged into it."""
    merge = "{mode: merge}"
    world.insert({"_id": 1, "score": 5, "n": "theirs"})
    await world.sink.apply([copy_of(1, rule=merge, n="copy"), copy_of(2, rule=merge, n="copy")])
    first, second = world.documents()
    assert first == {"_id": 1, "score": 5, "n": "copy", "id": 1, "_ddb": {"v": "", "names": ["id", "n"]}}
    assert second == {"_id": 2, "n": "copy", "id": 2, "_ddb": {"v": "", "names": ["id", "n"]}}


async def test_documents_of_deleted_items_that_stay_are_marked(world: World) -> None:
    """Marked before: it has a version, and stays. Deleted before its copy: the copy is marked."""
    marks = "{deletes: mark}"
    mark = Mark(delete(7).version, 1588166542000)
    gone = [write(delete(7, number), removals=[], mark=mark) for number in (1, 2)]
    await world.sink.apply([live(1, 5, n="last")])
    await world.sink.apply(gone)
    await world.sink.apply([copy_of(number, rule=marks, n="copy") for number in (1, 2, 3)])
    assert state(world) == {1: "last", 2: "copy", 3: "copy"}
    marked = {each["_id"]: each["_ddb"].get("deleted", {}).get("v") for each in world.documents()}
    assert marked == {1: mark.version, 2: mark.version, 3: None}


async def test_an_item_that_the_database_refuses_fails_alone(world: World) -> None:
    """With MongoDB's code; its neighbours are written (P5)."""
    world.require("items", "n")
    outcome = await world.sink.apply([copy_of(1, n="a"), copy_of(2), copy_of(3, n="c")])
    assert {n: (f.kind, f.code) for n, f in outcome.failures.items()} == {1: (FailureKind.PERMANENT, "121")}
    assert outcome.inserted == 2
    assert state(world) == {1: "a", 3: "c"}


async def test_a_duplicate_on_another_unique_index_fails_alone(world: World) -> None:
    """It is not taken for a document that is there already."""
    world.make_unique("items", "email")
    outcome = await world.sink.apply([copy_of(1, email="x")])
    outcome = await world.sink.apply([copy_of(2, email="x"), copy_of(3, email="y")])
    assert {n: f.code for n, f in outcome.failures.items()} == {0: "11000"}
    assert outcome.inserted == 1


async def test_names_that_look_like_operators(world: World) -> None:
    """Inserted as they are."""
    item = {"id": {"N": "1"}, "$set": {"S": "$x"}, "a.b": {"M": {"$inc": {"N": "1"}}}}
    found = write_of(table_of(), copied("items", KEY, item, 0))
    assert found is not None
    await world.sink.apply([found])
    (document,) = world.documents()
    assert (document["$set"], document["a.b"]) == ("$x", {"$inc": 1})


async def test_a_deletion_between_the_look_and_the_insert(stack: Stack, database: str) -> None:
    """The document is inserted after its item's deletion was complete: the last look finds it."""

    class Late(Store):
        looks = 0

        async def newer_tombstones(self, puts: Sequence[Write]) -> Mapping[int, Tombstone]:
            found = await super().newer_tombstones(puts)
            if self.looks == 0:
                await writer.apply([write(delete(5, 1))])
            self.looks += 1
            return found

    writer = MongoSink.connect(stack.mongodb_uri, database, 1)
    late = Late.connect(stack.mongodb_uri, database, 1)
    assert (await late.apply([copy_of(1, n="old"), copy_of(2, n="there")])).inserted == 2
    with pymongo.MongoClient[Document](stack.mongodb_uri) as client:
        assert [each["_id"] for each in client[database]["items"].find()] == [2]
    late.close()
    writer.close()


@pytest.mark.parametrize("deleted", [0, 3, 80], ids="{} deleted".format)
async def test_deleted_items_among_many(world: World, deleted: int) -> None:
    """Whether few or many items were deleted: exactly those are not written, in a batch of any size."""
    gone = set(range(5, 5 + deleted))
    other = [write(delete(5, number), collection="items2") for number in range(9)]
    await world.sink.apply([write(delete(5, number)) for number in gone] + other)
    outcome = await world.sink.apply([copy_of(number) for number in range(100)])
    assert outcome.inserted == 100 - deleted
    assert set(state(world)) == set(range(100)) - gone
