"""`replicator backfill`: copies the items that are there while live replication goes on.

Every copied document has the lowest version, so every change wins, whatever the order; a deletion wins by its
tombstone. For that live replication has to be on before the copy begins.
"""

from __future__ import annotations

import contextlib
import functools
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from ops.console.exit_status import FOUND, UNKNOWN, WELL
from ops.console.progress import Progress, console, duration
from ops.console.terminal import count
from ops.migration.backfill.checkpoints import Checkpoint, Checkpoints, Counts
from ops.migration.backfill.copier import Copier, Reject
from ops.migration.backfill.parts import export_parts, table_parts
from ops.migration.backfill.resuming import first_or_next, sweep_since
from ops.migration.command import CommandResult, print_counts, tables_command
from ops.migration.json_lines import json_of, open_lines
from ops.migration.settings import Settings, open_session
from ops.migration.source.live import NotLiveError, check_live, named_function
from ops.options import Rcu, TablesOptions

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True, kw_only=True)
class Options(TablesOptions):
    """What a backfill takes."""

    segments: Annotated[
        int,
        typer.Option(
            metavar="NUMBER",
            min=1,
            max=1_000_000,
            help="Parts of the table to read in parallel. A resumed backfill keeps its own.",
        ),
    ] = 4
    rcu: Rcu = 0
    restart: Annotated[
        bool,
        typer.Option(
            "--restart", help="Discard the progress of an earlier backfill of this table, and start again."
        ),
    ] = False
    from_export: Annotated[
        str,
        typer.Option(
            metavar="PATH",
            show_default=False,
            help="Read a full S3 export in DYNAMODB_JSON format instead of the table: "
            "s3://BUCKET/PREFIX/AWSDynamoDB/ID, or a folder with a copy of it.",
        ),
    ] = ""
    rejects: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            dir_okay=False,
            help="Append a JSON line for each item that cannot be copied: its key and why.",
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
            help="At most this many items per read; 0: as many as DynamoDB returns (1 MB). The progress is "
            "saved after each page.",
        ),
    ] = 0
    no_live: Annotated[
        bool,
        typer.Option(
            "--no-live",
            help="Copy even though no live replication of the table is found: changes may be lost.",
        ),
    ] = False
    accept_missed_deletes: Annotated[
        bool,
        typer.Option(
            "--accept-missed-deletes",
            help="Copy an export even if items deleted after it may come back; resync removes them.",
        ),
    ] = False

    @property
    def for_one_table(self) -> str:
        """See `TablesOptions`."""
        return "--from-export" if self.from_export else ""


@tables_command(Options, when_stopped="Run the same command again to resume.")
async def command(settings: Settings, options: Options) -> CommandResult:
    """Copy existing items of tables while live replication runs.

    Every replicated change wins over the copy, whatever the order. If the backfill is killed, the same
    command resumes it; run again after its end, it changes nothing. It writes only where there is
    nothing, and compares nothing: after a gap in the stream, use resync.

    Exit status: 0 if every item was read and none rejected, 1 if items were rejected, 2 for wrong use or if a
    server refuses us, 3 if live replication of the table is not on (or does not reach back to the export); of
    several tables the most serious one (2, then 3).
    """
    function = "" if options.no_live else named_function(settings.aws, options.stack, options.function)
    with Progress(options.table, quiet=options.as_json) as progress:
        async with contextlib.AsyncExitStack() as resources:
            session = await resources.enter_async_context(
                open_session(
                    settings,
                    progress.say,
                    options.rcu,
                    may_create=options.no_live,  # the writers of live replication have made it at their start
                    else_create="; the writers create it when they start, and --no-live does too",
                )
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
                    function=function,
                    no_live=options.no_live,
                    accept_missed_deletes=options.accept_missed_deletes,
                )
            except NotLiveError as error:
                return CommandResult(UNKNOWN, error=f"not started: {error}")
            checkpoints = Checkpoints(session.store, session.retry)
            checkpoint = await first_or_next(
                checkpoints, settings, parts, progress.say, restart=options.restart
            )
            was_finished = checkpoint.finished is not None
            if not was_finished:
                begun = len(checkpoint.parts)
                if parts.taken is None and begun != options.segments:
                    progress.say(f"It began with {begun} segments and keeps them: --segments is ignored.")
                progress.total, progress.before = parts.items, checkpoint.counts.read
                rejects = resources.enter_context(open_lines(options.rejects, "--rejects", "a"))
                keep = None if rejects is None else functools.partial(_write_lines, rejects, options.table)
                copier = Copier(parts, session, checkpoints, keep, lambda counts: progress.done(counts.read))
                await copier.run(checkpoint)
                await sweep_since(session, checkpoint)
    finished = checkpoint.finished or datetime.now(UTC)
    counts = checkpoint.counts
    data = {
        "target": settings.namespace,
        "mapping": session.mapping.data,
        "was_finished": was_finished,
        "started": checkpoint.started.isoformat(timespec="seconds"),
        "finished": finished.isoformat(timespec="seconds"),
        "read": counts.read,
        "copied": counts.copied,
        "existing": counts.there,
        "skipped": counts.skipped,
        "rejected": counts.rejected,
        "advice": advice(checkpoint, was_finished=was_finished) or None,
    }
    return CommandResult(
        FOUND if counts.rejected else WELL,
        data,
        lambda: print_backfill(
            settings, checkpoint, finished, has_file=options.rejects is not None, was_finished=was_finished
        ),
        found(counts, was_finished=was_finished),
    )


