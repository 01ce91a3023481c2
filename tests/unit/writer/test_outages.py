"""An outage is waited for: nothing more is received, nothing is parked, and afterwards the work goes on."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

from local.polling import HANG_TIMEOUT_S
from shared.errors import TransientError
from tests.support.builders import body_of, put
from tests.support.fake_clock import settled
from tests.support.writer_on_fakes import AWAY, EPOCH, VISIBILITY, Writer, writing
from writer.telemetry.health import SLOW_WRITE, Dependency

if TYPE_CHECKING:
    import pytest


async def test_an_outage_of_mongodb_is_not_an_error() -> None:
    """The batch in hand is kept, nothing more is received, nothing is parked; then it goes on (P4)."""
    async with writing(loops=3) as writer:
        await settled()
        writer.sink.faults.down = AWAY
        writer.inbox.send(body_of(put(1, 1, n=1)), "a")
        await writer.clock.advance(10)
        wait = writer.health.waits[Dependency.MONGODB]
        assert wait.reason == "MongoDB: AutoReconnect"
        assert wait.since == EPOCH + 1000
        receives = writer.inbox.faults.calls.count("receive")
        writer.inbox.send(body_of(put(2, 2, n=2)), "b")
        await writer.clock.advance(10 * VISIBILITY)
        assert writer.inbox.faults.calls.count("receive") == receives
        assert [json.loads(body)["changes"][0]["seq"] for body in writer.inbox.in_flight] == ["1"]
        assert writer.inbox.letters == []
        assert writer.health.waits[Dependency.MONGODB] == wait
        writer.sink.faults.down = None
        await writer.clock.advance(10)
        assert writer.state() == {1: 1, 2: 2}
        assert writer.health.waits == {}
        assert writer.inbox.bodies == []
        assert writer.inbox.most_receives == 1


async def test_an_outage_at_the_start_receives_nothing() -> None:
    """Messages are better off in the queue than in our hands."""
    writer = Writer()
    writer.sink.faults.down = AWAY
    writer.inbox.send(body_of(put(1, n=1)))
    writer.start(2)
    await writer.clock.advance(100)
    assert "receive" not in writer.inbox.faults.calls
    writer.sink.faults.down = None
    await writer.clock.advance(10)
    assert writer.state() == {1: 1}
    assert await writer.ended() is None


async def test_an_outage_of_sqs_is_waited_for() -> None:
    """Calls are repeated with pauses in between, and `health` shows the outage."""
    async with writing() as writer:
        await settled()
        writer.inbox.faults.down = TransientError("receiving from QUEUE_URL: 503")
        writer.inbox.send(body_of(put(1, n=1)))
        await writer.clock.advance(100)
        assert writer.health.waits[Dependency.SQS].reason == "receiving from QUEUE_URL: 503"
        assert writer.inbox.faults.calls.count("receive") < 60
        writer.inbox.faults.down = None
        await writer.clock.advance(10)
        assert writer.health.waits == {}
        assert writer.state() == {1: 1}


async def test_sqs_away_at_the_acknowledgement() -> None:
    """Written once, deleted as soon as SQS is back; in between the lock is kept as long as it can be."""
    async with writing() as writer:
        writer.inbox.faults.raises["delete"] = [TransientError("503")] * 3
        writer.inbox.send(body_of(put(1, n=1)))
        await writer.clock.advance(10)
        assert writer.inbox.bodies == []
        assert writer.sink.faults.calls.count("apply") == 1
        assert writer.inbox.most_receives == 1


async def test_an_outage_longer_than_sqs_lets_us_hold_a_batch() -> None:
    """SQS extends no more: the batch goes back, once, unwritten, until MongoDB is there (P2-P4).

    The limit is twelve hours; here it comes sooner.
    """
    async with writing(loops=2) as writer:
        writer.inbox.longest_hold = hold = 20 * VISIBILITY
        await settled()
        writer.sink.faults.down = AWAY
        writer.inbox.send(body_of(put(1, n=1)))
        await writer.clock.advance(hold - 2 * VISIBILITY)
        assert writer.inbox.in_flight == writer.inbox.bodies
        assert "release" not in writer.inbox.faults.calls
        await writer.clock.advance(2 * VISIBILITY)
        assert writer.inbox.in_flight == []
        assert writer.inbox.faults.calls.count("release") == 1
        applied = writer.sink.faults.calls.count("apply")
        await writer.clock.advance(hold)
        assert writer.sink.faults.calls.count("apply") == applied
        assert (writer.inbox.deleted, writer.inbox.letters) == ([], [])
        assert writer.inbox.most_receives == 1
        writer.sink.faults.down = None
        await writer.clock.advance(10)
        assert writer.state() == {1: 1}
        assert writer.inbox.bodies == []
        assert writer.inbox.most_receives == 2
        assert writer.health.waits == {}


async def test_what_failed_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    """A failed call leaves cycles that hold its batch; collections are rare, so one is requested."""
    asked: list[int] = []
    monkeypatch.setattr("writer.context.collect_now", lambda: asked.append(1))
    async with writing() as writer:
        writer.sink.faults.raises["apply"] = [AWAY, AWAY]
        writer.inbox.send(body_of(put(1, 1, n=1)))
        await writer.clock.advance(60)
        assert writer.state() == {1: 1}
    assert len(asked) == 2


async def test_a_stop_during_an_outage_ends_at_once() -> None:
    """It does not wait for MongoDB: the batch in hand goes back to the queue."""
    writer = Writer()
    running = writer.start(3)
    await settled()
    writer.sink.faults.down = AWAY
    writer.inbox.send(body_of(put(1, n=1)), "a")
    writer.inbox.send(body_of(put(2, 2)), "b")
    await writer.clock.advance(20)
    writer.stop.set()
    await asyncio.wait_for(running, HANG_TIMEOUT_S)
    assert len(writer.inbox.bodies) == 2
    assert writer.inbox.in_flight == []


async def test_a_write_that_hangs_is_shown_while_it_hangs() -> None:
    """No answer and no error: `/readyz` says so all the same, and no longer when the answer comes (P8)."""
    goes_on = asyncio.Event()

    async def hang(name: str) -> None:
        if name == "before apply":
            await goes_on.wait()

    async with writing() as writer:
        await settled()
        writer.sink.faults.at_point = hang
        writer.inbox.send(body_of(put(1, n=1)))
        await writer.clock.advance(2 * SLOW_WRITE)
        assert writer.health.waits[Dependency.MONGODB].reason == "MongoDB has not answered a write for 30 s"
        goes_on.set()
        await writer.clock.advance(1)
        assert writer.health.ready
        assert writer.state() == {1: 1}


async def test_an_unknown_error_of_one_batch_does_not_hide_behind_pings() -> None:
    """MongoDB answers others, so they go on; what is refused as a whole again and again is shown (P8)."""
    unknown = TransientError("MongoDB: OperationFailure 4242")
    async with writing(loops=2) as writer:
        await settled()
        writer.sink.fails_with["1"] = unknown
        writer.inbox.send(body_of(put(1, 1, n=1)), "a")
        await writer.clock.advance(1)
        for number in (2, 3):
            writer.inbox.send(body_of(put(number, number, n=number)), "b")
            await writer.clock.advance(30)
        assert writer.state() == {2: 2, 3: 3}
        assert writer.health.waits[Dependency.MONGODB].reason == str(unknown)
        writer.sink.fails_with.clear()
        await writer.clock.advance(10)
        assert writer.health.ready
        assert writer.state() == {1: 1, 2: 2, 3: 3}
