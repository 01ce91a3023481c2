"""Copying: read a page → documents → write → take down how far it came → next page. A loop per part in hand.

A page is written while the next one is read. How far a part has come is noted only after the writes of its
page are on a majority (`Store.apply` has returned), so a kill -9 at any moment costs a page done twice.
"""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import aclosing
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any, Protocol

from bson import json_util

from ops.migration.backfill.checkpoints import Counts, Part
from ops.migration.images import copied, key_of_item, write_of
from shared.errors import PoisonError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence

    from ops.migration.backfill.checkpoints import Checkpoint, Checkpoints
    from ops.migration.images import Item, Key
    from ops.migration.retry import Retry
    from ops.migration.source.export import DataFile, Export
    from ops.migration.source.table import Page, Reader, Source
    from writer.mapping.rules import Table
    from writer.ports import Outcome, Sink
    from writer.write import Write

_BULK = 1_000
"""Documents per bulk write: as many keys as one query for tombstones takes."""


class Parts(Protocol):
    """What is copied."""

    def pages(self, number: int, after: Key | None) -> AsyncIterator[Page]:
        """The pages of a part, from where it goes on."""
        ...


class Segments:
    """A table, scanned in segments."""

    def __init__(
        self, reader: Reader, source: Source, number: int, *, consistent: bool, most: int = 0
    ) -> None:
        """Reads nothing yet.

        Args:
            reader: of the table.
            source: the table.
            number: how many segments it has.
            consistent: see `Reader.page`.
            most: items of a page; 0: as many as there fit.
        """
        self._reader = reader
        self._source = source
        self._number = number
        self._consistent = consistent
        self._most = most or None

    async def pages(self, number: int, after: Key | None) -> AsyncIterator[Page]:
        reading: asyncio.Task[Page] | None = self._read(number, after)
        try:
            while reading is not None:
                page = await reading
                reading = self._read(number, page.after) if page.after else None
                yield page
        finally:
            if reading is not None:
                reading.cancel()

    def _read(self, number: int, after: Key | None) -> asyncio.Task[Page]:
        return asyncio.create_task(
            self._reader.page(
                self._source, number, self._number, after, consistent=self._consistent, most=self._most
            )
        )


class ExportedFiles:
    """The files of an export."""

    def __init__(self, export: Export, files: Sequence[DataFile]) -> None:
        self._export = export
        self._files = files

    def pages(self, number: int, after: Key | None) -> AsyncIterator[Page]:  # noqa: ARG002 - files begin anew
        return self._export.pages(self._files[number])


@dataclass(frozen=True, slots=True)
class Reject:
    """An item that cannot be copied."""

    key: Key
    code: str
    reason: str


@dataclass(frozen=True, slots=True)
class Batch:
    """What is made of a page.

    Attributes:
        writes: different documents, each with its key in `keys`.
        skipped: items that the hook does not want.
    """

    writes: Sequence[Write]
    keys: Sequence[Key]
    rejects: Sequence[Reject]
    skipped: int


def batch_of(table: Table, key: Mapping[str, str], items: Sequence[Item], at: int) -> Batch:
    """Makes documents of items; what cannot become one is data, not an error. Pure but for hooks.

    Args:
        table: the rules.
        key: the table's key attributes and their types.
        items: as they were read.
        at: when, milliseconds since the epoch.
    """
    writes: list[Write] = []
    keys: list[Key] = []
    rejects: list[Reject] = []
    skipped = 0
    for item in items:
        try:
            write = write_of(table, copied(table.name, key, item, at))
        except PoisonError as error:
            rejects.append(Reject(key_of_item(key, item), error.code, error.reason))
            continue
        if write is None:
            skipped += 1
        else:
            writes.append(write)
            keys.append(key_of_item(key, item))
    return Batch(writes, keys, rejects, skipped)


class Rejects:
    """The file of items that could not be copied, a JSON object a line."""

    def __init__(self, file: IO[str] | None, table: str) -> None:
        self._file = file
        self._table = table

    def add(self, rejects: Sequence[Reject]) -> None:
        """Writes them down, for good when this returns."""
        if self._file is None or not rejects:
            return
        for each in rejects:
            line = {"table": self._table, "key": as_json(each.key), "code": each.code, "reason": each.reason}
            self._file.write(json.dumps(line, ensure_ascii=False) + "\n")
        self._file.flush()


class Copier:
    """Copies all parts of one table."""

    def __init__(  # noqa: PLR0913, PLR0917 - what it works with
        self,
        parts: Parts,
        table: Table,
        key: Mapping[str, str],
        sink: Sink,
        checkpoints: Checkpoints,
        retry: Retry,
        rejects: Rejects,
        done: Callable[[Counts], None],
    ) -> None:
        """Does nothing yet.

        Args:
            parts: what is copied.
            table: its rules.
            key: its key attributes and their types.
            sink: where it goes.
            checkpoints: where progress is noted.
            retry: repeats what fails for the moment.
            rejects: takes what cannot be copied.
            done: is told of each page that is done.
        """
        self._parts = parts
        self._table = table
        self._key = key
        self._sink = sink
        self._checkpoints = checkpoints
        self._retry = retry
        self._rejects = rejects
        self._done = done

    async def run(self, checkpoint: Checkpoint, loops: int) -> None:
        """Copies what is not done yet, and notes that it is.

        Raises:
            ExceptionGroup: a loop met an error that only a person can mend.
        """
        waiting = iter([number for number, part in enumerate(checkpoint.parts) if not part.done])

        async def loop() -> None:
            for number in waiting:
                await self._copy(checkpoint, number)

        async with asyncio.TaskGroup() as group:
            for _ in range(loops):
                group.create_task(loop())
        await self._checkpoints.finish(checkpoint)

    async def _copy(self, checkpoint: Checkpoint, number: int) -> None:
        part = checkpoint.parts[number]
        name, counts = part.name, part.counts
        async with aclosing(self._parts.pages(number, part.after)) as pages:  # type: ignore[type-var]
            async for page in pages:
                found = await self._write(page)
                counts += found
                self._done(found)
                if page.after is not None:
                    await self._checkpoints.advance(checkpoint, number, Part(name, page.after, counts=counts))
        await self._checkpoints.advance(checkpoint, number, Part(name, done=True, counts=counts))

    async def _write(self, page: Page) -> Counts:
        batch = batch_of(self._table, self._key, page.items, round(time.time() * 1000))
        rejects = list(batch.rejects)
        counts = Counts(read=len(page.items), skipped=batch.skipped)
        for start in range(0, len(batch.writes), _BULK):
            some = batch.writes[start : start + _BULK]
            outcome = await self._retry.until_done(lambda some=some: self._sink.apply(some))  # type: ignore[misc]
            rejects += [
                Reject(batch.keys[start + index], f"mongodb-{failure.code}", failure.reason)
                for index, failure in outcome.failures.items()
            ]
            counts += _counts(outcome, len(some))
        self._rejects.add(rejects)
        return counts + Counts(rejected=len(rejects))


def _counts(outcome: Outcome, writes: int) -> Counts:
    copied_now = outcome.inserted + outcome.modified
    return Counts(copied=copied_now, there=max(0, writes - copied_now - len(outcome.failures)))


def as_json(value: Any) -> Any:
    """AttributeValues as JSON: binary values are base64 text, as the AWS command line has them."""
    if isinstance(value, dict):
        return {name: as_json(part) for name, part in value.items()}
    if isinstance(value, list):
        return [as_json(part) for part in value]
    if isinstance(value, bytes):
        return json.loads(json_util.dumps(value))["$binary"]["base64"]
    return value
