"""Reads a table export in S3, or a copy of one in a folder: full exports in the format DYNAMODB_JSON.

An export counts as whole only if its manifests say so: which table it is of, which files it has, how many
items are in each and in all of them, and the MD5 of each. What does not fit is refused. The `etag` beside the
MD5 is S3's own, which is no MD5 of an object that was uploaded in parts; a copy in a folder has none.

Source: Amazon DynamoDB developer guide, "DynamoDB table export output format" (the manifests, and lines of
the form {"Item": {…}} in gzip files). It names the manifests' checksum files `.checksum`; they are `.md5`.
Amazon S3 API reference, "Object" (what an ETag is of).
"""

from __future__ import annotations

import asyncio
import base64
import gzip
import hashlib
import json
import tempfile
import zlib
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import IO, TYPE_CHECKING, Any

from ops.aws import Calls, aws_errors
from ops.migration.source.table import Page
from shared.errors import FatalError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
    from pathlib import Path

    from ops.migration.images import Item
    from ops.migration.retry import Retry
    from ops.migration.source.table import Source

_PAGE_ITEMS = 1_000
_PAGE_BYTES = 4 * 1024 * 1024
_CHUNK = 1024 * 1024
_IN_MEMORY = 8 * 1024 * 1024


class Folder:
    """An export on this machine."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def read(self, name: str, into: IO[bytes]) -> None:
        """Copies a file, named relative to the export's folder, to `into`.

        Raises:
            FatalError: it cannot be read.
        """
        try:
            with (self._path / name).open("rb") as file:
                while chunk := file.read(_CHUNK):
                    into.write(chunk)
        except OSError as error:
            why = error.strerror or str(error)
            raise FatalError(
                f"the export's file {self._path / name} cannot be read ({why}): download it again"
            ) from error

    async def read_checksum(self, name: str, into: IO[bytes]) -> None:
        """As `read`."""
        await self.read(name, into)


class Bucket:
    """An export in S3."""

    def __init__(self, client: Any, url: str) -> None:
        """Takes a client of Amazon S3, and s3://bucket/prefix/AWSDynamoDB/id."""
        self._client = client
        self._calls = Calls()
        self._bucket, _, self._prefix = url.rstrip("/").removeprefix("s3://").partition("/")

    async def read(self, name: str, into: IO[bytes]) -> None:
        """As `Folder.read`; raises as `ops.aws.aws_errors`."""
        with self._calls.errors("GetObject", f"reading {self._url(name)}"):
            await self._read(name, into)

    async def read_checksum(self, name: str, into: IO[bytes]) -> None:
        """As `read`. S3 forbids to read what is not there, if the caller may not list the bucket."""
        with aws_errors(f"reading {self._url(name)}"):
            await self._read(name, into)

    def _url(self, name: str) -> str:
        return f"s3://{self._bucket}/{self._key(name)}"

    def _key(self, name: str) -> str:
        return f"{self._prefix}/{name}" if self._prefix else name

    async def _read(self, name: str, into: IO[bytes]) -> None:
        into.seek(0)
        into.truncate()  # an earlier attempt may have written half of it
        answer = await self._client.get_object(Bucket=self._bucket, Key=self._key(name))
        async with answer["Body"] as body:
            while chunk := await body.read(_CHUNK):
                into.write(chunk)


@dataclass(frozen=True, slots=True)
class DataFile:
    """A file with items.

    Attributes:
        name: relative to the export's folder.
        md5: of the file, base64.
        items: how many it has.
    """

    name: str
    md5: str
    items: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """What an export holds.

    Attributes:
        id: the export's ARN; if there is none, the folder of the manifest.
        arn: that of the table.
        table_id: that of the table; changes when it is deleted and created again.
        taken: the point in time that was exported.
        items: how many it has.
        files: those with items.
    """

    id: str
    arn: str
    table_id: str
    taken: datetime
    items: int
    files: Sequence[DataFile]


