"""A sink with its database: in memory, or a real MongoDB. What a contract suite needs of both."""

from __future__ import annotations

import uuid
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import pymongo

from tests.support.fake_sink import FakeSink

if TYPE_CHECKING:
    from collections.abc import Iterator

    from local.stack import Stack
    from writer.mongodb.sink import MongoSink
    from writer.ports import Sink

Document = dict[str, Any]


@contextmanager
def fresh_database(stack: Stack) -> Iterator[str]:
    """The name of an empty database that nobody else uses; dropped at the end."""
    name = f"t{uuid.uuid4().hex[:12]}"
    yield name
    with pymongo.MongoClient[Document](stack.mongodb_uri) as client:
        client.drop_database(name)


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
