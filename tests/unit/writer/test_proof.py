"""What counts as a proof that a refusal is about one record, and not about its table."""

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


def refuse(writer: Writer, which: Callable[[Write], bool] = lambda _: True, answer: Failure = ODD) -> None:
    """MongoDB takes no such writes of the table from now on."""
    writer.sink.store.refuses = lambda write: (
        answer if write.target.collection == TABLE and which(write) else None
    )


async def test_what_was_taken_before_the_refusal_proves_nothing() -> None:
    """Puts were taken while deletions were refused. Then puts are refused, too, and none is parked (P4)."""
    async with writing(loops=2) as writer:
        writer.inbox.max_receives = 5
        refuse(writer, lambda write: write.document is None)
        writer.inbox.send(body_of(delete(1, 101), delete(2, 102)), "d")
        await writer.clock.advance(5)
        for number in range(3, 8):
            writer.inbox.send(body_of(put(number, number)), f"p{number}")
        await writer.clock.advance(5)
        assert len(writer.state()) == 5
        refuse(writer)
        for number in range(20, 26):
            writer.inbox.send(body_of(put(number, number), put(number + 100, number + 100)), f"p{number}")
        await writer.clock.advance(HOUR)
        assert writer.inbox.letters == []
        assert writer.inbox.most_receives == 1


async def test_a_missing_right_is_never_the_fault_of_a_record() -> None:
    """The user may insert and not update: changes of present items wait, new items are written (P4)."""
    async with writing() as writer:
        writer.inbox.max_receives = 4
        present = range(1, 6)
        writer.inbox.send(body_of(*(put(key, key, n=key) for key in present)), "a")
        await writer.clock.advance(2)
        no_right = Failure(FailureKind.TRANSIENT, "13", "a right on db.mytable", of_place=True)
        refuse(writer, lambda write: write.target.document_id in present, no_right)
        writer.inbox.send(body_of(*(put(key + 100, key, n=key + 100) for key in present)), "a")
        for key in range(200, 300):
            writer.inbox.send(body_of(put(key, key, n=key)), f"b{key}")
            await writer.clock.advance(5)
        assert writer.inbox.letters == []
        assert writer.inbox.most_receives == 1
        assert writer.state().keys() >= set(range(200, 290))
        refuse(writer, lambda _: False)
        await writer.clock.advance(2 * holding.LONGEST_PAUSE)
        assert all(writer.state()[key] == key + 100 for key in present)
        assert writer.inbox.bodies == []


async def test_what_was_taken_in_an_earlier_trouble_proves_nothing_in_the_next() -> None:
    """One put is taken, and all are refused again before those that were held had their turn (P4)."""
    async with writing(loops=2) as writer:
        writer.inbox.max_receives = 1
        refuse(writer)
        for number in range(1, 9):
            writer.inbox.send(body_of(put(number, number)), f"a{number}")
            await writer.clock.advance(1)
        await writer.clock.advance(10 * holding.LONGEST_PAUSE)
        taken: set[object] = set()

        def all_but_one(write: Write) -> bool:
            taken.add(write.target.document_id)
            return len(taken) > 1

        async def slowly(name: str) -> None:
            if name == "before apply":
                await writer.clock.sleep(1)

        refuse(writer, all_but_one)
        writer.sink.faults.at_point = slowly
        while not writer.state():
            await writer.clock.advance(0.5)
        writer.inbox.send(body_of(put(30, 30), put(31, 31)), "b")
        await writer.clock.advance(HOUR)
        assert len(writer.inbox.letters) <= 3  # those that were tried before that
        assert len(writer.inbox.in_flight) >= 5
