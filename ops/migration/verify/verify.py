"""`replicator verify`: compares a table with its collection, completely or by a sample, once or for ever."""

from __future__ import annotations

import contextlib
import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from ops.console.progress import Progress, console
from ops.migration import settings
from ops.migration.retry import Retry
from ops.migration.source.pace import Pace
from ops.migration.source.table import Reader
from ops.migration.verify.findings import COLLECTION, line_of, note_of, opened, replaces
from ops.migration.verify.lookup import Lookup
from ops.migration.verify.metrics import Metrics, serve
from ops.migration.verify.verifier import Counts, Verifier

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from ops.migration.settings import Settings
    from ops.migration.store import Store
    from ops.migration.verify.verifier import Finding

_SHOWN = 5
_ANY = "0.0.0.0"  # noqa: S104 - scrapers come from outside of the container

Settle = Annotated[
    float,
    typer.Option(
        min=0,
        metavar="SECONDS",
        help="How long a difference has to stay, both sides unchanged, until it counts. More than the lag.",
    ),
]
Segments = Annotated[
    int, typer.Option(min=1, max=1_000_000, help="Parts of the table that are read at once.")
]
_Sample = Annotated[
    int,
    typer.Option(
        min=0, metavar="N", help="Compare N items and N documents that are chosen at random; 0: all of them."
    ),
]
_Report = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", dir_okay=False, help="Write a JSON line for each difference; repair takes it."
    ),
]
_Watch = Annotated[bool, typer.Option("--watch", help="Compare again and again until Ctrl-C; needs --rcu.")]
_MetricsPort = Annotated[
    int | None,
    typer.Option(
        min=0,
        max=65535,
        show_default=False,
        help="Serve the last result on /metrics in the text format of Prometheus; 0: any free port.",
    ),
]
_MetricsHost = Annotated[str, typer.Option(metavar="ADDRESS", help="The address of that port.")]


@dataclass(frozen=True, slots=True)
class Options:
    sample: int
    settle: float
    segments: int
    rcu: float
    report: Path | None
    watch: bool
    as_json: bool


def command(  # noqa: PLR0913 - one parameter per option
    table: settings.TableName,
    *,
    sample: _Sample = 0,
    settle: Settle = 10,
    segments: Segments = 4,
    rcu: settings.Rcu = 0,
    report: _Report = None,
    watch: _Watch = False,
    metrics_port: _MetricsPort = None,
    metrics_host: _MetricsHost = _ANY,
    as_json: settings.AsJson = False,
    mongodb_uri: settings.MongodbUri = "",
    mongodb_database: settings.MongodbDatabase = "",
    replication_file: settings.ReplicationFile = "",
    endpoint_url: settings.EndpointUrl = None,
    region: settings.Region = None,
) -> None:
    """Compare a table with its collection, while replication goes on.

    Both directions: items without their document (missing), documents that are not what the mapping makes of
    their item (different), documents without an item (extra). Types count, the order of fields does not. A
    difference counts only if it stays.

    Exit status: 0 if there is no difference, 1 if there are some, 2 for wrong use or if a server refuses us.
    """
    if watch and not rcu:
        raise typer.BadParameter("it needs --rcu, so that it does not load the table for ever")
    setting = settings.settings_of(
        table, mongodb_uri, mongodb_database, replication_file, endpoint_url, region
    )
    options = Options(sample, settle, segments, rcu, report, watch, as_json)
    metrics = Metrics(table)

    async def main() -> settings.Ending:
        async with contextlib.AsyncExitStack() as resources:
            if metrics_port is not None:
                port = await resources.enter_async_context(serve(metrics, metrics_host, metrics_port))
                console(errors=True).print(f"Metrics on http://{metrics_host}:{port}/metrics")
            ending = await _once(setting, options, metrics)
            while options.watch:
                if ending.show is not None:
                    ending.show()
                ending = await _once(setting, options, metrics)
        return ending

    settings.run(main, when_stopped="Nothing was changed.")


@dataclass(frozen=True, slots=True)
class Workbench:
    """What a comparison works with."""

    lookup: Lookup
    reader: Reader
    store: Store
    retry: Retry


