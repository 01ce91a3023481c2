"""Repairs differences: looks anew, writes, and says what became of each. The writes are `repair_writes`.

What a unique index refuses is kept back until all others are done, and then repaired together: documents that
exchange their values are written in one transaction (`writer.mongodb.exchange`) if they are in one batch.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from bson.raw_bson import RawBSONDocument

from ops.migration.elements import can_be_named
from ops.migration.images import id_of_key
from ops.migration.repair.repair_writes import NOT_OURS, NotRepairableError, removal_of, repair_write
from ops.migration.verify.comparison import IMPOSSIBLE, Stored, impossible, is_extra, mark_of, version_of
from shared.version import BACKFILL
from writer.mongodb.apply import Tombstone
from writer.ports import FailureKind
from writer.write import Write

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ops.migration.images import Key
    from ops.migration.settings import Session
    from ops.migration.verify.lookup import KeyState, Lookup
    from ops.migration.verify.verifier import Finding
    from writer.ports import Failure, Outcome
    from writer.write import Target

_TRIES = 5
_AT_ONCE = 8
_TOGETHER = 1_000
_UNNAMEABLE = (
    "its _id or its version holds text that is not UTF-8, or a deprecated type, which cannot be used in a "
    "filter: delete it by hand in mongosh"
)
_TWICE = "the document has the metadata field twice: delete it by hand, then run this again"
_RESTLESS = "live changes kept getting in between: run this again"


class Result(StrEnum):
    """What became of a difference, or in a dry run: what would."""

    TO_WRITE = "to write"
    """In a dry run: its document would be written."""
    TO_DELETE = "to delete"
    """In a dry run: its document would be deleted."""
    REPAIRED = "repaired"
    """By this run."""
    MOVED_ON = "moved on"
    """Both sides were equal at the next check: a live change arrived, or another run repaired it."""
    LEFT = "left"
    """Not repaired; the reason says why."""


@dataclass(frozen=True, slots=True)
class Repair:
    """What became of one finding."""

    finding: Finding
    result: Result
    reason: str = ""


@dataclass(slots=True)
class _Case:
    """A finding that is being repaired; `touched`: something was written for it."""

    finding: Finding
    key: Key
    touched: bool = False

    def end(self, result: Result, reason: str = "") -> Repair:
        return Repair(self.finding, result, reason)


class Repairer:
    """Repairs one table's collection."""

    def __init__(self, session: Session, lookup: Lookup, *, dry_run: bool) -> None:
        """`dry_run`: looks, and writes nothing."""
        self._session = session
        self._lookup = lookup
        self._dry_run = dry_run
        self._kept_back: list[_Case] = []

    async def repair(self, findings: Sequence[Finding]) -> list[Repair]:
        """Looks at findings again, and repairs what is wrong. What a unique index refuses is kept back."""
        gate = asyncio.Semaphore(_AT_ONCE)

        async def one(finding: Finding) -> list[Repair]:
            async with gate:
                if finding.key is None:
                    return [await self._repair_without_key(finding)]
                case = _Case(finding, finding.key)
                repairs, refused = await self._repair([case])
                self._kept_back += [case] if refused else []
                return repairs

        return [repair for some in await asyncio.gather(*map(one, findings)) for repair in some]

    async def repair_kept_back(self) -> list[Repair]:
        """Repairs what was kept back, all of it together; to be called when there are no more findings."""
        kept, self._kept_back = self._kept_back, []
        done: list[Repair] = []
        for start in range(0, len(kept), _TOGETHER):
            repairs, refused = await self._repair(kept[start : start + _TOGETHER])
            done += repairs
            done += [case.end(Result.LEFT, reason) for case, reason in refused]
        return done

    async def _repair(self, cases: Sequence[_Case]) -> tuple[list[Repair], list[tuple[_Case, str]]]:
        """Repairs documents together.

        Returns:
            What became of them; and those that a unique index refuses, with the reason.
        """
        done: list[Repair] = []
        refused: list[tuple[_Case, str]] = []
        for _ in range(_TRIES):
            plans = await self._plans(cases)
            done += [plan for _, plan in plans if isinstance(plan, Repair)]
            writes = [(case, plan) for case, plan in plans if isinstance(plan, Write)]
            outcome = await self._apply([write for _, write in writes])
            refused = []
            for index, failure in outcome.failures.items():
                case, reason = writes[index][0], _reason_of(failure)
                if failure.kind is FailureKind.HEALABLE:
                    refused.append((case, reason))
                    case.touched = True  # the sink remembers it, and does it with one that needs it
                else:
                    done.append(case.end(Result.LEFT, reason))
            written = [case for index, (case, _) in enumerate(writes) if index not in outcome.failures]
            if len(written) == 1 and outcome.inserted + outcome.modified + outcome.deleted:
                done.append(written.pop().end(Result.REPAIRED))
            # Of more than one, the next look says whether it was a live change that won.
            for case in written:
                case.touched = True
            cases = [*written, *(case for case, plan in plans if plan is None)]
            if not cases:
                break
            cases = [*cases, *(case for case, _ in refused)]
        else:
            late = [case for case in cases if not any(case is each for each, _ in refused)]
            done += [case.end(Result.LEFT, _RESTLESS) for case in late]
        return done, refused

    async def _plans(self, cases: Sequence[_Case]) -> list[tuple[_Case, Write | Repair | None]]:
        """Looks at both sides: the write of each, or what became of it; None: look again."""
        table, source = self._session.table, self._session.source
        ids = [id_of_key(table, source.key, case.key) for case in cases]
        # Before the items are read: a deletion that comes after that must have a higher version than ours.
        tombstones = await self._tombstones_of(ids)
        states = await self._lookup.read([case.key for case in cases])
        return [
            (case, await self._plan(case, state, tombstone))
            for case, state, tombstone in zip(cases, states, tombstones, strict=True)
        ]

    async def _plan(self, case: _Case, state: KeyState, tombstone: Tombstone) -> Write | Repair | None:
        table, source = self._session.table, self._session.source
        if state.found is not None and Stored.of(table, state.found).has_metadata_twice(table):
            return case.end(Result.LEFT, _TWICE)
        if state.document_id is not None and self._are_impossible(state.version, state.mark, tombstone):
            if not can_be_named([state.version, state.mark]):
                return case.end(Result.LEFT, _UNNAMEABLE)
            if self._dry_run:
                deletes = state.item is None and state.found is not None
                return case.end(_planned(deletes=deletes), f"{IMPOSSIBLE.kind}: {IMPOSSIBLE.reason}")
            probe = removal_of(table, state.document_id, BACKFILL, 0, marks=False)
            await self._bring_down(probe.target, state.version, state.mark, tombstone)
            case.touched = True
            return None
        if state.difference is None:
            return case.end(Result.REPAIRED if case.touched else Result.MOVED_ON)
        try:
            write = repair_write(table, source.key, state, tombstone, _now())
        except NotRepairableError as error:
            return case.end(Result.LEFT, str(error))
        if self._dry_run:
            deletes = write.document is None and write.mark is None
            return case.end(_planned(deletes=deletes), f"{state.difference.kind}: {state.difference.reason}")
        return write

    async def _repair_without_key(self, finding: Finding) -> Repair:
        """Removes a document whose `_id` no item can have."""
        table = self._session.table
        touched = False
        for _ in range(_TRIES):
            is_nameable = not isinstance(finding.document_id, RawBSONDocument)
            (tombstone,) = await self._tombstones_of([finding.document_id if is_nameable else None])
            document = await self._lookup.document_of(finding.document_id)
            metadata = {} if document is None else document.metadata
            version, mark = version_of(metadata), mark_of(metadata)
            wrong = self._are_impossible(version, mark, tombstone)
            if not wrong and (document is None or not is_extra(table, metadata)):
                return Repair(finding, Result.REPAIRED if touched else Result.MOVED_ON)
            if document is not None and document.has_metadata_twice(table):
                return Repair(finding, Result.LEFT, _TWICE)
            if not wrong and version is None:
                return Repair(finding, Result.LEFT, NOT_OURS)
            if not (is_nameable and can_be_named([version, mark])):
                return Repair(finding, Result.LEFT, _UNNAMEABLE)
            if self._dry_run:
                return Repair(finding, Result.TO_DELETE, finding.reason)
            removal = removal_of(table, finding.document_id, version or BACKFILL, _now(), marks=False)
            if wrong:
                await self._bring_down(removal.target, version, mark, tombstone)
            else:
                await self._apply([removal])
            touched = True
        return Repair(finding, Result.LEFT, _RESTLESS)

    def _are_impossible(self, version: str | None, mark: str | None, tombstone: Tombstone) -> bool:
        buried = tombstone.mark.version if tombstone.mark else None
        return bool(impossible(self._lookup.now, version, mark, tombstone.removed, buried))

    async def _bring_down(
        self, target: Target, version: str | None, mark: str | None, tombstone: Tombstone
    ) -> None:
        """Takes back the impossible ones of these versions; what is written next wins over them."""

        def wrong(value: str | None) -> str:
            return next(iter(impossible(self._lookup.now, value)), "")

        buried = Tombstone(
            wrong(tombstone.removed),
            tombstone.mark if tombstone.mark and wrong(tombstone.mark.version) else None,
        )
        store = self._session.store
        await self._session.retry.until_done(
            lambda: store.bring_down(target, wrong(version), wrong(mark), buried)
        )

    async def _apply(self, writes: Sequence[Write]) -> Outcome:
        return await self._session.retry.until_done(lambda: self._session.store.apply(writes))

    async def _tombstones_of(self, ids: Sequence[Any]) -> list[Tombstone]:
        """The deletions that are known of some documents; `None` as an `_id` has none."""
        probes = {}
        for position, document_id in enumerate(ids):
            if document_id is not None:
                probe = removal_of(self._session.table, document_id, "", 0, marks=False)
                probes[position] = probe._replace(version=BACKFILL)
        asked = list(probes)
        store = self._session.store
        found = await self._session.retry.until_done(lambda: store.tombstones_of(list(probes.values())))
        by_position = {asked[index]: tombstone for index, tombstone in found.items()}
        return [by_position.get(position, Tombstone()) for position in range(len(ids))]


def _planned(*, deletes: bool) -> Result:
    return Result.TO_DELETE if deletes else Result.TO_WRITE


def _reason_of(failure: Failure) -> str:
    if failure.kind is FailureKind.HEALABLE:
        index = f"the unique index on {failure.index}" if failure.index else "a unique index"
        return (
            f"another document has its value in {index}: free it there (change that document's item, or "
            "delete a document that the replicator did not write), or drop the index; then run this again"
        )
    return f"MongoDB refuses it (code {failure.code}): {failure.reason}"


def _now() -> int:
    return round(time.time() * 1000)
