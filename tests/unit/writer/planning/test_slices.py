"""A batch of large messages is worked on in parts, and of compressed messages one at a time (P7)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from shared.envelope import encode_change, seal
from tests.support.builders import LABEL, TABLE, body_of, message, put
from tests.support.fake_clock import FakeClock
from tests.support.fake_inbox import FakeInbox
from tests.support.fake_sink import FakeSink
from tests.support.writer_context import context_on
from writer.mapping.rules import Rules
from writer.planning.slices import SLICE_CHARACTERS, inflates, slices
from writer.service import Service

if TYPE_CHECKING:
    from writer.ports import Message

LARGE = "x" * (SLICE_CHARACTERS // 2 + 1)


def compressed(number: int) -> str:
    return seal(TABLE, LABEL, [encode_change(put(number, number, n=number))], 0)


def numbers(messages: list[Message]) -> list[list[str]]:
    found = list(slices(messages))
    for index, (_, rest) in enumerate(found):
        assert [each for part, _ in found[index + 1 :] for each in part] == list(rest)
    return [[each.id.removeprefix("message-") for each in part] for part, _ in found]


def test_a_usual_batch_is_one_part() -> None:
    """However many messages it has."""
    usual = [message(put(number, number), number=number) for number in range(50)]
    assert numbers(usual) == [[str(number) for number in range(50)]]


def test_large_messages_are_divided() -> None:
    """A part has at most what one message can have; a compressed one stands alone."""
    bodies = [LARGE, "", LARGE, compressed(1), compressed(2), "", ""]
    messages = [message(body=body, number=number) for number, body in enumerate(bodies)]
    assert numbers(messages) == [["0", "1"], ["2"], ["3"], ["4"], ["5", "6"]]
    assert [inflates(part) for part, _ in slices(messages)] == [False, False, True, True, False]


class Writer:
    """A service on fakes, one that notes how many batches are being written."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.inbox = FakeInbox(self.clock)
        self.sink = FakeSink()
        self.sink.faults.at_point = self.point
        context = context_on(self.clock)
        self.service = Service(context, self.inbox, self.sink, Rules())
        self.now = self.most = 0
        self.stop = context.stop

    async def point(self, name: str) -> None:
        self.now += {"before apply": 1, "after apply": -1}.get(name, 0)
        self.most = max(self.most, self.now)
        await asyncio.sleep(0)

    async def run(self, loops: int, seconds: float) -> None:
        running = asyncio.create_task(self.service.run(loops, 60))
        await self.clock.advance(seconds)
        self.stop.set()
        await self.clock.advance(20)
        await running

    @property
    def state(self) -> set[object]:
        return {document["_id"] for document in self.sink.all(TABLE)}


async def test_all_parts_of_a_batch_are_done() -> None:
    """What is acknowledged is let go: SQS would say of it that the lock is lost."""
    writer = Writer()
    for number in range(1, 6):
        writer.inbox.send(compressed(number) if number % 2 else body_of(put(number, number, n=number)))
    await writer.run(1, 10)
    assert writer.state == {1, 2, 3, 4, 5}
    assert writer.inbox.bodies == []
    assert writer.inbox.most_receives == 1


async def test_one_compressed_message_at_a_time() -> None:
    """However many loops have some; batches of others are written at the same time."""
    for make, most in ((compressed, 1), (lambda number: body_of(put(number, number)), 4)):
        writer = Writer()
        writer.inbox.most = 1
        for number in range(1, 9):
            writer.inbox.send(make(number), f"lane-{number}")
        await writer.run(4, 10)
        assert len(writer.state) == 8
        assert writer.most == most


async def test_nothing_goes_before_what_stays() -> None:
    """The second part stays for a later try: the third is given back, and is written after it."""
    writer = Writer()
    writer.sink.unique[TABLE] = "n"
    writer.inbox.send(body_of(put(1, "other", n=2)), "other")
    await writer.run(1, 1)
    for number in (1, 2, 3):
        writer.inbox.send(compressed(number))
    writer.stop.clear()
    await writer.run(1, 1)
    assert writer.state == {"other", 1}
    assert len(writer.inbox.bodies) == 2
    assert writer.inbox.in_flight == []


async def test_a_lock_of_what_is_left_is_kept() -> None:
    """The second part takes long; the first is acknowledged, and the lock of it is not asked for any more."""
    writer = Writer()
    slow = asyncio.Event()

    async def point(name: str) -> None:
        if name == "before apply" and writer.sink.faults.calls.count("apply") == 2:
            await slow.wait()

    writer.sink.faults.at_point = point
    for number in (1, 2):
        writer.inbox.send(compressed(number))
    running = asyncio.create_task(writer.service.run(1, 60))
    await writer.clock.advance(100)
    assert writer.state == {1}
    slow.set()
    await writer.clock.advance(10)
    assert writer.state == {1, 2}
    assert writer.inbox.most_receives == 1
    writer.stop.set()
    await writer.clock.advance(20)
    await running


async def test_a_stop_gives_back_what_waits_for_its_turn() -> None:
    """One compressed message is being written; those of the other loops are not begun any more."""
    writer = Writer()
    slow = asyncio.Event()

    async def point(name: str) -> None:
        if name == "before apply":
            await slow.wait()

    writer.sink.faults.at_point = point
    writer.inbox.most = 1
    for number in (1, 2, 3):
        writer.inbox.send(compressed(number), f"lane-{number}")
    running = asyncio.create_task(writer.service.run(3, 60))
    await writer.clock.advance(1)
    writer.stop.set()
    await writer.clock.advance(1)
    slow.set()
    await writer.clock.advance(10)
    await running
    assert writer.sink.faults.calls.count("apply") == 1
    assert len(writer.state) == 1
    assert (len(writer.inbox.bodies), writer.inbox.in_flight) == (2, [])
