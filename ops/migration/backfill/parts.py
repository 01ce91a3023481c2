"""What a backfill copies, in parts: the segments of a table, or the files of an export."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from ops.migration.backfill.checkpoints import Part
from ops.migration.source.export import Bucket, Export, Folder
from shared.errors import FatalError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from datetime import datetime

    from ops.aws import Aws
    from ops.migration.images import Key
    from ops.migration.settings import Session
    from ops.migration.source.export import Manifest
    from ops.migration.source.table import Page

_FILES_AT_ONCE = 4


class Parts(Protocol):
    """What is copied.

    Attributes:
        origin: what it is, for checkpoints and people.
        unit: what a part is called.
        items: how many there are, roughly; 0: not known.
        at_once: the most parts that are read at the same time; None: all.
        taken: the time of the export; None: it is the table itself.
    """

    origin: str
    unit: str
    items: int
    at_once: int | None
    taken: datetime | None

    def first(self) -> list[Part]:
        """The parts of a backfill that begins."""
        ...

    def pages(self, number: int, of: int, after: Key | None) -> AsyncIterator[Page]:
        """The pages of a part.

        Args:
            number: of the part, counted from 0.
            of: how many parts this backfill has.
            after: where the part goes on; None: at its beginning.
        """
        ...


class TableParts:
    """A table, scanned in segments."""

    unit = "segments"
    at_once: int | None = None
    taken: datetime | None = None

    def __init__(self, session: Session, segments: int, *, consistent: bool, page_size: int) -> None:
        """Reads nothing yet.

        Args:
            session: with the table.
            segments: how many a new backfill has; one that goes on keeps its own.
            consistent: see `Reader.page`.
            page_size: most items of a page; 0: as many as fit.
        """
        self.origin = f"the table itself {session.source.id}".rstrip()
        self.items = session.source.items
        self._session = session
        self._segments = segments
        self._consistent = consistent
        self._most = page_size or None

    def first(self) -> list[Part]:
        return [Part(str(number)) for number in range(self._segments)]

    async def pages(self, number: int, of: int, after: Key | None) -> AsyncIterator[Page]:
        """The next page is read while one is written."""
        reading: asyncio.Task[Page] | None = self._read(number, of, after)
        try:
            while reading is not None:
                page = await reading
                reading = self._read(number, of, page.after) if page.after else None
                yield page
        finally:
            if reading is not None:
                reading.cancel()

    def _read(self, number: int, of: int, after: Key | None) -> asyncio.Task[Page]:
        page = self._session.reader.page(
            self._session.source, number, of, after, consistent=self._consistent, most=self._most
        )
        return asyncio.create_task(page)


class ExportParts:
    """The files of an export. A file is read from its beginning."""

    unit = "files"
    at_once: int | None = _FILES_AT_ONCE

    def __init__(self, export: Export, manifest: Manifest) -> None:
        self.origin = f"the export {manifest.id}"
        self.items = manifest.items or 0
        self.taken: datetime | None = manifest.taken
        self._export = export
        self._files = manifest.files

    def first(self) -> list[Part]:
        return [Part(file.name) for file in self._files]

    def pages(self, number: int, of: int, after: Key | None) -> AsyncIterator[Page]:  # noqa: ARG002
        return self._export.pages(self._files[number])


@asynccontextmanager
async def open_export(url: str, aws: Aws, session: Session) -> AsyncIterator[Parts]:
    """Opens an export of the session's table.

    Args:
        url: s3://bucket/prefix/AWSDynamoDB/id, or the path of a folder.
        aws: where S3 is.
        session: with the table.

    Raises:
        FatalError: it cannot be read, or is of another table.
    """
    if url.startswith("s3://"):
        async with aws.open_client("s3") as client:
            yield await _export_of(Bucket(client, url), session)
    else:
        yield await _export_of(Folder(Path(url)), session)


async def _export_of(files: Bucket | Folder, session: Session) -> ExportParts:
    export = Export(files, session.retry)
    manifest = await export.manifest()
    if manifest.table != session.source.name:
        raise FatalError(f"the export is of the table {manifest.table!r}, not of {session.source.name!r}")
    return ExportParts(export, manifest)
