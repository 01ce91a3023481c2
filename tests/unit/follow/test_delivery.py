"""How the pages of a stream become messages, and when they count as settled."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

from follow.delivery import Delivery
from follow.queue import LaneQueue
from follow.reader.lineage import Position
from shared.errors import TransientError
from tests.support.fake_clock import FakeClock, settled

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from shared.dead_letter import DeadLetter

STREAM = "arn:aws:dynamodb:us-east-1:000000000000:table/people/stream/2026-01-02T03:04:05.678"
SHARD, OTHER = "shardId-1", "shardId-2"


def record(number: int, key: str = "a", **other: Any) -> dict[str, Any]:
    """A record as the SDK reads it."""
    item = {"id": {"S": key}, "n": {"N": str(number)}}
    body = {"Keys": {"id": {"S": key}}, "NewImage": item, "SequenceNumber": str(number)}
    return {"eventID": f"e{number}", "eventName": "MODIFY", "dynamodb": body, **other}


class Stand:
    """A delivery on a queue in memory, with notes and dead letters that are remembered."""

    def __init__(self, positions: Mapping[str, Position] | None = None, room: int = 1_000) -> None:
        self.queue = LaneQueue(FakeClock(), self._keep)
        self.turns = asyncio.Semaphore(1)
        self.delivery = Delivery(
            STREAM, self.queue, positions or {}, self.queue.park, turns=self.turns, room=room
        )
        self.letters: list[DeadLetter] = []
        self.notes: list[tuple[dict[str, Position], set[str], bool]] = []
        self.parking = asyncio.Event()
        self.parking.set()
        self.away = False

    async def _keep(self, letters: Sequence[DeadLetter], _: int) -> None:
        await self.parking.wait()
        self.letters += letters

    async def note(self) -> tuple[dict[str, Position], set[str], bool]:
        async def write(positions: Mapping[str, Position], gone: Iterable[str], *, listed: bool) -> None:
            if self.away:
                raise TransientError("away")
            self.notes.append((dict(positions), set(gone), listed))

        await self.delivery.note(write)
        return self.notes[-1]

    async def acknowledge(self) -> list[dict[str, Any]]:
        """All that can be received now; returns the envelopes."""
        messages = self.queue.take()
        await self.queue.delete(messages)
        return [json.loads(message.body) for message in messages]


async def test_a_page_counts_when_all_of_it_is_acknowledged() -> None:
    stand = Stand()
    await stand.delivery.page(SHARD, [record(number, f"k{number}") for number in (7, 8, 9)], "9")
    messages = stand.queue.take()
    assert len(messages) == 3
    await stand.queue.delete(messages[:2])
    assert await stand.note() == ({}, set(), False)
    assert not stand.delivery.is_settled
    await stand.queue.delete(messages)
    assert await stand.note() == ({SHARD: Position("9")}, set(), False)
    assert await stand.note() == ({}, set(), False)
    assert stand.delivery.is_settled


async def test_messages_are_the_lambdas_envelopes() -> None:
    """With the table and label of the stream, and who deleted an item by time to live."""
    stand = Stand()
    identity = {"PrincipalId": "dynamodb.amazonaws.com", "Type": "Service"}
    expired = record(8, "b", userIdentity=identity, eventName="REMOVE")
    del expired["dynamodb"]["NewImage"]
    await stand.delivery.page(SHARD, [record(7), expired], "8")
    first, second = sorted(await stand.acknowledge(), key=lambda each: each["changes"][0]["seq"])
    assert (first["table"], first["stream"]) == ("people", "2026-01-02T03:04:05.678")
    assert first["changes"][0]["doc"] == {"id": "a", "n": 7}
    assert (second["changes"][0]["op"], second["changes"][0]["ttl"]) == ("del", True)


async def test_changes_of_a_key_stay_in_order_over_shards() -> None:
    """They are in one lane, and the second one is not handed out before the first one is done."""
    stand = Stand()
    await stand.delivery.page(SHARD, [record(7)], "7")
    held = stand.queue.take()
    await stand.delivery.page(OTHER, [record(8)], "8")
    assert stand.queue.take() == []
    await stand.queue.delete(held)
    ((envelope),) = await stand.acknowledge()
    assert envelope["changes"][0]["seq"] == "8"


async def test_a_malformed_record_is_parked_before_its_page_counts() -> None:
    stand = Stand()
    stand.parking.clear()
    bad = {**record(7), "eventName": "UNHEARD OF"}
    coming = asyncio.create_task(stand.delivery.page(SHARD, [bad], "7"))
    await settled()
    assert await stand.note() == ({}, set(), False)
    stand.parking.set()
    await coming
    assert await stand.note() == ({SHARD: Position("7")}, set(), False)
    (letter,) = stand.letters
    assert (letter.code, letter.table, letter.sequence) == ("bad-record", "people", "7")


async def test_a_full_queue_slows_the_reading() -> None:
    """Until messages are acknowledged, no page of this stream is asked for (P7)."""
    stand = Stand(room=10)

    async def read(number: int) -> None:
        await stand.delivery.room()
        await stand.delivery.page(SHARD, [record(number)], str(number))

    await read(7)
    coming = asyncio.create_task(read(8))
    await settled()
    assert not coming.done()
    await stand.acknowledge()
    await coming


async def test_a_batch_of_large_messages_is_small() -> None:
    """The loops decode what they receive, all of it at once (P7)."""
    stand = Stand()
    for number in range(10):
        stand.queue.send("x" * 100_000, f"lane-{number}")
    assert len(await stand.queue.receive()) == 2


async def test_a_note_that_fails_is_made_again() -> None:
    stand = Stand()
    await stand.delivery.page(SHARD, [record(7)], "7")
    await stand.acknowledge()
    stand.delivery.listed([])
    stand.away = True
    with pytest.raises(TransientError):
        await stand.note()
    stand.away = False
    assert await stand.note() == ({SHARD: Position("7")}, set(), True)
    assert await stand.note() == ({}, set(), False)


async def test_a_shard_is_forgotten_when_it_is_settled() -> None:
    """If the process dies before that, the shard's last records have to be a gap."""
    stand = Stand({SHARD: Position("6")})
    await stand.delivery.page(SHARD, [record(7)], "7")
    stand.delivery.end(SHARD)
    stand.delivery.listed([SHARD])
    assert await stand.note() == ({}, set(), True)
    await stand.acknowledge()
    assert await stand.note() == ({}, {SHARD}, False)
    assert await stand.note() == ({}, set(), False)


async def test_a_shard_that_is_read_and_settled_is_done() -> None:
    stand = Stand()
    stand.delivery.end(OTHER)
    await stand.delivery.page(SHARD, [record(7)], "7")
    stand.delivery.end(SHARD)
    assert await stand.note() == ({OTHER: Position(done=True)}, set(), False)
    await stand.acknowledge()
    assert await stand.note() == ({SHARD: Position(done=True)}, set(), False)
