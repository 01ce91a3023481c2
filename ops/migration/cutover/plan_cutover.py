"""`replicator plan-cutover`: a list that checks itself, before applications move to MongoDB."""

from __future__ import annotations

import asyncio
import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from ops.console.progress import console
from ops.migration import settings
from ops.migration.backfill.checkpoints import Checkpoints
from ops.migration.cutover.checks import (
    Check,
    Light,
    backfill_check,
    lag_check,
    live_check,
    may_cut_over,
    queue_check,
    verify_check,
)
from ops.migration.retry import Retry
from ops.migration.source.live import list_mappings, replication_problem
from ops.migration.source.pace import Pace
from ops.migration.source.table import Reader, asked
from ops.migration.verify.findings import COLLECTION
from shared.errors import FatalError, TransientError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from ops.migration.settings import Settings

_COLOURS = {Light.GREEN: "green", Light.RED: "red", Light.UNKNOWN: "yellow"}
_MESSAGES = (
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed",
)
_PERIOD = 60
_NO_URL = "not known: give its URL"

_MaxLag = Annotated[float, typer.Option(min=0.1, metavar="SECONDS", help="The lag has to be below this.")]
_Minutes = Annotated[int, typer.Option(min=1, max=1440, help="For so many minutes.")]
_Hours = Annotated[
    float, typer.Option("--verified-within", min=0, metavar="HOURS", help="How old the last verify may be.")
]
_QueueUrl = Annotated[
    str, typer.Option(metavar="URL", envvar="QUEUE_URL", show_default=False, help="The FIFO queue.")
]
_DeadLetters = Annotated[
    str,
    typer.Option(
        metavar="URL",
        envvar="DEAD_LETTER_QUEUE_URL",
        show_default=False,
        help="Its dead-letter queue.",
    ),
]


@dataclass(frozen=True, slots=True)
class Options:
    max_lag: float
    minutes: int
    hours: float
    queue_url: str
    dead_letter_queue_url: str
    as_json: bool


def command(  # noqa: PLR0913 - one parameter per option
    table: settings.TableName,
    *,
    max_lag: _MaxLag = 10,
    minutes: _Minutes = 5,
    hours: _Hours = 24,
    queue_url: _QueueUrl = "",
    dead_letter_queue_url: _DeadLetters = "",
    as_json: settings.AsJson = False,
    mongodb_uri: settings.MongodbUri = "",
    mongodb_database: settings.MongodbDatabase = "",
    replication_file: settings.ReplicationFile = "",
    endpoint_url: settings.EndpointUrl = None,
    region: settings.Region = None,
) -> None:
    """Check whether applications may move to MongoDB.

    Live replication is on; the backfill is complete; verify was clean, complete and recent; the lag was low
    for some minutes, as CloudWatch has it; queue and dead letters are empty. What is not known is no green.

    Exit status: 0 if all is green, else 1; 2 for wrong use or if a server refuses us.
    """
    setting = settings.settings_of(
        table, mongodb_uri, mongodb_database, replication_file, endpoint_url, region
    )
    options = Options(max_lag, minutes, hours, queue_url, dead_letter_queue_url, as_json)
    settings.run(lambda: _main(setting, options), when_stopped="Nothing was changed.")


async def _main(setting: Settings, options: Options) -> settings.Ending:
    retry, now = Retry(console(errors=True).print), datetime.now(UTC)
    async with setting.store() as store, setting.aws.client("dynamodb") as client:
        source = await Reader(client, Pace(), retry).describe(setting.table.name)
        checkpoint = await Checkpoints(store, retry).load(source.name)
        note = await retry.until_done(lambda: store.note(COLLECTION, source.name))
    checks: list[Check] = []
    function = ""
    try:
        async with setting.aws.client("lambda") as client:
            mappings = await list_mappings(client, source)
    except (FatalError, TransientError) as error:
        checks.append(Check("live replication", Light.UNKNOWN, str(error)))
    else:
        checks.append(live_check(replication_problem(source, mappings)))
        function = next((each.function for each in mappings if each.is_on), "")
    checks += [
        backfill_check(checkpoint, setting.digest),
        verify_check(note, checkpoint, setting.digest, timedelta(hours=options.hours), now),
        *await _lags(setting, options, function, now),
        *await _queues(setting, options),
    ]
    is_green = may_cut_over(checks)

    def show() -> None:
        if options.as_json:
            data = {"table": source.name, "ready": is_green, "checks": [asdict(check) for check in checks]}
            typer.echo(json.dumps(data))
        else:
            print_found(setting, checks, is_green=is_green)

    return settings.Ending(0 if is_green else 1, show)


