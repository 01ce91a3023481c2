"""How a copy begins or goes on, and what is right at its end. For every command that copies a table."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from ops.migration.backfill.checkpoints import Checkpoint, Part, mismatch
from shared.errors import FatalError

if TYPE_CHECKING:
    from collections.abc import Callable

    from ops.migration.backfill.checkpoints import Checkpoints
    from ops.migration.backfill.parts import Parts
    from ops.migration.settings import Session, Settings

_HOUR = 3600.0


async def first_or_next(
    checkpoints: Checkpoints, settings: Settings, parts: Parts, say: Callable[[str], None], *, restart: bool
) -> Checkpoint:
    """The checkpoint to go on from, or a new one.

    Args:
        checkpoints: loads and saves it.
        settings: of the table.
        parts: what is copied.
        say: prints a line.
        restart: forget how far an earlier copy came.

    Raises:
        FatalError: there is one of another source or another mapping.
    """
    table = settings.table.name
    before = None if restart else await checkpoints.load(table)
    if before is None:
        first = [Part(name) for name in parts.names]
        now = datetime.now(UTC)
        checkpoint = Checkpoint(table, "", parts.origin, settings.digest, now, first)
        await checkpoints.begin(checkpoint)
        return checkpoint
    if why := mismatch(before, parts.origin, settings.digest):
        raise FatalError(why)
    if before.finished is not None:
        return before
    left = sum(not part.done for part in before.parts)
    say(
        f"Resuming the backfill of {before.started:%Y-%m-%d %H:%M} UTC: {before.counts.read:,} items "
        f"are done, {left} of {len(before.parts)} {parts.unit} are left."
    )
    await checkpoints.begin(before)
    return before


async def sweep_since(session: Session, checkpoint: Checkpoint) -> None:
    """Removes documents of deleted items that a killed run has brought back.

    A run that dies between its insert and its second look at the tombstones leaves a document of an item that
    the next run does not find any more. The writers sweep, too, but look at the last hours only.
    """
    window = (datetime.now(UTC) - checkpoint.started).total_seconds() + _HOUR
    await session.retry.until_done(lambda: session.store.sweep(window))
