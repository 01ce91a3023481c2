"""The connection to MongoDB: an outage is waited for, a refusal is said, and no URI weakens the promise."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pymongo
import pytest
from motor.motor_asyncio import AsyncIOMotorClient
from pymongo.monitoring import ConnectionPoolListener

from local.polling import HANG_TIMEOUT_S
from local.servers.mongod import Mongod
from shared.errors import FatalError, TransientError
from tests.support.builders import delete, put, write
from tests.support.sinks import SECRET, Document, Spy, sink_on, watched_sink, with_option
from writer.mongodb.sink import MongoSink
from writer.ports import Outcome

if TYPE_CHECKING:
    from pathlib import Path

    from local.stack import Stack


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The driver gives up on an absent server after a second. One that is there may answer later."""
    monkeypatch.setattr("writer.mongodb.client._SELECTION_MS", 1_000)


async def found(sink: MongoSink) -> None:
    """Waits until the driver has found the server."""
    async with asyncio.timeout(HANG_TIMEOUT_S):
        while True:
            with suppress(TransientError):
                await sink.open()
                return


@pytest.mark.usefixtures("impatient")
async def test_a_killed_mongodb_is_waited_for(tmp_path: Path) -> None:
    """Kill -9: a transient error, and after the restart the same batch applies, on what was acknowledged."""
    with Mongod(tmp_path) as mongod:
        mongod.wait()
        with sink_on(mongod.uri, "killed") as sink:
            await found(sink)
            first, second = [write(put(1, 1)), write(delete(1, 2))], [write(put(2, 1)), write(put(2, 3))]
            await sink.apply(first)
            mongod.kill()
            with pytest.raises(TransientError):
                await sink.apply(second)
            with pytest.raises(TransientError):
                await sink.ping()
            await asyncio.to_thread(mongod.restart)
            await found(sink)
            await sink.ping()
            assert await sink.apply(first) == Outcome(stale=1)
            assert await sink.apply(second) == Outcome(inserted=1, modified=1)


@pytest.mark.usefixtures("impatient")
async def test_a_kill_in_the_middle_of_writing_loses_nothing(tmp_path: Path) -> None:
    """Whatever was acknowledged is there after the restart, and the unfinished batch can be repeated (P3)."""
    with Mongod(tmp_path) as mongod:
        mongod.wait()
        with sink_on(mongod.uri, "killed") as sink:
            await found(sink)
            acknowledged: list[int] = []
            busy = asyncio.Event()

            async def write_on() -> None:
                for number in range(10_000):
                    await sink.apply([write(put(1, f"{number}-{n}")) for n in range(20)])
                    acknowledged.append(number)
                    if number == 20:
                        busy.set()

            writing = asyncio.create_task(write_on())
            await asyncio.wait_for(busy.wait(), HANG_TIMEOUT_S)
            # From another thread, so that it falls anywhere into a batch.
            await asyncio.to_thread(mongod.kill)
            with pytest.raises(TransientError):
                await writing
            await asyncio.to_thread(mongod.restart)
            await found(sink)
            unfinished = [write(put(1, f"{len(acknowledged)}-{n}")) for n in range(20)]
            outcome = await sink.apply(unfinished)
            assert outcome.inserted + outcome.stale == 20
            with pymongo.MongoClient[Document](mongod.uri) as client:
                written = {document["_id"] for document in client["killed"]["items"].find({}, {"_id": 1})}
            assert written == {f"{number}-{n}" for number in range(len(acknowledged) + 1) for n in range(20)}


async def test_a_refused_password_needs_a_person(stack: Stack, database: str) -> None:
    """Fatal at the start; later it is waited for. The sentence says where to look, and hides the password."""
    uri = stack.mongodb_uri.replace("mongodb://", f"mongodb://writer:{SECRET}@")
    actions: dict[Any, type[Exception]] = {
        MongoSink.open: FatalError,
        MongoSink.ping: TransientError,
        lambda sink: sink.apply([write(put(1))]): TransientError,
    }
    for action, kind in actions.items():
        with sink_on(uri, database) as sink, pytest.raises(kind, match="MONGODB_URI") as caught:
            await action(sink)
        assert SECRET not in str(caught.value)