@contextlib.asynccontextmanager
async def workbench(setting: Settings, pace: Pace, progress: Progress) -> AsyncIterator[Workbench]:
    """Opens both sides."""
    retry = Retry(progress.say)
    async with setting.store() as store, setting.aws.client("dynamodb") as client:
        reader = Reader(client, pace, retry)
        source = await reader.describe(setting.table.name)
        await retry.until_done(store.open)
        yield Workbench(Lookup(reader, source, store, setting.table, retry), reader, store, retry)


async def _once(setting: Settings, options: Options, metrics: Metrics) -> settings.Ending:
    started = datetime.now(UTC)
    pace = Pace(options.rcu)
    examples: list[Finding] = []
    with (
        Progress(setting.table.name, quiet=options.as_json) as progress,
        opened(options.report, "--report", "w") as report,
    ):
        async with workbench(setting, pace, progress) as bench:
            documents = await bench.retry.until_done(lambda: bench.store.count(setting.table))
            progress.total = 2 * options.sample or bench.lookup.source.items + documents
            verifier = verifier_of(bench, options.segments, options.settle, progress, report, examples)
            counts = await (verifier.sample(options.sample) if options.sample else verifier.everything())
            at = datetime.now(UTC)
            note = note_of(
                setting, counts, started=started, at=at, sample=options.sample, settle=options.settle
            )
            before = await bench.retry.until_done(lambda: bench.store.note(COLLECTION, setting.table.name))
            if replaces(note, before):
                await bench.retry.until_done(lambda: bench.store.keep(COLLECTION, note))
    metrics.passes += 1
    metrics.last, metrics.at, metrics.units = counts, at, metrics.units + pace.spent

    def show() -> None:
        if options.as_json:
            data = note | {"started": started.isoformat(), "at": at.isoformat(), "table": note["_id"]}
            del data["_id"]
            typer.echo(json.dumps(data))
        else:
            print_found(setting, options, counts, examples)

    return settings.Ending(1 if counts.wrong else 0, show)


def verifier_of(  # noqa: PLR0913, PLR0917 - what it works with
    bench: Workbench,
    segments: int,
    seconds: float,
    progress: Progress,
    report: IO[str] | None,
    examples: list[Finding],
) -> Verifier:
    """A comparison whose findings go to a report, the first of them also to `examples`."""
    table = bench.lookup.table.name

    async def find(finding: Finding) -> None:
        if len(examples) < _SHOWN:
            examples.append(finding)
        if report is not None:
            report.write(line_of(table, finding) + "\n")

    counts = Counts()

    def on_progress(number: int) -> None:
        progress.done(number, f"{counts.wrong:,} differences" if counts.wrong else "")

    return Verifier(
        bench.lookup, bench.reader, bench.store, bench.retry, segments, seconds, find, on_progress, counts
    )


def print_found(setting: Settings, options: Options, counts: Counts, examples: list[Finding]) -> None:
    """Says what the comparison found."""
    say = console()
    what = f"{options.sample:,} items and documents at random" if options.sample else "everything"
    say.print(Text.assemble((setting.table.name, "bold"), f" and {setting.place}: compared {what}"))
    for number, words, is_wrong in _rows(counts):
        say.print(Text(f"{number:>14,}  {words}", style="red" if is_wrong and number else ""))
    for finding in examples:
        say.print(
            Text.assemble("  ", (finding.kind, "red"), " ", line_of_key(finding), f": {finding.reason}")
        )
    if counts.wrong > len(examples):
        more = counts.wrong - len(examples)
        say.print(f"  and {more:,} more" + ("" if options.report else "; --report FILE has them all"))
    if not counts.wrong:
        say.print(Text("No difference.", style="green"))


def line_of_key(finding: Finding) -> str:
    """The key in short, or the `_id` where there is none."""
    content = json.loads(line_of("", finding))
    return json.dumps(content["key"] or {"_id": content["_id"]}, ensure_ascii=False)


def _rows(counts: Counts) -> list[tuple[int, str, bool]]:
    found = asdict(counts)
    rows = [
        (counts.items, "items", False),
        (counts.documents, "documents", False),
        (counts.missing, "missing: items without a document", True),
        (counts.different, "different: documents that are not their items", True),
        (counts.extra, "extra: documents without an item", True),
    ]
    others = {
        "unmappable": "unmappable: items that cannot become documents",
        "in_flight": "in flight: changed all the time, not known",
        "marked": "documents of deleted items, marked",
        "theirs": "documents of applications",
    }
    rows += [(found[name], words, name == "unmappable") for name, words in others.items() if found[name]]
    return rows
