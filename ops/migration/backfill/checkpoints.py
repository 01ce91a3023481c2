"""How far a backfill has come, in MongoDB, so that it resumes after a kill -9.

One document per table in `_replicator_backfills`: where each part goes on, and what was done. A part advances
only after the writes of its page are on a majority; what is copied twice is harmless.
"""

from __future__ import annotations

import json
import uuid
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Self

from bson import json_util

from shared.errors import FatalError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ops.migration.images import Key
    from ops.migration.retry import Retry
    from ops.migration.store import Store

COLLECTION = "_replicator_backfills"
"""Collection of the target database: how far backfills have come."""

TABLE_ITSELF = "the table itself"
"""What a checkpoint calls a source that is no export; the table's id follows."""

_OPTIONS = json_util.JSONOptions(json_mode=json_util.JSONMode.CANONICAL)


@dataclass(frozen=True, slots=True)
class Counts:
    """What became of the items.

    Attributes:
        read: items that were read.
        copied: documents that were written.
        there: documents that existed already, in the same or a newer version, or were deleted since.
        skipped: items that the hook does not want.
        rejected: items that cannot be copied; each has a line in the file of rejects.
    """

    read: int = 0
    copied: int = 0
    there: int = 0
    skipped: int = 0
    rejected: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(*(getattr(self, each.name) + getattr(other, each.name) for each in fields(self)))


@dataclass(slots=True)
class Part:
    """A segment of the table, or a file of an export.

    Attributes:
        name: of the file; of a segment its number.
        after: the key to go on after; None: it has not begun, or is done.
    """

    name: str
    after: Key | None = None
    done: bool = False
    counts: Counts = field(default_factory=Counts)

    def state(self) -> dict[str, Any]:
        """As MongoDB keeps it. The key is a text: its names may have dots."""
        after = None if self.after is None else json_util.dumps(self.after, json_options=_OPTIONS)
        return {"name": self.name, "after": after, "done": self.done, **asdict(self.counts)}

    @classmethod
    def of(cls, state: Mapping[str, Any]) -> Self:
        """The opposite of `state`."""
        after = state["after"]
        key = None if after is None else json.loads(after, object_hook=json_util.object_hook)
        counts = Counts(**{each.name: int(state.get(each.name, 0)) for each in fields(Counts)})
        return cls(state["name"], key, state["done"], counts)


@dataclass(slots=True)
class Checkpoint:
    """One backfill.

    Attributes:
        table: the DynamoDB table.
        run: an id of the process that works on it.
        source: what is copied: the table, or an export of it.
        rules: a digest of the table's rules.
        finished: when it was complete; None: it is not.
    """

    table: str
    run: str
    source: str
    rules: str
    started: datetime
    parts: list[Part]
    finished: datetime | None = None

    @property
    def counts(self) -> Counts:
        """What was done up to now, by all processes."""
        return sum((part.counts for part in self.parts), Counts())

    @property
    def table_id(self) -> str:
        """The id of the table that was read; empty: not known, as of an export."""
        is_known = self.source.startswith(f"{TABLE_ITSELF} ")
        return self.source.removeprefix(f"{TABLE_ITSELF} ") if is_known else ""

    def state(self) -> dict[str, Any]:
        """As MongoDB keeps it."""
        state = {each.name: getattr(self, each.name) for each in fields(self)}
        return state | {"_id": state.pop("table"), "parts": [part.state() for part in self.parts]}

    @classmethod
    def of(cls, state: Mapping[str, Any]) -> Self:
        """The opposite of `state`, as the driver reads it."""
        finished = state["finished"]
        return cls(
            table=state["_id"],
            run=state["run"],
            source=state["source"],
            rules=state["rules"],
            started=state["started"].replace(tzinfo=UTC),
            parts=[Part.of(part) for part in state["parts"]],
            finished=finished.replace(tzinfo=UTC) if finished else None,
        )


class Checkpoints:
    """Loads and saves checkpoints."""

    def __init__(self, store: Store, retry: Retry) -> None:
        self._store = store
        self._retry = retry

    async def load(self, table: str) -> Checkpoint | None:
        """The checkpoint of a table's backfill, if there is one."""
        state = await self._retry.until_done(lambda: self._store.load_state(COLLECTION, table))
        return None if state is None else Checkpoint.of(state)

    async def begin(self, checkpoint: Checkpoint) -> None:
        """Saves it in place of the table's last one. From now on it belongs to this process."""
        checkpoint.run = uuid.uuid4().hex
        await self._retry.until_done(lambda: self._store.save_state(COLLECTION, checkpoint.state()))

    async def advance(self, checkpoint: Checkpoint, number: int, part: Part) -> None:
        """Records how far a part has come.

        Raises:
            FatalError: another process has taken over.
        """
        checkpoint.parts[number] = part
        await self._update(checkpoint, {f"parts.{number}": part.state()})

    async def finish(self, checkpoint: Checkpoint) -> None:
        """Records that all parts are done; raises as `advance`."""
        checkpoint.finished = datetime.now(UTC)
        await self._update(checkpoint, {"finished": checkpoint.finished})

    async def _update(self, checkpoint: Checkpoint, changes: Mapping[str, Any]) -> None:
        where = {"_id": checkpoint.table, "run": checkpoint.run}
        if not await self._retry.until_done(lambda: self._store.update_state(COLLECTION, where, changes)):
            raise FatalError(
                f"another backfill of the table {checkpoint.table!r} was started: this one stops"
            )


def mismatch(checkpoint: Checkpoint, source: str, rules: str) -> str | None:
    """Why a backfill cannot go on from a checkpoint; None: it can."""
    if checkpoint.source != source:
        return (
            f"a backfill of the table {checkpoint.table!r} from {checkpoint.source} is unfinished, but this "
            f"one reads {source}: replicator backfill {checkpoint.table} --restart discards the old one"
        )
    if checkpoint.rules != rules:
        return (
            f"the mapping of the table {checkpoint.table!r} has changed since its backfill began: "
            "--restart copies what is missing by the new mapping (existing documents stay as they are; "
            "replicator resync repairs them)"
        )
    return None
