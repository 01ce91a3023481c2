"""Calls to the servers are timed, whoever makes them, and whoever repeats them tells health."""

from __future__ import annotations

import asyncio

import pytest

from ops.migration.retry import Retry
from shared.errors import TransientError
from tests.support.builders import TABLE, body_of, put
from tests.support.fake_clock import FakeClock
from tests.support.fake_inbox import FakeInbox
from tests.support.fake_sink import FakeSink
from tests.support.writer_context import Told, context_on
from writer.mapping.rules import Rules
from writer.service import Service
from writer.telemetry.health import Dependency
from writer.telemetry.observer import Call, Cause, Trouble

SLOWNESS = 8.0


async def test_calls_are_timed() -> None:
    """Each call is timed under its name; a ping is no work, and is not timed."""
    clock, told = FakeClock(), Told()
    context, inbox, sink = context_on(clock, told), FakeInbox(clock, 30), FakeSink()
    sink.unique[TABLE] = "email"
    inbox.send(body_of(put(1, 1, email="x"), put(2, [])), "a")
    inbox.send(body_of(put(3, 3, email="x")), "b")
    clock.time += 4

    async def slow(name: str) -> None:
        if name.startswith("before"):
            clock.time += SLOWNESS
        if name == "before release":
            context.stop.set()

    inbox.faults.at_point = sink.faults.at_point = slow
    await Service(context, inbox, sink, Rules()).run(1, 60)
    assert "ping" in sink.faults.calls
    calls = [Call.RECEIVE, Call.EXTEND, Call.BULK, Call.PARK, Call.DELETE, Call.RELEASE]
    assert told.calls == [(call, SLOWNESS) for call in calls]
    assert told.ages == [4 + 2 * SLOWNESS]


async def test_what_fails_is_not_timed() -> None:
    """A time-out would look like the slowest of all requests, but was never answered."""
    clock, told = FakeClock(), Told()
    inbox = FakeInbox(clock)
    inbox.faults.down = TransientError("503")
    with pytest.raises(TransientError):
        await context_on(clock, told).timed(Call.RECEIVE, inbox.receive())
    assert told.calls == []


async def test_who_repeats_for_ever_tells_as_well() -> None:
    """The copy and the reader of a stream wait in another way, but are seen like the writer's loops."""
    clock, told = FakeClock(), Told()
    context, lines = context_on(clock, told), list[str]()
    retry = Retry(lines.append, context.watch(Dependency.MONGODB))
    tries, tried = list[int](), asyncio.Event()

    async def third_time() -> int:
        tries.append(1)
        tried.set()
        if len(tries) < 3:
            raise TransientError("no primary")
        return 7

    context.health.found(Dependency.MONGODB)
    reading = asyncio.create_task(retry.until_done(third_time))
    await tried.wait()
    assert context.health.waits[Dependency.MONGODB].reason == "no primary"
    context.health.found(Dependency.MONGODB)  # somebody else reaches it
    assert Dependency.MONGODB in context.health.waits
    assert await reading == 7
    assert Dependency.MONGODB not in context.health.waits
    assert told.troubles == [Trouble(Cause.MONGODB, "no primary")] * 2
    assert lines == ["waiting: no primary", "going on"]


async def test_who_gives_up_holds_up_nobody() -> None:
    """A table's part that was ended: whether the server is there is for others to say."""
    context = context_on(FakeClock())

    tried = asyncio.Event()

    async def never() -> None:
        tried.set()
        raise TransientError("no primary")

    context.health.found(Dependency.MONGODB)
    retry = Retry(lambda _: None, context.watch(Dependency.MONGODB))
    task = asyncio.create_task(retry.until_done(never))
    await tried.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert Dependency.MONGODB in context.health.waits
    context.health.found(Dependency.MONGODB, "another")
    assert Dependency.MONGODB not in context.health.waits
