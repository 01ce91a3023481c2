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

Every call may fail half-way, and everything can be repeated any number of times.
"""

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

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
        misplaced: those of them that it refused because the document stands under another shard key.
        inserted: puts that inserted a document.
        suspects: puts that may have inserted one: they were in a bulk write that failed as a whole, perhaps
            after a part of it was done. Their repetition finds the document unchanged.
        modified: number of documents replaced or marked.
        unchanged: number of documents that puts and marks found and left as they were, by place.
        deleted: number of documents removed.
    """

    failures: dict[int, Failure] = field(default_factory=dict)
    misplaced: set[int] = field(default_factory=set)
    inserted: set[int] = field(default_factory=set)
    suspects: set[int] = field(default_factory=set)
    modified: int = 0
    unchanged: Counter[Place] = field(default_factory=Counter)
    deleted: int = 0


class Store(Protocol):
    """The single operations on the database; each is durable (`w=majority`) when it returns."""

    async def write_tombstones(self, tombstones: Sequence[tuple[Write, Tombstone]]) -> None:
        """Writes tombstones; if there is one already, the higher versions stay."""

    async def newer_tombstones(self, puts: Sequence[Write]) -> Mapping[int, Tombstone]:
        """Returns the tombstones that are newer than their put, by the put's index."""

    async def write(self, commands: Sequence[Command]) -> Written:
        """Performs commands on different documents (or places), in any order, each atomically."""


async def apply(store: Store, writes: Sequence[Write]) -> Outcome:
    """Applies writes of different documents."""
    deletions = [write for write in writes if write.document is None or write.mark is not None]
    if deletions:
        await store.write_tombstones([(write, _deletion(write)) for write in deletions])
    puts = [index for index, write in enumerate(writes) if write.document is not None]
    found = await store.newer_tombstones([writes[index] for index in puts]) if puts else {}
    newer = {puts[position]: tombstone for position, tombstone in found.items()}
    commands, owners = [], []
    for index, write in enumerate(writes):
        for command in _commands(write, newer.get(index)):
            commands.append(command)
            owners.append(index)
    written = await store.write(commands)
    if written.misplaced:
        await _put_in_place(store, commands, written)
    new = [commands[index].write for index in sorted(written.inserted | written.suspects)]
    await _remove_buried(store, new)
    failures = {owners[index]: failure for index, failure in written.failures.items()}
    left = await _leave_old_places(store, [writes[index] for index in puts if index not in failures])
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
    deleted = (await store.write(gone)).deleted
    second = await store.write(again)
    for index in places:
        del written.failures[index]
    written.failures |= {places[index]: failure for index, failure in second.failures.items()}
    written.inserted |= {places[index] for index in second.inserted}
    written.suspects |= {places[index] for index in second.suspects}
    written.modified += second.modified
    written.unchanged += second.unchanged
    written.deleted += deleted + second.deleted


async def _leave_old_places(store: Store, puts: Sequence[Write]) -> int:
    """Removes documents from the places they moved from; returns how many.

    This comes after the put, so that a refused put leaves the document where it is. Before the removal comes
    a tombstone, so that no older put brings the document back there.
    """
    moved = [write for write in puts if write.removals]
    if not moved:
        return 0
    tombstones = [(write, Tombstone(max(removal.version for removal in write.removals))) for write in moved]
    await store.write_tombstones(tombstones)
    commands = [Command(write, removal=removal) for write in moved for removal in write.removals]
    return (await store.write(commands)).deleted


async def _remove_buried(store: Store, inserted: Sequence[Write]) -> None:
    """Step 3."""
    found = await store.newer_tombstones(inserted) if inserted else {}
    commands = [_after_deletion(inserted[index], tombstone, puts=False) for index, tombstone in found.items()]
    if commands:
        await store.write(commands)
        log.info("removed what was deleted meanwhile", extra={"documents": len(commands)})
