"""Documents of applications and people that no writer would write: they end no writer, and others go on."""

from __future__ import annotations

import struct
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import bson
import pytest
from bson.code import Code
from bson.raw_bson import RawBSONDocument
from bson.regex import Regex

from tests.support.builders import delete, put, target, write
from tests.support.sinks import Document, sink_on
from writer.mongodb.guard import tombstone_id
from writer.names import TOMBSTONES
from writer.ports import FailureKind
from writer.write import Merge

if TYPE_CHECKING:
    import pymongo

    from local.stack import Stack

Collection = Any


@pytest.fixture
def items(mongodb: pymongo.MongoClient[Document], database: str) -> Collection:
    return mongodb[database]["items"]


@pytest.fixture
def tombstones(mongodb: pymongo.MongoClient[Document], database: str) -> Collection:
    return mongodb[database][TOMBSTONES]


def raw(document: Document) -> RawBSONDocument:
    """With `DATE` and `TEXT` as what Python cannot have."""
    encoded = bson.encode(document)
    return RawBSONDocument(
        encoded.replace(struct.pack("<q", 77_000), struct.pack("<q", 10**16)).replace(
            b"odd text", b"\xff\xfed text"
        )
    )


DATE, TEXT = datetime.fromtimestamp(77, UTC), "odd text"
ODD = {
    "date": DATE,
    "text": TEXT,
    "dates": {"a": [DATE]},
    "code": Code("x"),
    "pattern": {"a": Regex("x")},
    "null": None,
}


@pytest.mark.parametrize("key", ODD.values(), ids=ODD)
async def test_the_holder_of_a_unique_value(stack: Stack, database: str, items: Collection, key: Any) -> None:
    """Whatever its key is: the put that wants its value is refused, and all else is done."""
    items.create_index("email", unique=True)
    items.insert_one(raw({"_id": key, "email": "a"}))
    with sink_on(stack.mongodb_uri, database) as sink:
        outcome = await sink.apply([write(put(1, 1, email="a")), write(put(1, 2, email="b"))])
    assert {index: f.kind for index, f in outcome.failures.items()} == {0: FailureKind.HEALABLE}
    assert items.count_documents({"_id": {"$in": [1, 2]}}) == 1


@pytest.mark.parametrize("value", [DATE, TEXT, {"a": DATE}], ids=["date", "text", "map"])
async def test_a_refused_value_of_an_application(
    stack: Stack, database: str, items: Collection, value: Any
) -> None:
    """Beside ours in one index: MongoDB's answer repeats it."""
    items.create_index([("email", 1), ("theirs", 1)], unique=True)
    items.insert_one(raw({"_id": "x", "email": "a", "theirs": value}))
    items.insert_one(raw({"_id": 1, "email": "b", "theirs": value}))
    mine = write(put(1, 1, email="a"))._replace(merge=Merge((), ("email",)))
    with sink_on(stack.mongodb_uri, database) as sink:
        outcome = await sink.apply([mine, write(put(1, 2, email="b"))])
    assert {index: f.kind for index, f in outcome.failures.items()} == {0: FailureKind.HEALABLE}
    assert items.count_documents({"_id": 2}) == 1


@pytest.mark.parametrize(
    "fields",
    [
        {"v": 1},
        {"v": DATE, "marked": 1},
        {"v": None, "marked": {}},
        {"marked": {"v": 5, "at": None}},
        {"marked": {"v": "9", "at": DATE}},
        {"v": TEXT},
    ],
    ids=str,
)
async def test_the_tombstone_of_a_document(
    stack: Stack, database: str, items: Collection, tombstones: Collection, fields: Document
) -> None:
    """What it does not say in our way is not said."""
    tombstones.insert_one(raw({"_id": tombstone_id(target(1)), **fields}))
    with sink_on(stack.mongodb_uri, database) as sink:
        outcome = await sink.apply([write(put(1, 1)), write(put(1, 2))])
    assert (outcome.failures, outcome.inserted) == ({}, 2)
    assert items.count_documents({}) == 2


@pytest.mark.parametrize(
    "document",
    [
        {"_id": 1, "f": "_ddb"},
        {"_id": {"c": "items"}, "f": "_ddb"},
        {"_id": {"c": 5, "k": 1}, "f": "_ddb"},
        {"_id": {"c": ["a", "b"], "k": 1}, "f": "_ddb"},
        {"_id": {"c": "a..b", "k": 1}, "f": "_ddb"},
        {"_id": {"c": "", "k": 1}, "f": "_ddb"},
        {"_id": {"c": TEXT, "k": 1}, "f": "_ddb"},
        {"_id": {"c": DATE, "k": 1}, "f": "_ddb"},
        {"_id": {"c": "items", "k": 1}},
        {"_id": {"c": "items", "k": 1}, "f": ["x"]},
        {"_id": {"c": "items", "k": 1}, "f": "$"},
        {"_id": {"c": "items", "k": 1}, "f": "a\0b"},
        {"_id": {"c": "items", "k": DATE}, "f": "_ddb"},
        {"_id": {"c": "items", "k": TEXT}, "f": "_ddb"},
    ],
    ids=str,
)
async def test_what_is_no_tombstone_in_the_sweep(
    stack: Stack, database: str, items: Collection, tombstones: Collection, document: Document
) -> None:
    """It is left out, and what has to go goes."""
    now = datetime.now(UTC)
    tombstones.insert_one(raw({"v": "9", "at": now, **document}))
    items.insert_one(raw({"_id": DATE, "_ddb": {"v": "1"}}))
    items.insert_one(raw({"_id": TEXT, "_ddb": {"v": "1"}}))
    with sink_on(stack.mongodb_uri, database) as sink:
        await sink.apply([write(delete(5, 1), 7, "others")])
        await sink.apply([write(delete(5, 1), 7, "a")])
        await sink.apply([write(delete(5, 1), 7, "z")])
        for name in ("others", "a", "z"):
            items.database[name].insert_one({"_id": 7, "_ddb": {"v": put(1).version}})
        assert await sink.sweep(3600) >= 3
    for name in ("others", "a", "z"):
        assert items.database[name].count_documents({}) == 0
