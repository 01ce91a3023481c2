"""Calls to the servers are timed, whoever makes them."""

from __future__ import annotations

import pytest

from shared.errors import TransientError
from tests.support.builders import TABLE, body_of, put
from tests.support.fake_clock import FakeClock
from tests.support.fake_inbox import FakeInbox
from tests.support.fake_sink import FakeSink
from tests.support.writer_context import Told, context_on
from writer.mapping.rules import Rules
from writer.service import Service
from writer.telemetry.observer import Call

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
