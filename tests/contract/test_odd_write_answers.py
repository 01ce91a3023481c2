"""Odd answers of MongoDB to commands that write: nothing counts as done that the answer does not say."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from bson.int64 import Int64
from pymongo.uri_parser import parse_uri

from shared.errors import TransientError
from tests.support.builders import delete, put, write
from tests.support.mongodb_proxy import mongodb_proxy
from tests.support.sinks import sink_before
from writer.mongodb import bulk
from writer.names import TOMBSTONES

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import pymongo

    from local.stack import Stack
    from tests.support.mongodb_proxy import MongoProxy
    from tests.support.mongodb_wire import Command
    from tests.support.sinks import Document
    from writer.mongodb.sink import MongoSink
    from writer.write import Write

OPERATIONS = 3
"""Of each command."""

REFUSED = {"index": 1, "code": 121, "errmsg": "words"}


def good(kind: str) -> Command:
    """The answer when all is done: the documents are inserted."""
    answer: Command = {"ok": 1.0, "n": OPERATIONS}
    if kind == "update":
        answer |= {"nModified": 0, "upserted": [{"index": n, "_id": n} for n in range(OPERATIONS)]}
    return answer


def only(*names: str) -> Any:
    """The good answer with nothing but these fields."""
    return lambda kind: {name: value for name, value in good(kind).items() if name in names}


def but(**fields: Any) -> Any:
    """The good answer with other fields."""
    return lambda kind: good(kind) | fields


ODD = {
    "nothing": only(),
    "ok alone": only("ok"),
    "no n": lambda kind: {name: value for name, value in good(kind).items() if name != "n"},
    "n is null": but(n=None),
    "n is text": but(n="3"),
    "n is true": but(n=True),
    "n is a fraction": but(n=3.0),
    "n is negative": but(n=-1),
    "n is a list": but(n=[3]),
    "refused without a code": but(ok=0.0),
    "refused with nothing": lambda _: {"ok": 0.0},
    "refused with words alone": lambda _: {"ok": 0.0, "errmsg": "words"},
    "refused with null": lambda _: {"ok": 0.0, "errmsg": None, "code": None},
    "refused with a code that is text": lambda _: {"ok": 0.0, "errmsg": "words", "code": "121"},
    "ok is null": but(ok=None),
    "ok is text": but(ok="yes"),
    "errors are null": but(writeErrors=None),
    "errors are text": but(writeErrors="none"),
    "errors are a map": but(writeErrors={}),
    "an error is null": but(n=2, writeErrors=[None]),
    "an error is text": but(n=2, writeErrors=["121"]),
    "an error without a place": but(n=2, writeErrors=[{"code": 121}]),
    "an error at the end": but(n=2, writeErrors=[REFUSED | {"index": OPERATIONS}]),
    "an error before the beginning": but(n=2, writeErrors=[REFUSED | {"index": -1}]),
    "an error at a place that is text": but(n=2, writeErrors=[REFUSED | {"index": "1"}]),
    "an error at a place that is true": but(n=2, writeErrors=[REFUSED | {"index": True}]),
    "two errors at one place": but(n=1, writeErrors=[REFUSED, REFUSED]),
    "an error without a code": but(n=2, writeErrors=[{"index": 1, "errmsg": "words"}]),
    "an error whose code is null": but(n=2, writeErrors=[REFUSED | {"code": None}]),
    "an error whose code is text": but(n=2, writeErrors=[REFUSED | {"code": "121"}]),
    "not confirmed": but(writeConcernError={"code": 64, "errmsg": "words"}),
    "not confirmed, in an unknown way": but(writeConcernError=None),
}

ODD_OF_PUTS = {
    "n is too small": but(n=2),
    "n is too large": but(n=4),
    "n counts what was refused": but(writeErrors=[REFUSED]),
    "n leaves out what was not refused": but(n=1, writeErrors=[REFUSED]),
}

ODD_OF_UPDATES = {
    "no nModified": only("ok", "n", "upserted"),
    "nModified is null": but(nModified=None),
    "nModified is text": but(nModified="0"),
    "nModified is negative": but(nModified=-1),
    "more modified than found": but(nModified=1),
    "fewer found than there are upserts": but(n=2, upserted=[]),
    "upserted is null": but(upserted=None),
    "upserted is a map": but(upserted={"index": 0}),
    "an upserted one is null": but(upserted=[None]),
    "an upserted one without a place": but(upserted=[{"_id": 1}]),
    "an upserted one at the end": but(upserted=[{"index": OPERATIONS, "_id": 1}]),
    "an upserted one twice": but(upserted=[{"index": 0, "_id": 1}] * 2),
    "an upserted one that was refused": but(
        n=2, writeErrors=[REFUSED], upserted=[{"index": 1, "_id": 1}, {"index": 0, "_id": 0}]
    ),
}


def batch(kind: str, version: int) -> list[Write]:
    """Writes that come to one command of a kind on `items`."""
    if kind == "delete":
        return [write(delete(version, key)) for key in range(OPERATIONS)]
    return [write(put(version, key, n=version)) for key in range(OPERATIONS)]


@asynccontextmanager
async def before(stack: Stack, database: str) -> AsyncIterator[tuple[MongoProxy, MongoSink]]:
    """A sink, and the proxy before its MongoDB."""
    host, port = parse_uri(stack.mongodb_uri)["nodelist"][0]
    async with mongodb_proxy(f"{host}:{port}") as proxy, sink_before(proxy.uri, database, 1) as sink:
        yield proxy, sink


@pytest.mark.parametrize(
    ("kind", "place", "odd"),
    [
        (kind, place, odd)
        for kind, place in (
            ("insert", "items"),
            ("update", "items"),
            ("update", TOMBSTONES),
            ("delete", "items"),
        )
        for odd in (
            ODD | (ODD_OF_PUTS if kind != "delete" else {}) | (ODD_OF_UPDATES if kind == "update" else {})
        )
    ],
)
async def test_an_odd_answer_is_waited_for(  # noqa: PLR0913, PLR0917 - fixtures and parameters
    stack: Stack,
    database: str,
    mongodb: pymongo.MongoClient[Document],
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    place: str,
    odd: str,
) -> None:
    """P3, P4: nothing counts as done or as refused, and what comes again is applied."""
    monkeypatch.setattr(bulk, "WORTH_A_LOOK", 1 if kind == "insert" else 100)
    made = (ODD | ODD_OF_PUTS | ODD_OF_UPDATES)[odd]
    writes = batch("delete" if place == TOMBSTONES else kind, 2)
    async with before(stack, database) as (proxy, sink):
        proxy.answer = lambda name, command: (
            made(kind) if (name, command.get(name)) == (kind, place) else None
        )
        with pytest.raises(TransientError):
            await sink.apply(writes)
        assert proxy.refused == 1
        proxy.heal()
        outcome = await sink.apply(writes)
    assert outcome.failures == {}
    assert outcome.inserted == (0 if writes[0].document is None else OPERATIONS)
    if writes[0].document is None:
        assert mongodb[database][TOMBSTONES].count_documents({}) == OPERATIONS


STRANGE = {
    "unknown fields": but(more={"n": None}, electionId="x", retriedStmtIds=[1]),
    "a number of another kind": but(n=Int64(OPERATIONS)),
    "no errors": but(writeErrors=[]),
}


@pytest.mark.parametrize("kind", ["insert", "update", "delete"])
@pytest.mark.parametrize("odd", STRANGE)
async def test_what_is_only_unusual_is_read(
    stack: Stack, database: str, monkeypatch: pytest.MonkeyPatch, kind: str, odd: str
) -> None:
    """Fields of newer servers hold up nothing."""
    monkeypatch.setattr(bulk, "WORTH_A_LOOK", 1 if kind == "insert" else 100)
    async with before(stack, database) as (proxy, sink):
        proxy.answer = lambda name, command: (
            STRANGE[odd](kind) if (name, command.get(name)) == (kind, "items") else None
        )
        outcome = await sink.apply(batch(kind, 2))
    assert outcome.failures == {}
    assert (outcome.inserted, outcome.deleted) == ((0, OPERATIONS) if kind == "delete" else (OPERATIONS, 0))


async def test_a_refusal_of_unusual_shape_is_read(stack: Stack, database: str) -> None:
    """Code and place are enough; what else is odd does not matter."""
    problem = {"index": 1, "code": 121, "errmsg": None, "keyPattern": "x", "errInfo": [1]}
    answer = good("update") | {"n": 2, "upserted": [{"index": n, "_id": n} for n in (0, 2)]}
    answer["writeErrors"] = [problem]
    async with before(stack, database) as (proxy, sink):
        proxy.answer = lambda name, _: answer if name == "update" else None
        outcome = await sink.apply(batch("update", 2))
    assert {n: failure.code for n, failure in outcome.failures.items()} == {1: "121"}
    assert outcome.inserted == 2
