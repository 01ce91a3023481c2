"""Versions that no change can have are taken back, each only as long as it is exactly that one."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from ops.migration.store import Store
from tests.support.builders import delete, put, target, write
from writer.mapping.rules import Rules
from writer.mongodb.apply import Tombstone
from writer.names import TOMBSTONES
from writer.write import Mark

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pymongo

    from local.stack import Stack
    from tests.support.sinks import Document

FUTURE, OTHER = "9999-01-01T00:00:00.000 01 1", "9999-01-01T00:00:00.000 01 2"
AT = datetime(2020, 1, 1, tzinfo=UTC).replace(tzinfo=None)


@pytest.fixture
def store(stack: Stack, database: str) -> Iterator[Store]:
    made = Store.connect(stack.mongodb_uri, database, 2)
    yield made
    made.close()


def fill(mongodb: pymongo.MongoClient[Document], database: str) -> None:
    """A marked document 1 with its tombstone; all versions are of the future."""
    mark = {"v": FUTURE, "at": AT}
    mongodb[database]["items"].insert_one({"_id": 1, "_ddb": {"v": FUTURE, "deleted": mark}})
    tombstone = {"_id": {"c": "items", "k": 1}, "v": FUTURE, "marked": mark, "f": "_ddb"}
    mongodb[database][TOMBSTONES].insert_one(tombstone)


async def test_every_change_wins_afterwards(
    store: Store, mongodb: pymongo.MongoClient[Document], database: str
) -> None:
    """A put replaces the document, the mark goes, and the item is not buried; a deletion works as ever."""
    fill(mongodb, database)
    stale = await store.apply([write(put(5, 1, n=5), keeps_marks=True)])
    assert stale.stale
    await store.bring_down(target(1), FUTURE, FUTURE, Tombstone(FUTURE, Mark(FUTURE, 0)))
    outcome = await store.apply([write(put(5, 1, n=5), keeps_marks=True)])
    assert outcome.modified == 1
    (document,) = mongodb[database]["items"].find()
    assert document == {"_id": 1, "id": 1, "n": 5, "_ddb": {"v": put(5).version}}
    assert (await store.apply([write(delete(6, 1))])).deleted == 1


async def test_what_is_another_version_by_now_stays(
    store: Store, mongodb: pymongo.MongoClient[Document], database: str
) -> None:
    """A live change came in between: nothing of it is lost (P2)."""
    fill(mongodb, database)
    before = list(mongodb[database]["items"].find()), list(mongodb[database][TOMBSTONES].find())
    await store.bring_down(target(1), OTHER, OTHER, Tombstone(OTHER, Mark(OTHER, 0)))
    await store.bring_down(target(1), None, None, Tombstone())
    assert before == (list(mongodb[database]["items"].find()), list(mongodb[database][TOMBSTONES].find()))


async def test_tombstones_of_the_future_are_found(
    store: Store, mongodb: pymongo.MongoClient[Document], database: str
) -> None:
    """Of this collection, by either version; by MongoDB's clock it is now."""
    await store.apply([write(delete(1, 1)), write(delete(1, 2), removals=[], mark=Mark(put(3).version, 0))])
    marked = {"_id": {"c": "items", "k": 3}, "marked": {"v": "no time", "at": AT}, "f": "_ddb"}
    mongodb[database][TOMBSTONES].insert_many(
        [marked, {"_id": {"c": "items2", "k": 4}, "v": FUTURE}, {"_id": {"c": "items", "k": 5}, "v": FUTURE}]
    )
    found = await store.tombstones_of_the_future(Rules().table("items"), time.time())
    assert sorted(found) == [(3, "no time"), (5, FUTURE)]
    assert abs(await store.clock() - time.time()) < 24 * 3600