class Export:
    """Reads an export."""

    def __init__(self, folder: Folder | Bucket, retry: Retry) -> None:
        self._folder = folder
        self._retry = retry

    async def manifest(self) -> Manifest:
        """Reads both manifests.

        Raises:
            FatalError: it is not an export that can be copied.
        """
        summary = _json_of(await self._manifest("manifest-summary"), "manifest-summary.json")
        files = [
            _json_of(line, "manifest-files.json")
            for line in (await self._manifest("manifest-files")).splitlines()
            if line.strip()
        ]
        return manifest_of(summary, files)

    async def pages(self, file: DataFile) -> AsyncIterator[Page]:
        """The items of a file, page by page.

        Raises:
            FatalError: the file is damaged, or not of this format.
        """
        count = 0
        async with self._open(file.name, file.md5) as data:
            for items in _pages(_items_of(data, file.name)):
                count += len(items)
                yield Page(items, None)
                await asyncio.sleep(0)  # reading keeps this thread busy: other tasks get their turn
        if count != file.items:
            raise FatalError(
                f"the export's file {file.name} has {count} items, but the manifest says {file.items}: "
                "download "
                "it again"
            )

    async def _manifest(self, name: str) -> str:
        """The text of a manifest, which is that of its checksum file where there is one."""
        md5 = ""
        try:
            with tempfile.SpooledTemporaryFile(_IN_MEMORY) as data:
                await self._retry.until_done(lambda: self._folder.read_checksum(f"{name}.md5", data))
                data.seek(0)
                md5 = data.read().decode("utf-8", errors="replace").strip() or "empty"
        except FatalError:  # a copy of an export need not have it
            pass
        async with self._open(f"{name}.json", md5) as data:
            return data.read().decode("utf-8", errors="replace")

    @asynccontextmanager
    async def _open(self, name: str, md5: str = "") -> AsyncIterator[IO[bytes]]:
        with tempfile.SpooledTemporaryFile(_IN_MEMORY) as data:
            await self._retry.until_done(lambda: self._folder.read(name, data))
            data.seek(0)
            if md5:
                digest = base64.b64encode(hashlib.file_digest(data, "md5").digest()).decode()
                if digest != md5:
                    raise FatalError(
                        f"the export's file {name} is damaged: its MD5 is {digest}, but should be {md5}: "
                        "download it again"
                    )
                data.seek(0)
            yield data


def manifest_of(summary: Mapping[str, Any], files: Sequence[Mapping[str, Any]]) -> Manifest:
    """Reads what the manifests say. Pure.

    Raises:
        FatalError: it is an incremental export, has another format, or is not a manifest.
    """
    if summary.get("outputFormat") != "DYNAMODB_JSON":
        raise FatalError(
            f"the export has the format {summary.get('outputFormat')}: export again with DYNAMODB_JSON"
        )
    if summary.get("exportType", "FULL_EXPORT") != "FULL_EXPORT":
        raise FatalError("the export is incremental, but changes come from the stream: take a full export")
    try:
        own = summary["manifestFilesS3Key"].rpartition("/")[0]
        manifest = Manifest(
            id=str(summary.get("exportArn") or own),
            arn=_text(summary["tableArn"]),
            table_id=_text(summary["tableId"]),
            taken=_time(summary["exportTime"]),
            items=_count(summary["itemCount"]),
            files=[
                DataFile(
                    each["dataFileS3Key"].removeprefix(f"{own}/"),
                    _text(each["md5Checksum"]),
                    _count(each["itemCount"]),
                )
                for each in files
            ],
        )
    except (KeyError, AttributeError, ValueError, TypeError) as error:
        raise FatalError(f"the export's manifest is not in DynamoDB's format: {error!r}") from error
    listed = sum(file.items for file in manifest.files)
    if listed != manifest.items:
        raise FatalError(
            f"the export is incomplete: manifest-summary.json has {manifest.items} items, and the files in "
            f"manifest-files.json have {listed}: download both again"
        )
    return manifest


def other_table(manifest: Manifest, source: Source) -> str | None:
    """Why an export is not one of a table, and what to do; None: it is. Pure."""
    if manifest.arn != source.arn:
        return (
            f"the export is of the table {manifest.arn}, but this is {source.arn}: take an export of this "
            "table, or use the table, region and credentials of the export"
        )
    if source.id and manifest.table_id != source.id:
        return (
            f"the export is of an earlier table {source.name!r}, which was deleted and created again, or "
            f"restored: its id was {manifest.table_id}, and is {source.id} now; take a new export"
        )
    return None


def _text(value: Any) -> str:
    if not (isinstance(value, str) and value):
        raise TypeError("no text")
    return value


def _count(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise TypeError("no count")
    return value


def _time(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _json_of(text: str, name: str) -> Mapping[str, Any]:
    try:
        content = json.loads(text)
    except ValueError as error:
        raise FatalError(f"the export's {name} is not JSON: {error}") from error
    if not isinstance(content, dict):
        raise FatalError(f"the export's {name} is not in DynamoDB's format")
    return content


def _items_of(data: IO[bytes], name: str) -> Iterator[tuple[Item, int]]:
    """Each item with the length of its line, in bytes."""
    try:
        with gzip.open(data) as lines:
            for line in lines:
                if line.strip():
                    item = json.loads(line)["Item"]
                    if not isinstance(item, dict):
                        raise TypeError("an item is no object")
                    yield item, len(line)
    except (OSError, EOFError, zlib.error, ValueError, KeyError, TypeError, RecursionError) as error:
        raise FatalError(
            f"the export's file {name} does not hold one item per line: {error!r}: download it again"
        ) from error


def _pages(items: Iterator[tuple[Item, int]]) -> Iterator[list[Item]]:
    page: list[Item] = []
    size = 0
    for item, length in items:
        page.append(item)
        size += length
        if len(page) == _PAGE_ITEMS or size > _PAGE_BYTES:
            yield page
            page, size = [], 0
    if page:
        yield page
