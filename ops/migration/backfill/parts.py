"""What a backfill copies, in parts: the segments of a table, or the files of an export."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ops.migration.backfill.checkpoints import TABLE_ITSELF
from ops.migration.source.export import Bucket, Export, Folder, other_table
from shared.errors import FatalError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence
    from datetime import datetime

    from ops.aws import Aws
    from ops.migration.images import Key
    from ops.migration.settings import Session
    from ops.migration.source.table import Page

_FILES_AT_ONCE = 4
_PAGE_ITEMS = 500
"""Of a table. A page of 1 MB can have ten thousand items, and there are two of each segment in memory."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What is copied.

    Attributes:
        origin: what it is, for checkpoints and people.
        unit: what a part is called.
        names: those of the parts of a backfill that begins.
        items: how many there are, roughly; 0: not known.
        pages: reads a part: its number, how many parts this backfill has, the key to go on after → its pages.
        at_once: the most parts that are read at the same time; None: all.
        taken: the time of the export; None: it is the table itself.
    """

    origin: str
    unit: str
    names: Sequence[str]
    items: int
    pages: Callable[[int, int, Key | None], AsyncIterator[Page]]
    at_once: int | None = None
    taken: datetime | None = None


def table_parts(session: Session, segments: int, *, consistent: bool, page_size: int) -> Parts:
    """The session's table, scanned in segments; a page is read while the one before it is written.

    Args:
        session: with the table.
        segments: how many a backfill that begins has.
        consistent: see `Reader.page`.
        page_size: most items of a page; 0: as many as are good for speed and memory.
    """

    def read(number: int, of: int, after: Key | None) -> asyncio.Task[Page]:
        page = session.reader.page(number, of, after, consistent=consistent, most=page_size or _PAGE_ITEMS)
        return asyncio.create_task(page)

    async def pages(number: int, of: int, after: Key | None) -> AsyncIterator[Page]:
        reading: asyncio.Task[Page] | None = read(number, of, after)
        try:
            while reading is not None:
                page = await reading
                reading = read(number, of, page.after) if page.after else None
                yield page
        finally:
            if reading is not None:
                reading.cancel()

    origin = f"{TABLE_ITSELF} {session.source.id}".rstrip()
    return Parts(origin, "segments", [str(n) for n in range(segments)], session.source.items, pages)


@asynccontextmanager
async def export_parts(session: Session, url: str, aws: Aws) -> AsyncIterator[Parts]:
    """The files of an export of the session's table; each is read from its beginning.

    Args:
        session: with the table.
        url: s3://bucket/prefix/AWSDynamoDB/id, or the path of a folder.
        aws: where S3 is.

    Raises:
        FatalError: it cannot be read, is not whole, or is of another table.
    """
    async with AsyncExitStack() as resources:
        folder: Folder | Bucket = Folder(Path(url))
        if url.startswith("s3://"):
            folder = Bucket(await resources.enter_async_context(aws.open_client("s3")), url)
        export = Export(folder, session.retry)
        manifest = await export.manifest()
        if problem := other_table(manifest, session.source):
            raise FatalError(problem)
        yield Parts(
            f"the export {manifest.id}",
            "files",
            [file.name for file in manifest.files],
            manifest.items,
            lambda number, _of, _after: export.pages(manifest.files[number]),
            _FILES_AT_ONCE,
            manifest.taken,
        )
