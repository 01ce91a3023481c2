"""`replicator resync`: what is right after a gap in a stream. Compares, repairs, compares again.

A gap is a time of which no change will ever arrive: a stream that was off or not read for more than 24 hours,
a table that was restored. A backfill copies only what is not there: stale documents stay, and so do those of
deleted items. This finds and repairs all three. Killed at any time, it is run again: it compares anew.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from ops.console.exit_status import FOUND, UNKNOWN, WELL
from ops.console.progress import Progress, console
from ops.migration.command import CommandResult, tables_command
from ops.migration.json_lines import open_lines
from ops.migration.repair.repair_run import DryRun, Yes, check_consent, repair_report
from ops.migration.repair.repairer import Result
from ops.migration.settings import Settings, open_session
from ops.migration.source.live import NotLiveError, check_live, named_function
from ops.migration.verify.verify import Segments, Settle, compare, data_of
from ops.options import Rcu, TablesOptions

if TYPE_CHECKING:
    from ops.migration.repair.repair_run import Repairs
    from ops.migration.settings import Session
    from ops.migration.verify.verify import Comparison


@dataclass(frozen=True, slots=True, kw_only=True)
class Options(TablesOptions):
    """What it takes."""

    dry_run: DryRun = False
    yes: Yes = False
    settle: Settle = 10
    segments: Segments = 4
    rcu: Rcu = 0
    no_live: Annotated[
        bool,
        typer.Option(
            "--no-live",
            help="Continue even if no live replication of the table is found: changes may be lost.",
        ),
    ] = False


@dataclass(frozen=True, slots=True)
class Resync:
    """What was found and done.

    Attributes:
        before: the first comparison.
        repairs: what became of its differences.
        after: the comparison at the end; None: nothing was written, so that the first one holds.
    """

    before: Comparison
    repairs: Repairs
    after: Comparison | None

    @property
    def status(self) -> int:
        """The exit status: that of the last comparison, and of what was not done about the first one."""
        if self.after is not None:
            return self.after.status
        if self.repairs.status:
            return FOUND
        return UNKNOWN if self.before.counts.in_flight else WELL

    @property
    def found(self) -> str:
        """The same in some words."""
        if self.after is None:
            return self.repairs.found if self.before.counts.wrong else self.before.found
        return f"{self.repairs.found}; then {self.after.found}"

    @property
    def data(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "before": data_of(self.before),
            "repairs": self.repairs.data,
            "after": None if self.after is None else data_of(self.after),
        }


def begin(options: Options) -> None:
    """Nothing begins that nobody can agree to."""
    check_consent(yes=options.yes, dry_run=options.dry_run)


@tables_command(
    Options,
    when_stopped="What was repaired stays repaired. Run it again: it compares from the start.",
    begin=begin,
)
async def command(settings: Settings, options: Options) -> CommandResult:
    """Make tables and their collections equal after a gap in a stream: verify, repair, verify again.

    After a stream was off or not read for more than 24 hours, or a table was restored, changes are
    missing that no backfill finds. Items without a document, stale documents and documents of deleted
    items are all repaired, while live replication runs; a live change always wins. It says what it will
    do, and asks. If it is killed, run it again.

    Exit status: 0 if both sides are equal at the end, 1 if something is left (with --dry-run: to do), 2 for
    wrong use, if a server refuses us, or if there is no terminal to ask at, 3 if live replication is not on,
    or items kept changing; of several tables the most serious one (2, then 3).
    """
    function = "" if options.no_live else named_function(settings.aws, options.stack, options.function)
    async with open_session(settings, console(errors=True).print, options.rcu) as session:
        await session.retry.until_done(session.store.open)
        try:
            await check_live(
                settings.aws,
                session.source,
                None,
                console(errors=True).print,
                function=function,
                no_live=options.no_live,
                accept_missed_deletes=False,
            )
        except NotLiveError as error:
            return CommandResult(UNKNOWN, error=f"not started: {error}")
        done = await resync(
            settings,
            session,
            segments=options.segments,
            settle=options.settle,
            dry_run=options.dry_run,
            yes=options.yes,
            quiet=options.as_json,
        )
    return CommandResult(
        done.status,
        {"target": settings.namespace, "mapping": session.mapping.data, **done.data},
        lambda: print_resync(settings, done),
        done.found,
    )


async def resync(  # noqa: PLR0913 - what it works with
    settings: Settings,
    session: Session,
    *,
    segments: int,
    settle: float,
    dry_run: bool,
    yes: bool,
    quiet: bool,
) -> Resync:
    """Compares a table with its collection, repairs the differences if somebody says yes, compares again.

    Args:
        settings: of the table.
        session: its two sides, opened.
        segments: parts of the table that are read at once.
        settle: seconds that a difference has to stay.
        dry_run: write nothing.
        yes: do not ask.
        quiet: without progress.
    """
    name = settings.table.name

    async def compared(step: str, report: Path | None) -> Comparison:
        with (
            Progress(f"{name}: {step}", quiet=quiet) as progress,
            open_lines(report, "the report", "w") as lines,
        ):
            return await compare(settings, session, progress, lines, segments=segments, settle=settle)

    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.jsonl"
        before = await compared("compare", report)
        repairs = await repair_report(settings, session, report, dry_run=dry_run, yes=yes, quiet=quiet)
    changed = repairs.counts[Result.REPAIRED] + repairs.counts[Result.MOVED_ON]
    is_over = dry_run or repairs.declined or not changed
    return Resync(before, repairs, None if is_over else await compared("compare again", None))


def print_resync(settings: Settings, done: Resync) -> None:
    """Prints what was found and done."""
    out = console()
    out.print(Text.assemble((settings.table.name, "bold"), f" and {settings.namespace}: {done.before.found}"))
    if done.before.counts.wrong:
        done.repairs.show()
    if done.after is not None:
        out.print(f"Compared again: {done.after.found}.")
    if done.status == WELL:
        out.print(Text("Both sides are equal.", style="green"))
    elif done.status == UNKNOWN:
        out.print(Text("Some items kept changing: run it again with a longer --settle.", style="yellow"))
