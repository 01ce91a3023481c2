"""What only a real MongoDB can show: races, outages, refusals, and what is really sent to the server."""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any

import bson
import pymongo
import pytest
from bson.decimal128 import Decimal128
from motor.motor_asyncio import AsyncIOMotorClient
from pymongo.monitoring import CommandListener, ConnectionPoolListener

from local.polling import HANG_TIMEOUT_S
from local.servers.mongod import Mongod
from shared.errors import FatalError, TransientError
from tests.support.builders import delete, put, target, write
from writer.mongodb import bulk
from writer.mongodb.guard import removal_filter, tombstone_id, tombstone_pipeline
from writer.mongodb.sink import MongoSink
from writer.names import TOMBSTONES
from writer.ports import FailureKind, Outcome
from writer.write import Removal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from local.stack import Stack
    from shared.change import Change
    from writer.write import Write

SECRET = "hunter2-do-not-log"
Document = dict[str, Any]

TOO_DEEP = 220  # MongoDB refuses a command that holds such a document; a few levels fewer fail as one write


@pytest.fixture
def mongodb(stack: Stack) -> Iterator[pymongo.MongoClient[Document]]:
    with pymongo.MongoClient[Document](stack.mongodb_uri) as client:
        yield client


def with_option(uri: str, option: str) -> str:
    return f"{uri}{'&' if '?' in uri else '/?'}{option}"


@contextmanager
def sink_on(uri: str, database: str, pool_size: int = 4) -> Iterator[MongoSink]:
    sink = MongoSink.connect(uri, database, pool_size)
    try:
        yield sink
    finally:
        sink.close()


class Spy(CommandListener):
    """Sees every command before it is sent, and may act first: the other writer in a race."""

    def __init__(self, act: Callable[[str, Document], None] | None = None) -> None:
        self.commands: list[tuple[str, Document]] = []
        self._act = act

    def started(self, event: Any) -> None:
        command = dict(event.command)
        if event.command_name in {"insert", "update", "delete", "find", "getMore"}:
            self.commands.append((event.command_name, command))
            if self._act is not None:
                self._act(event.command_name, command)

    def succeeded(self, event: Any) -> None:
        pass

    def failed(self, event: Any) -> None:
        pass


@contextmanager
def watched_sink(uri: str, database: str, spy: Spy) -> Iterator[MongoSink]:
    client: Any = AsyncIOMotorClient(uri, event_listeners=[spy])
    try:
        yield MongoSink(client, database)
    finally:
        client.close()


def deleted_by_another_writer(database: Any, change: Change) -> None:
    """All that another writer does for a deletion, at once."""
    key = change.key["id"]
    where = target(key)
    pipeline = tombstone_pipeline(where, change.version, None)
    database[TOMBSTONES].update_one({"_id": tombstone_id(where)}, pipeline, upsert=True)
    database["items"].delete_one(removal_filter(where, Removal({}, change.version)))


async def test_tombstones_expire(stack: Stack, database: str, mongodb: pymongo.MongoClient[Document]) -> None:
    """After 30 days, longer than a message can live; and opening twice is no error (P7)."""
    with sink_on(stack.mongodb_uri, database) as sink:
        await sink.open()
        await sink.open()
        await sink.apply([write(delete(5))])
    (index,) = (i for i in mongodb[database][TOMBSTONES].list_indexes() if i["name"] != "_id_")
    assert (index["key"], index["expireAfterSeconds"]) == ({"at": 1}, 30 * 24 * 3600)
    (tombstone,) = mongodb[database][TOMBSTONES].find()
    assert isinstance(tombstone["at"], datetime)


async def test_an_index_with_other_options_is_said(
    stack: Stack, database: str, mongodb: pymongo.MongoClient[Document]
) -> None:
    """Waiting would not help: it names the collection."""
    mongodb[database][TOMBSTONES].create_index("at", expireAfterSeconds=1)
    with sink_on(stack.mongodb_uri, database) as sink, pytest.raises(FatalError, match=TOMBSTONES):
        await sink.open()


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


async def test_how_often_mongodb_is_asked(
    stack: Stack, database: str, mongodb: pymongo.MongoClient[Document]
) -> None:
    """The commands of a large batch, whatever its size: more would be slower, and nobody would notice."""

    async def commands(version: int, *operations: Write) -> Counter[str]:
        spy = Spy()
        with watched_sink(stack.mongodb_uri, database, spy) as sink:
            await sink.apply([*(write(put(version, key)) for key in range(900)), *operations])
        return Counter(name for name, _ in spy.commands)

    # Tombstones, documents, the insertion, and tombstones once more.
    assert await commands(1) == {"find": 3, "insert": 1}
    # Tombstones, documents, the update.
    assert await commands(2) == {"find": 2, "update": 1}
    # The deletion's tombstone first.
    assert await commands(3, write(delete(9, 2000))) == {"update": 2, "find": 2, "delete": 1}
    assert mongodb[database]["items"].count_documents({}) == 900


async def test_how_often_mongodb_is_asked_for_a_few(stack: Stack, database: str) -> None:
    """A look costs more than a few upserts; and with a shard key an upsert writes more than the image."""
    spy = Spy()
    with watched_sink(stack.mongodb_uri, database, spy) as sink:
        await sink.apply([write(put(1, key)) for key in range(10)])
        await sink.apply([write(put(2, key)) for key in range(10)])
        sharded = [write(put(1, key))._replace(shard={"region": None}) for key in range(100, 150)]
        await sink.apply(sharded)
    assert Counter(name for name, _ in spy.commands) == {"find": 5, "update": 3}


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


