"""`replicator repair`: repairs what `verify` found, without racing live changes."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from ops.console.exit_status import CommandError
from ops.console.progress import Progress, console
from ops.migration.command import CommandResult, tables_command
from ops.migration.json_lines import open_lines
from ops.migration.repair.repair_run import DryRun, Yes, check_consent, repair_report
from ops.migration.settings import Settings, open_session
from ops.migration.tables import Known
from ops.migration.verify.findings import tables_in
from ops.migration.verify.verify import Segments, Settle, compare
from ops.options import Rcu, TablesOptions

if TYPE_CHECKING:
    from ops.migration.repair.repair_run import Repairs


@dataclass(frozen=True, slots=True, kw_only=True)
class Options(TablesOptions):
    """What a repair takes."""

    report: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            exists=True,
            dir_okay=False,
            show_default=False,
            help="The report of verify; without it everything is compared first.",
        ),
    ] = None
    dry_run: DryRun = False
    yes: Yes = False
    settle: Settle = 10
    segments: Segments = 4
    rcu: Rcu = 0


def tables_of_report(options: Options) -> Known | None:
    """The tables of the report, if there is one: names and patterns mean these."""
    if options.report is None:
        return None
    return Known(tables_in(options.report), f"that {options.report} lists differences of")


def begin(options: Options) -> None:
    """Nothing begins that nobody can agree to."""
    check_consent(yes=options.yes, dry_run=options.dry_run)


@tables_command(
    Options,
    when_stopped="What was repaired stays repaired. Run it again for the rest.",
    begin=begin,
    known=tables_of_report,
)
async def command(settings: Settings, options: Options) -> CommandResult:
    """Repair what verify found: write what is missing, replace what differs, delete what is extra.

    It says how many documents it will write and delete, and asks. Then it reads each key again, and
    writes its document only if that still has the version that was seen: a live change always wins.
    Documents that need each other's value of a unique index are written together. A version that no
    change can have is removed first. Documents without a version of ours are left alone.

    Exit status: 0 if nothing is left (with --dry-run: if there is nothing to do), else 1; 2 for wrong use, if
    a server refuses us, or if there is no terminal to ask at, 3 if nothing is left but items kept changing,
    so that it is not known; of several tables the most serious one (2, then 3).
    """
    with tempfile.TemporaryDirectory() as folder:
        async with open_session(settings, console(errors=True).print, options.rcu) as session:
            await session.retry.until_done(session.store.open)
            report, in_flight = options.report, None
            if report is None:
                report = Path(folder) / "report.jsonl"
                with (
                    Progress(f"{options.table}: compare", quiet=options.as_json) as progress,
                    open_lines(report, "--report", "w") as file,
                ):
                    comparison = await compare(
                        settings,
                        session,
                        progress,
                        file,
                        segments=options.segments,
                        settle=options.settle,
                    )
                    in_flight = comparison.counts.in_flight
            elif (named := tables_in(report)) and options.table not in named:
                raise CommandError(f"{report} has no differences of this table, only of {', '.join(named)}")
            repairs = await repair_report(
                settings,
                session,
                report,
                dry_run=options.dry_run,
                yes=options.yes,
                quiet=options.as_json,
            )
    repairs.in_flight = in_flight or 0
    return CommandResult(
        repairs.status,
        {
            "target": settings.namespace,
            "mapping": session.mapping.data,
            **repairs.data,
            "in_flight": in_flight,
        },
        lambda: print_repairs(settings, repairs),
        repairs.found,
    )


def print_repairs(settings: Settings, repairs: Repairs) -> None:
    """Prints what was repaired."""
    console().print(Text.assemble((settings.table.name, "bold"), f" and {settings.namespace}:"))
    repairs.show()
