"""What only a real MongoDB can show of exchanged values: indexes, conflicts, an end in the middle."""

from __future__ import annotations

import asyncio
import random
import threading
from typing import TYPE_CHECKING, Any

import bson
import pytest
from pymongo.collation import Collation

from local.polling import wait_until
from shared.errors import TransientError
from tests.contract.test_sink_races import deleted_by_another_writer
from tests.faults.proxy import Proxy
from tests.support.builders import delete, put, target, write
from tests.support.sinks import Document, Spy, sink_on, watched_sink
from writer.mongodb.guard import guarded_tombstone, tombstone_id
from writer.mongodb.sending import update
from writer.names import TOMBSTONES
from writer.ports import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable

    import pymongo

    from local.stack import Stack

Collection = Any


@pytest.fixture
def items(mongodb: pymongo.MongoClient[Document], database: str) -> Collection:
    return mongodb[database]["items"]


@pytest.fixture
def people(items: Collection) -> Collection:
    """Documents 1 and 2 with the addresses a and b."""
    items.create_index("email", unique=True)
    items.insert_many([image(1, 1, email="a"), image(1, 2, email="b")])
    return items


def image(version: int, key: int, **fields: Any) -> Document:
    return bson.decode(write(put(version, key, **fields)).document or b"")


def fields(items: Collection, *names: str) -> dict[Any, Any]:
    return {each["_id"]: tuple(each.get(name) for name in names) for each in items.find()}


SWAP = [write(put(2, 1, email="b")), write(put(2, 2, email="a"))]


@pytest.mark.parametrize(
    ("keys", "options", "one", "two"),
    [
        ([("a", 1), ("b.c", -1)], {}, {"a": 1, "b": {"c": None}}, {"a": 1, "b": {"c": {"$gt": 1}}}),
        ([("tags", 1)], {}, {"tags": ["x", "y"]}, {"tags": ["z", "v"]}),
        ([("dept", 1), ("tags", 1)], {}, {"dept": 1, "tags": ["x", "y"]}, {"dept": 1, "tags": ["z"]}),
        ([("n", 1)], {"sparse": True}, {"n": 1}, {}),
        ([("n", 1)], {}, {"n": 1}, {}),
        ([("n", 1)], {"partialFilterExpression": {"on": True}}, {"n": 1, "on": True}, {"n": 2, "on": True}),
        ([("n", 1)], {"collation": Collation("en", strength=2)}, {"n": "ann"}, {"n": "BOB"}),
    ],
    ids=["compound", "multikey", "both", "sparse", "absent", "partial", "without case"],
)
async def test_kinds_of_unique_indexes(  # noqa: PLR0913, PLR0917 - a row
    stack: Stack, database: str, items: Collection, keys: Any, options: Any, one: Document, two: Document
) -> None:
    """Two documents exchange all that is indexed."""
    items.create_index(keys, unique=True, **options)
    items.insert_many([image(1, 1, **one), image(1, 2, **two)])
    with sink_on(stack.mongodb_uri, database) as sink:
        outcome = await sink.apply([write(put(2, 1, **two)), write(put(2, 2, **one))])
    assert not outcome.failures
    assert list(items.find().sort("_id", 1)) == [image(2, 1, **two), image(2, 2, **one)]


async def test_more_than_one_unique_index(stack: Stack, database: str, items: Collection) -> None:
    """One value with one document, another value with another one: MongoDB names one index at a time."""
    items.create_index("email", unique=True)
    items.create_index("phone", unique=True)
    items.insert_many([image(1, n, email=n, phone=n) for n in range(6)])
    wanted = {0: (1, 2), 1: (0, 3), 2: (4, 0), 3: (5, 1), 4: (2, 5), 5: (3, 4)}
    with sink_on(stack.mongodb_uri, database) as sink:
        outcome = await sink.apply([write(put(2, n, email=e, phone=p)) for n, (e, p) in wanted.items()])
    assert outcome == Outcome(modified=6)
    assert fields(items, "email", "phone") == wanted


