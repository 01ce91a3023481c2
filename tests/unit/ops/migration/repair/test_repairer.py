"""What repair must not do, whatever comes between its looks and its write."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from ops.migration.repair.repairer import Repairer, Result
from ops.migration.verify.comparison import Difference, Kind
from ops.migration.verify.lookup import KeyState
from ops.migration.verify.verifier import Finding
from tests.support.builders import put
from writer.mapping.rules import Rules
from writer.mongodb.apply import Tombstone
from writer.ports import Outcome

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
    (mended,) = await repairer.repair([Finding(Kind.MISSING, KEY, 1, None, "there is no document")])
    assert mended.result is Result.MENDED
    (write,) = live.writes
    assert write.version < DELETION
