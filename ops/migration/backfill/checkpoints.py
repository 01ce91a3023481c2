"""How far a backfill has come, in MongoDB, so that it goes on after a kill -9.

One note per table in `_replicator_backfills`: where each part goes on, and what was done. A part goes on only
after its page's writes are on a majority; what was done twice is harmless.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Self

from bson import json_util

from shared.errors import FatalError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ops.migration.images import Key
    from ops.migration.retry import Retry
    from ops.migration.store import Store

COLLECTION = "_replicator_backfills"
"""Collection of the target database: how far backfills have come."""

_OPTIONS = json_util.JSONOptions(json_mode=json_util.JSONMode.CANONICAL)


@dataclass(frozen=True, slots=True)
class Counts:
    """What became of items.

    Attributes:
        read: items that were read.
        copied: documents that were written.
        there: documents that were there already, in the same or a newer version, or deleted since.
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

    @classmethod
    def of(cls, note: Mapping[str, Any]) -> Self:
        """Reads them from a note."""
        return cls(**{each.name: int(note.get(each.name, 0)) for each in fields(cls)})


@dataclass(slots=True)
class Part:
    """A segment of the table, or a file of an export.

    Attributes:
        name: of the file; of a segment its number.
        after: where it goes on; None: at its beginning, or it is done.
    """

    name: str
    after: Key | None = None
    done: bool = False
    counts: Counts = field(default_factory=Counts)

    def note(self) -> dict[str, Any]:
        """As it stands in the note. The key is a text: its names may have dots."""
        after = None if self.after is None else json_util.dumps(self.after, json_options=_OPTIONS)
        return {"name": self.name, "after": after, "done": self.done, **asdict(self.counts)}

    @classmethod
    def of(cls, note: Mapping[str, Any]) -> Self:
        """Reads it from the note."""
        after = note["after"]
        key = None if after is None else json.loads(after, object_hook=json_util.object_hook)
        return cls(note["name"], key, note["done"], Counts.of(note))


@dataclass(slots=True)
class Checkpoint:
    """One backfill.

    Attributes:
        table: the DynamoDB table.
        run: which process goes on with it; a word of that process's own.
        source: what is copied: the table, or an export of it.
        rules: a digest of the table's rules.
        started: when it began.
        finished: when it was complete; None: it is not.
        parts: all of them.
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
        """What was done up to now, by all who went on with it."""
        return sum((part.counts for part in self.parts), Counts())

    def note(self) -> dict[str, Any]:
        """As it stands in the collection."""
        return {
            "_id": self.table,
            "run": self.run,
            "source": self.source,
            "rules": self.rules,
            "started": self.started,
            "finished": self.finished,
            "parts": [part.note() for part in self.parts],
        }

    @classmethod
    def of(cls, note: Mapping[str, Any]) -> Self:
        """Reads it."""
        finished = note["finished"]
        return cls(
            table=note["_id"],
            run=note["run"],
            source=note["source"],
            rules=note["rules"],
            started=note["started"].replace(tzinfo=UTC),
            parts=[Part.of(part) for part in note["parts"]],
            finished=finished.replace(tzinfo=UTC) if finished else None,
        )


class Checkpoints:
    """The collection, for one table."""

    def __init__(self, store: Store, retry: Retry) -> None:
        self._store = store
        self._retry = retry

    async def load(self, table: str) -> Checkpoint | None:
        """The checkpoint of a table's backfill, if there is one."""
        note = await self._retry.until_done(lambda: self._store.note(COLLECTION, table))
        return None if note is None else Checkpoint.of(note)

    async def begin(self, checkpoint: Checkpoint) -> None:
        """Writes it in place of the one that was there."""
        await self._retry.until_done(lambda: self._store.keep(COLLECTION, checkpoint.note()))

    async def advance(self, checkpoint: Checkpoint, number: int, part: Part) -> None:
        """Takes down how far a part has come.

        Raises:
            FatalError: another process has taken over.
        """
        checkpoint.parts[number] = part
        await self._amend(checkpoint, {f"parts.{number}": part.note()})

    async def finish(self, checkpoint: Checkpoint) -> None:
        """All parts are done; raises as `advance`."""
        checkpoint.finished = datetime.now(UTC)
        await self._amend(checkpoint, {"finished": checkpoint.finished})

    async def _amend(self, checkpoint: Checkpoint, changes: Mapping[str, Any]) -> None:
        where = {"_id": checkpoint.table, "run": checkpoint.run}
        if not await self._retry.until_done(lambda: self._store.amend(COLLECTION, where, changes)):
            raise FatalError(
                f"another backfill of the table {checkpoint.table!r} has been started: this one ends"
            )


def mismatch(checkpoint: Checkpoint, source: str, rules: str) -> str | None:
    """Why a checkpoint cannot be gone on with; None: it can."""
    if checkpoint.source != source:
        return (
            f"a backfill of the table {checkpoint.table!r} from {checkpoint.source} has begun, and this is "
            f"{source}: --restart forgets that one"
        )
    if checkpoint.rules != rules:
        return (
            f"the mapping of the table {checkpoint.table!r} is another one than when its backfill began: "
            "--restart copies everything by the new one (documents that are there stay as they are until "
            "their items change; verify and repair find and mend them)"
        )
    return None


def segments(number: int) -> Sequence[Part]:
    """The parts of a table that is scanned."""
    return [Part(str(position)) for position in range(number)]
