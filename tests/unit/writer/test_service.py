"""The drain loops under outages, stops, lost locks and cancellation, on a clock that the test moves."""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
import threading
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from local.polling import HANG_TIMEOUT_S
from shared.change import Change, Op
from shared.envelope import decode
from shared.errors import FatalError, PoisonError, TransientError
from tests.support.builders import TABLE, body_of, delete, put
from tests.support.fake_clock import FakeClock, settled
from tests.support.fake_inbox import FakeInbox
from tests.support.fake_sink import FakeSink
from tests.support.writer_context import Told
from writer.context import Context
from writer.mapping.parser import parse_replication
from writer.mapping.rules import Rules
from writer.service import Service
from writer.telemetry.health import Dependency, Health
from writer.telemetry.observer import Cause, Counted, InHand, Operation, Result

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from shared.dead_letter import DeadLetter

AWAY = TransientError("MongoDB: AutoReconnect")
REFUSED = FatalError("MongoDB refuses the writer")
VISIBILITY = 30.0
NEVER = 10 * HANG_TIMEOUT_S  # a grace whose end no test sees
EPOCH = 1_600_000_000


class Writer:
    """A service on fakes; `start` it, and let time pass."""

    def __init__(
        self, inbox: FakeInbox | None = None, sink: FakeSink | None = None, rules: Rules | None = None
    ) -> None:
        self.rules = rules or Rules()
        self.clock = inbox.clock if inbox else FakeClock()
        self.inbox = inbox or FakeInbox(self.clock, VISIBILITY)
        self.sink = sink or FakeSink()
        self.health = Health(self.clock)
        self.told = Told()
        self.context = Context(self.clock, self.health, self.told, asyncio.Event())
        self.stop = self.context.stop
        self.task: asyncio.Task[None] | None = None

    def start(self, loops: int = 1, grace: float = NEVER) -> asyncio.Task[None]:
        service = Service(self.context, self.inbox, self.sink, self.rules)
        self.task = asyncio.create_task(service.run(loops, grace))
        return self.task

    async def ended(self) -> BaseException | None:
        """Stops it, waits for its end, which must come soon, and returns what it raised."""
        assert self.task is not None
        self.stop.set()
        for _ in range(20):
            await self.clock.advance(1)
            if self.task.done():
                break
        assert self.task.done()
        return asyncio.CancelledError() if self.task.cancelled() else self.task.exception()

    def state(self, collection: str = TABLE) -> dict[Any, Any]:
        return {document["_id"]: document.get("n") for document in self.sink.all(collection)}


@asynccontextmanager
async def writing(loops: int = 1) -> AsyncIterator[Writer]:
    writer = Writer()
    writer.start(loops)
    try:
        yield writer
        assert await writer.ended() is None
    finally:
        if writer.task and not writer.task.done():
            writer.task.cancel()


async def test_a_batch_is_written_and_acknowledged(caplog: pytest.LogCaptureFixture) -> None:
    """The normal case: one log line has the numbers, and none has the data."""
    caplog.set_level(logging.INFO)
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


async def test_an_idle_loop_does_not_spin() -> None:
    """One long poll after the other."""
    async with writing() as writer:
        await writer.clock.advance(50)
        assert 9 <= writer.inbox.faults.calls.count("receive") <= 12


async def test_sqs_away_at_the_acknowledgement() -> None:
    """Written once, deleted as soon as SQS is back; in between the lock is kept as long as it can be."""
    async with writing() as writer:
        writer.inbox.faults.raises["delete"] = [TransientError("503")] * 3
        writer.inbox.send(body_of(put(1, n=1)))
        await writer.clock.advance(10)
        assert writer.inbox.bodies == []
        assert writer.sink.faults.calls.count("apply") == 1
        assert writer.inbox.most_receives == 1


async def test_a_lapsed_lock_is_not_written() -> None:
    """SQS cannot be reached to extend it, MongoDB is away: the batch is given up, not written late (P2)."""
    async with writing() as writer:
        await settled()
        writer.sink.faults.down = AWAY
        writer.inbox.faults.raises["extend"] = [TransientError("503")] * 1000
        writer.inbox.send(body_of(put(1, n=1)))
        await writer.clock.advance(0.75 * VISIBILITY)
        assert "release" not in writer.inbox.faults.calls
        await writer.clock.advance(0.25 * VISIBILITY)
        assert writer.inbox.faults.calls.count("release") == 1
        applied = writer.sink.faults.calls.count("apply")
        await writer.clock.advance(3 * VISIBILITY)
        assert writer.sink.faults.calls.count("apply") == applied
        writer.inbox.faults.raises["extend"] = []
        writer.sink.faults.down = None
        await writer.clock.advance(10)
        assert writer.state() == {1: 1}


