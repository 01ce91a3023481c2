"""What MongoDB refuses for a whole table is held, shown and tried again; all other tables go on."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

from local.polling import HANG_TIMEOUT_S
from tests.support.builders import TABLE, body_of, delete, put
from tests.support.fake_clock import settled
from tests.support.writer_on_fakes import AWAY, EPOCH, VISIBILITY, Writer, writing
from writer import holding
from writer.ports import Failure, FailureKind
from writer.sqs import lease
from writer.telemetry.health import TableWait
from writer.telemetry.observer import Cause, InHand

if TYPE_CHECKING:
    from collections.abc import Callable

    from shared.change import Change
    from writer.write import Write

REASON = "the user may not update db.mytable (code 13)"
NO_RIGHT = Failure(FailureKind.TRANSIENT, "13", REASON, of_place=True)
ODD = Failure(FailureKind.TRANSIENT, "4242", "MongoDB answered 4242 to a write to db.mytable")
PLACE = ("", TABLE)


def close(
    writer: Writer, which: Callable[[Write], bool] = lambda _: True, answer: Failure = NO_RIGHT
) -> list[Any]:
    """MongoDB takes no such writes of the table from now on; returns the keys that it refuses."""
    refused: list[Any] = []

    def refuses(write: Write) -> Failure | None:
        if write.target.collection == TABLE and which(write):
            refused.append(write.target.document_id)
            return answer
        return None

    writer.sink.store.refuses = refuses
    return refused


def reopen(writer: Writer) -> None:
    writer.sink.store.refuses = lambda _: None


async def test_one_tables_trouble_is_one_tables(caplog: pytest.LogCaptureFixture) -> None:
    """Its messages are held, not received again, and not parked; the others go on (P4, P5)."""
    async with writing(loops=2) as writer:
        close(writer)
        for number in range(6):
            writer.inbox.send(body_of(put(number + 1, number, n=number)), f"a{number}")
        await writer.clock.advance(10)
        writer.inbox.send(body_of(put(7, 7, table="other", n=7)), "b")
        await writer.clock.advance(20 * VISIBILITY)
        assert writer.state("other") == {7: 7}
        assert writer.health.tables == {PLACE: TableWait(TABLE, "13", REASON, EPOCH + 1000)}
        assert not writer.health.ready
        assert writer.health.waits == {}
        assert len(writer.inbox.in_flight) == 6
        assert (writer.inbox.most_receives, writer.inbox.letters) == (1, [])
        assert Cause.REFUSED in {trouble.cause for trouble in writer.told.troubles}
        assert (2, InHand(6, 0, EPOCH + 1000)) in writer.told.hands
        reopen(writer)
        await writer.clock.advance(holding.LONGEST_PAUSE)
        assert writer.state() == {number: number for number in range(6)}
        assert writer.health.ready
        assert (writer.inbox.bodies, writer.inbox.most_receives) == ([], 1)
        assert writer.told.hands[-1][1] is None
    lines = [record.message for record in caplog.records if "a table is waiting" in record.message]
    assert lines == ["a table is waiting: MongoDB refuses its writes"]


async def test_the_tries_become_rarer_and_there_is_one_at_a_time() -> None:
    """A place in trouble is asked at most once per pause, however many messages wait for it."""
    async with writing(loops=2) as writer:
        refused = close(writer)
        for number in range(20):
            writer.inbox.send(body_of(put(number + 1, number)), f"a{number}")
        await writer.clock.advance(1)
        assert writer.health.tables
        refused.clear()
        applied = writer.sink.faults.calls.count("apply")
        await writer.clock.advance(600)
        tries = writer.sink.faults.calls.count("apply") - applied
        assert 600 / holding.LONGEST_PAUSE - 5 <= tries <= 600 / holding.LONGEST_PAUSE + 7
        writer.inbox.send(body_of(put(21, 21)), "late")
        before = len(refused)
        await writer.clock.advance(5)
        assert 21 not in refused[before:]
        await writer.clock.advance(600)
        assert 21 in refused


async def test_deletions_go_on_where_only_puts_are_refused() -> None:
    """And they do not end the trouble of the puts."""
    async with writing() as writer:
        close(writer, lambda write: write.document is not None)
        writer.inbox.send(body_of(put(1, 1), put(2, 2)), "a")
        await writer.clock.advance(5)
        writer.inbox.send(body_of(delete(3, 3)), "b")
        await writer.clock.advance(5)
        assert len(writer.inbox.bodies) == 1
        assert writer.health.tables
        reopen(writer)
        await writer.clock.advance(holding.LONGEST_PAUSE)
        assert set(writer.state()) == {1, 2}


async def test_one_odd_document_is_told_apart_by_what_mongodb_takes_from_others() -> None:
    """Its table is in trouble no longer, and its neighbours are done; it waits alone, and shows (P4, P5)."""
    async with writing() as writer:
        writer.inbox.max_receives = 3
        close(writer, lambda write: write.target.document_id == 1, ODD)
        writer.inbox.send(body_of(put(1, 1)), "a")
        await writer.clock.advance(5)
        assert writer.health.tables
        for number in range(2, 9):
            writer.inbox.send(body_of(put(number, number, n=number)), "a")
        writer.inbox.send(body_of(put(9, 9, n=9)), "b")
        await writer.clock.advance(2)
        assert set(writer.state()) == {9}
        assert writer.health.ready
        for number in range(10, 40):
            await writer.clock.advance(5)
            writer.inbox.send(body_of(put(number, number, n=number)), "b")
        await writer.clock.advance(5)
        assert set(writer.state()) == set(range(2, 40))
        assert (writer.inbox.letters, writer.inbox.most_receives) == ([], 2)
        (wait,) = writer.health.tables.values()
        assert (wait.table, wait.code) == (TABLE, "4242")
        assert wait.reason.startswith(ODD.reason)
        assert "accepts other writes" in wait.reason
        reopen(writer)
        await writer.clock.advance(holding.LONGEST_PAUSE)
        assert writer.state()[1] is None
        assert (writer.inbox.bodies, writer.inbox.letters) == ([], [])
        assert writer.health.ready


@pytest.fixture
def short_holds(monkeypatch: pytest.MonkeyPatch) -> float:
    """SQS lets a message be held for an hour and not for twelve; returns when the last minutes begin."""
    monkeypatch.setattr(lease, "_LONGEST", 3600.0)
    return 3600 - 2 * VISIBILITY - 900


async def test_an_odd_document_becomes_a_letter_when_sqs_would_move_its_message(short_holds: float) -> None:
    """It alone, while others were taken all the time; those behind it in its lane are done then (P5)."""
    async with writing() as writer:
        writer.inbox.max_receives = 2
        close(writer, lambda write: write.target.document_id == 1, ODD)
        writer.inbox.send(body_of(put(1, 1), put(2, 2, n=2)), "a")
        await writer.clock.advance(5)
        writer.inbox.send(body_of(put(3, 3, n=3)), "a")
        await writer.clock.advance(short_holds - 60)
        writer.inbox.send(body_of(put(4, 4, n=4)), "b")
        await writer.clock.advance(10)
        assert (writer.state(), writer.inbox.letters) == ({2: 2, 4: 4}, [])
        assert writer.health.tables
        await writer.clock.advance(120)
        writer.inbox.send(body_of(put(5, 5, n=5)), "b")
        await writer.clock.advance(60)
        assert [(letter.code, letter.sequence) for letter in writer.inbox.letters] == [("mongodb-4242", "1")]
        assert writer.state() == {2: 2, 3: 3, 4: 4, 5: 5}
        assert (writer.inbox.bodies, writer.inbox.most_receives) == ([], 1)
        assert writer.health.ready


async def test_what_waits_alone_is_not_parked_while_mongodb_takes_nothing_else(short_holds: float) -> None:
    """Others were taken when it began. Since then nobody knows, or the whole table is in trouble (P4)."""
    async with writing(loops=2) as writer:
        writer.inbox.max_receives = 2
        close(writer, lambda write: write.target.document_id == 1, ODD)
        writer.inbox.send(body_of(put(1, 1), put(2, 2, n=2)), "a")
        await writer.clock.advance(5)
        close(writer, answer=ODD)
        writer.inbox.send(body_of(put(3, 3), put(4, 4)), "b")
        await writer.clock.advance(short_holds + 600)
        assert (writer.inbox.letters, writer.inbox.most_receives) == ([], 1)
        reopen(writer)
        await writer.clock.advance(2 * holding.LONGEST_PAUSE)
        assert set(writer.state()) == {1, 2, 3, 4}
        assert (writer.inbox.bodies, writer.inbox.letters) == ([], [])


async def test_a_stop_gives_back_what_waits_alone() -> None:
    """Once, so that there is another delivery, in which the write is held again by whoever gets it."""
    writer = Writer()
    writer.inbox.max_receives = 3
    close(writer, lambda write: write.target.document_id == 1, ODD)
    writer.inbox.send(body_of(put(1, 1), put(2, 2, n=2)), "a")
    writer.start()
    await writer.clock.advance(60)
    assert (writer.inbox.most_receives, len(writer.inbox.in_flight)) == (2, 1)
    assert await writer.ended() is None
    assert (writer.inbox.in_flight, len(writer.inbox.bodies)) == ([], 1)
    other = Writer(writer.inbox, writer.sink)
    other.start()
    await other.clock.advance(300)
    assert (other.inbox.most_receives, other.inbox.letters) == (3, [])
    assert other.health.tables
    reopen(other)
    await other.clock.advance(holding.LONGEST_PAUSE)
    assert other.inbox.bodies == []
    assert await other.ended() is None


async def test_several_odd_documents_do_not_close_their_table() -> None:
    """One shard of several may be in trouble: what the others take is written, at once (P4, P5)."""
    async with writing(loops=2) as writer:
        writer.inbox.max_receives = 2
        refused = close(writer, lambda write: write.target.document_id % 2 == 1, ODD)
        for number in range(20):
            writer.inbox.send(body_of(put(number + 1, number), put(number + 101, number + 101)), f"a{number}")
            await writer.clock.advance(1)
        assert set(writer.state()) == {*range(0, 20, 2), *range(102, 121, 2)}
        await writer.clock.advance(300)
        refused.clear()
        await writer.clock.advance(600)
        assert len(refused) <= 2 * (600 / holding.LONGEST_PAUSE + 1)
        assert (writer.inbox.letters, writer.inbox.most_receives) == ([], 1)
        reopen(writer)
        await writer.clock.advance(holding.LONGEST_PAUSE)
        assert set(writer.state()) == {*range(20), *range(101, 121)}
        assert writer.inbox.bodies == []
        assert writer.health.ready


async def test_the_first_refusal_of_a_document_is_not_held_against_it() -> None:
    """Another one of its table was taken before it was tried at all: that says nothing about it."""
    async with writing() as writer:
        close(writer)
        writer.inbox.send(body_of(put(1, 1), put(2, 2)), "a")
        await writer.clock.advance(5)
        writer.inbox.send(body_of(put(3, 3, n=3)), "b")
        await writer.clock.advance(1)
        close(writer, lambda write: write.target.document_id == 3)
        await writer.clock.advance(2 * holding.LONGEST_PAUSE)
        assert set(writer.state()) == {1, 2}
        assert "release" not in writer.inbox.faults.calls
        assert writer.health.tables


async def test_a_lone_document_does_not_hold_its_lane_for_ever() -> None:
    """Nobody else writes there: after a while it goes back once, and comes again with those behind it."""
    async with writing() as writer:
        writer.inbox.max_receives = 3
        close(writer, lambda write: write.target.document_id == 1, ODD)
        writer.inbox.send(body_of(put(1, 1)), "a")
        await writer.clock.advance(5)
        writer.inbox.send(body_of(put(2, 2, n=2)), "a")
        await writer.clock.advance(3 * holding.ALONE)
        assert writer.state() == {2: 2}
        assert writer.inbox.letters == []


async def test_a_lone_document_is_not_parked_without_proof() -> None:
    """It may be the right of the whole collection: the last deliveries are never used up (P4)."""
    async with writing() as writer:
        writer.inbox.max_receives = 3
        close(writer)
        writer.inbox.send(body_of(put(1, 1, n=1)), "a")
        await writer.clock.advance(60 * holding.ALONE)
        assert writer.inbox.letters == []
        assert writer.inbox.most_receives == 2
        assert writer.health.tables
        reopen(writer)
        await writer.clock.advance(holding.LONGEST_PAUSE)
        assert writer.state() == {1: 1}


async def test_a_stop_gives_back_what_is_held() -> None:
    """At once, with no further try."""
    writer = Writer()
    close(writer)
    for number in range(3):
        writer.inbox.send(body_of(put(number + 1, number)), f"a{number}")
    running = writer.start(2)
    await writer.clock.advance(100)
    applied = writer.sink.faults.calls.count("apply")
    writer.stop.set()
    while not running.done():
        await writer.clock.advance(0.5)
    assert running.exception() is None
    assert writer.inbox.in_flight == []
    assert len(writer.inbox.bodies) == 3
    assert writer.inbox.most_receives == 1
    assert writer.sink.faults.calls.count("apply") == applied


async def test_a_try_that_hangs_is_cancelled_after_the_grace_time() -> None:
    """As the work of a loop is."""
    writer = Writer()
    close(writer)
    writer.inbox.send(body_of(put(1, 1), put(2, 2)))
    running = writer.start(1, grace=0.05)
    await writer.clock.advance(0.5)

    async def hang(name: str) -> None:
        if name == "before apply":
            await asyncio.Event().wait()

    writer.sink.faults.at_point = hang
    await writer.clock.advance(5)
    writer.stop.set()
    await settled()
    await writer.clock.advance(6)
    await asyncio.wait_for(running, HANG_TIMEOUT_S)
    assert len(writer.inbox.bodies) == 1


async def test_a_lost_lock_is_given_up() -> None:
    """Another writer holds the messages now. Nothing waits here any more, so nothing is shown."""
    async with writing() as writer:
        refused = close(writer)
        writer.inbox.send(body_of(put(1, 1), put(2, 2)))
        await writer.clock.advance(5)
        writer.inbox.lock_is_lost()
        await writer.clock.advance(3 * VISIBILITY)
        assert writer.health.ready
        refused.clear()
        await writer.clock.advance(3 * VISIBILITY)
        assert refused == []
        assert writer.inbox.deleted == []


async def test_an_outage_while_messages_are_held() -> None:
    """MongoDB as a whole is waited for, then the table again, then all is written."""
    async with writing() as writer:
        close(writer)
        writer.inbox.send(body_of(put(1, 1, n=1), put(2, 2, n=2)))
        await writer.clock.advance(5)
        writer.sink.faults.down = AWAY
        await writer.clock.advance(5 * VISIBILITY)
        assert writer.health.waits
        writer.sink.faults.down = None
        await writer.clock.advance(30)
        assert writer.health.waits == {}
        assert writer.health.tables
        reopen(writer)
        await writer.clock.advance(holding.LONGEST_PAUSE)
        assert writer.state() == {1: 1, 2: 2}
        assert writer.inbox.most_receives == 1


async def test_only_the_locks_are_held_of_what_memory_has_no_room_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """They are delivered once more, when MongoDB takes the writes again (P7)."""
    monkeypatch.setattr(holding, "MOST_BYTES", 1)
    async with writing() as writer:
        close(writer)
        for number in range(5):
            writer.inbox.send(body_of(put(number + 1, number, n=number)), f"a{number}")
            await writer.clock.advance(2)
        await writer.clock.advance(10 * VISIBILITY)
        assert len(writer.inbox.in_flight) == 5
        assert writer.inbox.most_receives == 1
        reopen(writer)
        await writer.clock.advance(holding.LONGEST_PAUSE)
        assert writer.state() == {number: number for number in range(5)}
        assert writer.inbox.most_receives == 2


async def test_memory_is_counted_and_not_characters(monkeypatch: pytest.MonkeyPatch) -> None:
    """A text takes four bytes for each of its characters as soon as one of them is an emoji (P7)."""
    monkeypatch.setattr(holding, "MOST_BYTES", 3 * 40_000)
    async with writing() as writer:
        close(writer)
        for number, text in enumerate(["a" * 40_000, "\U0001f600" + "a" * 39_999]):
            writer.inbox.send(_plain(put(number + 1, number), text), f"a{number}")
            await writer.clock.advance(2)
        reopen(writer)
        await writer.clock.advance(holding.LONGEST_PAUSE)
        assert set(writer.state()) == {0, 1}
        assert writer.inbox.most_receives == 2


def _plain(change: Change, text: str) -> str:
    """An envelope in which other characters than those of ASCII stand as themselves."""
    content = {**json.loads(body_of(change)), "other": text}
    return json.dumps(content, ensure_ascii=False)


async def test_the_number_that_is_held_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The rest goes back, for longer each time (P7)."""
    monkeypatch.setattr(holding, "MOST_MESSAGES", 3)
    async with writing() as writer:
        close(writer)
        for number in range(8):
            writer.inbox.send(body_of(put(number + 1, number, n=number)), f"a{number}")
        await writer.clock.advance(1)
        assert len(writer.inbox.receivable) == 0
        await writer.clock.advance(1000)
        assert writer.inbox.most_receives == 5  # after 60, 180, 420 and 900 s
        assert writer.inbox.letters == []
        reopen(writer)
        await writer.clock.advance(1000)
        assert writer.state() == {number: number for number in range(8)}
