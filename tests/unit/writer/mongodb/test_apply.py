"""What is refused in the middle of applying a batch is never taken for done."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.builders import delete, put, write
from tests.support.fake_sink import FakeStore
from writer.mongodb.apply import Tombstone, TombstonesRefusedError, Written, apply
from writer.ports import Failure, FailureKind
from writer.write import Removal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from writer.mongodb.apply import Command
    from writer.write import Write

WAITS = Failure(FailureKind.TRANSIENT, "13", "a right")


class RefusesRemovals(FakeStore):
    """It takes puts."""

    async def write(self, commands: Sequence[Command]) -> Written:
        allowed = {index: command for index, command in enumerate(commands) if command.removal is None}
        written = await super().write(list(allowed.values()))
        places = list(allowed)
        return Written(
            {index: WAITS for index in range(len(commands)) if index not in allowed},
            inserted={places[index] for index in written.inserted},
        )


class RefusesTombstonesAfterwards(FakeStore):
    """It can read them before the write."""

    wrote = False

    async def write(self, commands: Sequence[Command]) -> Written:
        self.wrote = True
        return await super().write(commands)

    async def newer_tombstones(self, puts: Sequence[Write]) -> Mapping[int, Tombstone]:
        if self.wrote:
            raise TombstonesRefusedError(WAITS)
        return await super().newer_tombstones(puts)


async def test_a_document_that_cannot_leave_its_old_place() -> None:
    """The put is done, and the change waits: else two documents of one item would stay."""
    moved = write(put(2, 1))._replace(removals=(Removal({"region": "eu"}, put(2).version, same=False),))
    outcome = await apply(RefusesRemovals(), [write(put(1, 7)), moved])
    assert outcome.failures == {1: WAITS}
    assert outcome.inserted == 2


async def test_a_buried_document_that_cannot_be_removed() -> None:
    """Another writer deleted the item during the write; the change waits until its document is gone."""
    store = RefusesRemovals()

    async def delete_meanwhile(point: str) -> None:
        if point == "answer":
            store.at_point = None
            await store.write_tombstones([(write(delete(5, 1)), Tombstone(delete(5).version))])

    store.at_point = delete_meanwhile
    outcome = await apply(store, [write(put(1, 7)), write(put(4, 1))])
    assert outcome.failures == {1: WAITS}


async def test_writes_that_were_not_checked_afterwards_are_not_done() -> None:
    """The tombstones of their database became unreadable. They are repeated; another database goes on."""
    store = RefusesTombstonesAfterwards()
    beside = write(delete(1, 1), database="beside")
    outcome = await apply(store, [beside, write(put(1, 1)), write(put(1, 2))])
    assert outcome.failures == {1: WAITS, 2: WAITS}


async def test_databases_are_added_up() -> None:
    """The outcome of a batch has all of them."""
    store = FakeStore()
    writes = [write(put(2, 1)), write(put(2, 1), database="beside")]
    assert (await apply(store, writes)).inserted == 2
    again = await apply(store, [*writes, write(delete(3, 1), database="beside")])
    assert (again.stale, again.deleted) == (2, 1)
    assert again.stale_at == {("", "items"): 1, ("beside", "items"): 1}
