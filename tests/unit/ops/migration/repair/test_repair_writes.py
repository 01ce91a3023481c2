"""What mends a difference: a write just after what was seen."""

from __future__ import annotations

from typing import Any

import bson
import pytest

from ops.migration.repair.repair_writes import NotRepairableError, repair_write
from ops.migration.verify.comparison import Difference, Kind
from ops.migration.verify.lookup import KeyState
from shared.version import BACKFILL, just_after
from writer.mapping.parser import parse_replication
from writer.mapping.rules import Rules
from writer.mongodb.apply import Tombstone
from writer.write import Mark, Write

V1, V2, V3 = (f"2020-04-30T17:47:21.395 01 {number}" for number in (1, 2, 3))
ITEM: dict[str, Any] = {"id": {"N": "1"}, "n": {"S": "new"}}


def repaired(  # noqa: PLR0913 - all that decides
    kind: Kind,
    *,
    version: str | None = None,
    mark: str | None = None,
    item: dict[str, Any] | None = ITEM,
    tombstone: Tombstone | None = None,
    rule: str = "{}",
) -> Write:
    """The write that mends a document of `_id` 1."""
    table = Rules(parse_replication(f"tables: {{items: {rule}}}", "r.yaml")).table("items")
    found = None if version is None and kind is Kind.MISSING else b"document"
    state = KeyState({"id": {"N": "1"}}, 1, item, found, version, mark, Difference(kind, "why"))
    return repair_write(table, {"id": "N"}, state, tombstone or Tombstone(), 0)


def put_version(write: Write) -> str:
    """The version of a put; that in the document is the same."""
    assert write.document is not None
    assert bson.decode(write.document)["_ddb"]["v"] == write.version
    return write.version


def test_what_is_missing_is_copied() -> None:
    """Like a backfill would; where the item was deleted once, above what is known of that."""
    assert put_version(repaired(Kind.MISSING)) == BACKFILL
    assert put_version(repaired(Kind.MISSING, tombstone=Tombstone(V2))) == just_after(V2)
    marked = Tombstone(V1, Mark(V3, 0))
    assert put_version(repaired(Kind.MISSING, tombstone=marked)) == just_after(V3)


def test_a_mark_that_is_wrong_goes() -> None:
    """The put is above the mark, which it would leave otherwise."""
    write = repaired(Kind.MISSING, version=V1, mark=V2, rule="{deletes: mark}")
    assert put_version(write) == just_after(V2)
    assert write.mark is None


def test_what_is_different_is_replaced() -> None:
    """Just above the version that was seen, the lowest included; a document without one as by a backfill."""
    assert put_version(repaired(Kind.DIFFERENT, version=V1)) == just_after(V1)
    assert put_version(repaired(Kind.DIFFERENT, version=BACKFILL)) == just_after(BACKFILL)
    assert put_version(repaired(Kind.DIFFERENT)) == BACKFILL
    assert put_version(repaired(Kind.DIFFERENT, version=V1, tombstone=Tombstone(V2))) == just_after(V2)


def test_what_is_extra_goes_as_a_deletion_would_have_it() -> None:
    """Removed, or marked; one whose item the hook does not want is removed in any case."""
    write = repaired(Kind.EXTRA, version=V1, item=None)
    assert [removal.version for removal in write.removals] == [just_after(V1)]
    assert write.document is None
    write = repaired(Kind.EXTRA, version=V1, item=None, rule="{deletes: mark}")
    assert write.mark is not None
    assert (write.mark.version, list(write.removals)) == (just_after(V1), [])
    assert repaired(Kind.EXTRA, version=V1, rule="{deletes: mark}").mark is None


@pytest.mark.parametrize("kind", [Kind.EXTRA, Kind.UNMAPPABLE])
def test_what_is_not_mended(kind: Kind) -> None:
    """Somebody else's documents, and items that cannot become documents."""
    with pytest.raises(NotRepairableError):
        repaired(kind)
