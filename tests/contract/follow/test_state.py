"""What `follow` keeps in MongoDB: positions, leases, dead letters."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from follow.reader.lineage import Position
from follow.state import Claim, LostError, State
from shared.dead_letter import DeadLetter
from shared.errors import FatalError
from writer.mongodb.records import open_database
from writer.names import DEAD_LETTERS, STREAMS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import pymongo

    from local.stack import Stack

STREAM = "arn:aws:dynamodb:us-east-1:000000000000:table/people/stream/2026-01-02T03:04:05.678"
FIRST, SECOND = "shardId-00000000000000000001-abcdef01", "shardId-00000000000000000002-abcdef01"

Mongo = Any


@pytest.fixture
async def state(stack: Stack, database: str) -> AsyncIterator[State]:
    with open_database(stack.mongodb_uri, database) as found:
        yield State(found, "me")


@pytest.fixture
async def other(stack: Stack, database: str) -> AsyncIterator[State]:
    with open_database(stack.mongodb_uri, database) as found:
        yield State(found, "another")


@pytest.fixture
def streams(mongodb: pymongo.MongoClient[dict[str, Any]], database: str) -> Mongo:
    return mongodb[database][STREAMS]


async def test_a_stream_that_is_new(state: State) -> None:
    """It has no positions, and that is not the same as none that are known."""
    assert await state.claim(STREAM, "people") == Claim({}, None)


async def test_positions_are_there_after_a_kill(state: State) -> None:
    """The same process, or one that took over, goes on where the last note was."""
    await state.claim(STREAM, "people")
    await state.note(STREAM, {FIRST: Position("7"), SECOND: Position("8")}, [], listed=True)
    await state.note(STREAM, {FIRST: Position(done=True)}, [], listed=False)
    claim = await state.claim(STREAM, "people")
    assert claim is not None
    assert claim.positions == {FIRST: Position(done=True), SECOND: Position("8")}
    assert claim.listed_ago is not None


async def test_what_is_forgotten_is_gone(state: State) -> None:
    await state.claim(STREAM, "people")
    await state.note(STREAM, {FIRST: Position("7"), SECOND: Position("8")}, [], listed=True)
    await state.note(STREAM, {}, [FIRST], listed=True)
    claim = await state.claim(STREAM, "people")
    assert claim is not None
    assert claim.positions == {SECOND: Position("8")}


async def test_one_process_at_a_time(state: State, other: State, streams: Mongo) -> None:
    """The second one waits until the lease ends, which each note puts off."""
    await state.claim(STREAM, "people")
    assert await other.claim(STREAM, "people") is None
    streams.update_one({}, {"$set": {"until": datetime.now(UTC) + timedelta(seconds=1)}})
    await state.note(STREAM, {FIRST: Position("7")}, [], listed=True)
    until = streams.find_one()["until"].replace(tzinfo=UTC)
    assert until > datetime.now(UTC) + timedelta(seconds=10)
    assert await other.claim(STREAM, "people") is None
    streams.update_one({}, {"$set": {"until": datetime.now(UTC) - timedelta(seconds=1)}})
    claim = await other.claim(STREAM, "people")
    assert claim is not None
    assert claim.positions == {FIRST: Position("7")}


async def test_a_process_that_lost_its_lease_notes_nothing(
    state: State, other: State, streams: Mongo
) -> None:
    """It was frozen, and wakes: what it knows is old."""
    await state.claim(STREAM, "people")
    await state.note(STREAM, {FIRST: Position("7")}, [], listed=True)
    streams.update_one({}, {"$set": {"until": datetime.now(UTC) - timedelta(seconds=1)}})
    await other.claim(STREAM, "people")
    await other.note(STREAM, {FIRST: Position("9")}, [], listed=True)
    with pytest.raises(LostError):
        await state.note(STREAM, {FIRST: Position("8")}, [], listed=True)
    await state.release(STREAM)
    assert streams.find_one()["shards"][FIRST]["after"] == "9"
    assert streams.find_one()["owner"] == "another"


async def test_what_is_released_is_free_at_once(state: State, other: State) -> None:
    await state.claim(STREAM, "people")
    await state.note(STREAM, {FIRST: Position("7")}, [], listed=True)
    await state.release(STREAM)
    assert await other.claim(STREAM, "people") is not None


async def test_how_long_ago_the_stream_was_listed(state: State, streams: Mongo) -> None:
    """Only a note that says so counts."""
    await state.claim(STREAM, "people")
    await state.note(STREAM, {}, [], listed=True)
    streams.update_one({}, {"$set": {"listed": datetime.now(UTC) - timedelta(hours=30)}})
    await state.note(STREAM, {}, [], listed=False)
    claim = await state.claim(STREAM, "people")
    assert claim is not None
    assert claim.listed_ago is not None
    assert claim.listed_ago == pytest.approx(30 * 3600, abs=3600)
    await state.note(STREAM, {}, [], listed=True)
    claim = await state.claim(STREAM, "people")
    assert claim is not None
    assert claim.listed_ago is not None
    assert claim.listed_ago < 3600


@pytest.mark.parametrize(
    "odd",
    [
        {"shards": 3},
        {"shards": {FIRST: 3}},
        {"shards": {FIRST: {"after": 7, "done": False}}},
        {"shards": {FIRST: {"after": "7", "done": 1}}},
        {"shards": {"a b": {"after": "7", "done": False}}},
        {"listed": "yesterday"},
        {"listed": None},
    ],
)
async def test_a_state_that_cannot_be_read(state: State, streams: Mongo, odd: dict[str, Any]) -> None:
    """Is not taken for a stream that is new: its changes would be lost (P8)."""
    await state.claim(STREAM, "people")
    await state.note(STREAM, {FIRST: Position("7")}, [], listed=True)
    streams.update_one({}, {"$set": odd})
    with pytest.raises(FatalError, match="cannot be read"):
        await state.claim(STREAM, "people")


async def test_dead_letters(
    state: State, mongodb: pymongo.MongoClient[dict[str, Any]], database: str
) -> None:
    """With what a dead letter has; parked twice, each is there once."""
    letters = [
        DeadLetter("body", "people/7", "too-deep", "a sentence", "people", '{"id":1}', "77", "m-1"),
        DeadLetter("other", "people/8", "bad-key", "a sentence"),
    ]
    await state.letters.park([], 1000)
    await state.letters.park(letters[:1], 100_000)
    await state.letters.park(letters, 100_000)
    found = list(mongodb[database][DEAD_LETTERS].find({}, {"_id": 0, "parked": 0}).sort("body"))
    assert found == [
        {
            "body": "body",
            "code": "too-deep",
            "group": "people/7",
            "key": '{"id":1}',
            "message_id": "m-1",
            "reason": "a sentence",
            "sequence": "77",
            "table": "people",
        },
        {"body": "other", "code": "bad-key", "group": "people/8", "reason": "a sentence"},
    ]