async def test_keys_of_all_types(stack: Stack, database: str, items: Collection) -> None:
    """Maps and numbers as `_id`, compared as MongoDB does."""
    items.create_index("email", unique=True)
    ids = [{"a": 1, "b": b"x"}, "text", bson.Decimal128("1.50")]
    with sink_on(stack.mongodb_uri, database) as sink:
        for version in range(4):
            writes = [write(put(version + 1, email=(version + n) % 3), key) for n, key in enumerate(ids)]
            assert not (await sink.apply(writes)).failures


async def test_a_rank_moves_through_a_long_chain(stack: Stack, database: str, items: Collection) -> None:
    """300 documents move on by one: one transaction, whatever the order of the writes."""
    items.create_index("rank", unique=True)
    items.insert_many([image(1, n, rank=n) for n in range(300)])
    with sink_on(stack.mongodb_uri, database) as sink:
        outcome = await sink.apply([write(put(2, n, rank=n + 1)) for n in range(300)])
    assert outcome == Outcome(modified=300)


async def test_no_transaction_where_none_helps(stack: Stack, database: str, people: Collection) -> None:
    """Not for a value that is free by now, and not for one that somebody else keeps: each costs time."""
    people.insert_one({"_id": "theirs", "email": "x"})
    spy = Spy()
    with watched_sink(stack.mongodb_uri, database, spy) as sink:
        rekeyed = [write(put(2, 9, email="a")), write(delete(2, 1)), write(put(2, 8, email="x"))]
        outcome = await sink.apply(rekeyed)
    assert list(outcome.failures) == [2]
    assert fields(people, "email") == {9: ("a",), 2: ("b",), "theirs": ("x",)}
    assert not {name for name, _ in spy.commands} & {"aggregate", "commitTransaction"}
    updates = [command for name, command in spy.commands if name == "update" and command[name] == "items"]
    assert [len(command["updates"]) for command in updates] == [2, 1]


@pytest.mark.parametrize(
    "options", [{}, {"collation": Collation("en", strength=2)}], ids=["plain", "without case"]
)
async def test_a_ring_in_three_batches(
    stack: Stack, database: str, items: Collection, options: dict[str, Any]
) -> None:
    """What was refused is remembered: the last batch does it all, and the others are stale then."""
    items.create_index("email", unique=True, **options)
    items.insert_many([image(1, n, email=email) for n, email in enumerate("abc")])
    one, two, three = (write(put(2, n, email=email)) for n, email in enumerate("bca"))
    with sink_on(stack.mongodb_uri, database) as sink:
        for early in (one, two):
            assert list((await sink.apply([early])).failures) == [0]
        assert await sink.apply([three]) == Outcome(modified=1)
        assert fields(items, "email") == {0: ("b",), 1: ("c",), 2: ("a",)}
        assert await sink.apply([one, two]) == Outcome(stale=2)


async def test_what_is_remembered_and_half_deleted(
    stack: Stack, database: str, mongodb: pymongo.MongoClient[Document], people: Collection
) -> None:
    """Where there is a newer tombstone, a put of an earlier batch is not written (P2)."""
    with sink_on(stack.mongodb_uri, database) as sink:
        assert (await sink.apply(SWAP[:1])).failures
        gone = guarded_tombstone(target(1), delete(5, 1).version, None)
        where = {"_id": tombstone_id(target(1))}
        mongodb[database].command("update", TOMBSTONES, updates=[update(where, gone, upsert=True)])
        before = list(people.find())
        assert list((await sink.apply(SWAP[1:])).failures) == [0]
        assert list(people.find()) == before


@pytest.mark.parametrize("moment", ["aggregate", "find"])
async def test_what_is_remembered_and_then_deleted(
    stack: Stack, database: str, mongodb: pymongo.MongoClient[Document], people: Collection, moment: str
) -> None:
    """A put of an earlier batch takes the steps of every put: a deletion at any moment wins (P2)."""

    def act(name: str, _: Document) -> None:
        # The last look at the tombstones comes after the transaction.
        if name == moment and armed and (name != "find" or is_after):
            armed.clear()
            deleted_by_another_writer(mongodb[database], delete(5, 1))
        is_after.extend([1] if name == "commitTransaction" else [])

    armed: list[int] = []
    is_after: list[int] = []
    with watched_sink(stack.mongodb_uri, database, Spy(act)) as sink:
        assert (await sink.apply(SWAP[:1])).failures
        armed.append(1)
        outcome = await sink.apply(SWAP[1:])
        if outcome.failures:
            outcome = await sink.apply(SWAP[1:])
    assert not outcome.failures
    assert fields(people, "email") == {2: ("a",)}


