"""A trouble that nobody would see the end of is not kept: what comes next is tried."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.errors import TransientError
from tests.support.builders import TABLE, body_of, put
from tests.support.writer_on_fakes import VISIBILITY, writing
from writer import holding
from writer.ports import Failure, FailureKind

if TYPE_CHECKING:
    import pytest

    from writer.write import Write

NO_RIGHT = Failure(FailureKind.TRANSIENT, "13", "no right", of_place=True)


async def test_a_trouble_whose_messages_were_lost_is_not_shown_for_ever() -> None:
    """The lock lapses between refusal and holding, and another writer does the work."""
    async with writing() as writer:
        writer.sink.store.refuses = lambda write: NO_RIGHT if write.target.collection == TABLE else None
        writer.inbox.send(body_of(put(1, 1)), "a")
        writer.inbox.send(body_of(put(1, 7, table="other")), "b")

        async def lose(name: str) -> None:
            if name == "before delete":
                writer.inbox.faults.at_point = None
                writer.inbox.lock_is_lost()
                writer.inbox.faults.down = TransientError("503")

        writer.inbox.faults.at_point = lose
        await writer.clock.advance(2 * VISIBILITY)
        assert writer.state("other") == {7: None}
        writer.inbox.faults.down = None
        await writer.clock.advance(2 * VISIBILITY)
        assert writer.health.ready


async def test_a_table_for_which_there_is_no_room_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another one fills all of it. As soon as MongoDB takes its writes again, they are done."""
    monkeypatch.setattr(holding, "MOST_MESSAGES", 3)
    closed = {"full", TABLE}

    def refuses(write: Write) -> Failure | None:
        return NO_RIGHT if write.target.collection in closed else None

    async with writing(loops=2) as writer:
        writer.sink.store.refuses = refuses
        for number in range(1, 5):
            writer.inbox.send(body_of(put(1, number, table="full")), f"a{number}")
        await writer.clock.advance(5)
        writer.inbox.send(body_of(put(1, 1), put(2, 2)), "b")
        await writer.clock.advance(5)
        closed.remove(TABLE)
        for number in range(10, 20):
            writer.inbox.send(body_of(put(number, number)), f"c{number}")
        await writer.clock.advance(1000)
        assert writer.state().keys() == {1, 2, *range(10, 20)}
        assert set(writer.health.tables) == {("", "full")}
