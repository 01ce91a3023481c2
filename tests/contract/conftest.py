"""The worlds in which contract suites run."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pymongo
import pytest

from tests.contract.worlds import Document, FakeWorld, MongoWorld
from writer.mongodb import bulk
from writer.mongodb.sink import MongoSink

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from local.stack import Stack
    from tests.contract.worlds import World


@pytest.fixture(params=["memory", "mongodb", "mongodb, looking first"])
async def world(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    if request.param == "memory":
        yield FakeWorld()
        return
    # The suites' batches are small; the way of large ones has to keep the same promises.
    monkeypatch.setattr(bulk, "WORTH_A_LOOK", 1 if "looking" in request.param else math.inf)
    stack: Stack = request.getfixturevalue("stack")
    database: str = request.getfixturevalue("database")
    sink = MongoSink.connect(stack.mongodb_uri, database, 4)
    await sink.open()
    with pymongo.MongoClient[Document](stack.mongodb_uri) as client:
        yield MongoWorld(sink, client[database])
    sink.close()
