"""An export is read as a whole or refused, in a sentence: no cut one is ever complete."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from ops.migration.backfill.checkpoints import Checkpoint, Part
from ops.migration.backfill.copier import Copier
from ops.migration.backfill.parts import export_parts
from ops.migration.retry import Retry
from ops.migration.source.table import Source
from shared.errors import FatalError
from tests.support.exports import md5, write_export, write_manifest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ARN = "arn:aws:dynamodb:us-east-1:123456789012:table/people"
AT = datetime(2020, 5, 1, tzinfo=UTC)
TABLE = {"TableArn": ARN, "TableId": "1"}
ITEMS: list[dict[str, Any]] = [{"id": {"N": str(number)}} for number in range(7)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_export(tmp_path / "export", TABLE, ITEMS, AT)
    return tmp_path / "export"


async def read(folder: Path, arn: str = ARN, table_id: str = "1") -> list[Any]:
    """All items of an export, as a backfill of the table reads them."""
    source = Source("people", table_id, {"id": "N"}, 0, "", "", arn)
    session: Any = SimpleNamespace(source=source, retry=Retry(lambda _: None))
    unused: Any = None
    found: list[Any] = []
    async with export_parts(session, str(folder), unused) as parts:
        for number in range(len(parts.names)):
            async for page in parts.pages(number, 0, None):
                found += page.items
    return found


async def test_a_whole_one_is_read(folder: Path) -> None:
    """A copy need not have the checksums of the manifests."""
    assert sorted(await read(folder), key=str) == ITEMS
    for name in ("manifest-files", "manifest-summary"):
        lose(f"{name}.md5")(folder)
    assert len(await read(folder)) == len(ITEMS)


def change(name: str, **changes: Any) -> Callable[[Path], None]:
    """Changes the first line of a manifest; None takes a field away."""

    def damage(folder: Path) -> None:
        first, *others = (folder / f"{name}.json").read_text().splitlines()
        content = {key: value for key, value in (json.loads(first) | changes).items() if value is not None}
        write_manifest(folder, name, "\n".join([json.dumps(content), *others]))

    return damage


def change_data(make: Callable[[bytes], bytes], *, honest: bool) -> Callable[[Path], None]:
    """Changes the first data file; `honest`: the manifest has its new checksum."""

    def damage(folder: Path) -> None:
        file = folder / "data" / "0.json.gz"
        file.write_bytes(make(file.read_bytes()))
        if honest:
            change("manifest-files", md5Checksum=md5(file.read_bytes()))(folder)

    return damage


def lose(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def unchecked(folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(text)


def cut(folder: Path) -> None:
    """The last line of the list of files is missing, and with it its checksum."""
    file = folder / "manifest-files.json"
    file.write_text(file.read_text().splitlines()[0])
    (folder / "manifest-files.md5").unlink()


def lines(*texts: str) -> bytes:
    return gzip.compress("\n".join(texts).encode())


DAMAGES: dict[str, tuple[Callable[[Path], None], str]] = {
    "no summary": (lose("manifest-summary.json"), "manifest-summary.json cannot be read"),
    "no list of files": (lose("manifest-files.json"), "manifest-files.json cannot be read"),
    "no data file": (lose("data/1.json.gz"), "1.json.gz cannot be read"),
    "cut list of files": (cut, "incomplete"),
    "empty list of files": (lambda folder: write_manifest(folder, "manifest-files", ""), "incomplete"),
    "list of files of another time": (
        lambda folder: unchecked(folder, "manifest-files.json", "{}"),
        "manifest-files.json is damaged",
    ),
    "summary of another time": (
        lambda folder: unchecked(folder, "manifest-summary.md5", md5(b"")),
        "manifest-summary.json is damaged",
    ),
    "empty checksum of the summary": (
        lambda folder: unchecked(folder, "manifest-summary.md5", "\n"),
        "manifest-summary.json is damaged",
    ),
    "count of all": (change("manifest-summary", itemCount=8), "incomplete"),
    "no count of all": (change("manifest-summary", itemCount=None), "manifest is not in"),
    "count of no kind": (change("manifest-files", itemCount="4"), "manifest is not in"),
    "no count": (change("manifest-files", itemCount=None), "manifest is not in"),
    "no checksum": (change("manifest-files", md5Checksum=None), "manifest is not in"),
    "checksum": (change("manifest-files", md5Checksum=md5(b"")), "0.json.gz is damaged"),
    "no id": (change("manifest-summary", tableId=None), "manifest is not in"),
    "ION": (change("manifest-summary", outputFormat="ION"), "DYNAMODB_JSON"),
    "incremental": (change("manifest-summary", exportType="INCREMENTAL_EXPORT"), "incremental"),
    "cut data": (change_data(lambda data: data[:-9], honest=False), "0.json.gz is damaged"),
    "cut before the export": (change_data(lambda data: data[:-9], honest=True), "0.json.gz does not hold"),
    "no gzip": (change_data(lambda data: b"x" + data, honest=True), "0.json.gz does not hold"),
    "bad deflate": (
        change_data(lambda data: data[:10] + b"\xff" + data[11:], honest=True),
        "0.json.gz does not hold",
    ),
    "an item less": (
        change_data(lambda data: lines(*gzip.decompress(data).decode().splitlines()[1:]), honest=True),
        "has 3 items, but the manifest says 4",
    ),
    "no items": (change_data(lambda _: lines('{"Keys": {}}'), honest=True), "0.json.gz does not hold"),
    "deep": (
        change_data(lambda _: lines('{"Item": ' + '{"L":[' * 100_000), honest=True),
        "0.json.gz does not hold",
    ),
}


@pytest.mark.parametrize(("damage", "said"), DAMAGES.values(), ids=DAMAGES)
async def test_what_is_not_whole_is_refused(folder: Path, damage: Callable[[Path], None], said: str) -> None:
    damage(folder)
    with pytest.raises(FatalError, match=said) as error:
        await read(folder)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "arn",
    [
        ARN.replace("people", "others"),
        ARN.replace("us-east-1", "eu-west-1"),
        ARN.replace("123456789012", "210987654321"),
        ARN.replace("arn:aws:", "arn:aws-cn:"),
    ],
)
async def test_an_export_of_another_table_is_refused(folder: Path, arn: str) -> None:
    """By name, region and account; the sentence has both."""
    with pytest.raises(FatalError) as error:
        await read(folder, arn)
    assert ARN in str(error.value)
    assert arn in str(error.value)


async def test_an_export_of_a_table_that_was_created_again_is_refused(folder: Path) -> None:
    """Its items may be deleted since, without a change that says so."""
    with pytest.raises(FatalError, match="its id was 1, and is 2 now"):
        await read(folder, table_id="2")


async def test_a_backfill_goes_on_with_the_same_files_only(folder: Path) -> None:
    """It counts files that are done, so another list of files would leave some out."""
    source = Source("people", "1", {"id": "N"}, 0, "", "", ARN)
    session: Any = SimpleNamespace(source=source, retry=Retry(lambda _: None))
    unused: Any = None
    async with export_parts(session, str(folder), unused) as parts:
        for names in (["data/1.json.gz", "data/0.json.gz"], ["data/0.json.gz"], []):
            checkpoint = Checkpoint("people", "", parts.origin, "", AT, [Part(name) for name in names])
            with pytest.raises(FatalError, match="has different files"):
                await Copier(parts, session, unused, None, lambda _: None).run(checkpoint)
