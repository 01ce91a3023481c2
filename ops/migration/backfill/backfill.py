"""`replicator backfill`: copies the items that are there while live replication goes on.

Every copied document has the lowest version, so every change wins, whatever the order; a deletion wins by its
tombstone. That needs live replication to be on before the copy begins.
"""

from __future__ import annotations

import contextlib
import json
import uuid
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from ops.console.progress import Progress, console, duration
from ops.migration import settings
from ops.migration.backfill.checkpoints import Checkpoint, Checkpoints, Part, mismatch, segments
from ops.migration.backfill.copier import Copier, ExportedFiles, Rejects, Segments
from ops.migration.retry import Retry
from ops.migration.source.export import Bucket, Export, Folder
from ops.migration.source.live import export_problem, list_mappings, replication_problem, replication_warning
from ops.migration.source.pace import Pace
from ops.migration.source.table import Reader
from ops.migration.verify.findings import opened
from shared.errors import FatalError, TransientError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from ops.migration.backfill.checkpoints import Counts
    from ops.migration.backfill.copier import Parts
    from ops.migration.settings import Settings
    from ops.migration.source.export import Manifest
    from ops.migration.source.live import EventSourceMapping
    from ops.migration.source.table import Source
    from ops.migration.store import Store

_FILE_LOOPS = 4
_HOUR = 3600.0

_Segments = Annotated[
    int,
    typer.Option(
        min=1,
        max=1_000_000,
        help="Parts of the table that are read at once. A backfill that goes on keeps its own.",
    ),
]
_Restart = Annotated[
    bool,
    typer.Option("--restart", help="Forget how far an earlier backfill of this table came, and begin anew."),
]
_NoLive = Annotated[
    bool,
    typer.Option(
        "--no-live", help="Copy although no live replication of the table is seen: changes may be lost."
    ),
]
_FromExport = Annotated[
    str,
    typer.Option(
        metavar="PATH",
        show_default=False,
        help="Read a full export to S3 in the format DYNAMODB_JSON instead of the table: "
        "s3://BUCKET/PREFIX/AWSDynamoDB/ID, or a folder with a copy of that.",
    ),
]
_OldExport = Annotated[
    bool,
    typer.Option(
        "--accept-missed-deletes",
        help="Copy an export although items that were deleted after it may come back; repair removes them.",
    ),
]
_Rejects = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        dir_okay=False,
        help="Append a JSON line for each item that cannot be copied: its key, and why.",
    ),
]
_PageSize = Annotated[
    int,
    typer.Option(
        min=0,
        metavar="ITEMS",
        help="Items per read at the most; 0: as many as DynamoDB gives (1 MB). How far it came is noted "
        "after each page.",
    ),
]
_Consistent = Annotated[
    bool, typer.Option("--consistent", help="Read consistently, which costs twice the capacity.")
]


@dataclass(frozen=True, slots=True)
class _Options:
    segments: int
    rcu: float
    restart: bool
    no_live: bool
    from_export: str
    accept_missed_deletes: bool
    rejects: Path | None
    consistent: bool
    page_size: int
    as_json: bool


def command(  # noqa: PLR0913 - one parameter per option
    table: settings.TableName,
    *,
    segments: _Segments = 4,
    rcu: settings.Rcu = 0,
    restart: _Restart = False,
    from_export: _FromExport = "",
    rejects: _Rejects = None,
    consistent: _Consistent = False,
    page_size: _PageSize = 0,
    no_live: _NoLive = False,
    accept_missed_deletes: _OldExport = False,
    as_json: settings.AsJson = False,
    mongodb_uri: settings.MongodbUri = "",
    mongodb_database: settings.MongodbDatabase = "",
    replication_file: settings.ReplicationFile = "",
    endpoint_url: settings.EndpointUrl = None,
    region: settings.Region = None,
) -> None:
    """Copy the items of a table that are there already, while live replication goes on.

    Every change that is replicated wins over the copy, whatever the order. Killed at any moment, the same
    command goes on where it was; run again, it changes nothing.

    Exit status: 0 if everything is copied, 1 if items were rejected, 2 for wrong use or if a server refuses
    us, 3 if live replication of the table is not on (or does not reach back to the export).
    """
    setting = settings.settings_of(
        table, mongodb_uri, mongodb_database, replication_file, endpoint_url, region
    )
    options = _Options(
        segments=segments,
        rcu=rcu,
        restart=restart,
        no_live=no_live,
        from_export=from_export,
        accept_missed_deletes=accept_missed_deletes,
        rejects=rejects,
        consistent=consistent,
        page_size=page_size,
        as_json=as_json,
    )
    settings.run(lambda: _main(setting, options), when_stopped="The same command goes on from here.")


