"""The worlds in which contract suites run, and a client to look at what is really stored."""

from __future__ import annotations

import math
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pymongo
import pytest
import pytest_asyncio

from tests.contract.worlds import Document, FakeWorld, MongoWorld, fresh_database
from writer.mongodb import bulk
from writer.mongodb.sink import MongoSink

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from local.stack import Stack
    from tests.contract.worlds import World

KINDS = ["memory", "mongodb", "mongodb, looking first"]


@pytest.fixture(params=KINDS)
async def world(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    """An empty one for each test."""
    async with _world(request) as made:
        yield made


@pytest_asyncio.fixture(params=KINDS, scope="module", loop_scope="module")
async def shared_world(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    """One for all examples of a module's random tests, which clear it first.

    Such a test is marked `asyncio(loop_scope="module")`, as the connection lives in the module's event loop.
    """
    async with _world(request) as made:
        yield made


@asynccontextmanager
async def _world(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    if request.param == "memory":
        yield FakeWorld()
        return
    stack: Stack = request.getfixturevalue("stack")
    with (
        fresh_database(stack) as database,
        pytest.MonkeyPatch.context() as monkeypatch,
        pymongo.MongoClient[Document](stack.mongodb_uri) as client,
    ):
        # The suites' batches are small; the way of large ones has to keep the same promises.
        monkeypatch.setattr(bulk, "WORTH_A_LOOK", 1 if "looking" in request.param else math.inf)
        sink = MongoSink.connect(stack.mongodb_uri, database, 4)
        await sink.open()
        yield MongoWorld(sink, client[database])
        sink.close()


@pytest.fixture
def mongodb(stack: Stack) -> Iterator[pymongo.MongoClient[Document]]:
    with pymongo.MongoClient[Document](stack.mongodb_uri) as client:
        yield client
