"""The worlds in which contract suites run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pymongo
import pytest

from tests.contract.worlds import Document, FakeWorld, MongoWorld
from writer.sink import MongoSink

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from local.stack import Stack
    from tests.contract.worlds import World


@pytest.fixture(params=["memory", "mongodb"])
async def world(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    if request.param == "memory":
        yield FakeWorld()
        return
    stack: Stack = request.getfixturevalue("stack")
    database: str = request.getfixturevalue("database")
    sink = MongoSink.connect(stack.mongodb_uri, database, 4)
    await sink.open()
    with pymongo.MongoClient[Document](stack.mongodb_uri) as client:
        yield MongoWorld(sink, client[database])
    sink.close()
