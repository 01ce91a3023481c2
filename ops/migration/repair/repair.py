"""`replicator repair`: repairs what `verify` found, without racing live changes."""

from __future__ import annotations

import itertools
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from ops.console.progress import Progress, console
from ops.migration.command import CommandResult, migration_command, print_counts
from ops.migration.json_lines import open_lines
from ops.migration.repair.repairer import Repairer, Result
from ops.migration.settings import Settings, open_session
from ops.migration.verify.findings import read_findings
from ops.migration.verify.lookup import Lookup
from ops.migration.verify.verify import Segments, Settle, short_key, verifier_of
from ops.options import Rcu, TableOptions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ops.migration.repair.repairer import Repair

_TOGETHER = 200
_SHOWN = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Options(TableOptions):
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
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Look at everything anew, and write nothing.")
    ] = False
    settle: Settle = 10
    segments: Segments = 4
    rcu: Rcu = 0


@migration_command(Options, when_stopped="What was mended stays; run it again.")
async def command(settings: Settings, options: Options) -> CommandResult:
    """Mend what verify found: write what is missing, replace what is different, remove what is extra.

    Each key is looked at anew, and its document is written only if it is still in the version that was seen:
    a live change always wins. Documents that need each other's value of a unique index are written together.
    A version that no change can have is taken back first. Documents without a version of ours are left alone.

    Exit status: 0 if nothing is left (with --dry-run: if there is nothing to mend), else 1; 2 for wrong use
    or if a server refuses us.
    """
    counts: Counter[str] = Counter()
    examples: list[Repair] = []
    with (
        Progress(options.table, quiet=options.as_json) as progress,
        tempfile.TemporaryDirectory() as folder,
    ):
        async with open_session(settings, progress.say, options.rcu) as session:
            await session.retry.until_done(session.store.open)
            report = options.report
            if report is None:
                report = Path(folder) / "report.jsonl"
                with open_lines(report, "--report", "w") as file:
                    verifier = verifier_of(session, options.segments, options.settle, progress, file, [])
                    await verifier.everything()
            repairer = Repairer(session, Lookup(session), dry_run=options.dry_run)
            findings = read_findings(report, options.table)

            def note(repairs: Sequence[Repair]) -> None:
                counts.update(each.result for each in repairs)
                examples.extend([each for each in repairs if each.reason][: _SHOWN - len(examples)])
                progress.done(0, f"{counts[Result.MENDED]:,} mended")

            while some := list(itertools.islice(findings, _TOGETHER)):
                note(await repairer.repair(some))
            note(await repairer.repair_kept_back())
    is_done = not counts[Result.LEFT] and not (options.dry_run and counts[Result.MENDED])

    found: dict[str, Any] = {result.replace(" ", "_"): counts[result] for result in Result}
    left = [each for each in examples if each.result is Result.LEFT]
    found["left_examples"] = [f"{short_key(each.finding)}: {each.reason}" for each in left]
    return CommandResult(
        0 if is_done else 1,
        {"table": options.table, "dry_run": options.dry_run, "mapping": session.mapping.data, **found},
        lambda: print_repairs(settings, options, counts, examples),
    )


def print_repairs(settings: Settings, options: Options, counts: Counter[str], examples: list[Repair]) -> None:
    """Prints what was repaired."""
    out = console()
    out.print(Text.assemble((options.table, "bold"), f" and {settings.namespace}:"))
    print_counts(
        [
            (counts[Result.MENDED], "would be mended" if options.dry_run else "mended", False),
            (counts[Result.MOVED_ON], "moved on: equal by now", False),
            (counts[Result.LEFT], "left", True),
        ]
    )
    for each in examples:
        word = "left" if each.result is Result.LEFT else "would mend"
        out.print(f"  {word} {short_key(each.finding)}: {each.reason}")
    more = counts[Result.LEFT] - sum(each.result is Result.LEFT for each in examples)
    if more:
        out.print(f"  and {more:,} more are left; verify --report FILE has them all")
