"""Collections that cannot hold documents as they are, and what the URI cannot change about reading them."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import pytest
from bson import Binary

from tests.support.builders import delete, put, write
from tests.support.sinks import Document, Spy, sink_on, watched_sink, with_option
from writer.names import TOMBSTONES
from writer.ports import FailureKind
from writer.write import Mark

if TYPE_CHECKING:
    import pymongo

    from local.stack import Stack

KINDS: dict[str, dict[str, Any]] = {
    "collation": {"collation": {"locale": "en", "strength": 2}},
    "view": {"viewOn": "other", "pipeline": []},
    "timeseries": {"timeseries": {"timeField": "at"}},
    "capped": {"capped": True, "size": 4096},
}


@pytest.mark.parametrize("word", KINDS)
async def test_a_collection_of_another_kind_waits_as_a_whole(
    stack: Stack, database: str, mongodb: pymongo.MongoClient[Document], word: str
) -> None:
    """Nothing is parked or lost; the sentence says why; others go on; once it is changed, so does this."""
    mongodb[database].create_collection("items", **KINDS[word])
    batch = [
        write(put(1, "a")),
        write(put(1, "A")),
        write(delete(1, "b")),
        write(put(1), collection="beside"),
    ]
    with sink_on(stack.mongodb_uri, database) as sink:
        outcome = await sink.apply(batch)
        assert {index: (f.kind, f.code) for index, f in outcome.failures.items()} == dict.fromkeys(
            range(3), (FailureKind.TRANSIENT, word)
        )
        assert f"{database}.items" in outcome.failures[0].reason
        assert outcome.failures[0].of_place
        assert mongodb[database]["beside"].count_documents({}) == 1
        mongodb[database].drop_collection("items")
        assert (await sink.apply(batch)).failures == {}
    assert {document["_id"] for document in mongodb[database]["items"].find()} == {"a", "A"}


async def test_a_collection_that_is_changed_is_looked_up_after_an_error(
    stack: Stack, database: str, mongodb: pymongo.MongoClient[Document]
) -> None:
    """Once is enough, until something goes wrong there."""
    with sink_on(stack.mongodb_uri, database) as sink:
        await sink.apply([write(put(1))])
        mongodb[database].drop_collection("items")
        mongodb[database].create_collection("items", viewOn="other", pipeline=[])
        first = await sink.apply([write(put(2))])
        second = await sink.apply([write(put(2))])
    assert [first.failures[0].code, second.failures[0].code] == ["166", "view"]


async def test_a_collection_is_looked_up_once(stack: Stack, database: str) -> None:
    """And not for each batch."""
    looked: list[str] = []

    class Looks(Spy):
        def started(self, event: Any) -> None:
            if event.command_name == "listCollections":
                looked.append(event.command["filter"]["name"])

    with watched_sink(stack.mongodb_uri, database, Looks()) as sink:
        for version in (1, 2, 3):
            await sink.apply([write(put(version)), write(put(version), collection="beside")])
    assert sorted(looked) == ["beside", "items"]


@pytest.mark.parametrize(
    "options",
    [
        "tz_aware=true",
        "datetime_conversion=DATETIME_MS",
        "uuidRepresentation=standard",
    ],
)
async def test_no_option_of_the_uri_brings_a_deleted_item_back(
    stack: Stack, database: str, mongodb: pymongo.MongoClient[Document], options: str
) -> None:
    """Keys are found, and marks are read, as they were written: P2."""
    key = Binary(uuid.uuid4().bytes, 4)
    with sink_on(with_option(stack.mongodb_uri, options), database) as sink:
        await sink.apply([write(delete(5), key)])
        assert (await sink.apply([write(put(4), key)])).stale == 1
        mark = Mark(delete(5).version, 1588166542000)
        await sink.apply([write(delete(5), 2)._replace(removals=(), mark=mark)])
        assert (await sink.apply([write(put(4, 2), keeps_marks=True)])).failures == {}
        assert (await sink.apply([write(put(6, n), n) for n in range(20)])).failures == {}
    assert mongodb[database]["items"].count_documents({"_id": key}) == 0


async def test_the_expiry_of_tombstones_is_made_again(
    stack: Stack, database: str, mongodb: pymongo.MongoClient[Document]
) -> None:
    """After somebody dropped the database, with the next sweep: tombstones do not stay for ever (P7)."""
    with sink_on(stack.mongodb_uri, database) as sink:
        await sink.open()
        mongodb.drop_database(database)
        await sink.apply([write(delete(5))])
        await sink.sweep(3600)
    assert "at_1" in mongodb[database][TOMBSTONES].index_information()