async def _write_lines(file: IO[str], table: str, rejects: Sequence[Reject]) -> None:
    """Writes a line for each; they are in the file when this returns."""
    for each in rejects:
        line = {"table": table, "key": json_of(each.key), "code": each.code, "reason": each.reason}
        file.write(json.dumps(line, ensure_ascii=False) + "\n")
    file.flush()


def advice(checkpoint: Checkpoint, *, was_finished: bool) -> str:
    """What to do about documents that were not compared; empty: there are none.

    Args:
        checkpoint: a backfill that is finished.
        was_finished: it was so before, and nothing was read now.
    """
    resync = (
        "(it was off, or not read, for more than 24 hours; or the table was restored), run "
        f"replicator resync {checkpoint.table}"
    )
    if was_finished:
        return f"Nothing was read this time. If the stream had a gap since {resync}"
    if not checkpoint.counts.there:
        return ""
    return (
        f"{count(checkpoint.counts.there, 'document')} were there already, or deleted since, and were not "
        f"compared. If the stream had a gap {resync}"
    )


def found(counts: Counts, *, was_finished: bool) -> str:
    """What became of the items, in some words."""
    if was_finished:
        return "was finished earlier: nothing was read"
    others = [
        (counts.there, "already there: not compared"),
        (counts.skipped, "left out by the hook"),
        (counts.rejected, "rejected"),
    ]
    return ", ".join(
        [f"{counts.copied:,} copied", *(f"{number:,} {words}" for number, words in others if number)]
    )


def print_backfill(
    settings: Settings,
    checkpoint: Checkpoint,
    finished: datetime,
    *,
    has_file: bool,
    was_finished: bool = False,
) -> None:
    """Prints what was copied.

    Args:
        settings: of the table.
        checkpoint: a backfill that is finished.
        finished: when.
        has_file: the rejects are in a file.
        was_finished: it was so before, and nothing was read now.
    """
    counts = checkpoint.counts
    taken = duration((finished - checkpoint.started).total_seconds())
    told = f"all items were read ({taken})" if counts.there else f"the backfill is complete ({taken})"
    if was_finished:
        told = f"the backfill finished earlier, at {finished:%Y-%m-%d %H:%M} UTC"
    console().print(Text.assemble((checkpoint.table, "bold"), f" -> {settings.namespace}: {told}"))
    rows = [
        (counts.read, "items read", False),
        (counts.copied, "copied", False),
        (counts.there, "already there, or deleted since: not compared", False),
    ]
    if counts.skipped:
        rows.append((counts.skipped, "left out by the hook", False))
    if counts.rejected:
        rows.append((counts.rejected, "rejected", True))
    print_counts(rows)
    if counts.rejected and not has_file:
        console().print("Which items were rejected, and why: --restart --rejects FILE")
    if told := advice(checkpoint, was_finished=was_finished):
        console().print(told)
