"""Two writers at one document: whatever the moment, the newer change stays (P2)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import bson
import pytest

from tests.support.builders import delete, put, target, write
from tests.support.sinks import TOO_DEEP, Document, Spy, nested, watched_sink
from writer.mongodb import bulk
from writer.mongodb.guard import guarded_tombstone, removal_filter, tombstone_id
from writer.mongodb.sending import update
from writer.names import TOMBSTONES
from writer.ports import Outcome
from writer.write import Removal

if TYPE_CHECKING:
    import pymongo

    from local.stack import Stack
    from shared.change import Change


def deleted_by_another_writer(database: Any, change: Change) -> None:
    """All that another writer does for a deletion, at once."""
    key = change.key["id"]
    where = target(key)
    made = guarded_tombstone(where, change.version, None)
    tombstone = update({"_id": tombstone_id(where)}, made, upsert=True)
    database.command("update", TOMBSTONES, updates=[tombstone])
    database["items"].delete_one(removal_filter(where, Removal({}, change.version)))


@pytest.fixture(params=["update", "insert"])
def putting(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The command that inserts new documents, in small batches and in large ones."""
    monkeypatch.setattr(bulk, "WORTH_A_LOOK", 1 if request.param == "insert" else math.inf)
    return str(request.param)


async def test_a_deletion_between_look_and_write_wins(
    stack: Stack, database: str, mongodb: pymongo.MongoClient[Document], putting: str
) -> None:
    """Step 3: what was inserted after another writer's deletion is removed again (P2)."""

    def act(name: str, command: Document) -> None:
        if name == putting and command[putting] == "items":
            deleted_by_another_writer(mongodb[database], delete(5))

    with watched_sink(stack.mongodb_uri, database, Spy(act)) as sink:
        beside = write(put(4, 3), collection="beside")
        outcome = await sink.apply([beside, write(put(4, 2)), write(put(4))])
    assert outcome.inserted == 3
    assert [document["_id"] for document in mongodb[database]["items"].find()] == [2]


@pytest.mark.parametrize("there", [3, 4, 5])
async def test_an_insertion_between_look_and_write_is_put_by_version(
    stack: Stack,
    database: str,
    mongodb: pymongo.MongoClient[Document],
    monkeypatch: pytest.MonkeyPatch,
    there: int,
) -> None:
    """Another writer was quicker: the higher version stays, and the neighbours are inserted (P2)."""
    monkeypatch.setattr(bulk, "WORTH_A_LOOK", 1)

    def act(name: str, _: Document) -> None:
        if name == "insert":
            document = bson.decode(write(put(there, 1, n=there)).document or b"")
            mongodb[database]["items"].insert_one(document)

    with watched_sink(stack.mongodb_uri, database, Spy(act)) as sink:
        outcome = await sink.apply([write(put(4, key, n=4)) for key in range(3)])
    assert outcome == Outcome(inserted=2, modified=there < 4, stale=there >= 4)
    found = {document["_id"]: document["n"] for document in mongodb[database]["items"].find()}
    assert found == {0: 4, 1: max(there, 4), 2: 4}


async def test_a_creation_after_the_deletion_survives_the_second_look(
    stack: Stack, database: str, mongodb: pymongo.MongoClient[Document], putting: str
) -> None:
    """The guard of step 3 spares what became newer than the tombstone in the meantime."""

    def act(name: str, command: Document) -> None:
        if name == putting and command[putting] == "items":
            deleted_by_another_writer(mongodb[database], delete(5))
        if name == "delete":
            mongodb[database]["items"].replace_one(
                {"_id": 1}, {"n": 6, "_ddb": {"v": put(6).version}}, upsert=True
            )

    with watched_sink(stack.mongodb_uri, database, Spy(act)) as sink:
        await sink.apply([write(put(4))])
    assert [document["n"] for document in mongodb[database]["items"].find()] == [6]


async def test_a_bulk_that_failed_after_a_part_was_done_is_looked_at_again(
    stack: Stack, database: str, mongodb: pymongo.MongoClient[Document], putting: str
) -> None:
    """The driver cuts large bulks: what the first command inserted is checked like any insertion (P2)."""
    raced: list[int] = []

    def act(name: str, command: Document) -> None:
        if name == putting and command[putting] == "items" and not raced:
            raced.append(1)
            deleted_by_another_writer(mongodb[database], delete(5))

    large = "x" * 15_000_000
    writes = [write(put(4, n, text=large)) for n in (1, 2, 3, 4)]
    with watched_sink(stack.mongodb_uri, database, Spy(act)) as sink:
        outcome = await sink.apply([*writes, write(put(4, 5, deep=nested(TOO_DEEP)))])
    assert list(outcome.failures) == [4]
    found = mongodb[database]["items"].find({}, {"_id": 1})
    assert sorted(document["_id"] for document in found) == [2, 3, 4]
