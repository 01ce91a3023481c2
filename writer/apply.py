"""How a batch of writes reaches the database so that deleted documents stay deleted. Knows no driver.

A guard in the document cannot refuse a put after a delete: there is no document. So deletes leave tombstones,
and every put respects them. Each step closes one way in which a deleted document came back:

1. deletes write their tombstone first, and the tombstones of the puts are read before anything is written. A
   put older than its tombstone is not written; the guarded delete is issued again instead, because an
   earlier try may have inserted the document and died;
2. a batch whose lock on its messages may have lapsed is not written at all (`writer.service` sees to it);
3. documents that this write inserted are looked up among the tombstones once more, and removed if one is
   newer: another writer may have finished the delete in between;
4. a sweep (`writer.sweep`) removes what a writer inserted that died before step 3.

Every call may fail half-way, and everything may be repeated any number of times.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from writer.ports import Outcome

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from writer.ports import Failure
    from writer.write import Write

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Command:
    """One guarded operation on one document.

    Attributes:
        write: the write behind it.
        delete_version: None: put `write.document`. Else: delete the document unless its version is higher.
    """

    write: Write
    delete_version: str | None


@dataclass(frozen=True, slots=True)
class Written:
    """What became of commands, by their index.

    Attributes:
        failures: commands that the database refused.
        inserted: puts that inserted a document.
        suspects: puts of which it is not known whether they inserted.
        modified: documents replaced.
        matched: documents that puts found, replaced or not.
        deleted: documents removed.
    """

    failures: Mapping[int, Failure] = field(default_factory=dict)
    inserted: frozenset[int] = frozenset()
    suspects: frozenset[int] = frozenset()
    modified: int = 0
    matched: int = 0
    deleted: int = 0


class Store(Protocol):
    """The single operations on the database; each is durable (`w=majority`) when it returns."""

    async def write_tombstones(self, deletes: Sequence[Write]) -> None:
        """Writes the tombstones of deletes; of two for one document that of the higher version stays."""
        ...

    async def newer_tombstones(self, puts: Sequence[Write]) -> Mapping[int, str]:
        """Returns the versions of those tombstones that are newer than their put, by the put's index."""
        ...

    async def write(self, commands: Sequence[Command]) -> Written:
        """Performs commands on different documents, in any order, each atomically."""
        ...


async def apply(store: Store, writes: Sequence[Write]) -> Outcome:
    """Applies writes of different documents.

    Args:
        store: the database.
        writes: no document occurs twice.
    """
    puts = [index for index, write in enumerate(writes) if write.document is not None]
    deletes = [write for write in writes if write.document is None]
    if deletes:
        await store.write_tombstones(deletes)
    found = await store.newer_tombstones([writes[index] for index in puts]) if puts else {}
    buried = {puts[position]: version for position, version in found.items()}
    commands = [
        Command(write, write.version if write.document is None else buried.get(index))
        for index, write in enumerate(writes)
    ]
    written = await store.write(commands)
    await _remove_buried(store, [writes[index] for index in sorted(written.inserted | written.suspects)])
    return Outcome(
        failures=written.failures,
        inserted=len(written.inserted),
        modified=written.modified,
        deleted=written.deleted,
        stale=written.matched - written.modified + len(buried),
    )


async def _remove_buried(store: Store, inserted: Sequence[Write]) -> None:
    """Step 3."""
    found = await store.newer_tombstones(inserted) if inserted else {}
    if found:
        await store.write([Command(inserted[index], version) for index, version in found.items()])
        log.info("removed what was deleted meanwhile", extra={"documents": len(found)})
