"""Repairs a difference by an ordinary guarded write at the version just after the one that was seen.

Such a write replaces the version that was seen (and older ones), and no other: it is a compare-and-set. A
live change wins, whether it comes before or after. A change that was applied already and is delivered again
does not undo the repair. The write takes the steps of `writer.mongodb.apply`, too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bson import encode

from ops.migration.images import CopiedItem, copied, write_of
from ops.migration.verify.comparison import Kind
from shared.change import Op
from shared.errors import PoisonError
from shared.version import BACKFILL, just_after
from writer.mapping.model import Deletes
from writer.write import Mark, Removal, Target, Write

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ops.migration.verify.lookup import KeyState
    from writer.mapping.rules import Table
    from writer.mongodb.apply import Tombstone

NOT_OURS = "the document has no version from the replicator: delete it by hand if nobody needs it"


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
            raise NotRepairableError(NOT_OURS)
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
        raise NotRepairableError("the hook leaves the item out now")
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
    return Write(target, change, after, 0, frozenset({0}), 1, removals=removals, mark=mark)
