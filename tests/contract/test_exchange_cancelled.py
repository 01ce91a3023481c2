"""An exchange whose transaction ends too early: nothing goes back in time."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import bson
import pytest
from motor.motor_asyncio import AsyncIOMotorClient, AsyncIOMotorClientSession
from pymongo.monitoring import ConnectionPoolListener
from pymongo.synchronous.client_session import ClientSession

from local.polling import wait_until
from tests.support.builders import put, write
from tests.support.fake_clock import settled
from tests.support.sinks import Document, Spy, watched_sink
from writer.mongodb.sink import MongoSink

if TYPE_CHECKING:
    import pymongo

    from local.stack import Stack


@pytest.fixture
def people(mongodb: pymongo.MongoClient[Document], database: str) -> Any:
    """Documents 1 and 2 with the addresses a and b."""
    items = mongodb[database]["items"]
    items.create_index("email", unique=True)
    items.insert_many([image(1, 1, "a"), image(1, 2, "b")])
    return items


def image(version: int, key: int, email: str) -> Document:
    return bson.decode(write(put(version, key, email=email)).document or b"")


SWAP = [write(put(2, 1, email="b")), write(put(2, 2, email="a"))]


class Holds(ConnectionPoolListener):
    """Stops the thread that wants the next connection once it is armed. The other events do nothing."""

    def __init__(self) -> None:
        self.armed, self.reached, self.go_on = False, threading.Event(), threading.Event()

    def connection_check_out_started(self, event: Any) -> None:  # noqa: ARG002 - the driver's
        if self.armed:
            self.armed = False
            self.reached.set()
            self.go_on.wait()

    def _nothing(self, event: Any) -> None:
        pass

    pool_created = pool_ready = pool_cleared = pool_closed = _nothing
    connection_created = connection_ready = connection_closed = _nothing
    connection_check_out_failed = connection_checked_out = connection_checked_in = _nothing


async def test_the_writes_are_waited_for(
    stack: Stack, database: str, people: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The driver's thread goes on after a cancellation; outside of the transaction it must not write (P2)."""
    real, aborted = AsyncIOMotorClientSession.abort_transaction, []

    def abort(self: Any) -> Any:
        aborted.append(1)
        return real(self)

    def act(name: str, _: Document) -> None:
        read.append(name)
        holds.armed = read.count("aggregate") == len(SWAP)

    monkeypatch.setattr(AsyncIOMotorClientSession, "abort_transaction", abort)
    read: list[str] = []
    holds = Holds()
    client: Any = AsyncIOMotorClient(stack.mongodb_uri, event_listeners=[Spy(act), holds])
    before = list(people.find())
    try:
        task = asyncio.create_task(MongoSink(client, database).apply(SWAP))
        await asyncio.to_thread(wait_until, holds.reached.is_set, what="the writes")
        for _ in range(2):
            task.cancel()
            await settled()
            assert not aborted
            assert not task.done()
        holds.go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert aborted
        assert list(people.find()) == before
    finally:
        holds.go_on.set()
        client.close()


async def test_without_a_transaction_nothing_newer_is_overwritten(
    stack: Stack, database: str, people: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Should the transaction be lost, the guard is in the deletion, too (P2)."""

    def act(name: str, _: Document) -> None:
        if name == "delete" and not changed:
            changed.append(people.replace_one({"_id": 1}, image(9, 1, "z")))

    monkeypatch.setattr(ClientSession, "start_transaction", lambda *_, **__: None)
    changed: list[object] = []
    with watched_sink(stack.mongodb_uri, database, Spy(act)) as sink:
        await sink.apply(SWAP)
    assert changed
    assert people.find_one({"_id": 1}) == image(9, 1, "z")
