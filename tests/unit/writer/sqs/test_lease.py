"""A lock is held as long as it is extended, and considered lost before it can be lost."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from shared.errors import FatalError, TransientError
from tests.support.fake_clock import FakeClock, settled
from tests.support.fake_inbox import FakeInbox
from tests.support.writer_context import context_on
from writer.sqs.lease import Lease

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

VISIBILITY = 40.0


class Held:
    """One message in flight, and its lease."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.inbox = FakeInbox(self.clock, VISIBILITY)
        self.inbox.send("body")

    async def take(self) -> None:
        self.messages = await self.inbox.receive()
        self.lease = Lease(context_on(self.clock), self.inbox, self.messages, self.clock.time)
        self.keeping = asyncio.create_task(self.lease.keep())
        await settled()

    @property
    def locked(self) -> bool:
        return self.inbox.in_flight == ["body"]


@pytest.fixture
async def held() -> AsyncIterator[Held]:
    held = Held()
    await held.take()
    yield held
    held.keeping.cancel()


async def test_a_lease_is_kept_for_hours(held: Held) -> None:
    """Long outages included; it never lapses in between."""
    for _ in range(500):
        await held.clock.advance(VISIBILITY / 2)
        assert held.locked
        assert not held.lease.lapsed


async def test_a_lease_lapses_before_the_lock_ends(held: Held) -> None:
    """Judged by our clock, on the safe side: lapsed first, visible to others later (P2)."""
    held.inbox.faults.down = TransientError("503")
    lapsed_at = None
    while held.locked:
        if held.lease.lapsed and lapsed_at is None:
            lapsed_at = held.clock.time
        await held.clock.advance(1)
    assert lapsed_at is not None
    assert held.clock.time - lapsed_at >= VISIBILITY * 0.2 - 1


async def test_a_failed_extension_is_made_up_for(held: Held) -> None:
    """One or two may fail without harm."""
    held.inbox.faults.raises["extend"] = [TransientError("503")] * 2
    for _ in range(8):
        await held.clock.advance(VISIBILITY / 4)
        assert not held.lease.lapsed
        assert held.locked


async def test_a_lost_lock_is_lapsed_at_once_and_no_longer_extended(held: Held) -> None:
    """As soon as SQS says so; asking again would be of no use."""
    held.inbox.lock_is_lost()
    await held.clock.advance(VISIBILITY / 4)
    assert held.lease.lapsed
    assert held.keeping.done()
    calls = held.inbox.faults.calls.count("extend")
    await held.clock.advance(VISIBILITY * 2)
    assert held.inbox.faults.calls.count("extend") == calls == 1
    assert held.lease.lapsed


async def test_the_time_counts_from_the_question(held: Held) -> None:
    """A late answer does not make the lock longer."""

    async def slow(name: str) -> None:
        if name == "after extend":
            held.clock.time += VISIBILITY

    held.inbox.faults.at_point = slow
    await held.clock.advance(VISIBILITY / 4)
    assert held.lease.lapsed


async def test_the_first_lock_counts_from_the_question_too(held: Held) -> None:
    """Messages may have been locked for us long before we saw the answer."""
    held.clock.time += VISIBILITY / 2
    lease = Lease(context_on(held.clock), held.inbox, held.messages, held.clock.time - VISIBILITY * 0.79)
    assert not lease.lapsed
    await held.clock.advance(VISIBILITY * 0.01)
    assert lease.lapsed


async def test_messages_that_came_late_are_confirmed(held: Held) -> None:
    """SQS is asked whether they are still ours; a failure leaves it as it is; in time, nothing is asked."""
    calls = held.inbox.faults.calls
    await held.lease.confirm()
    assert "extend" not in calls
    late = Lease(context_on(held.clock), held.inbox, held.messages, held.clock.time - VISIBILITY)
    held.inbox.faults.raises["extend"] = [TransientError("503")]
    await late.confirm()
    assert late.lapsed
    await late.confirm()
    assert not late.lapsed
    held.inbox.lock_is_lost()
    late = Lease(context_on(held.clock), held.inbox, held.messages, held.clock.time - VISIBILITY / 2)
    await late.confirm()
    assert late.lapsed


async def test_a_refusal_ends_the_lease(held: Held) -> None:
    """Only a person can help: it must be seen."""
    held.inbox.faults.raises["extend"] = [FatalError("refused")]
    await held.clock.advance(VISIBILITY / 4)
    with pytest.raises(FatalError):
        await held.keeping


async def test_what_is_let_go_meanwhile_is_not_lost() -> None:
    """The first of two messages is acknowledged while an extension is under way; SQS says it is lost."""
    clock = FakeClock()
    inbox = FakeInbox(clock, VISIBILITY)
    for group in ("a", "b"):
        inbox.send(group, group)
    messages = await inbox.receive()
    lease = Lease(context_on(clock), inbox, messages, clock.time)
    keeping = asyncio.create_task(lease.keep())

    async def point(name: str) -> None:
        if name == "before extend":
            inbox.faults.at_point = None
            await inbox.delete(messages[:1])
            lease.let_go(messages[:1])

    inbox.faults.at_point = point
    await clock.advance(2 * VISIBILITY)
    assert not lease.lapsed
    assert inbox.in_flight == ["b"]
    keeping.cancel()


async def test_a_part_of_a_lease_goes_on_with_its_beat() -> None:
    """Messages that are held get a lease with each try. However often that is, their lock is extended."""
    clock = FakeClock()
    inbox = FakeInbox(clock, VISIBILITY)
    inbox.send("body")
    messages = await inbox.receive()
    lease = Lease(context_on(clock), inbox, messages, clock.monotonic())
    for _ in range(20):
        lease = lease.part(messages)
        keeping = asyncio.create_task(lease.keep())
        await clock.advance(VISIBILITY / 6)
        keeping.cancel()
        assert not lease.lapsed
    assert inbox.receivable == []
