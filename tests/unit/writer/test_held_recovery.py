"""What was held is written soon after MongoDB takes it again, and a lane is not closed for half a day."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.builders import TABLE, body_of, delete, put
from tests.support.writer_on_fakes import Writer, writing
from writer import holding
from writer.ports import Failure, FailureKind

if TYPE_CHECKING:
    from collections.abc import Callable

    from writer.write import Write

ODD = Failure(FailureKind.TRANSIENT, "4242", "MongoDB answered 4242 to a write to db.mytable")
HOUR = 3600


def refuse(writer: Writer, which: Callable[[Write], bool]) -> None:
    writer.sink.store.refuses = lambda write: (
        ODD if write.target.collection == TABLE and which(write) else None
    )


async def test_puts_do_not_wait_for_deletions_to_have_their_turn() -> None:
    """Both kinds were refused. The first try that is taken is followed by the others without pauses."""
    async with writing(loops=2) as writer:
        refuse(writer, lambda _: True)
        for number in range(60):
            writer.inbox.send(body_of(put(number + 1, number)), f"p{number}")
        await writer.clock.advance(2)
        writer.inbox.send(body_of(delete(100, 1000), delete(101, 1001)), "d")
        await writer.clock.advance(10 * holding.LONGEST_PAUSE)
        assert writer.state() == {}
        refuse(writer, lambda write: write.document is None)
        await writer.clock.advance(2 * holding.LONGEST_PAUSE)
        assert len(writer.state()) == 60
        assert writer.health.tables


async def test_a_lone_documents_spare_deliveries_last_for_hours() -> None:
    """Its lane is seen again and again: what mends the item comes behind it (P5)."""
    async with writing() as writer:
        writer.inbox.max_receives = 10
        refuse(writer, lambda write: write.change.sequence == "1")
        writer.inbox.send(body_of(put(1, 1)), "a")
        await writer.clock.advance(2 * HOUR)
        writer.inbox.send(body_of(put(2, 1, n=2)), "a")
        await writer.clock.advance(HOUR + 2 * holding.LONGEST_PAUSE)
        assert writer.state() == {1: 2}
        assert (writer.inbox.letters, writer.inbox.bodies) == ([], [])