async def test_a_lock_that_lapsed_while_planning_is_not_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that was frozen between receiving and writing gives the batch back."""
    async with writing() as writer:
        frozen: list[float] = []

        def slow(*arguments: Any) -> Any:
            if not frozen:
                writer.clock.time += VISIBILITY
                frozen.append(writer.clock.time)
            return make_plan(*arguments)

        from writer.planning.plan import make_plan  # noqa: PLC0415

        monkeypatch.setattr("writer.processor.make_plan", slow)
        writer.inbox.send(body_of(put(1, n=1)))
        writer.sink.faults.at_point = refuse_when(lambda: writer.inbox.most_receives == 1)
        await writer.clock.advance(10)
        assert frozen
        assert writer.state() == {1: 1}
        assert writer.inbox.most_receives == 2


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


@pytest.mark.parametrize(("seconds", "receives"), [(VISIBILITY / 2, 1), (VISIBILITY * 2, 2)])
async def test_a_late_answer_to_a_receive_is_not_trusted(seconds: float, receives: int) -> None:
    """Frozen while it polled: SQS is asked whether the lock is still ours; if not, it is not written (P2)."""
    async with writing() as writer:
        extended: list[int] = []

        async def late(name: str) -> None:
            if name == "after receive" and writer.inbox.most_receives == 1 and not extended:
                writer.clock.time += seconds
            if name == "before extend":
                extended.append(writer.sink.faults.calls.count("apply"))

        writer.inbox.faults.at_point = late
        writer.sink.faults.at_point = refuse_when(lambda: writer.inbox.most_receives != receives)
        writer.inbox.send(body_of(put(1, n=1)))
        await writer.clock.advance(10)
        assert extended == [0]
        assert writer.state() == {1: 1}
        assert writer.inbox.bodies == []
        assert writer.inbox.most_receives == receives


def refuse_when(condition: Callable[[], bool]) -> Callable[[str], Awaitable[None]]:
    async def at_point(name: str) -> None:
        assert not (name == "before apply" and condition())

    return at_point


async def test_a_lost_lock_is_given_up() -> None:
    """Another writer holds the messages now, and will write them."""
    async with writing() as writer:
        await settled()
        writer.sink.faults.down = AWAY
        writer.inbox.send(body_of(put(1, n=1)))
        await settled()
        writer.inbox.lock_is_lost()
        await writer.clock.advance(0.6 * VISIBILITY)
        applied = writer.sink.faults.calls.count("apply")
        await writer.clock.advance(5 * VISIBILITY)
        assert writer.sink.faults.calls.count("apply") == applied
        assert writer.inbox.deleted == []


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


async def test_a_healable_failure_is_tried_again_in_order() -> None:
    """Its group waits, other groups go on; once the other item has released the value, all is written."""
    async with writing() as writer:
        writer.sink.unique[TABLE] = "email"
        writer.inbox.send(body_of(put(1, 1, email="x", n=1)), "first")
        await writer.clock.advance(6)
        writer.inbox.send(body_of(put(2, 2, email="x", n=2)), "a")
        writer.inbox.send(body_of(put(3, 3, email="c", n=3)), "a")
        writer.inbox.send(body_of(put(4, 4, email="d", n=4)), "b")
        await writer.clock.advance(6)
        assert 2 not in writer.state()
        assert [json.loads(body)["changes"][0]["seq"] for body in writer.inbox.bodies] == ["2", "3"]
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


OPERATIONS = ["ping", "receive", "extend", "apply", "park", "delete", "release"]


@pytest.mark.parametrize("operation", OPERATIONS)
async def test_what_only_a_person_can_mend_ends_the_service(operation: str) -> None:
    """Whichever call is refused: all loops end, with the reason, and nothing unsettled is acknowledged."""
    writer = Writer()
    faults = writer.sink.faults if operation in {"ping", "apply"} else writer.inbox.faults
    faults.raises[operation] = [REFUSED]
    writer.sink.unique[TABLE] = "email"
    if operation == "extend":
        writer.sink.faults.raises["apply"] = [AWAY] * 100
    writer.inbox.send(body_of(put(1, 1, n=1, email="x"), put(2, [])), "a")
    writer.inbox.send(body_of(put(3, 3, n=3, email="x")), "b")
    running = writer.start(3)
    await writer.clock.advance(VISIBILITY)
    with pytest.raises(ExceptionGroup) as caught:
        await asyncio.wait_for(running, HANG_TIMEOUT_S)
    found = caught.value.subgroup(FatalError)
    assert found is not None
    assert "MongoDB refuses the writer" in str(leaves(found))
    assert_nothing_is_lost(writer)


def leaves(group: BaseException) -> list[BaseException]:
    if isinstance(group, BaseExceptionGroup):
        return [leaf for error in group.exceptions for leaf in leaves(error)]
    return [group]


async def test_an_error_of_ours_ends_the_service_loudly() -> None:
    """A bug is not an outage: no loop dies alone and silently (no "running but dead for days")."""
    writer = Writer()
    writer.sink.faults.raises["apply"] = [KeyError("bug")]
    writer.inbox.send(body_of(put(1, n=1)))
    running = writer.start(3)
    await settled()
    with pytest.raises(ExceptionGroup) as caught:
        await asyncio.wait_for(running, HANG_TIMEOUT_S)
    assert [type(leaf) for leaf in leaves(caught.value)] == [KeyError]
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


NUL: dict[str, Any] = {"x\0": 1}
CHANGES: dict[str, list[tuple[Change, ...]]] = {
    "a": [
        (put(1, 1, n=1, email="1"), put(2, 2, n=2, email="2")),
        (put(3, 1, n=3, email="3"), put(4, []), put(5, 6, email="5")),
    ],
    "b": [(delete(6, 5),), (put(7, 5, n=7, email="7"), put(8, 8, n=8, **NUL))],
    "c": [(put(9, 9, n=9, email="x"),), (put(10, 10, n=10, email="x"),), (put(11, 11, n=11, email="11"),)],
}


def loaded() -> Writer:
    """A writer with everything to do: writes, poison of each kind, a healable failure, transient errors."""
    writer = Writer()
    writer.sink.required[TABLE] = "n"
    writer.sink.unique[TABLE] = "email"
    for group, messages in CHANGES.items():
        for changes in messages:
            writer.inbox.send(body_of(*changes), group)
    writer.inbox.send("garbage", "d")
    return writer


def assert_nothing_is_lost(writer: Writer) -> None:
    """P3: whatever was acknowledged is in the database, outranked there, or parked."""
    parked = {letter.body for letter in writer.inbox.letters}
    documents = {document["_id"]: document for document in writer.sink.all(TABLE)}
    for body in writer.inbox.deleted:
        try:
            entries = decode(body).entries
        except PoisonError:
            assert body in parked
            continue
        for change in entries:
            assert isinstance(change, Change)
            if is_parked(change, writer.inbox.letters):
                continue
            document = documents.get(change.key["id"])
            if document is None:
                assert change.op is Op.DELETE
            else:
                assert document["_ddb"]["v"] >= change.version


def is_parked(change: Change, letters: list[DeadLetter]) -> bool:
    return any(letter.sequence == change.sequence for letter in letters)


async def finished_by_another(writer: Writer) -> Writer:
    """Another writer does the rest, once the locks of the first have ended."""
    writer.inbox.faults.at_point = writer.sink.faults.at_point = None
    other = Writer(writer.inbox, writer.sink)
    other.start(2)
    await other.clock.advance(2 * VISIBILITY)
    assert await other.ended() is None
    return other


async def interrupted_at(point: int, error: Exception | None) -> bool:
    """Cancels a loaded writer (or raises) at the n-th await of an adapter; checks; lets another finish."""
    writer = loaded()
    seen = itertools.count(1)
    struck = False

    async def strike(_: str) -> None:
        nonlocal struck
        if next(seen) == point:
            struck = True
            if error is not None:
                raise error
            running.cancel()
            await asyncio.sleep(0)

    writer.inbox.faults.at_point = writer.sink.faults.at_point = strike
    writer.sink.faults.raises["apply"] = [AWAY]
    running = writer.start(2)
    await writer.clock.advance(VISIBILITY / 2)
    assert_nothing_is_lost(writer)
    raised = await writer.ended()
    assert (raised is not None) == (struck and not isinstance(error, TransientError))
    assert_nothing_is_lost(writer)
    other = await finished_by_another(writer)
    assert_nothing_is_lost(other)
    assert other.state() == {1: 3, 2: 2, 5: 7, 9: 9, 11: 11}
    assert sorted(letter.code for letter in other.inbox.letters) == [
        "bad-envelope", "bad-key", "mongodb-121", "not-bson",
    ]  # fmt: skip
    assert [json.loads(body)["changes"][0]["seq"] for body in other.inbox.bodies] in (["10"], ["10", "11"])
    return struck


@pytest.mark.parametrize(
    "error",
    [None, REFUSED, TransientError("503"), KeyError("bug")],
    ids=["cancelled", "fatal", "transient", "bug"],
)
async def test_whatever_strikes_at_any_await_loses_nothing(error: Exception | None) -> None:
    """Cancelled, refused, cut off or broken before and after each call: all is done in the end, once (P3)."""
    for point in itertools.count(1):
        if not await interrupted_at(point, error):
            break
    assert point > 12


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


async def test_a_loop_that_is_cancelled_by_nobody_ends_the_writer() -> None:
    """To a task group it looks done: all loops could be gone while the writer seems healthy."""
    writer = Writer()
    writer.inbox.faults.raises["receive"] = [asyncio.CancelledError()]  # type: ignore[list-item]
    task = writer.start(2)
    await writer.clock.advance(1)
    assert task.done()
    error = task.exception()
    assert isinstance(error, ExceptionGroup)
    assert "cancelled by nobody" in str(error.exceptions[0])
