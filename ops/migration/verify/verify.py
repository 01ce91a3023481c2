"""`replicator verify`: compares tables with their collections, wholly or a sample, once or until Ctrl-C."""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from ops.console.exit_status import FOUND, UNKNOWN, WELL
from ops.console.progress import Progress, console
from ops.migration.command import CommandResult, print_counts, print_json, tables_command
from ops.migration.json_lines import open_lines
from ops.migration.settings import Session, Settings, open_session
from ops.migration.verify.comparison import Kind
from ops.migration.verify.findings import COLLECTION, json_of_id, line_of, replaces, state_of
from ops.migration.verify.verifier import Counts, Verifier
from ops.options import Rcu, TablesOptions

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ops.migration.verify.metrics import Metrics
    from ops.migration.verify.verifier import Finding

_SHOWN = 5
_NOT_PRINTED = {"_id", "table_id", "theirs"}
_ANY = "0.0.0.0"  # noqa: S104 - scrapers come from outside of the container

Settle = Annotated[
    float,
    typer.Option(
        min=0,
        metavar="SECONDS",
        help="How long both sides must stay unchanged before a difference counts. Choose more than the lag.",
    ),
]
Segments = Annotated[
    int,
    typer.Option(min=1, max=1_000_000, metavar="NUMBER", help="Parts of the table to read in parallel."),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Options(TablesOptions):
    """What a comparison takes."""

    sample: Annotated[
        int,
        typer.Option(
            min=0,
            metavar="N",
            help="Compare N random items and N random documents; 0: all of them.",
        ),
    ] = 0
    settle: Settle = 10
    segments: Segments = 4
    rcu: Rcu = 0
    report: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", dir_okay=False, help="Write a JSON line for each difference, as input for repair."
        ),
    ] = None
    watch: Annotated[bool, typer.Option("--watch", help="Compare repeatedly until Ctrl-C; needs --rcu.")] = (
        False
    )
    metrics_port: Annotated[
        int | None,
        typer.Option(
            metavar="PORT",
            min=0,
            max=65535,
            show_default=False,
            help="Serve the last result on /metrics in the text format of Prometheus; 0: any free port.",
        ),
    ] = None
    metrics_host: Annotated[str, typer.Option(metavar="ADDRESS", help="The address to listen on.")] = _ANY

    def __post_init__(self) -> None:
        if self.watch and not self.rcu:
            raise typer.BadParameter("it needs --rcu, so that it does not load the table indefinitely")

    @property
    def for_one_table(self) -> str:
        """See `TablesOptions`."""
        return "--watch" if self.watch else "--metrics-port" if self.metrics_port is not None else ""


@dataclass(frozen=True, slots=True)
class Comparison:
    """What a comparison found.

    Attributes:
        state: what MongoDB keeps of it.
        examples: the first of its findings.
        repaired_ids: the first `_id`s of documents that were repaired, and not changed since.
    """

    counts: Counts
    state: Mapping[str, Any]
    examples: Sequence[Finding]
    repaired_ids: Sequence[Any]
    started: datetime
    at: datetime

    @property
    def status(self) -> int:
        """The exit status."""
        if self.counts.wrong:
            return FOUND
        return UNKNOWN if self.counts.in_flight else WELL

    @property
    def found(self) -> str:
        """What it found, in some words."""
        kinds = ", ".join(f"{number:,} {kind}" for kind in Kind if (number := getattr(self.counts, kind)))
        in_flight = f"{self.counts.in_flight:,} in flight" if self.counts.in_flight else ""
        return ", ".join(filter(None, (kinds, in_flight))) or f"no difference in {self.counts.items:,} items"


def begin_report(options: Options) -> None:
    """Empties the report: the lines of all tables follow one another."""
    with open_lines(options.report, "--report", "w"):
        pass


@tables_command(Options, when_stopped="Nothing was changed.", begin=begin_report)
async def command(settings: Settings, options: Options) -> CommandResult:
    """Compare tables with their collections while replication runs.

    Both directions: items without their document (missing), documents that are not what the mapping makes of
    their item (different), documents without an item (extra). Types count, the order of fields does not. A
    difference counts only if it stays. Stored versions that no change can have are reported (impossible);
    those of deletions only without --sample.

    Exit status: 0 if there is no difference, 1 if there are some, 2 for wrong use or if a server refuses us,
    3 if items or documents kept changing, so that it is not known; of several tables the most serious one (2,
    then 3).
    """
    from ops.migration.verify.metrics import Metrics, serve  # noqa: PLC0415 - help does not wait for it

    metrics = Metrics(options.table)
    with contextlib.ExitStack() as resources:
        if options.metrics_port is not None:
            port = resources.enter_context(serve(metrics, options.metrics_host, options.metrics_port))
            console(errors=True).print(f"Metrics on http://{options.metrics_host}:{port}/metrics")
        result = await _compare(settings, options, metrics)
        while options.watch:
            if options.as_json:
                print_json([result])
            else:
                result.show()
            begin_report(options)
            result = await _compare(settings, options, metrics)
    return result