class _NotLiveError(Exception):
    """Changes would be lost; the text says why, and what to do."""


async def _main(setting: Settings, options: _Options) -> settings.Ending:
    name = setting.table.name
    with Progress(name, quiet=options.as_json) as progress:
        async with contextlib.AsyncExitStack() as resources:
            retry = Retry(progress.say)
            store = await resources.enter_async_context(setting.store())
            client = await resources.enter_async_context(setting.aws.client("dynamodb"))
            reader = Reader(client, Pace(options.rcu), retry)
            source = await reader.describe(name)
            await retry.until_done(store.open)
            export = manifest = None
            if options.from_export:
                export = Export(await resources.enter_async_context(_files(setting, options)), retry)
                manifest = await export.manifest()
                _check_table(manifest, source)
            try:
                await _check_live(setting, options, source, manifest, progress)
            except _NotLiveError as error:
                console(errors=True).print(f"Not started: {error}", style="red")
                return settings.Ending(3)
            checkpoints = Checkpoints(store, retry)
            checkpoint = await _checkpoint(checkpoints, setting, options, source, manifest, progress)
            if checkpoint.finished is None:
                parts: Parts
                if export is not None and manifest is not None:
                    parts = ExportedFiles(export, manifest.files)
                else:
                    number = len(checkpoint.parts)
                    parts = Segments(
                        reader, source, number, consistent=options.consistent, most=options.page_size
                    )
                progress.total = (manifest.items or 0) if manifest else source.items
                progress.before = checkpoint.counts.read
                rejects = resources.enter_context(opened(options.rejects, "--rejects", "a"))
                copier = Copier(
                    parts,
                    setting.table,
                    source.key,
                    store,
                    checkpoints,
                    retry,
                    Rejects(rejects, name),
                    lambda counts: progress.done(counts.read),
                )
                loops = _FILE_LOOPS if manifest else len(checkpoint.parts)
                await copier.run(checkpoint, loops)
                await _sweep(store, retry, checkpoint)
    return _ending(setting, options, checkpoint)


def _check_table(manifest: Manifest, source: Source) -> None:
    if manifest.table != source.name:
        raise FatalError(f"the export is of the table {manifest.table!r}, not of {source.name!r}")


async def _check_live(
    setting: Settings, options: _Options, source: Source, manifest: Manifest | None, progress: Progress
) -> None:
    """Makes sure that no change is lost while the copy is made.

    Raises:
        _NotLiveError: some could be.
    """
    now = datetime.now(UTC)
    mappings: list[EventSourceMapping] = []
    if not options.no_live:
        async with setting.aws.client("lambda") as client:
            try:
                mappings = await list_mappings(client, source)
            except TransientError as error:  # the SDK has tried again already
                raise _NotLiveError(
                    f"{error}. Try again, or give --no-live if you know that it is on"
                ) from error
        if missing := replication_problem(source, mappings):
            raise _NotLiveError(f"{missing}. (--no-live copies all the same.)")
        if warning := replication_warning(mappings, now):
            progress.say(f"Warning: {warning}")
    if manifest is not None and (gap := export_problem(manifest.taken, source, mappings, now)):
        if not options.accept_missed_deletes:
            raise _NotLiveError(
                f"{gap}. Take a new export, or copy the table itself; or give --accept-missed-deletes, and "
                "run verify and repair afterwards"
            )
        progress.say(f"Warning: {gap}. Run verify and repair afterwards.")