async def test_a_host_that_is_not_there_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Transient, and no secret in the reason, which `/readyz` shows."""
    monkeypatch.setattr("writer.mongodb.client._SELECTION_MS", 100)
    uri = f"mongodb://writer:{SECRET}@127.0.0.1:1/"
    with sink_on(uri, "nowhere") as sink, pytest.raises(TransientError) as caught:
        await sink.open()
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    "uri",
    [
        f"mongodb://user:{SECRET}@@host/",
        f"mongodb://user:{SECRET}/x@host/",
        f"mongodb://user:x/{SECRET}@host/",
        f"mongodb://user:{SECRET}@host:99999/",
        f"mongodb://user:{SECRET}@host/?w=0&journal=true",
        f"mongodb://user:{SECRET}@host/?minPoolSize=100",
        f"mongodb://user:{SECRET}@host/?datetime_conversion=no-such",
        f"http://user:{SECRET}@host/",
        f"user:{SECRET}@host:27017",
        f"host:27017/{SECRET}",
    ],
)
def test_a_bad_uri_is_not_repeated(uri: str) -> None:
    """The message shows what a good one looks like."""
    with pytest.raises(FatalError, match="mongodb://user:password@host") as caught:
        MongoSink.connect(uri, "x", 4)
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    "option", ["w=0", "w=1", "readPreference=secondary", "readPreference=secondaryPreferred"]
)
async def test_the_uri_cannot_weaken_the_promise(stack: Stack, database: str, option: str) -> None:
    """Every write asks for a majority, every tombstone is read from the primary (P3)."""
    spy = Spy()
    with watched_sink(with_option(stack.mongodb_uri, option), database, spy) as sink:
        assert (await sink.apply([write(put(4)), write(delete(5, 2))])).inserted == 1
        assert await sink.apply([write(put(4)), write(put(4, 2))]) == Outcome(stale=2)
    names = Counter(name for name, _ in spy.commands)
    assert names["update"] >= 3
    assert names["find"] >= 2
    for name, command in spy.commands:
        if name == "find":
            assert command.get("$readPreference", {"mode": "primary"})["mode"].startswith("primary")
            assert command.get("$readPreference") != {"mode": "secondary"}
        else:
            assert command["writeConcern"]["w"] == "majority"


class Connections(ConnectionPoolListener):
    """Counts the connections that carry operations."""

    def __init__(self) -> None:
        self.open = 0
        self.most = 0

    def connection_created(self, _event: Any) -> None:
        self.open += 1
        self.most = max(self.most, self.open)

    def connection_closed(self, _event: Any) -> None:
        self.open -= 1

    def pool_created(self, event: Any) -> None: ...
    def pool_ready(self, event: Any) -> None: ...
    def pool_cleared(self, event: Any) -> None: ...
    def pool_closed(self, event: Any) -> None: ...
    def connection_ready(self, event: Any) -> None: ...
    def connection_check_out_started(self, event: Any) -> None: ...
    def connection_check_out_failed(self, event: Any) -> None: ...
    def connection_checked_out(self, event: Any) -> None: ...
    def connection_checked_in(self, event: Any) -> None: ...


async def test_connections_do_not_grow(stack: Stack, database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many batches are applied at once, the pool is the limit (P7)."""
    connections = Connections()

    def listening(uri: str, **options: Any) -> Any:
        return AsyncIOMotorClient(uri, event_listeners=[connections], **options)

    monkeypatch.setattr("writer.mongodb.driver.AsyncIOMotorClient", listening)
    with sink_on(with_option(stack.mongodb_uri, "maxPoolSize=50"), database, pool_size=2) as sink:
        await asyncio.gather(*(sink.apply([write(put(1, n))]) for n in range(30)))
    assert 0 < connections.most <= 2
