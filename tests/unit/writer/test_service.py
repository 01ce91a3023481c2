"""The drain loops: each holds one batch at most, none ends unnoticed, and a stop leaves nothing half done."""

from __future__ import annotations

import asyncio

from local.polling import HANG_TIMEOUT_S
from shared.errors import TransientError
from tests.support.builders import body_of, put
from tests.support.fake_clock import settled
from tests.support.writer_on_fakes import AWAY, Writer, writing


async def test_an_idle_loop_does_not_spin() -> None:
    """One long poll after the other."""
    async with writing() as writer:
        await writer.clock.advance(50)
        assert 9 <= writer.inbox.faults.calls.count("receive") <= 12


async def test_a_stop_gives_back_what_was_just_received() -> None:
    """Processing has not begun: nothing is written, and another writer gets the messages at once."""
    writer = Writer()
    writer.inbox.send(body_of(put(1, n=1)))

    async def stop_after_receive(name: str) -> None:
        if name == "after receive":
            writer.stop.set()

    writer.inbox.faults.at_point = stop_after_receive
    await asyncio.wait_for(writer.start(), HANG_TIMEOUT_S)
    assert writer.state() == {}
    assert len(writer.inbox.bodies) == 1
    assert writer.inbox.in_flight == []


async def test_a_stop_is_told_to_the_inbox() -> None:
    """A receive that is under way must end soon."""
    async with writing() as writer:
        await writer.clock.advance(1)
        assert "hurry" not in writer.inbox.faults.calls
    assert "hurry" in writer.inbox.faults.calls


async def test_a_stop_lets_the_work_in_hand_be_finished() -> None:
    """What has begun is written and acknowledged; then the loops end."""
    writer = Writer()
    writer.inbox.send(body_of(put(1, n=1)))

    async def stop_before_apply(name: str) -> None:
        if name == "before apply":
            writer.stop.set()

    writer.sink.faults.at_point = stop_before_apply
    await asyncio.wait_for(writer.start(), HANG_TIMEOUT_S)
    assert writer.state() == {1: 1}
    assert writer.inbox.bodies == []


async def test_stopping_loops_do_not_pass_their_messages_around() -> None:
    """The polls of the others are still open: each give-back would raise the receive count, up to parking."""
    writer = Writer()
    running = writer.start(8)
    await settled()
    writer.sink.faults.down = AWAY
    writer.inbox.send(body_of(put(1, n=1)))
    await settled()
    writer.stop.set()
    while not running.done():
        await writer.clock.advance(0.5)
    assert writer.inbox.most_receives == 1
    assert writer.inbox.in_flight == []


async def test_the_grace_time_ends_what_does_not_end() -> None:
    """A write that hangs is cancelled; it was not acknowledged, so it comes again (P3)."""
    writer = Writer()
    writer.inbox.send(body_of(put(1, n=1)))

    async def hang(name: str) -> None:
        if name == "before apply":
            await asyncio.Event().wait()

    writer.sink.faults.at_point = hang
    running = writer.start(2, grace=0.05)
    await settled()
    writer.stop.set()
    await asyncio.wait_for(running, HANG_TIMEOUT_S)
    assert writer.inbox.deleted == []
    assert len(writer.inbox.bodies) == 1


async def test_a_stop_while_parking_fails_acknowledges_nothing() -> None:
    """It is delivered again, and parked then."""
    writer = Writer()
    writer.inbox.faults.raises["park"] = [TransientError("503")] * 1000
    writer.inbox.send(body_of(put(1, 1, n=1), put(2, [])))
    running = writer.start()
    await writer.clock.advance(5)
    writer.stop.set()
    await asyncio.wait_for(running, HANG_TIMEOUT_S)
    assert writer.inbox.deleted == []


async def test_no_loop_holds_more_than_one_batch() -> None:
    """However long the backlog is, there are at most as many batches in hand as loops (P7)."""
    writer = Writer()
    most = 0

    async def count(_: str) -> None:
        nonlocal most
        most = max(most, len(writer.inbox.in_flight))
        for __ in range(3):  # give the others a chance to take more
            await asyncio.sleep(0)

    writer.inbox.faults.at_point = writer.sink.faults.at_point = count
    for number in range(200):
        writer.inbox.send(body_of(put(number + 1, number)), str(number))
    writer.start(3)
    while writer.inbox.bodies:
        await writer.clock.advance(1)
    assert 10 < most <= 30
    assert len(writer.state()) == 200
    assert await writer.ended() is None


async def test_a_loop_that_is_cancelled_by_nobody_ends_the_writer() -> None:
    """To a task group it looks done: all loops could be gone while the writer seems healthy."""
    writer = Writer()
    writer.inbox.faults.raises["receive"] = [asyncio.CancelledError()]  # type: ignore[list-item]
    task = writer.start(2)
    await writer.clock.advance(1)
    assert task.done()
    error = task.exception()
    assert isinstance(error, ExceptionGroup)
    assert "cancelled unexpectedly" in str(error.exceptions[0])
