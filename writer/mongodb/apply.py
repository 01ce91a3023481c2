"""How a batch of writes is applied so that deleted documents stay deleted. Knows no driver.

A guard in the document cannot refuse a put after a delete: there is no document. So deletes leave tombstones,
and every put respects them. Each step closes one way in which a deleted document came back:

1. deletes write their tombstone first, and the tombstones of the puts are read before anything is written. A
   put older than its tombstone is not written; the guarded delete is issued again instead, because an
   earlier try may have inserted the document and died;
2. a batch whose lock on its messages may have lapsed is not written at all (`writer.processor`);
3. the tombstones of the documents that this write inserted are read once more, and a document with a newer
   one is removed: another writer may have finished the delete in between;
4. a sweep (`writer.side_tasks`) removes documents whose writer died before step 3.

Deletes that mark the document take the same steps: they mark where others remove. (They need no sweep: a put
whose document is not marked yet will be delivered again.) A document that moves to another shard is removed
from its old place afterwards, with a tombstone, so that no older put brings it back there.

The databases of a batch are independent: each has tombstones of its own, and what one of them refuses holds
up no other. Every call may fail half-way, and everything can be repeated any number of times.
"""

import logging
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from writer.ports import Failure, Outcome
from writer.write import Mark, Place, Removal, Write

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Tombstone:
    """What was deleted.

    Attributes:
        removed: version of the newest removal; empty: none.
        mark: the newest deletion that leaves the document.
    """

    removed: str = ""
    mark: Mark | None = None


class Command(NamedTuple):
    """One guarded operation on one document.

    Attributes:
        write: names the document, and has the document to put.
        removal: remove the document; nothing is put.
        mark: mark the document, after the put if there is one.
        puts: whether `write.document` is put.
    """

    write: Write
    removal: Removal | None = None
    mark: Mark | None = None
    puts: bool = False


@dataclass(slots=True)
class Written:
    """What became of commands, by their index; added up by a store.

    Attributes:
        failures: commands that the database refused.
        conflicts: what the database says about those of them that a unique index refused.
        misplaced: those of them that it refused because the document stands under another shard key.
        inserted: puts that inserted a document.
        suspects: puts that may have inserted one: they were in a bulk write that failed as a whole, perhaps
            after a part of it was done. Their repetition finds the document unchanged. And puts that took a
            document away and inserted it anew: a deletion at the same time may have found neither.
        modified: number of documents replaced or marked.
        unchanged: number of documents that puts and marks found and left as they were, by place.
        deleted: number of documents removed.
    """

    failures: dict[int, Failure] = field(default_factory=dict)
    conflicts: dict[int, Mapping[str, Any]] = field(default_factory=dict)
    misplaced: set[int] = field(default_factory=set)
    inserted: set[int] = field(default_factory=set)
    suspects: set[int] = field(default_factory=set)
    modified: int = 0
    unchanged: Counter[Place] = field(default_factory=Counter)
    deleted: int = 0