@pytest.mark.parametrize("there", [2, 3], ids=["the same", "a newer one"])
async def test_another_writer_in_the_middle(
    stack: Stack, database: str, people: Collection, there: int
) -> None:
    """One document changes after the transaction read it: nothing newer is overwritten (P2)."""

    def act(name: str, _: Document) -> None:
        if name == "delete" and not changed:
            changed.append(people.replace_one({"_id": 1}, image(there, 1, email="c", n=there)))

    changed: list[object] = []
    with watched_sink(stack.mongodb_uri, database, Spy(act)) as sink:
        outcome = await sink.apply(SWAP)
    assert outcome == Outcome(modified=1, stale=1)
    assert fields(people, "email", "n") == {1: ("c", there), 2: ("a", None)}


@pytest.mark.parametrize("moment", ["aggregate", "delete"])
async def test_a_deletion_in_the_middle(
    stack: Stack, database: str, mongodb: pymongo.MongoClient[Document], people: Collection, moment: str
) -> None:
    """The item stays deleted, and the other one gets its value (P2)."""

    def act(name: str, _: Document) -> None:
        if name == moment and not gone:
            gone.append(1)
            deleted_by_another_writer(mongodb[database], delete(5, 2))

    gone: list[int] = []
    with watched_sink(stack.mongodb_uri, database, Spy(act)) as sink:
        outcome = await sink.apply(SWAP)
        if outcome.failures:
            outcome = await sink.apply(SWAP)
    assert not outcome.failures
    assert fields(people, "email") == {1: ("b",)}


async def test_a_deletion_that_waits_for_the_transaction(
    stack: Stack, database: str, mongodb: pymongo.MongoClient[Document], people: Collection
) -> None:
    """It finds neither the old document nor the new one: the look at the tombstones afterwards does (P2)."""

    def waits() -> bool:
        found = mongodb.admin.aggregate(
            [{"$currentOp": {}}, {"$match": {"ns": f"{database}.items", "op": "remove"}}]
        )
        return any(each.get("writeConflicts") for each in found)

    def act(name: str, _: Document) -> None:
        if name == "commitTransaction" and not threads:
            threads.append(
                threading.Thread(target=deleted_by_another_writer, args=(mongodb[database], delete(5, 2)))
            )
            threads[0].start()
            wait_until(waits, what="the deletion to wait")

    threads: list[threading.Thread] = []
    with watched_sink(stack.mongodb_uri, database, Spy(act)) as sink:
        outcome = await sink.apply(SWAP)
    threads[0].join()
    assert outcome == Outcome(modified=2)
    assert fields(people, "email") == {1: ("b",)}


async def test_a_connection_that_is_cut_in_the_middle(
    stack: Stack,
    database: str,
    mongodb: pymongo.MongoClient[Document],
    people: Collection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nothing is half done or called refused, and once MongoDB is back the same writes apply (P3, P4)."""
    monkeypatch.setattr("writer.mongodb.client._SELECTION_MS", 1_000)
    before = list(people.find())
    proxy = Proxy(stack.mongodb_uri.split("/")[2], random.Random(0))  # noqa: S311 - not for secrets
    try:
        with sink_on(f"mongodb://{proxy.address}/?directConnection=true", database) as sink:
            caught = proxy.hold(b"commitTransaction")
            applying = asyncio.create_task(sink.apply(SWAP))
            done = lambda: caught.is_set() or applying.done()  # noqa: E731
            await asyncio.to_thread(wait_until, done, what="the commit")
            assert caught.is_set()
            assert list(people.find()) == before
            proxy.refuse()
            with pytest.raises(TransientError):
                await applying
            assert list(people.find()) == before
            # As the server itself does after a minute.
            mongodb.admin.command("killAllSessions", [])
            proxy.flow()
            assert await until_done(lambda: sink.apply(SWAP)) == Outcome(modified=2)
    finally:
        proxy.close()


async def until_done(action: Callable[[], Any]) -> Any:
    while True:
        try:
            return await action()
        except TransientError:
            pass