def nested(levels: int) -> Document:
    document: Document = {}
    for _ in range(levels):
        document = {"a": document}
    return document


async def test_what_fails_a_bulk_as_a_whole_fails_alone(
    stack: Stack, database: str, mongodb: pymongo.MongoClient[Document]
) -> None:
    """Nested too deep, a namespace too long: found by splitting, neighbours are written (P5)."""
    items = [write(put(1, n)) for n in range(9)]
    items[4] = write(put(1, 4, deep=nested(TOO_DEEP)))
    items[7] = write(put(1, 7, deep=nested(TOO_DEEP)))
    elsewhere = write(put(1, 1), collection="c" * 250)
    with sink_on(stack.mongodb_uri, database) as sink:
        outcome = await sink.apply([*items, elsewhere, write(delete(2, 99))])
    assert {index: (f.kind, f.code) for index, f in outcome.failures.items()} == {
        4: (FailureKind.PERMANENT, "15"),
        7: (FailureKind.PERMANENT, "15"),
        9: (FailureKind.PERMANENT, "73"),
    }
    assert outcome.inserted == 7
    assert mongodb[database]["items"].count_documents({}) == 7


async def test_more_keys_than_one_query_takes(
    stack: Stack, database: str, mongodb: pymongo.MongoClient[Document]
) -> None:
    """Tombstones are found whatever part of the batch they belong to, and queries stay small."""
    buried = [0, 999, 1000, 2499]
    spy = Spy()
    with watched_sink(stack.mongodb_uri, database, spy) as sink:
        await sink.apply([write(delete(5, key)) for key in buried])
        outcome = await sink.apply([write(put(4, key)) for key in range(2500)])
    assert (outcome.inserted, outcome.stale) == (2496, 4)
    assert mongodb[database]["items"].count_documents({"_id": {"$in": buried}}) == 0
    assert max(len(c["filter"]["_id"]["$in"]) for name, c in spy.commands if name == "find") <= 1000


async def test_a_key_whose_type_of_number_changed_is_the_same_document(
    stack: Stack, database: str, mongodb: pymongo.MongoClient[Document]
) -> None:
    """Another policy for numbers: 1.5 as double and as decimal is one `_id` for MongoDB."""
    with sink_on(stack.mongodb_uri, database) as sink:
        await sink.apply([write(delete(5), 1.5), write(delete(5), {"a": 1.5, "b": 1})])
        decimals: list[Write] = [
            write(put(4), Decimal128("1.50")),
            write(put(4), {"a": Decimal128("1.5"), "b": 1}),
        ]
        assert await sink.apply(decimals) == Outcome(stale=2)
    assert mongodb[database]["items"].count_documents({}) == 0


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The driver gives up on an absent server after a second. One that is there may answer later."""
    monkeypatch.setattr("writer.sink._SELECTION_MS", 1_000)


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
    """Fatal, and the sentence says where to look without showing the password."""
    uri = stack.mongodb_uri.replace("mongodb://", f"mongodb://writer:{SECRET}@")
    for action in (MongoSink.open, MongoSink.ping, lambda sink: sink.apply([write(put(1))])):
        with sink_on(uri, database) as sink, pytest.raises(FatalError, match="MONGODB_URI") as caught:
            await action(sink)
        assert SECRET not in str(caught.value)


async def test_a_host_that_is_not_there_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Transient, and no secret in the reason, which `/readyz` shows."""
    monkeypatch.setattr("writer.mongodb.sink._SELECTION_MS", 100)
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
        f"http://user:{SECRET}@host/",
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

    monkeypatch.setattr("writer.mongodb.sink.AsyncIOMotorClient", listening)
    with sink_on(with_option(stack.mongodb_uri, "maxPoolSize=50"), database, pool_size=2) as sink:
        await asyncio.gather(*(sink.apply([write(put(1, n))]) for n in range(30)))
    assert 0 < connections.most <= 2


async def test_the_reason_of_a_refusal_is_in_the_failure(
    stack: Stack, database: str, mongodb: pymongo.MongoClient[Document]
) -> None:
    """MongoDB's own words, for the dead letter."""
    mongodb[database].create_collection("items", validator={"n": {"$type": "int"}})
    with sink_on(stack.mongodb_uri, database) as sink:
        outcome = await sink.apply([write(put(1, n=SECRET))])
    assert outcome.failures[0].reason == "Document failed validation"


def test_bson_bytes_are_what_is_stored() -> None:
    """The builder of these tests makes the document that the writer makes: `_id` first, metadata last."""
    assert list(bson.decode(write(put(1, n=1)).document or b"")) == ["_id", "id", "n", "_ddb"]


async def test_a_database_that_differs_only_in_case(
    stack: Stack, database: str, mongodb: pymongo.MongoClient[Document]
) -> None:
    """MongoDB will never take it: said at the start, instead of waiting."""
    mongodb[database]["items"].insert_one({})
    with (
        sink_on(stack.mongodb_uri, database.upper()) as sink,
        pytest.raises(FatalError, match="only in case"),
    ):
        await sink.open()
