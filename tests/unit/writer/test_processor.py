"""One batch on its way: what can be written is written, poison is parked, and then it is acknowledged."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from typing import TYPE_CHECKING, Any

from local.polling import HANG_TIMEOUT_S
from shared.errors import TransientError
from tests.support.builders import TABLE, body_of, delete, put
from tests.support.fake_clock import settled
from tests.support.writer_on_fakes import AWAY, EPOCH, VISIBILITY, Writer, writing
from writer.mapping.parser import parse_replication
from writer.mapping.rules import Rules
from writer.telemetry.observer import Cause, Counted, InHand, Operation, Result

if TYPE_CHECKING:
    import pytest

    from shared.change import Change


async def test_a_batch_is_written_and_acknowledged(caplog: pytest.LogCaptureFixture) -> None:
    """The normal case: at DEBUG one log line has the numbers, and none has the data."""
    caplog.set_level(logging.DEBUG)
    async with writing() as writer:
        writer.inbox.send(body_of(put(1, 1, n=1), put(2, 2, n="SECRET"), put(3, 1, n=3)))
        writer.inbox.send(body_of(delete(4, 7)), "other")
        await writer.clock.advance(10)
        assert writer.state() == {1: 3, 2: "SECRET"}
        assert writer.inbox.bodies == []
        assert writer.inbox.letters == []
        assert writer.health.waits == {}
    (line,) = [record for record in caplog.records if record.message == "batch applied"]
    numbers = vars(line)
    assert (numbers["messages"], numbers["changes"], numbers["coalesced"]) == (2, 4, 1)
    assert (numbers["inserted"], numbers["parked"], numbers["given_back"]) == (2, 0, 0)
    assert numbers["lag_ms"] == (EPOCH + 1000 - 1588166542) * 1000
    assert "SECRET" not in caplog.text + str([vars(record) for record in caplog.records])


async def test_a_batch_logs_nothing_at_info(caplog: pytest.LogCaptureFixture) -> None:
    """Logs cost by their bytes: they do not grow with the batches."""
    caplog.set_level(logging.INFO)
    async with writing() as writer:
        await writer.clock.advance(10)
        caplog.clear()  # of the start
        for number in range(5):
            writer.inbox.send(body_of(put(number, 1)), str(number))
            await writer.clock.advance(10)
        assert len(writer.told.batches) == 5
        assert caplog.records == []


async def test_poison_is_parked_and_the_rest_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    """One letter for one record; neither its key nor its reason is in the log (P5)."""
    async with writing() as writer:
        writer.sink.required[TABLE] = "n"
        writer.inbox.send(body_of(put(1, 1, n=1), put(2, ["SECRET"]), put(3, "KEY"), put(4, 4, n=4)))
        writer.inbox.send("garbage")
        writer.inbox.send(body_of(put(5, 5, n=5)))
        await writer.clock.advance(10)
        assert writer.state() == {1: 1, 4: 4, 5: 5}
        assert sorted(letter.code for letter in writer.inbox.letters) == [
            "bad-envelope",
            "bad-key",
            "mongodb-121",
        ]
        assert writer.inbox.bodies == []
    logged = caplog.text + str([vars(record) for record in caplog.records])
    assert "bad-key" in logged
    assert "SECRET" not in logged
    assert "KEY" not in logged


async def test_an_observer_is_told_what_is_in_hand_and_what_became_of_it() -> None:
    """Before it is read, when it is read, and that it is done; idle loops hold nothing."""
    async with writing() as writer:
        writer.inbox.send(body_of(put(1, 1, n=1), put(2, 2)))
        await writer.clock.advance(10)
        told = writer.told
        assert told.hands == [(0, InHand(1)), (0, InHand(1, 2, 1588166542.0)), (0, None)]
        (batch,) = told.batches
        assert batch.counted == [Counted(TABLE, Operation.PUT, Result.APPLIED, 2)]
        assert told.troubles == []


async def test_an_observer_is_told_of_trouble() -> None:
    """Each failed try, by what failed; what may heal; and that a lock was lost."""
    async with writing() as writer:
        writer.inbox.faults.raises["receive"] = [TransientError("503")] * 2
        writer.sink.faults.raises["apply"] = [AWAY]
        writer.sink.unique[TABLE] = "email"
        writer.inbox.send(body_of(put(1, 1, email="x"), put(2, 2, email="x")))
        await writer.clock.advance(6)
        causes = [trouble.cause for trouble in writer.told.troubles]
        assert causes[:4] == [Cause.SQS, Cause.SQS, Cause.MONGODB, Cause.HEALABLE]
        assert writer.told.batches[0].given_back == 1
        assert writer.told.batches[0].counted == []
        writer.sink.unique.clear()
        await writer.clock.advance(10)
        writer.told.troubles.clear()
        writer.sink.faults.down = AWAY
        writer.inbox.faults.raises["extend"] = [TransientError("503")] * 1000
        writer.inbox.send(body_of(put(3, 3)))
        await writer.clock.advance(VISIBILITY)
        assert Cause.LOCK_LOST in {trouble.cause for trouble in writer.told.troubles}
        assert writer.told.hands[-1] == (0, None)


async def test_what_was_not_acknowledged_is_in_no_count() -> None:
    """It comes again, and counts then: a dead letter that could not be parked, above all."""
    async with writing() as writer:
        writer.inbox.faults.raises["park"] = [TransientError("503")] * 1000
        writer.inbox.faults.raises["extend"] = [TransientError("503")] * 1000
        writer.inbox.send("garbage")
        await writer.clock.advance(2 * VISIBILITY)
        assert writer.told.batches == []
        writer.inbox.faults.raises.clear()
        await writer.clock.advance(2 * VISIBILITY)
        (batch,) = writer.told.batches
        assert [parked.code for parked in batch.parked] == ["bad-envelope"]


async def test_an_event_can_be_followed_to_its_batch(caplog: pytest.LogCaptureFixture) -> None:
    """At DEBUG the stream records of each message, whatever became of them; a dead letter names its own."""
    caplog.set_level(logging.DEBUG, "writer.telemetry.batch_log")
    async with writing() as writer:
        writer.inbox.send(body_of(put(1, 1), put(2, 1), put(3, [])))
        writer.inbox.send(body_of(put(4, 4)), "other")
        await writer.clock.advance(10)
    lines = [vars(record) for record in caplog.records if record.name == "writer.telemetry.batch_log"]
    events = {tuple(line["events"]): line["batch"] for line in lines if "events" in line}
    assert events.keys() == {("event-1", "event-2", "event-3"), ("event-4",)}
    (parked,) = [line for line in lines if line["message"] == "a record was parked"]
    assert (parked["event_id"], parked["batch"]) == ("event-3", events["event-1", "event-2", "event-3"])
    assert {line["batch"] for line in lines if line["message"] == "batch applied"} == set(events.values())


async def test_a_healable_failure_is_tried_again_alone() -> None:
    """What is behind it in its group is done; once the other item has released the value, it is written."""
    async with writing() as writer:
        writer.sink.unique[TABLE] = "email"
        writer.inbox.send(body_of(put(1, 1, email="x", n=1)), "first")
        await writer.clock.advance(6)
        writer.inbox.send(body_of(put(2, 2, email="x", n=2)), "a")
        writer.inbox.send(body_of(put(3, 3, email="c", n=3)), "a")
        writer.inbox.send(body_of(put(4, 4, email="d", n=4)), "b")
        await writer.clock.advance(6)
        assert 2 not in writer.state()
        assert [json.loads(body)["changes"][0]["seq"] for body in writer.inbox.bodies] == ["2"]
        assert 3 in writer.state()
        assert writer.inbox.letters == []
        writer.inbox.send(body_of(put(5, 1, email="z", n=5)), "first")
        await writer.clock.advance(15)
        assert writer.state() == {1: 5, 2: 2, 3: 3, 4: 4}
        assert writer.inbox.bodies == []
        assert 2 <= writer.inbox.most_receives <= 4


async def test_nothing_is_acknowledged_before_the_poison_is_parked() -> None:
    """As long as the dead-letter queue does not take it, its message stays (P3)."""
    async with writing() as writer:
        writer.inbox.faults.raises["park"] = [TransientError("503")] * 4
        writer.inbox.send(body_of(put(1, 1, n=1), put(2, [])))
        await settled()
        assert writer.inbox.letters == []
        assert writer.inbox.deleted == []
        await writer.clock.advance(20)
        assert [letter.code for letter in writer.inbox.letters] == ["bad-key"]
        assert writer.inbox.bodies == []
        assert writer.inbox.most_receives == 1
        calls = writer.inbox.faults.calls
        assert calls.index("delete") > max(i for i, call in enumerate(calls) if call == "park")


async def test_a_slow_hook_holds_up_only_its_batch() -> None:
    """Meanwhile locks are extended, and other tasks go on; its result is written."""
    goes_on, called = threading.Event(), threading.Event()

    def slow(document: dict[str, Any], _: Change) -> dict[str, Any]:
        called.set()
        assert goes_on.wait(HANG_TIMEOUT_S)
        return document

    acknowledged = asyncio.Event()

    async def note(name: str) -> None:
        if name == "after delete":
            acknowledged.set()

    replication = parse_replication(f"tables: {{{TABLE}: {{hook: 'm:f'}}}}", "replication.yaml")
    writer = Writer(rules=Rules(replication, {"m:f": slow}))
    writer.inbox.faults.at_point = note
    writer.start()
    writer.inbox.send(body_of(put(1, 1, n=1)))
    await settled()
    assert await asyncio.to_thread(called.wait, HANG_TIMEOUT_S)
    await writer.clock.advance(3 * VISIBILITY)  # without extensions it would be somebody else's by now
    assert writer.inbox.receivable == []
    goes_on.set()
    await asyncio.wait_for(acknowledged.wait(), HANG_TIMEOUT_S)  # a thread of its own is under way
    assert await writer.ended() is None
    assert writer.state() == {1: 1}
    assert writer.inbox.bodies == []
