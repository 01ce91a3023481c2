"""`replicator status`: whether the pipeline is well."""

import json
import time
from typing import Annotated

import typer
from rich.live import Live
from rich.text import Text

from ops.aws import Aws
from ops.console.exit_status import FOUND, UNKNOWN, UNUSABLE, WELL, CommandError, exits_with_status
from ops.console.terminal import Output
from ops.options import (
    DeadLetterOption,
    EndpointOption,
    FunctionOption,
    MongodbDatabaseOption,
    MongodbUriOption,
    QueueOption,
    RegionOption,
    StackOption,
)
from ops.pipeline import Pipeline, find_pipeline
from ops.status.facts import Status
from ops.status.findings import Outcome, outcome_of
from ops.status.reader import Parts, StatusReader
from ops.status.report import data_of
from ops.status.view import print_status
from ops.status.writer_records import Database

_Writers = Annotated[
    list[str] | None,
    typer.Option(
        "--writer",
        metavar="URL",
        envvar="REPLICATOR_WRITERS",
        help="A writer's status server, such as http://10.0.0.5:8080, to ask whether it is ready; repeat the "
        "option for more.",
        show_default=False,
    ),
]
_MostBehind = Annotated[
    float,
    typer.Option(
        "--max-behind",
        metavar="SECONDS",
        min=0,
        help="How far behind the Lambda or the writers may be.",
    ),
]
_STATUSES = {Outcome.WELL: WELL, Outcome.NOT_WELL: FOUND, Outcome.NOT_KNOWN: UNKNOWN}


@exits_with_status
def command(  # noqa: PLR0913 - one parameter per option
    *,
    writer: _Writers = None,
    max_behind: _MostBehind = 60,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Repeat until Ctrl-C.")] = False,
    interval: Annotated[
        float,
        typer.Option("--interval", metavar="SECONDS", min=0.1, help="With --watch: seconds between looks."),
    ] = 5,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object, on one line.")] = False,
    stack: StackOption = "",
    queue_url: QueueOption = "",
    dead_letter_queue_url: DeadLetterOption = "",
    function: FunctionOption = "",
    endpoint_url: EndpointOption = None,
    region: RegionOption = None,
    mongodb_uri: MongodbUriOption = "",
    mongodb_database: MongodbDatabaseOption = "",
) -> None:
    """Show the state of the pipeline, on one screen.

    It shows the tables and their streams, the Lambda, both queues and the
    writers, which it finds by their records in MongoDB. Ages come from
    CloudWatch, which is a minute late. "behind" is the most that MongoDB is
    behind DynamoDB. If messages are in flight, and no writer reports that it
    finishes some, it looks a second time after five seconds.

    Exit status: 0 if all is well and everything was seen, 1 if something is
    not well, with a sentence for each, 3 if nothing is known to be wrong, but
    something that matters was not seen, 2 for wrong use or a pipeline that
    cannot be reached.
    """
    aws = Aws(endpoint_url, region)
    parts = find_pipeline(aws, stack, Pipeline(queue_url, dead_letter_queue_url, function))
    database = Database(mongodb_uri, mongodb_database)
    reader = StatusReader(aws, Parts(parts, writer or [], database))
    if not watch:
        status = reader.look_closely()
        _print(status, max_behind, as_json=as_json)
        raise typer.Exit(_outcome(status, max_behind))
    _watch(reader, max_behind, interval, as_json=as_json)


def _print(status: Status, max_behind: float, *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(data_of(status, max_behind)))
    else:
        print_status(Output(), status, max_behind)


def _outcome(status: Status, max_behind: float) -> int:
    return _STATUSES[outcome_of(status, max_behind)]


def _watch(reader: StatusReader, max_behind: float, interval: float, *, as_json: bool) -> None:
    """Looks again and again until Ctrl-C. The exit status is that of the last look."""
    output = Output()
    if not as_json and not output.console.is_terminal:
        raise CommandError("--watch without --json needs a terminal")
    outcome, last = WELL, Text()
    try:
        if as_json:
            while True:
                status = reader.look()
                _print(status, max_behind, as_json=True)
                outcome = _outcome(status, max_behind)
                time.sleep(interval)
        with Live(screen=True, auto_refresh=False) as live:
            while True:
                try:
                    status = reader.look()
                    last, outcome = _screen(output, status, max_behind), _outcome(status, max_behind)
                except CommandError as error:  # it may pass
                    last, outcome = Text(str(error)), UNUSABLE
                live.update(last, refresh=True)
                time.sleep(interval)
    except KeyboardInterrupt as interrupt:
        if not as_json:
            output.console.print(last)  # the alternate screen is gone, and what it showed
        raise typer.Exit(outcome) from interrupt


def _screen(output: Output, status: Status, max_behind: float) -> Text:
    with output.console.capture() as screen:
        print_status(output, status, max_behind)
    return Text.from_ansi(screen.get())
