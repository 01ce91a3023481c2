"""What is timed, and what is asked of the queues beside the work."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from shared.errors import FatalError, TransientError
from tests.support.builders import body_of, put, write
from tests.support.fakes import FakeClock, FakeInbox, FakeSink, Told, settled
from writer.side_tasks import BACKLOG_INTERVAL, watch_backlog
from writer.telemetry.observer import Backlog, Call
from writer.telemetry.timed import TimedInbox, TimedSink

if TYPE_CHECKING:
    from collections.abc import Callable


async def test_requests_are_timed() -> None:
    """Each one under its name; the rest of the ports is as before."""
    clock, told = FakeClock(), Told()
    inner, sink = FakeInbox(clock), FakeSink()
    inner.send(body_of(put(1)))
    clock.time += 4

    async def slow(name: str) -> None:
        if name.startswith("before"):
            clock.time += 2

    inner.faults.at_point = sink.faults.at_point = slow
    inbox = TimedInbox(inner, told, clock)
    messages = await inbox.receive()
    assert [message.body for message in messages] == [body_of(put(1))]
    assert await inbox.extend(messages) == []
    await TimedSink(sink, told, clock).apply([write(put(1))])
    await inbox.release(messages, 0)
    await inbox.park([])
    await inbox.delete(await inbox.receive())
    await TimedSink(sink, told, clock).ping()
    assert inner.bodies == []
    assert (inbox.visibility, inbox.park_limit) == (inner.visibility, inner.park_limit)
    calls = [Call.RECEIVE, Call.EXTEND, Call.BULK, Call.RELEASE, Call.PARK, Call.RECEIVE, Call.DELETE]
    assert [call for call, _ in told.calls] == calls
    assert {seconds for _, seconds in told.calls} == {2}
    assert told.ages == [6, 16]


async def test_what_fails_is_not_timed() -> None:
    """A time-out would be the slowest of all requests, and it was none that was answered."""
    clock, told = FakeClock(), Told()
    inbox = FakeInbox(clock)
    inbox.faults.down = TransientError("503")
    with pytest.raises(TransientError):
        await TimedInbox(inbox, told, clock).receive()
    assert told.calls == []


class Queues:
    def __init__(self, *answers: Backlog | Exception) -> None:
        self.answers = list(answers)

    async def backlog(self) -> Backlog:
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.mark.parametrize("error", [TransientError, FatalError, KeyError], ids=["away", "refused", "odd"])
async def test_the_backlog_is_asked_for_again_and_again(error: Callable[[str], Exception]) -> None:
    """An answer that does not come ends nothing: the loops know what to do about it."""
    clock, told, stop = FakeClock(), Told(), asyncio.Event()
    answers = Backlog(5, 1, 0), error("no"), Backlog(4, 0, 2)
    task = asyncio.create_task(watch_backlog(stop, Queues(*answers), told, clock))
    await clock.advance(2.5 * BACKLOG_INTERVAL)
    assert told.backlogs == [answers[0], answers[2]]
    stop.set()
    await settled()
    assert task.done()
    assert task.exception() is None
