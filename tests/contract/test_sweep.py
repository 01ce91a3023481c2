"""The sweep: against MongoDB what it removes and what it leaves, on a fake clock when it runs."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pymongo
import pytest

from shared.errors import FatalError, TransientError
from tests.support.builders import delete, put, write
from tests.support.fake_clock import FakeClock, settled
from tests.support.writer_context import Told, context_on
from writer.mongodb.sink import MongoSink
from writer.names import TOMBSTONES
from writer.side_tasks import SWEEP_INTERVAL, SWEEP_WINDOW, sweep_until_stop
from writer.telemetry.observer import Cause
from writer.write import Mark

if TYPE_CHECKING:
    from collections.abc import Iterator

    from local.stack import Stack

OLD, NEW = 10**21, 2 * 10**21


@pytest.fixture
def sink(stack: Stack, database: str) -> Iterator[MongoSink]:
    sink = MongoSink.connect(stack.mongodb_uri, database, 4)
    yield sink
    sink.close()


@pytest.fixture
def target(stack: Stack, database: str) -> Iterator[Any]:
    """The database as its owner sees it."""
    with pymongo.MongoClient[dict[str, Any]](stack.mongodb_uri) as client:
        yield client[database]


def insert_late(target: Any, collection: str, document_id: Any, sequence: int) -> None:
    """What a writer leaves behind that inserts and dies before it reads the tombstones again."""
    version = put(sequence).version
    target[collection].insert_one({"_id": document_id, "_ddb": {"v": version}})


async def test_a_document_that_a_tombstone_outranks_is_removed(sink: MongoSink, target: Any) -> None:
    """A deleted item does not stay, in whatever collection, whatever its key."""
    keys: list[Any] = [1, "text", b"\x00", 2.5, {"pk": "a", "sk": 1}]
    for collection in ("items", "others"):
        for key in keys:
            await sink.apply([write(delete(NEW), key, collection)])
            insert_late(target, collection, key, OLD)
    assert await sink.sweep(SWEEP_WINDOW) == 2 * len(keys)
    assert [target[name].count_documents({}) for name in ("items", "others")] == [0, 0]
    assert await sink.sweep(SWEEP_WINDOW) == 0


async def test_what_is_newer_or_not_ours_stays(sink: MongoSink, target: Any) -> None:
    """An item that was put again stays, and so does what an application wrote itself."""
    await sink.apply([write(delete(OLD, key)) for key in (1, 2, 3)])
    await sink.apply([write(put(NEW, 1))])
    foreign = [{"_id": 2, "theirs": True}, {"_id": 3, "_ddb": "theirs"}]
    target["items"].insert_many(foreign)
    assert await sink.sweep(SWEEP_WINDOW) == 0
    assert {document["_id"] for document in target["items"].find()} == {1, 2, 3}


async def test_marks_are_no_removals(sink: MongoSink, target: Any) -> None:
    """A document whose item was deleted stays where deletions leave documents."""
    mark = Mark(delete(NEW).version, delete(NEW).at)
    await sink.apply([write(put(OLD))])
    await sink.apply([write(delete(NEW), removals=[], mark=mark)])
    assert await sink.sweep(SWEEP_WINDOW) == 0
    assert target["items"].count_documents({}) == 1


async def test_other_metadata_fields_and_databases(target: Any, stack: Stack) -> None:
    """The tombstone knows where the version stands; each database has tombstones of its own."""
    elsewhere = f"{target.name}-b"
    both = MongoSink.connect(stack.mongodb_uri, target.name, 1, {elsewhere})
    try:
        await both.open()
        for database in ("", elsewhere):
            change = write(delete(NEW), database=database)
            await both.apply([change._replace(target=change.target._replace(metadata_field="_meta"))])
            late = {"_id": 1, "_meta": {"v": put(OLD).version}}
            target.client[database or target.name]["items"].insert_one(late)
        assert await both.sweep(SWEEP_WINDOW) == 2
        indexes = target.client[elsewhere][TOMBSTONES].index_information()
        assert any("expireAfterSeconds" in index for index in indexes.values())
    finally:
        both.close()
        target.client.drop_database(elsewhere)


async def test_tombstones_of_long_ago_are_left_alone(sink: MongoSink, target: Any) -> None:
    """The work of a sweep is bounded by the deletes of its window."""
    await sink.apply([write(delete(NEW))])
    insert_late(target, "items", 1, OLD)
    before = datetime.now(UTC) - timedelta(seconds=SWEEP_WINDOW + 60)
    target[TOMBSTONES].update_many({}, {"$set": {"at": before}})
    await sink.apply([write(delete(NEW, 2))])  # one of now, in the same collection
    assert await sink.sweep(SWEEP_WINDOW) == 0
    assert await sink.sweep(SWEEP_WINDOW + 120) == 1


async def test_the_documents_are_found_by_their_index(sink: MongoSink, target: Any) -> None:
    """A sweep does not scan the collection: its cost grows with the deletes, not with the data."""
    target["items"].insert_many([{"_id": n, "_ddb": {"v": put(NEW).version}} for n in range(2000)])
    await sink.apply([write(delete(OLD, 5000))])
    before = target.command("serverStatus")["metrics"]["queryExecutor"]["scannedObjects"]
    await sink.sweep(SWEEP_WINDOW)
    after = target.command("serverStatus")["metrics"]["queryExecutor"]["scannedObjects"]
    assert after - before < 1000


class Sweeper:
    """Counts sweeps; raises what it is told to."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.sweeps = 0
        self.seconds = 0.0
        self.raises: Exception | None = None
        self.found = 0

    async def sweep(self, window: float) -> int:
        assert window == SWEEP_WINDOW
        self.sweeps += 1
        if self.seconds:
            await self.clock.sleep(self.seconds)
        if self.raises:
            raise self.raises
        return self.found


