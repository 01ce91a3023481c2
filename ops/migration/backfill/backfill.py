"""`replicator backfill`: copies the items that are there while live replication goes on.

Every copied document has the lowest version, so every change wins, whatever the order; a deletion wins by its
tombstone. For that live replication has to be on before the copy begins.
"""

from __future__ import annotations

import contextlib
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from ops.console.progress import Progress, console, duration
from ops.migration.backfill.checkpoints import Checkpoint, Checkpoints, Part, mismatch
from ops.migration.backfill.copier import Copier
from ops.migration.backfill.parts import export_parts, table_parts
from ops.migration.command import CommandResult, migration_command, print_counts
from ops.migration.json_lines import open_lines
from ops.migration.settings import Session, Settings, open_session
from ops.migration.source.live import NotLiveError, check_live
from ops.options import Rcu, TableOptions
from shared.errors import FatalError

if TYPE_CHECKING:
    from ops.migration.backfill.parts import Parts

_HOUR = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Options(TableOptions):
    """What a backfill takes."""

    segments: Annotated[
        int,
        typer.Option(
            min=1,
            max=1_000_000,
            help="Parts of the table that are read at once. A backfill that goes on keeps its own.",
        ),
    ] = 4
    rcu: Rcu = 0
    restart: Annotated[
        bool,
        typer.Option(
            "--restart", help="Forget how far an earlier backfill of this table came, and begin anew."
        ),
    ] = False
    from_export: Annotated[
        str,
        typer.Option(
            metavar="PATH",
            show_default=False,
            help="Read a full export to S3 in the format DYNAMODB_JSON instead of the table: "
            "s3://BUCKET/PREFIX/AWSDynamoDB/ID, or a folder with a copy of that.",
        ),
    ] = ""
    rejects: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            dir_okay=False,
            help="Append a JSON line for each item that cannot be copied: its key, and why.",
        ),
    ] = None
    consistent: Annotated[
        bool, typer.Option("--consistent", help="Read consistently, which costs twice the capacity.")
    ] = False
    page_size: Annotated[
        int,
        typer.Option(
            min=0,
            metavar="ITEMS",
            help="Items per read at the most; 0: as many as DynamoDB gives (1 MB). How far it came is noted "
            "after each page.",
        ),
    ] = 0
    no_live: Annotated[
        bool,
        typer.Option(
            "--no-live", help="Copy although no live replication of the table is seen: changes may be lost."
        ),
    ] = False
    accept_missed_deletes: Annotated[
        bool,
        typer.Option(
            "--accept-missed-deletes",
            help="Copy an export although items that were deleted after it may come back; "
            "repair removes them.",
        ),
    ] = False


@migration_command(Options, when_stopped="The same command goes on from here.")
async def command(settings: Settings, options: Options) -> CommandResult:
    """Copy the items of a table that are there already, while live replication goes on.

    Every change that is replicated wins over the copy, whatever the order. Killed at any moment, the same
    command goes on where it was; run again, it changes nothing.

    Exit status: 0 if everything is copied, 1 if items were rejected, 2 for wrong use or if a server refuses
    us, 3 if live replication of the table is not on (or does not reach back to the export).
    """
    with Progress(options.table, quiet=options.as_json) as progress:
        async with contextlib.AsyncExitStack() as resources:
            session = await resources.enter_async_context(
                open_session(settings, progress.say, options.rcu, may_create=True)
            )
            await session.retry.until_done(session.store.open)
            if options.from_export:
                parts = await resources.enter_async_context(
                    export_parts(session, options.from_export, settings.aws)
                )
            else:
                parts = table_parts(
                    session, options.segments, consistent=options.consistent, page_size=options.page_size
                )
            try:
                await check_live(
                    settings.aws,
                    session.source,
                    parts.taken,
                    progress.say,
                    no_live=options.no_live,
                    accept_missed_deletes=options.accept_missed_deletes,
                )
            except NotLiveError as error:
                console(errors=True).print(f"Not started: {error}", style="red")
                return CommandResult(3)
            checkpoints = Checkpoints(session.store, session.retry)
            checkpoint = await _checkpoint(checkpoints, settings, options, parts, progress)
            if checkpoint.finished is None:
                progress.total, progress.before = parts.items, checkpoint.counts.read
                rejects = resources.enter_context(open_lines(options.rejects, "--rejects", "a"))
                copier = Copier(
                    parts, session, checkpoints, rejects, lambda counts: progress.done(counts.read)
                )
                await copier.run(checkpoint)
                await _sweep(session, checkpoint)
    finished = checkpoint.finished or datetime.now(UTC)
    data = {
        "table": options.table,
        "target": settings.namespace,
        "mapping": session.mapping.data,
        "complete": True,
        "started": checkpoint.started.isoformat(timespec="seconds"),
        "finished": finished.isoformat(timespec="seconds"),
        **asdict(checkpoint.counts),
    }
    return CommandResult(
        1 if checkpoint.counts.rejected else 0,
        data,
        lambda: print_backfill(settings, checkpoint, finished, has_file=options.rejects is not None),
    )


async def _checkpoint(
    checkpoints: Checkpoints, settings: Settings, options: Options, parts: Parts, progress: Progress
) -> Checkpoint:
    """The one to go on from, or a new one.

    Raises:
        FatalError: there is one of another source or another mapping.
    """
    before = None if options.restart else await checkpoints.load(options.table)
    if before is None:
        first = [Part(name) for name in parts.names]
        now = datetime.now(UTC)
        checkpoint = Checkpoint(options.table, "", parts.origin, settings.digest, now, first)
        await checkpoints.begin(checkpoint)
        return checkpoint
    if why := mismatch(before, parts.origin, settings.digest):
        raise FatalError(why)
    if before.finished is not None:
        return before
    left = sum(not part.done for part in before.parts)
    progress.say(
        f"Going on with the backfill of {before.started:%Y-%m-%d %H:%M} UTC: {before.counts.read:,} items "
        f"are done, {left} of {len(before.parts)} {parts.unit} are left."
    )
    if parts.taken is None and len(before.parts) != options.segments:
        progress.say(f"It began with {len(before.parts)} segments and keeps them: --segments has no effect.")
    await checkpoints.begin(before)
    return before


async def _sweep(session: Session, checkpoint: Checkpoint) -> None:
    """Removes documents of deleted items that a killed run has brought back.

    A run that dies between its insert and its second look at the tombstones leaves a document of an item that
    the next run does not find any more. The writers sweep, too, but look at the last hours only.
    """
    window = (datetime.now(UTC) - checkpoint.started).total_seconds() + _HOUR
    await session.retry.until_done(lambda: session.store.sweep(window))


def print_backfill(settings: Settings, checkpoint: Checkpoint, finished: datetime, *, has_file: bool) -> None:
    """Prints what was copied; `has_file`: the rejects are in a file."""
    counts = checkpoint.counts
    taken = duration((finished - checkpoint.started).total_seconds())
    words = f" -> {settings.namespace}: the backfill is complete ({taken})"
    console().print(Text.assemble((checkpoint.table, "bold"), words))
    rows = [
        (counts.read, "items read", False),
        (counts.copied, "copied", False),
        (counts.there, "there already, or changed or deleted since", False),
    ]
    if counts.skipped:
        rows.append((counts.skipped, "not wanted by the hook", False))
    if counts.rejected:
        rows.append((counts.rejected, "rejected", True))
    print_counts(rows)
    if counts.rejected and not has_file:
        console().print("Which items were rejected, and why: --restart --rejects FILE")