async def _checkpoint(  # noqa: PLR0913, PLR0917 - all that decides
    checkpoints: Checkpoints,
    setting: Settings,
    options: _Options,
    source: Source,
    manifest: Manifest | None,
    progress: Progress,
) -> Checkpoint:
    """The one to go on with, or a new one.

    Raises:
        FatalError: there is one that is not of this kind.
    """
    name = source.name
    what = f"the export {manifest.id}" if manifest else f"the table itself {source.id}".rstrip()
    before = None if options.restart else await checkpoints.load(name)
    if before is None:
        parts = [Part(file.name) for file in manifest.files] if manifest else list(segments(options.segments))
        checkpoint = Checkpoint(name, uuid.uuid4().hex, what, setting.digest, datetime.now(UTC), parts)
        await checkpoints.begin(checkpoint)
        return checkpoint
    if why := mismatch(before, what, setting.digest):
        raise FatalError(why)
    if before.finished is not None:
        return before
    left = sum(not part.done for part in before.parts)
    kind = "files" if manifest else "segments"
    progress.say(
        f"Going on with the backfill of {before.started:%Y-%m-%d %H:%M} UTC: {before.counts.read:,} items "
        f"are done, {left} of {len(before.parts)} {kind} are left."
    )
    if not manifest and len(before.parts) != options.segments:
        progress.say(f"It began with {len(before.parts)} segments and keeps them: --segments has no effect.")
    before.run = uuid.uuid4().hex
    await checkpoints.begin(before)
    return before


async def _sweep(store: Store, retry: Retry, checkpoint: Checkpoint) -> None:
    """Removes what a killed run brought back of items that were deleted meanwhile.

    A run that dies between its insert and its second look at the tombstones leaves a document of an item that
    the next run does not find any more. The writers sweep, too, but look at the last hours only.
    """
    window = (datetime.now(UTC) - checkpoint.started).total_seconds() + _HOUR
    await retry.until_done(lambda: store.sweep(window))


@contextlib.asynccontextmanager
async def _files(setting: Settings, options: _Options) -> AsyncIterator[Bucket | Folder]:
    if not options.from_export.startswith("s3://"):
        yield Folder(Path(options.from_export))
        return
    async with setting.aws.client("s3") as client:
        yield Bucket(client, options.from_export)


def _ending(setting: Settings, options: _Options, checkpoint: Checkpoint) -> settings.Ending:
    counts = checkpoint.counts
    finished = checkpoint.finished or datetime.now(UTC)

    def show() -> None:
        if options.as_json:
            typer.echo(json.dumps(_data(setting, checkpoint, finished)))
            return
        print_found(setting, checkpoint, finished, has_file=options.rejects is not None)

    return settings.Ending(1 if counts.rejected else 0, show)


def print_found(setting: Settings, checkpoint: Checkpoint, finished: datetime, *, has_file: bool) -> None:
    """Says what was copied; `has_file`: the rejects are in a file."""
    counts, say = checkpoint.counts, console()
    taken = duration((finished - checkpoint.started).total_seconds())
    say.print(
        Text.assemble(
            (setting.table.name, "bold"), f" -> {setting.place}: the backfill is complete ({taken})"
        )
    )
    for number, words in _lines(counts):
        say.print(Text(f"{number:>14,}  {words}", style="red" if words.startswith("rejected") else ""))
    if counts.rejected and not has_file:
        say.print("Which items were rejected, and why: --restart --rejects FILE")


def _data(setting: Settings, checkpoint: Checkpoint, finished: datetime) -> dict[str, Any]:
    return {
        "table": setting.table.name,
        "target": setting.place,
        "complete": True,
        "started": checkpoint.started.isoformat(timespec="seconds"),
        "finished": finished.isoformat(timespec="seconds"),
        **asdict(checkpoint.counts),
    }


def _lines(counts: Counts) -> list[tuple[int, str]]:
    lines = [
        (counts.read, "items read"),
        (counts.copied, "copied"),
        (counts.there, "there already, or changed or deleted since"),
    ]
    if counts.skipped:
        lines.append((counts.skipped, "not wanted by the hook"))
    if counts.rejected:
        lines.append((counts.rejected, "rejected"))
    return lines