async def _compare(settings: Settings, options: Options, metrics: Metrics) -> CommandResult:
    """One comparison."""
    with (
        Progress(options.table, quiet=options.as_json) as progress,
        open_lines(options.report, "--report", "a") as report,
    ):
        async with open_session(settings, progress.say, options.rcu) as session:
            await session.retry.until_done(session.store.open)
            comparison = await compare(
                settings,
                session,
                progress,
                report,
                segments=options.segments,
                settle=options.settle,
                sample=options.sample,
            )
            metrics.passes += 1
            metrics.last, metrics.at = comparison.counts, comparison.at
            metrics.units += session.reader.pace.spent
    return CommandResult(
        comparison.status,
        data_of(comparison) | {"mapping": session.mapping.data},
        lambda: print_comparison(settings, options, comparison.counts, comparison.examples),
        comparison.found,
    )


async def compare(  # noqa: PLR0913 - what it works with
    settings: Settings,
    session: Session,
    progress: Progress,
    report: IO[str] | None,
    *,
    segments: int,
    settle: float,
    sample: int = 0,
) -> Comparison:
    """Compares a table with its collection, and keeps the result in MongoDB.

    Args:
        settings: of the table.
        session: its two sides, opened.
        progress: shows it.
        report: gets a line for each difference.
        segments: parts of the table that are read at once.
        settle: seconds that a difference has to stay.
        sample: how many items and documents to compare; 0: all.
    """
    started = datetime.now(UTC)
    examples: list[Finding] = []
    retry, store = session.retry, session.store
    documents = await retry.until_done(lambda: store.count(settings.table))
    progress.total = 2 * sample or session.source.items + documents
    verifier = verifier_of(session, segments, settle, progress, report, examples)
    counts = await (verifier.sample(sample) if sample else verifier.everything())
    at = datetime.now(UTC)
    state = state_of(
        settings, session.source.id, counts, started=started, at=at, sample=sample, settle=settle
    )
    before = await retry.until_done(lambda: store.load_state(COLLECTION, session.source.name))
    if replaces(state, before):
        await retry.until_done(lambda: store.save_state(COLLECTION, state))
    return Comparison(counts, state, examples, verifier.repaired_ids, started, at)


def data_of(comparison: Comparison) -> dict[str, Any]:
    """A comparison for `--json`."""
    data = {name: value for name, value in comparison.state.items() if name not in _NOT_PRINTED}
    is_known = comparison.counts.wrong or not comparison.counts.in_flight
    return data | {
        "clean": not comparison.counts.wrong if is_known else None,
        "started": comparison.started.isoformat(),
        "at": comparison.at.isoformat(),
        "of_applications": comparison.counts.theirs,
        "repaired_examples": [json_of_id(each) for each in comparison.repaired_ids],
    }


def verifier_of(  # noqa: PLR0913, PLR0917 - what it works with
    session: Session,
    segments: int,
    settle: float,
    progress: Progress,
    report: IO[str] | None,
    examples: list[Finding],
) -> Verifier:
    """A comparison whose findings go to a report, the first of them also to `examples`."""

    def on_finding(finding: Finding) -> None:
        if len(examples) < _SHOWN:
            examples.append(finding)
        if report is not None:
            report.write(line_of(session.table.name, finding) + "\n")

    def on_progress(number: int) -> None:
        wrong = verifier.counts.wrong
        progress.done(number, f"{wrong:,} differences" if wrong else "")

    verifier = Verifier(session, segments, settle, on_finding, on_progress)
    return verifier


def print_comparison(
    settings: Settings, options: Options, counts: Counts, examples: Sequence[Finding]
) -> None:
    """Prints what the comparison found."""
    out = console()
    what = f"{options.sample:,} items and documents at random" if options.sample else "everything"
    out.print(Text.assemble((options.table, "bold"), f" and {settings.namespace}: compared {what}"))
    print_counts(_rows(counts))
    for finding in examples:
        out.print(Text.assemble("  ", (finding.kind, "red"), " ", short_key(finding), f": {finding.reason}"))
    if counts.wrong > len(examples):
        more = counts.wrong - len(examples)
        out.print(f"  and {more:,} more" + ("" if options.report else "; --report FILE lists them all"))
    if counts.wrong:
        return
    if counts.in_flight:
        out.print(
            Text(
                f"No differences in the rest, but {counts.in_flight:,} kept changing and could not be "
                "compared: run it again with a longer --settle.",
                style="yellow",
            )
        )
    else:
        out.print(Text("No difference.", style="green"))


def short_key(finding: Finding) -> str:
    """The key in short, or the `_id` where there is no key."""
    content = json.loads(line_of("", finding))
    return json.dumps(content["key"] or {"_id": content["_id"]}, ensure_ascii=False)


def _rows(counts: Counts) -> list[tuple[int, str, bool]]:
    rows = [
        (counts.items, "items", False),
        (counts.documents, "documents", False),
        (counts.missing, "missing: items without a document", True),
        (counts.different, "different: documents that are not their items", True),
        (counts.extra, "extra: documents without an item", True),
    ]
    others = [
        (counts.unmappable, "unmappable: items that cannot become documents", True),
        (counts.impossible, "impossible: versions that no change can have", True),
        (counts.in_flight, "in flight: kept changing, could not be compared", False),
        (counts.repaired, "repaired, and not changed since: an older change could undo it", False),
        (counts.marked, "deleted items' documents, marked as deleted", False),
        (counts.theirs, "documents written by applications", False),
    ]
    return rows + [row for row in others if row[0]]
