"""The copy of one table: what was there at the start, what a gap left, and single items again."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from follow.dead_letters import letter_of_reject
from ops.console.exit_status import WELL
from ops.migration.backfill.checkpoints import Checkpoints
from ops.migration.backfill.copier import Copier, write_items
from ops.migration.backfill.parts import table_parts
from ops.migration.backfill.resuming import first_or_next, sweep_since
from ops.migration.resync.resync import resync

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from follow.queue import LaneQueue
    from ops.migration.backfill.checkpoints import Counts
    from ops.migration.backfill.copier import Reject
    from ops.migration.images import Key
    from ops.migration.settings import Session, Settings

_SEGMENTS = 4
_SEGMENTS_AT_ONCE = 2  # each has two pages in memory
_SETTLE = 10.0  # seconds; as replicator resync


class TableCopy:
    """Copies a table, whose two sides are open for each call.

    Attributes:
        items: about how many there are; 0: not known yet.
        before: how many of them earlier runs had copied.
        copied: items that were read up to now, those included.
    """

    def __init__(self, settings: Settings, queue: LaneQueue, say: Callable[[str], None]) -> None:
        """Has copied nothing.

        Args:
            settings: those of the table.
            queue: parks what cannot be copied.
            say: prints a line about the table.
        """
        self._settings = settings
        self._name = settings.table.name
        self._queue = queue
        self._say = say
        self.items = self.before = self.copied = 0

    async def run(self, session: Session, *, is_new: bool) -> None:
        """Copies what is not copied, yet.

        Args:
            session: the two sides.
            is_new: this stream of the table is followed for the first time.
        """
        parts = table_parts(session, _SEGMENTS, consistent=False, page_size=0)
        parts = replace(parts, at_once=_SEGMENTS_AT_ONCE)
        checkpoints = Checkpoints(session.store, session.retry)
        before = await checkpoints.load(self._name)
        is_finished = before is not None and before.finished is not None
        has_other_rules = (
            before is not None
            and before.rules != self._settings.digest
            and (is_finished or before.source == parts.origin)
        )
        if has_other_rules:
            self._say(
                f"it was copied{'' if is_finished else ' in part'} by another mapping: changes follow the "
                "new one from now on. To update the documents that were copied, run "
                f"replicator resync {self._name}"
            )
            if is_finished:
                return
        checkpoint = await first_or_next(
            checkpoints, self._settings, parts, self._say, restart=has_other_rules
        )
        if checkpoint.finished is not None:
            if is_new:
                self._say(
                    f"it was copied before, at {checkpoint.finished:%Y-%m-%d %H:%M} UTC. If changes since "
                    f"then were not replicated, run replicator resync {checkpoint.table}"
                )
            return
        self.items = parts.items
        self.before = self.copied = checkpoint.counts.read
        await Copier(parts, session, checkpoints, self._keep_rejects, self._on_page).run(checkpoint)
        await sweep_since(session, checkpoint)
        counts = checkpoint.counts
        rejected = (
            f", {counts.rejected:,} rejected (see replicator dlq list --mongodb)" if counts.rejected else ""
        )
        self._say(f"copied: {counts.read:,} items read, {counts.copied:,} written{rejected}")

    def _on_page(self, counts: Counts) -> None:
        self.copied += counts.read

    async def compare(self, session: Session) -> None:
        """Compares and repairs the table after a gap."""
        done = await resync(
            self._settings, session, segments=_SEGMENTS, settle=_SETTLE, dry_run=False, yes=True, quiet=True
        )
        advice = "" if done.status == WELL else f". Run replicator verify {self._name} when it has caught up"
        self._say(f"compared after the gap: {done.found}{advice}")

    async def was_begun(self, session: Session) -> bool:
        """Whether the table was copied before, if only in part."""
        return await Checkpoints(session.store, session.retry).load(self._name) is not None

    async def again(self, session: Session, key: Key) -> Reject | None:
        """Copies an item that could not be copied, as it is now; returns why it still cannot be.

        Raises:
            FatalError: only a person can help.
        """
        _, rejects = await write_items(session, await session.reader.get([key]))
        return rejects[0] if rejects else None

    async def _keep_rejects(self, rejects: Sequence[Reject]) -> None:
        await self._queue.park([letter_of_reject(self._name, each) for each in rejects])