async def test_it_sweeps_about_once_a_minute_whatever_fails() -> None:
    """A sweep that could not be done is done a minute later; the stop ends it at once."""
    clock, told = FakeClock(), Told()
    sweeper, context = Sweeper(clock), context_on(clock, told)
    task = asyncio.create_task(sweep_until_stop(context, sweeper.sweep))
    await clock.advance(SWEEP_INTERVAL)
    assert sweeper.sweeps == 1
    assert told.troubles == []
    sweeper.raises = TransientError("MongoDB: AutoReconnect")
    await clock.advance(2 * SWEEP_INTERVAL)
    assert sweeper.sweeps == 3
    sweeper.raises, sweeper.found = None, 7
    await clock.advance(SWEEP_INTERVAL)
    assert [trouble.cause for trouble in told.troubles] == [Cause.SWEPT]
    assert "7 documents" in told.troubles[0].words
    context.stop.set()
    await settled()
    assert task.done()
    assert task.exception() is None


async def test_a_long_sweep_is_followed_by_a_long_pause() -> None:
    """Sweeping takes a small share of the time, however many deletes there are."""
    clock = FakeClock()
    sweeper, context = Sweeper(clock), context_on(clock)
    sweeper.seconds = 30.0
    task = asyncio.create_task(sweep_until_stop(context, sweeper.sweep))
    await clock.advance(SWEEP_INTERVAL + sweeper.seconds)
    assert sweeper.sweeps == 1
    await clock.advance(9 * sweeper.seconds)
    assert sweeper.sweeps == 1
    await clock.advance(12 * sweeper.seconds)
    assert sweeper.sweeps == 2
    context.stop.set()
    await clock.advance(sweeper.seconds)
    await task


async def test_a_refusal_ends_it() -> None:
    """A side task that cannot do its work ends the writer, with the reason."""
    clock = FakeClock()
    sweeper, context = Sweeper(clock), context_on(clock)
    sweeper.raises = FatalError("MongoDB refuses the writer")
    task = asyncio.create_task(sweep_until_stop(context, sweeper.sweep))
    await clock.advance(SWEEP_INTERVAL)
    with pytest.raises(FatalError):
        await task
