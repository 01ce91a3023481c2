"""What repair must not do, whatever comes between its looks and its write."""

from __future__ import annotations

import time
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from ops.migration.repair.repairer import Repairer, Result
from ops.migration.verify.comparison import Difference, Kind
from ops.migration.verify.lookup import KeyState
from ops.migration.verify.verifier import Finding
from tests.support.builders import put
from writer.mapping.rules import Rules
from writer.mongodb.apply import Tombstone
from writer.ports import Failure, FailureKind, Outcome

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from writer.write import Write

KEY = {"id": {"N": "1"}}
DELETION = put(9).version


class Live:
    """An item without a document; once it has been read it is deleted, and that is replicated."""

    def __init__(self) -> None:
        self.table = Rules().table("people")
        self.source = SimpleNamespace(name="people", key={"id": "N"})
        self.store = self.retry = self
        self.tombstone = Tombstone()
        self.writes: list[Write] = []
        self.now = time.time()

    def id_of(self, _: Any) -> int:
        return 1

    async def read(self, keys: Sequence[Any]) -> list[KeyState]:
        self.tombstone = Tombstone(removed=DELETION)
        missing = Difference(Kind.MISSING, "there is no document")
        return [KeyState(key, 1, {**KEY, "name": {"S": "Ann"}}, None, None, None, missing) for key in keys]

    async def tombstones_of(self, _: Sequence[Write]) -> Mapping[int, Tombstone]:
        return {} if self.tombstone == Tombstone() else {0: self.tombstone}

    async def apply(self, writes: Sequence[Write]) -> Outcome:
        self.writes += writes
        return Outcome(inserted=1)

    async def until_done(self, action: Any) -> Any:
        return await action()


async def test_what_is_deleted_meanwhile_stays_deleted() -> None:
    """The deletion that came after the item was read outranks what is written (P2)."""
    live: Any = Live()
    repairer = Repairer(live, live, dry_run=False)
    (repaired,) = await repairer.repair([Finding(Kind.MISSING, KEY, 1, None, "there is no document")])
    assert repaired.result is Result.REPAIRED
    (write,) = live.writes
    assert write.version < DELETION


class Blocked(Live):
    """A document that a unique index refuses; `done_later`: the sink does it with another one."""

    def __init__(self, *, done_later: bool) -> None:
        super().__init__()
        self.done_later = done_later

    async def read(self, keys: Sequence[Any]) -> list[KeyState]:
        states = await super().read(keys)
        is_done = self.writes and self.done_later
        return [replace(each, difference=None) for each in states] if is_done else states

    async def apply(self, writes: Sequence[Write]) -> Outcome:
        self.writes += writes
        refused = Failure(FailureKind.HEALABLE, "11000", "words", "email")
        return Outcome({0: refused} if writes else {})


@pytest.mark.parametrize(("done_later", "result"), [(True, Result.REPAIRED), (False, Result.LEFT)])
async def test_what_a_unique_index_refuses_is_tried_once_more_at_the_end(
    *, done_later: bool, result: Result
) -> None:
    """It counts as mended if it got there with another one; else the reason names the index."""
    live: Any = Blocked(done_later=done_later)
    repairer = Repairer(live, live, dry_run=False)
    assert await repairer.repair([Finding(Kind.MISSING, KEY, 1, None, "there is no document")]) == []
    (repair,) = await repairer.repair_kept_back()
    assert repair.result is result
    assert ("unique index on email" in repair.reason) is not done_later
    assert await repairer.repair_kept_back() == []
