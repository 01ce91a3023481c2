"""What mends a difference: an ordinary guarded write at the version just after the one that was seen.

Such a write takes the place of the version that was seen (and of older ones), and of no other: it is a
compare and set. A live change that comes before it or after it wins as ever; one that was applied already and
is delivered again does not undo it. The steps of `writer.mongodb.apply` hold for it, too.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from bson import encode

from ops.migration.images import CopiedItem, copied, write_of
from ops.migration.verify.comparison import Kind, as_document, is_extra, version_of
from shared.change import Op
from shared.errors import PoisonError
from shared.version import BACKFILL, just_after
from writer.mapping.model import Deletes
from writer.mongodb.apply import Tombstone
from writer.write import Mark, Removal, Target, Write, hashable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ops.migration.retry import Retry
    from ops.migration.store import Store
    from ops.migration.verify.lookup import KeyState, Lookup
    from ops.migration.verify.verifier import Finding
    from writer.mapping.rules import Table
    from writer.ports import Outcome

_TRIES = 5
_AT_ONCE = 8


class Result(StrEnum):
    """What became of a difference."""

    MENDED = "mended"
    """Put right by this run (or would be, in a dry run)."""
    MOVED_ON = "moved on"
    """Both sides were equal when it was looked at again: a live change came, or somebody mended it."""
    LEFT = "left"
    """Not mended; the reason says why."""


@dataclass(frozen=True, slots=True)
class Repair:
    """What became of one finding."""

    finding: Finding
    result: Result
    reason: str = ""


class NotRepairableError(Exception):
    """Repair cannot mend it; the text says why."""


def repair_write(table: Table, key: dict[str, str], state: KeyState, tombstone: Tombstone, now: int) -> Write:
    """The write that mends what was seen. Pure but for hooks.

    Args:
        table: the rules.
        key: the table's key attributes and their types.
        state: both sides; they differ.
        tombstone: what is known to have been deleted.
        now: milliseconds since the epoch.

    Raises:
        NotRepairableError: nothing that is written mends it.
    """
    assert state.difference is not None  # noqa: S101 - for the type checker; callers look first
    if state.difference.kind is Kind.UNMAPPABLE:
        raise NotRepairableError(state.difference.reason)
    if state.difference.kind is Kind.EXTRA:
        if state.version is None:
            raise NotRepairableError(
                "the document has no version of ours: delete it by hand if nobody needs it"
            )
        keeps = table.rule.deletes is Deletes.MARK and state.item is None
        return removal_of(table, state.document_id, state.version, now, marks=keeps)
    if state.item is None:
        raise NotRepairableError("there is no item")
    seen = max(
        state.version or "",
        state.mark or "",
        tombstone.removed,
        tombstone.mark.version if tombstone.mark else "",
    )
    # A version that is there, even the lowest one, is to be replaced; where there is none, nothing is.
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
    """Removes (or marks) a document whose version is not higher than the one that was seen."""
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
    """Mends one table's collection."""

    def __init__(self, lookup: Lookup, store: Store, retry: Retry, *, dry_run: bool) -> None:
        self._lookup = lookup
        self._store = store
        self._retry = retry
        self._dry_run = dry_run

    async def repair(self, findings: Sequence[Finding]) -> list[Repair]:
        """Looks at findings anew, and mends what is still wrong."""
        gate = asyncio.Semaphore(_AT_ONCE)

        async def one(finding: Finding) -> Repair:
            async with gate:
                return await self._repair(finding)

        return list(await asyncio.gather(*map(one, findings)))

    async def _repair(self, finding: Finding) -> Repair:
        if finding.key is None:
            return await self._repair_without_key(finding)
        document_id = self._lookup.id_of(finding.key)
        for _ in range(_TRIES):
            # Before the item is read: a deletion that comes after it must have a higher version than ours.
            tombstone = Tombstone() if document_id is None else await self._tombstone_of(document_id)
            (state,) = await self._lookup.read([finding.key])
            if state.difference is None:
                return Repair(finding, Result.MOVED_ON)
            try:
                write = repair_write(
                    self._lookup.table,
                    dict(self._lookup.source.key),
                    state,
                    tombstone,
                    _now(),
                )
            except NotRepairableError as error:
                return Repair(finding, Result.LEFT, str(error))
            if self._dry_run:
                return Repair(finding, Result.MENDED, f"{state.difference.kind}: {state.difference.reason}")
            outcome = await self._retry.until_done(lambda write=write: self._store.apply([write]))  # type: ignore[misc]
            if outcome.failures:
                return Repair(finding, Result.LEFT, _refusal(outcome))
            if outcome.inserted + outcome.modified + outcome.deleted:
                return Repair(finding, Result.MENDED)
        return Repair(finding, Result.LEFT, "live changes came in between each time: run it again")

    async def _repair_without_key(self, finding: Finding) -> Repair:
        """A document whose `_id` no item can have."""
        table = self._lookup.table
        documents = await self._lookup.documents([finding.document_id])
        raw = documents.get(hashable(finding.document_id))
        document = None if raw is None else as_document(bytes(raw.raw))
        if document is None or not is_extra(table, document):
            return Repair(finding, Result.MOVED_ON)
        version = version_of(table, document)
        if version is None:
            return Repair(
                finding,
                Result.LEFT,
                "the document has no version of ours: delete it by hand if nobody needs it",
            )
        if self._dry_run:
            return Repair(finding, Result.MENDED, finding.reason)
        write = removal_of(table, finding.document_id, version, _now(), marks=False)
        outcome = await self._retry.until_done(lambda: self._store.apply([write]))
        return Repair(finding, Result.MENDED if outcome.deleted else Result.MOVED_ON)

    async def _tombstone_of(self, document_id: Any) -> Tombstone:
        probe = removal_of(self._lookup.table, document_id, "", 0, marks=False)
        probe = probe._replace(change=probe.change._replace(sequence=BACKFILL))
        found = await self._retry.until_done(lambda: self._store.tombstones_of([probe]))
        return found.get(0, Tombstone())


def _now() -> int:
    return round(time.time() * 1000)


def _refusal(outcome: Outcome) -> str:
    (failure,) = outcome.failures.values()
    return f"MongoDB refuses it (code {failure.code}): {failure.reason}"
