"""`replicator repair`: mends what `verify` found, without racing live changes."""

from __future__ import annotations

import itertools
import json
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from ops.console.progress import Progress, console
from ops.migration import settings
from ops.migration.repair.repair_writes import Repairer, Result
from ops.migration.source.pace import Pace
from ops.migration.verify.findings import opened, read_findings
from ops.migration.verify.verify import Segments, Settle, line_of_key, verifier_of, workbench

if TYPE_CHECKING:
    from ops.migration.repair.repair_writes import Repair
    from ops.migration.settings import Settings
    from ops.migration.verify.verifier import Finding

_TOGETHER = 200
_SHOWN = 10

_Report = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        exists=True,
        dir_okay=False,
        show_default=False,
        help="The report of verify; without it everything is compared first.",
    ),
]
_DryRun = Annotated[bool, typer.Option("--dry-run", help="Look at everything anew, and write nothing.")]


@dataclass(frozen=True, slots=True)
class Options:
    report: Path | None
    dry_run: bool
    settle: float
    segments: int
    rcu: float
    as_json: bool


def command(  # noqa: PLR0913 - one parameter per option
    table: settings.TableName,
    *,
    report: _Report = None,
    dry_run: _DryRun = False,
    settle: Settle = 10,
    segments: Segments = 4,
    rcu: settings.Rcu = 0,
    as_json: settings.AsJson = False,
    mongodb_uri: settings.MongodbUri = "",
    mongodb_database: settings.MongodbDatabase = "",
    replication_file: settings.ReplicationFile = "",
    endpoint_url: settings.EndpointUrl = None,
    region: settings.Region = None,
) -> None:
    """Mend what verify found: write what is missing, replace what is different, remove what is extra.

    Each key is looked at anew, and its document is written only if it is still in the version that was seen:
    a live change always wins. Documents without a version of ours are left alone.

    Exit status: 0 if nothing is left (with --dry-run: if there is nothing to mend), else 1; 2 for wrong use
    or if a server refuses us.
    """
    setting = settings.settings_of(
        table, mongodb_uri, mongodb_database, replication_file, endpoint_url, region
    )
    options = Options(report, dry_run, settle, segments, rcu, as_json)
    settings.run(lambda: _main(setting, options), when_stopped="What was mended stays; run it again.")


async def _main(setting: Settings, options: Options) -> settings.Ending:
    counts: Counter[str] = Counter()
    told: list[Repair] = []
    with (
        Progress(setting.table.name, quiet=options.as_json) as progress,
        tempfile.TemporaryDirectory() as scratch,
    ):
        async with workbench(setting, Pace(options.rcu), progress) as bench:
            report = options.report
            if report is None:
                report = Path(scratch) / "report.jsonl"
                with opened(report, "--report", "w") as file:
                    examples: list[Finding] = []
                    verifier = verifier_of(bench, options.segments, options.settle, progress, file, examples)
                    await verifier.everything()
            repairer = Repairer(bench.lookup, bench.store, bench.retry, dry_run=options.dry_run)
            findings = read_findings(report, setting.table.name)
            while some := list(itertools.islice(findings, _TOGETHER)):
                results = await repairer.repair(some)
                counts.update(each.result for each in results)
                notable = [each for each in results if each.reason]
                told += notable[: _SHOWN - len(told)]
                progress.done(0, f"{counts[Result.MENDED]:,} mended")
    is_done = not counts[Result.LEFT] and not (options.dry_run and counts[Result.MENDED])

    def show() -> None:
        if options.as_json:
            names = {result: result.replace(" ", "_") for result in Result}
            found = {names[result]: counts[result] for result in Result}
            typer.echo(json.dumps({"table": setting.table.name, "dry_run": options.dry_run, **found}))
        else:
            print_found(setting, options, counts, told)

    return settings.Ending(0 if is_done else 1, show)


def print_found(setting: Settings, options: Options, counts: Counter[str], told: list[Repair]) -> None:
    """Says what was mended."""
    say = console()
    say.print(Text.assemble((setting.table.name, "bold"), f" and {setting.place}:"))
    mended = "would be mended" if options.dry_run else "mended"
    rows = [
        (counts[Result.MENDED], mended),
        (counts[Result.MOVED_ON], "moved on: equal by now"),
        (counts[Result.LEFT], "left"),
    ]
    for number, words in rows:
        say.print(Text(f"{number:>14,}  {words}", style="red" if words == "left" and number else ""))
    for each in told:
        word = "left" if each.result is Result.LEFT else "would mend"
        say.print(f"  {word} {line_of_key(each.finding)}: {each.reason}")
