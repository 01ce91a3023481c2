"""A sink with its database: in memory, a real MongoDB, or a sharded one. What a contract suite needs of each.

A sharded one is the stand-in for `mongos`, or the cluster that MONGODB_URI names.
"""

from __future__ import annotations

import math
import uuid
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import pymongo
import pytest

from tests.support.fake_sink import FakeSink
from tests.support.mongos_stand_in import mongos_stand_in
from writer.mongodb import bulk
from writer.mongodb.sink import MongoSink

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from local.stack import Stack
    from tests.support.mongos_stand_in import MongosStandIn
    from writer.names import Library
    from writer.ports import Sink

PYMONGO = "mongodb by PyMongo's client"
KINDS = ("memory", "mongodb", "mongodb, looking first", PYMONGO)
SHARDED = ("stand-in for mongos", "cluster")
"""The other kinds, for suites about sharded collections."""

Document = dict[str, Any]


@contextmanager
def fresh_database(uri: str) -> Iterator[str]:
    """The name of an empty database that nobody else uses; dropped at the end."""
    name = f"t{uuid.uuid4().hex[:12]}"
    yield name
    with pymongo.MongoClient[Document](uri) as client:
        client.drop_database(name)


@asynccontextmanager
async def world_of(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    """The one of the kind that is the parameter of a fixture."""
    if request.param == "memory":
        yield FakeWorld()
        return
    async with AsyncExitStack() as servers:
        monkeypatch = servers.enter_context(pytest.MonkeyPatch.context())
        stack: Stack = request.getfixturevalue("stack")
        router, uri = None, stack.mongodb_uri
        if request.param == "stand-in for mongos":
            if stack.mongod is None:
                pytest.skip("MONGODB_URI names a server, and the stand-in for mongos needs one of its own")
            router = servers.enter_context(mongos_stand_in(stack.mongod.address))
            uri = router.uri
        client = servers.enter_context(pymongo.MongoClient[Document](uri))
        if request.param == "cluster" and client.admin.command("hello").get("msg") != "isdbgrid":
            pytest.skip("MONGODB_URI names no sharded cluster (docs/testing.md)")
        database = servers.enter_context(fresh_database(uri))
        # The suites' batches are small; the way of large ones has to keep the same promises.
        monkeypatch.setattr(bulk, "WORTH_A_LOOK", 1 if "looking" in request.param else math.inf)
        library: Library = "pymongo" if request.param == PYMONGO else "motor"
        sink = MongoSink.connect(uri, database, 4, library=library)
        servers.push_async_callback(sink.aclose)
        await sink.open()
        if request.param in SHARDED:
            yield ShardedWorld(sink, client[database], router)
        else:
            yield MongoWorld(sink, client[database])
        assert router is None or router.misrouted() == []


class World(Protocol):
    """A sink, and what else can be done with its database."""

    @property
    def sink(self) -> Sink: ...
    def documents(self, collection: str = "items") -> list[Document]: ...
    def insert(self, document: Document, collection: str = "items") -> None: ...
    def replace(self, document: Document, collection: str = "items") -> None: ...
    def require(self, collection: str, name: str) -> None: ...
    def make_unique(self, collection: str, name: str) -> None: ...
    def clear(self) -> None: ...
    def shard(self, collection: str, **key: Any) -> None: ...


class FakeWorld:
    """The database in memory."""

    def __init__(self) -> None:
        self.sink = FakeSink()

    def documents(self, collection: str = "items") -> list[Document]:
        return self.sink.all(collection)

    def insert(self, document: Document, collection: str = "items") -> None:
        self.sink.documents[collection][repr(document["_id"])] = document

    def replace(self, document: Document, collection: str = "items") -> None:
        for key, present in self.sink.documents[collection].items():
            if present["_id"] == document["_id"]:
                self.sink.documents[collection][key] = document

    def require(self, collection: str, name: str) -> None:
        self.sink.required[collection] = name

    def make_unique(self, collection: str, name: str) -> None:
        self.sink.unique[collection] = name

    def clear(self) -> None:
        self.sink.__init__()  # type: ignore[misc]

    def shard(self, collection: str, **key: Any) -> None:
        """It is as one that is sharded by what its writes name."""


@dataclass
class MongoWorld:
    """A database of a real MongoDB."""

    sink: MongoSink
    database: Any

    def documents(self, collection: str = "items") -> list[Document]:
        return list(self.database[collection].find())

    def insert(self, document: Document, collection: str = "items") -> None:
        self.database[collection].insert_one(document)

    def replace(self, document: Document, collection: str = "items") -> None:
        self.database[collection].replace_one({"_id": document["_id"]}, document)

    def require(self, collection: str, name: str) -> None:
        self.database.create_collection(collection, validator={name: {"$exists": True}})

    def make_unique(self, collection: str, name: str) -> None:
        self.database[collection].create_index(name, unique=True)

    def clear(self) -> None:
        for collection in self.database.list_collection_names():
            self.database[collection].delete_many({})

    def shard(self, collection: str, **key: Any) -> None:
        """A replica set has one shard."""


@dataclass
class ShardedWorld(MongoWorld):
    """A database of a sharded cluster, or of a stand-in.

    Attributes:
        router: the stand-in; None: the cluster is a real one.
    """

    router: MongosStandIn | None

    def shard(self, collection: str, **key: Any) -> None:
        """Shards a collection. A hashed key leads to several shards from the start."""
        self.database.client.admin.command("enableSharding", self.database.name)
        self.database.client.admin.command("shardCollection", f"{self.database.name}.{collection}", key=key)
