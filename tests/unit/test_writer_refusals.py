"""A change that MongoDB refuses for good gives way to the older ones of its document, as any poison does."""

from __future__ import annotations

import asyncio

from shared.envelope import decode
from tests.builders import TABLE, body_of, delete, put
from tests.fakes import FakeClock, FakeInbox, FakeSink
from writer.health import Health
from writer.lease import Lease
from writer.rules import Rules
from writer.service import Service

BASE = 10**21


class Batch:
    """One batch through the service, into a collection whose validator demands the field `n`."""

    def __init__(self, *bodies: str) -> None:
        self.clock = FakeClock()
        self.inbox = FakeInbox(self.clock)
        for body in bodies:
            self.inbox.send(body)
        self.sink = FakeSink()
        self.sink.required[TABLE] = "n"
        self.service = Service(self.inbox, self.sink, Rules(), self.clock, Health(self.clock))

    async def go(self) -> None:
        messages = await self.inbox.receive()
        lease = Lease(self.inbox, messages, self.clock, self.clock.monotonic())
        await self.service.process(messages, lease, asyncio.Event())

    @property
    def state(self) -> dict[object, object]:
        return {document["_id"]: document["n"] for document in self.sink.all(TABLE)}

    @property
    def parked(self) -> list[tuple[str, str]]:
        return [(letter.code, letter.sequence) for letter in self.inbox.letters]


async def test_the_newest_change_that_is_taken_is_applied() -> None:
    """P5: of three changes the two newest are refused; both are parked, and the oldest is applied."""
    batch = Batch(body_of(put(BASE, n=1)), body_of(put(BASE + 1, x=1), put(BASE + 2, x=2)))
    await batch.go()
    assert batch.state == {1: 1}
    assert sorted(batch.parked) == [("mongodb-121", str(BASE + 1)), ("mongodb-121", str(BASE + 2))]
    assert batch.inbox.bodies == []
    versions = [entry.version for letter in batch.inbox.letters for entry in decode(letter.body).entries]  # type: ignore[union-attr]
    assert sorted(versions) == [put(BASE + 1).version, put(BASE + 2).version]


async def test_a_delete_behind_a_refused_put_is_done() -> None:
    """The item was deleted, whatever became of the put after it."""
    batch = Batch(body_of(put(BASE, n=1)))
    await batch.go()
    batch.inbox.send(body_of(delete(BASE + 1), put(BASE + 2, x=1)))
    await batch.go()
    assert batch.state == {}
    assert batch.parked == [("mongodb-121", str(BASE + 2))]


async def test_neighbours_are_applied_and_one_refusal_is_planned_once() -> None:
    """A refused change with nothing behind it costs no second write; others of the batch are applied."""
    batch = Batch(body_of(put(BASE, 1, x=1), put(BASE + 1, 2, n=2)))
    await batch.go()
    assert batch.state == {2: 2}
    assert batch.parked == [("mongodb-121", str(BASE))]
    assert batch.sink.faults.calls.count("apply") == 1


async def test_a_refused_change_that_came_twice_is_parked_once() -> None:
    """A duplicate of a refused change is the same change."""
    body = body_of(put(BASE, x=1))
    batch = Batch(body, body)
    await batch.go()
    assert batch.parked == [("mongodb-121", str(BASE))]
    assert batch.inbox.bodies == []
