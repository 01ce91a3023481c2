"""Repairs a difference by an ordinary guarded write at the version just after the one that was seen.

Such a write replaces the version that was seen (and older ones), and no other: it is a compare-and-set. A
live change wins, whether it comes before or after. A change that was applied already and is delivered again
does not undo the repair. The write takes the steps of `writer.mongodb.apply`, too.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from bson import encode

from ops.migration.images import CopiedItem, copied, id_of_key, write_of
from ops.migration.verify.comparison import Kind, as_document, is_extra, version_of
from shared.change import Op
from shared.errors import PoisonError
from shared.version import BACKFILL, just_after
from writer.mapping.model import Deletes
from writer.mongodb.apply import Tombstone
from writer.write import Mark, Removal, Target, Write, hashable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ops.migration.images import Key
    from ops.migration.settings import Session
    from ops.migration.verify.lookup import KeyState, Lookup
    from ops.migration.verify.verifier import Finding
    from writer.mapping.rules import Table
    from writer.ports import Outcome

_TRIES = 5
_AT_ONCE = 8
_NOT_OURS = "the document has no version of ours: delete it by hand if nobody needs it"


class Result(StrEnum):
    """What became of a difference."""

    MENDED = "mended"
    """Repaired by this run (in a dry run: it would be)."""
    MOVED_ON = "moved on"
    """Both sides were equal at the next look: a live change came, or another run repaired it."""
    LEFT = "left"
    """Not repaired; the reason says why."""


@dataclass(frozen=True, slots=True)
class Repair:
    """What became of one finding."""

    finding: Finding
    result: Result
    reason: str = ""


class NotRepairableError(Exception):
    """No write of ours repairs it; the text says why."""


def repair_write(
    table: Table, key: Mapping[str, str], state: KeyState, tombstone: Tombstone, now: int
) -> Write:
    """The write that repairs what was seen. Pure but for hooks.

    Args:
        table: its rules.
        key: the table's key attributes and their types.
        state: both sides; they differ.
        tombstone: the deletions that are known.
        now: milliseconds since the epoch.

    Raises:
        NotRepairableError: no write of ours repairs it.
    """
    assert state.difference is not None  # noqa: S101 - for the type checker; callers look first
    if state.difference.kind is Kind.UNMAPPABLE:
        raise NotRepairableError(state.difference.reason)
    if state.difference.kind is Kind.EXTRA:
        if state.version is None:
            raise NotRepairableError(_NOT_OURS)
        marks = table.rule.deletes is Deletes.MARK and state.item is None
        return removal_of(table, state.document_id, state.version, now, marks=marks)
    if state.item is None:
        raise NotRepairableError("there is no item")
    seen = max(
        state.version or "",
        state.mark or "",
        tombstone.removed,
        tombstone.mark.version if tombstone.mark else "",
    )
    # An existing version, even the lowest one, has to be replaced. Where there is none, nothing is replaced.
    is_new = not seen and state.version is None
    version = BACKFILL if is_new else just_after(seen)
    try:
        write = write_of(table, copied(table.name, key, state.item, now, version))
    except PoisonError as error:
        raise NotRepairableError(f"{error.code}: {error.reason}") from error
    if write is None:
        raise NotRepairableError("the hook does not want the item now")
    return write


def removal_of(table: Table, document_id: Any, version: str, now: int, *, marks: bool) -> Write:
    """The write that removes (or marks) a document whose version is not higher than the one that was seen."""
    after = just_after(version)
    target = Target(
        table.database,
        table.collection,
        document_id,
        (table.database, table.collection, encode({"": document_id})),
        table.rule.metadata_field,
    )
    change = CopiedItem(
        table=table.name, stream="", sequence=after, op=Op.DELETE, key={}, at=now, event_id=""
    )
    removals = [] if marks else [Removal({}, after)]
    mark = Mark(after, now) if marks else None
    return Write(target, change, 0, frozenset({0}), 1, removals=removals, mark=mark)


class Repairer:
    """Repairs one table's collection."""

    def __init__(self, session: Session, lookup: Lookup, *, dry_run: bool) -> None:
        self._session = session
        self._lookup = lookup
        self._dry_run = dry_run

    async def repair(self, findings: Sequence[Finding]) -> list[Repair]:
        """Looks at findings again, and repairs what is still wrong."""
        gate = asyncio.Semaphore(_AT_ONCE)

        async def one(finding: Finding) -> Repair:
            async with gate:
                if finding.key is None:
                    return await self._repair_without_key(finding)
                return await self._repair(finding, finding.key)

        return list(await asyncio.gather(*map(one, findings)))

    async def _repair(self, finding: Finding, key: Key) -> Repair:
        table, source = self._session.table, self._session.source
        document_id = id_of_key(table, source.key, key)
        for _ in range(_TRIES):
            # Before the item is read: a deletion that comes after it must have a higher version than ours.
            tombstone = Tombstone() if document_id is None else await self._tombstone_of(document_id)
            (state,) = await self._lookup.read([key])
            if state.difference is None:
                return Repair(finding, Result.MOVED_ON)
            try:
                write = repair_write(table, source.key, state, tombstone, _now())
            except NotRepairableError as error:
                return Repair(finding, Result.LEFT, str(error))
            if self._dry_run:
                return Repair(finding, Result.MENDED, f"{state.difference.kind}: {state.difference.reason}")
            outcome = await self._apply(write)
            if outcome.failures:
                (failure,) = outcome.failures.values()
                reason = f"MongoDB refuses it (code {failure.code}): {failure.reason}"
                return Repair(finding, Result.LEFT, reason)
            if outcome.inserted + outcome.modified + outcome.deleted:
                return Repair(finding, Result.MENDED)
        return Repair(finding, Result.LEFT, "live changes came in between each time: run it again")

    async def _repair_without_key(self, finding: Finding) -> Repair:
        """Removes a document whose `_id` no item can have."""
        table = self._session.table
        documents = await self._lookup.documents([finding.document_id])
        raw = documents.get(hashable(finding.document_id))
        document = None if raw is None else as_document(bytes(raw.raw))
        if document is None or not is_extra(table, document):
            return Repair(finding, Result.MOVED_ON)
        version = version_of(table, document)
        if version is None:
            return Repair(finding, Result.LEFT, _NOT_OURS)
        if self._dry_run:
            return Repair(finding, Result.MENDED, finding.reason)
        outcome = await self._apply(removal_of(table, finding.document_id, version, _now(), marks=False))
        return Repair(finding, Result.MENDED if outcome.deleted else Result.MOVED_ON)

    async def _apply(self, write: Write) -> Outcome:
        return await self._session.retry.until_done(lambda: self._session.store.apply([write]))

    async def _tombstone_of(self, document_id: Any) -> Tombstone:
        probe = removal_of(self._session.table, document_id, "", 0, marks=False)
        probe = probe._replace(change=probe.change._replace(sequence=BACKFILL))
        found = await self._session.retry.until_done(lambda: self._session.store.tombstones_of([probe]))
        return found.get(0, Tombstone())


def _now() -> int:
    return round(time.time() * 1000)
