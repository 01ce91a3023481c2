"""A validator that refuses every document is a trouble of the table, also for a document that comes alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.builders import TABLE, body_of, put
from tests.support.writer_on_fakes import Writer, writing
from writer import holding
from writer.ports import Failure, FailureKind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from writer.ports import Outcome
    from writer.write import Write

OURS = Failure(FailureKind.TRANSIENT, "121", "MongoDB answered 121 to every write of the batch to db.mytable")
SERVERS = Failure(FailureKind.PERMANENT, "121", "Document failed validation: SECRET")


def refuse_all(writer: Writer) -> None:
    """As `writer.mongodb.verdicts` does: what is alone in its batch is refused as a document."""
    apply = writer.sink.apply

    async def judged(writes: Sequence[Write]) -> Outcome:
        failure = OURS if len({write.identity for write in writes}) > 1 else SERVERS
        writer.sink.store.refuses = lambda write: failure if write.target.collection == TABLE else None
        return await apply(writes)

    writer.sink.apply = judged  # type: ignore[method-assign]


async def test_a_document_that_comes_alone_waits_with_its_table() -> None:
    """It gets the very answer that all get. MongoDB's words about one document are not shown (P5)."""
    async with writing() as writer:
        apply = writer.sink.apply
        refuse_all(writer)
        writer.inbox.send(body_of(put(1, 1, n=1), put(2, 2, n=2)), "a")
        await writer.clock.advance(5)
        for number in range(3, 10):
            writer.inbox.send(body_of(put(number, number, n=number)), f"p{number}")
            await writer.clock.advance(20)
        await writer.clock.advance(600)
        assert writer.inbox.letters == []
        assert [wait.reason for wait in writer.health.tables.values()] == [OURS.reason]
        writer.sink.apply = apply  # type: ignore[method-assign]
        writer.sink.store.refuses = lambda _: None
        await writer.clock.advance(holding.LONGEST_PAUSE)
        assert writer.state() == {number: number for number in range(1, 10)}
