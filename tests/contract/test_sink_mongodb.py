"""What only a real MongoDB can show: its indexes, its refusals, and what is really sent to the server."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import TYPE_CHECKING

import bson
import pytest
from bson.decimal128 import Decimal128

from shared.errors import FatalError
from tests.support.builders import delete, put, write
from tests.support.sinks import SECRET, TOO_DEEP, Document, Spy, nested, sink_on, watched_sink
from writer.names import TOMBSTONES
from writer.ports import FailureKind, Outcome

if TYPE_CHECKING:
    import pymongo

    from local.stack import Stack
    from writer.write import Write


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