async def _lags(setting: Settings, options: Options, function: str, now: datetime) -> list[Check]:
    queue = options.queue_url.rpartition("/")[2]
    wanted = [
        ("lag of the Lambda", "AWS/Lambda", "IteratorAge", "FunctionName", function, 1e-3),
        ("lag of the writers", "AWS/SQS", "ApproximateAgeOfOldestMessage", "QueueName", queue, 1.0),
    ]
    checks = []
    async with setting.aws.client("cloudwatch") as client:
        for name, namespace, metric, dimension, value, factor in wanted:
            worst, why = None, _NO_URL
            if value:
                worst, why = await _known(
                    lambda n=namespace, m=metric, d=dimension, v=value: _worst(  # type: ignore[misc]
                        client, n, m, {"Name": d, "Value": v}, options.minutes, now
                    ),
                    f"CloudWatch has no {metric} of the last {options.minutes} minutes",
                )
            elif dimension == "FunctionName":
                why = "not known: no Lambda reads the stream"
            seconds = None if worst is None else worst * factor
            checks.append(lag_check(name, seconds, options.max_lag, options.minutes, why_unknown=why))
    return checks


async def _worst(  # noqa: PLR0913, PLR0917 - what names a figure
    client: Any, namespace: str, metric: str, dimension: dict[str, str], minutes: int, now: datetime
) -> float | None:
    """The highest value of the last minutes; None: there is none for at least one of them."""
    answer = await asked(
        "asking CloudWatch",
        lambda: client.get_metric_statistics(
            Namespace=namespace,
            MetricName=metric,
            Dimensions=[dimension],
            StartTime=now - timedelta(minutes=minutes),
            EndTime=now,
            Period=_PERIOD,
            Statistics=["Maximum"],
        ),
    )
    points = [float(point["Maximum"]) for point in answer.get("Datapoints", [])]
    # The newest minutes come late.
    return max(points) if points and len(points) >= minutes - 2 else None


async def _queues(setting: Settings, options: Options) -> list[Check]:
    wanted = [
        ("messages in the queue", options.queue_url, "wait, or see docs/operations.md"),
        (
            "dead letters",
            options.dead_letter_queue_url,
            "mend their cause and redrive them: docs/operations.md",
        ),
    ]
    checks = []
    async with setting.aws.client("sqs") as client:
        for name, url, advice in wanted:
            messages, why = None, _NO_URL
            if url:
                messages, why = await _known(lambda url=url: _messages(client, url), "not known")  # type: ignore[misc]
            checks.append(queue_check(name, messages, why_unknown=why, advice=advice))
    return checks


async def _messages(client: Any, url: str) -> int:
    answer = await asked(
        "asking SQS", lambda: client.get_queue_attributes(QueueUrl=url, AttributeNames=list(_MESSAGES))
    )
    return sum(int(answer["Attributes"].get(name, 0)) for name in _MESSAGES)


async def _known(ask: Callable[[], Awaitable[Any]], otherwise: str) -> tuple[Any, str]:
    """What is asked for, or why it is not known."""
    try:
        return await asyncio.wait_for(ask(), 30), otherwise
    except (FatalError, TransientError) as error:
        return None, str(error)
    except TimeoutError:
        return None, "no answer"


def print_found(setting: Settings, checks: list[Check], *, is_green: bool) -> None:
    """Says what the checks found."""
    say = console()
    say.print(Text.assemble((setting.table.name, "bold"), f" and {setting.place}:"))
    for check in checks:
        say.print(
            Text.assemble((f"  {check.light:<8}", _COLOURS[check.light]), f"{check.name}: {check.found}")
        )
        if check.advice and check.light is not Light.GREEN:
            say.print(f"            {check.advice}")
    if is_green:
        say.print(Text("Applications may move.", style="green"))
    else:
        say.print("Not yet.")
