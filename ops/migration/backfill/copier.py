"""Copies: read a page → documents → write → record how far it came → next page. A loop for each part at work.

How far a part has come is recorded only after the writes of its page are on a majority (`Store.apply` has
returned), so a kill -9 at any moment means at most that a page is copied twice.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ops.migration.backfill.checkpoints import Counts, Part
from ops.migration.images import copied, key_of_item, write_of
from shared.errors import FatalError, PoisonError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from ops.migration.backfill.checkpoints import Checkpoint, Checkpoints
    from ops.migration.backfill.parts import Parts
    from ops.migration.images import Item, Key
    from ops.migration.settings import Session
    from writer.mapping.rules import Table
    from writer.write import Write

_BULK = 1_000
"""Documents per bulk write: as many keys as one query for tombstones takes."""


@dataclass(frozen=True, slots=True)
class Reject:
    """An item that cannot be copied."""

    key: Key
    code: str
    reason: str


@dataclass(frozen=True, slots=True)
class Batch:
    """What becomes of a page.

    Attributes:
        writes: of different documents.
        keys: those of the items of `writes`.
        skipped: items that the hook does not want.
    """

    writes: Sequence[Write]
    keys: Sequence[Key]
    rejects: Sequence[Reject]
    skipped: int


def batch_of(table: Table, key: Mapping[str, str], items: Sequence[Item], at: int) -> Batch:
    """Makes documents of items. An item that cannot become one is data, not an error. Pure but for hooks.

    Args:
        table: its rules.
        key: the table's key attributes and their types.
        items: as they were read.
        at: the time of reading, milliseconds since the epoch.
    """
    writes: list[Write] = []
    keys: list[Key] = []
    rejects: list[Reject] = []
    skipped = 0
    for item in items:
        try:
            write = write_of(table, copied(table.name, key, item, at))
        except PoisonError as error:
            rejects.append(Reject(key_of_item(key, item), error.code, error.reason))
            continue
        if write is None:
            skipped += 1
        else:
            writes.append(write)
            keys.append(key_of_item(key, item))
    return Batch(writes, keys, rejects, skipped)


@dataclass(frozen=True, slots=True)
class Copier:
    """Copies all parts of one table.

    Attributes:
        parts: what is copied.
        session: with the table and its target.
        checkpoints: records progress.
        keep: keeps what cannot be copied of a page, before its progress is recorded; None: nobody wants it.
        on_page: gets the counts of each page that is done.
    """

    parts: Parts
    session: Session
    checkpoints: Checkpoints
    keep: Callable[[Sequence[Reject]], Awaitable[None]] | None
    on_page: Callable[[Counts], None]

    async def run(self, checkpoint: Checkpoint) -> None:
        """Copies what is not done yet, and records that it is.

        Raises:
            FatalError: the parts are not those of the checkpoint.
            ExceptionGroup: a loop met an error that only a person can fix.
        """
        begun = [part.name for part in checkpoint.parts]
        if self.parts.taken is not None and begun != list(self.parts.names):
            raise FatalError(
                f"{self.parts.origin} has different files than when this backfill began: download all of it "
                "again, or give --restart"
            )
        waiting = iter([number for number, part in enumerate(checkpoint.parts) if not part.done])

        async def loop() -> None:
            for number in waiting:
                await self._copy(checkpoint, number)

        async with asyncio.TaskGroup() as group:
            for _ in range(self.parts.at_once or len(checkpoint.parts)):
                group.create_task(loop())
        await self.checkpoints.finish(checkpoint)

    async def _copy(self, checkpoint: Checkpoint, number: int) -> None:
        part = checkpoint.parts[number]
        name, counts = part.name, part.counts
        of = len(checkpoint.parts)
        async with aclosing(self.parts.pages(number, of, part.after)) as pages:  # type: ignore[type-var]
            async for page in pages:
                found, rejects = await write_items(self.session, page.items)
                if rejects and self.keep is not None:
                    await self.keep(rejects)
                counts += found
                self.on_page(found)
                if page.after is not None:
                    await self.checkpoints.advance(checkpoint, number, Part(name, page.after, counts=counts))
        await self.checkpoints.advance(checkpoint, number, Part(name, done=True, counts=counts))


async def write_items(session: Session, items: Sequence[Item]) -> tuple[Counts, list[Reject]]:
    """Writes items where there is nothing, and returns those that cannot be."""
    batch = batch_of(session.table, session.source.key, items, round(time.time() * 1000))
    rejects = list(batch.rejects)
    counts = Counts(read=len(items), skipped=batch.skipped)
    for start in range(0, len(batch.writes), _BULK):
        bulk = batch.writes[start : start + _BULK]
        outcome = await session.retry.until_done(lambda bulk=bulk: session.store.apply(bulk))  # type: ignore[misc]
        rejects += [
            Reject(batch.keys[start + index], f"mongodb-{failure.code}", failure.reason)
            for index, failure in outcome.failures.items()
        ]
        written = outcome.inserted + outcome.modified
        counts += Counts(copied=written, there=max(0, len(bulk) - written - len(outcome.failures)))
    return counts + Counts(rejected=len(rejects)), rejects