class TombstonesRefusedError(Exception):
    """A database does not let us read or write its tombstones. Its writes wait; other databases go on."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.reason)
        self.failure = failure


class Store(Protocol):
    """The single operations on the database; each is durable (`w=majority`) when it returns."""

    async def write_tombstones(self, tombstones: Sequence[tuple[Write, Tombstone]]) -> Mapping[int, Failure]:
        """Writes tombstones of one database; if there is one already, the higher versions stay.

        Returns:
            Those that were refused, by their index.

        Raises:
            TombstonesRefusedError: all were.
        """

    async def newer_tombstones(self, puts: Sequence[Write]) -> Mapping[int, Tombstone]:
        """Returns the tombstones that are newer than their put, by the put's index.

        Raises:
            TombstonesRefusedError: they cannot be read.
        """

    async def write(self, commands: Sequence[Command]) -> Written:
        """Performs commands on different documents (or places), in any order, each atomically."""

    async def exchange(self, commands: Sequence[Command], written: Written) -> None:
        """Does together what it can of the puts that a unique index refused; notes it in `written`."""

    def helped(self, databases: AbstractSet[str]) -> Sequence[Write]:
        """Returns puts of earlier batches that `exchange` may have done, too, until they are `looked_at`.

        Each may have inserted its document.
        """

    def looked_at(self, helped: Sequence[Write]) -> None:
        """What is deleted of these is gone."""


async def apply(store: Store, writes: Sequence[Write]) -> Outcome:
    """Applies writes of different documents."""
    by_database: defaultdict[str, list[int]] = defaultdict(list)
    for index, write in enumerate(writes):
        by_database[write.target.database].append(index)
    if len(by_database) <= 1:
        return await _apply(store, writes)
    outcomes = [
        (indices, await _apply(store, [writes[index] for index in indices]))
        for indices in by_database.values()
    ]
    stale_at: Counter[Place] = Counter()
    for _, outcome in outcomes:
        stale_at.update(outcome.stale_at)
    return Outcome(
        failures={
            indices[position]: failure
            for indices, outcome in outcomes
            for position, failure in outcome.failures.items()
        },
        inserted=sum(outcome.inserted for _, outcome in outcomes),
        modified=sum(outcome.modified for _, outcome in outcomes),
        deleted=sum(outcome.deleted for _, outcome in outcomes),
        stale=stale_at.total(),
        stale_at=stale_at,
    )


async def _apply(store: Store, writes: Sequence[Write]) -> Outcome:
    """Applies writes to one database."""
    try:
        return await _apply_in_order(store, writes)
    except TombstonesRefusedError as refused:
        # Some may be written. They are not checked against the tombstones, so they count as not written.
        return Outcome(dict.fromkeys(range(len(writes)), refused.failure))


async def _apply_in_order(store: Store, writes: Sequence[Write]) -> Outcome:
    failures: dict[int, Failure] = {}
    deletions = [
        index for index, write in enumerate(writes) if write.document is None or write.mark is not None
    ]
    if deletions:
        refused = await store.write_tombstones(
            [(writes[index], _deletion(writes[index])) for index in deletions]
        )
        failures = {deletions[position]: failure for position, failure in refused.items()}
    puts = [
        index for index, write in enumerate(writes) if write.document is not None and index not in failures
    ]
    found = await store.newer_tombstones([writes[index] for index in puts]) if puts else {}
    newer = {puts[position]: tombstone for position, tombstone in found.items()}
    commands, owners = [], []
    for index, write in enumerate(writes):
        if index not in failures:
            for command in _commands(write, newer.get(index)):
                commands.append(command)
                owners.append(index)
    written = await store.write(commands)
    if written.misplaced:
        await _put_in_place(store, commands, written)
    if written.conflicts:
        await store.exchange(commands, written)
    inserted = sorted(written.inserted | written.suspects)
    # Also those of a call that failed before it came to this.
    helped = store.helped({write.target.database for write in writes})
    unburied = await _remove_buried(store, [*(commands[index].write for index in inserted), *helped])
    store.looked_at([put for n, put in enumerate(helped, len(inserted)) if n not in unburied])
    failures |= {owners[inserted[n]]: failure for n, failure in unburied.items() if n < len(inserted)}
    failures |= {owners[index]: failure for index, failure in written.failures.items()}
    moved = [index for index in puts if index not in failures and writes[index].removals]
    left, unmoved = await _leave_old_places(store, [writes[index] for index in moved])
    failures |= {moved[position]: failure for position, failure in unmoved.items()}
    stale = written.unchanged
    if newer:
        stale.update(
            command.write.target[:2]
            for command in commands
            if command.removal is not None and command.write.document is not None
        )
    return Outcome(
        failures=failures,
        inserted=len(written.inserted),
        modified=written.modified,
        deleted=written.deleted + left,
        stale=stale.total(),
        stale_at=stale,
    )


def _deletion(write: Write) -> Tombstone:
    """The tombstone to write first. That of a document that moves is written after the put."""
    removals = write.removals if write.document is None else ()
    return Tombstone(max((removal.version for removal in removals), default=""), write.mark)


def _commands(write: Write, newer: Tombstone | None) -> Sequence[Command]:
    """What is done together with the other writes."""
    if write.document is None:
        removals = [Command(write, removal=removal) for removal in write.removals]
        return removals if write.mark is None else [*removals, Command(write, mark=write.mark)]
    if newer is None:
        return (Command(write, puts=True),)
    return (_after_deletion(write, newer, puts=True),)


def _after_deletion(write: Write, newer: Tombstone, *, puts: bool) -> Command:
    """What is done to the document of a put that is older than a tombstone."""
    if newer.removed > write.version:
        return Command(write, removal=Removal(write.shard, newer.removed, same=False))
    return Command(write, mark=newer.mark, puts=puts)


async def _put_in_place(store: Store, commands: Sequence[Command], written: Written) -> None:
    """Repeats the puts that were refused because the document stands under another shard key.

    The document is removed there first, whatever the old values were: a change that is parked, or that came
    out of order, may have moved it.
    """
    places = sorted(written.misplaced)
    again = [commands[index] for index in places]
    gone = [
        Command(command.write, removal=Removal({}, command.write.version, same=False)) for command in again
    ]
    first = await store.write(gone)
    second = await store.write(again)
    for index in places:
        del written.failures[index]
    # If the document could not be removed, that is why the put was refused again.
    for index, failure in second.failures.items():
        written.failures[places[index]] = first.failures.get(index, failure)
    written.inserted |= {places[index] for index in second.inserted}
    written.suspects |= {places[index] for index in second.suspects}
    written.modified += second.modified
    written.unchanged += second.unchanged
    written.deleted += first.deleted + second.deleted


async def _leave_old_places(store: Store, moved: Sequence[Write]) -> tuple[int, dict[int, Failure]]:
    """Removes documents from the places they moved from.

    This comes after the put, so that a refused put leaves the document where it is. Before the removal comes
    a tombstone, so that no older put brings the document back there.

    Returns:
        How many were removed; which writes failed, by their index.
    """
    if not moved:
        return 0, {}
    tombstones = [(write, Tombstone(max(removal.version for removal in write.removals))) for write in moved]
    failures = dict(await store.write_tombstones(tombstones))
    commands, owners = [], []
    for index, write in enumerate(moved):
        if index not in failures:
            for removal in write.removals:
                commands.append(Command(write, removal=removal))
                owners.append(index)
    written = await store.write(commands)
    return written.deleted, failures | {owners[index]: f for index, f in written.failures.items()}


async def _remove_buried(store: Store, inserted: Sequence[Write]) -> dict[int, Failure]:
    """Step 3. Returns the removals that failed, by the index of the write."""
    found = await store.newer_tombstones(inserted) if inserted else {}
    if not found:
        return {}
    owners = list(found)
    commands = [_after_deletion(inserted[index], tombstone, puts=False) for index, tombstone in found.items()]
    written = await store.write(commands)
    log.info("removed documents that were deleted in the meantime", extra={"documents": len(commands)})
    return {owners[position]: failure for position, failure in written.failures.items()}
