"""`replicator plan-cutover`: a list that checks itself, before applications move to MongoDB."""

from __future__ import annotations

import asyncio
import math
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from ops.aws import aws_errors
from ops.console.progress import console
from ops.migration.backfill.checkpoints import Checkpoints
from ops.migration.command import CommandResult, migration_command
from ops.migration.cutover.checks import (
    Check,
    Light,
    backfill_check,
    lag_check,
    live_check,
    mapping_check,
    may_cut_over,
    queue_check,
    verify_check,
)
from ops.migration.settings import Settings, open_session
from ops.migration.source.live import list_mappings, replication_problem
from ops.migration.verify.findings import COLLECTION
from ops.options import DeadLetterOption, QueueOption, StackOption, TableOptions
from ops.pipeline import Pipeline, find_pipeline
from shared.errors import FatalError, TransientError
from shared.sqs_answers import attributes_of, number_in

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from ops.aws import Aws

_COLOURS = {Light.GREEN: "green", Light.RED: "red", Light.UNKNOWN: "yellow"}
_MESSAGES = (
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed",
)
_PERIOD = 60
_NO_URL = "not known: give its URL"


@dataclass(frozen=True, slots=True, kw_only=True)
class Options(TableOptions):
    """What the checks take."""

    max_lag: Annotated[
        float, typer.Option(min=0.1, metavar="SECONDS", help="The lag has to be below this.")
    ] = 10
    minutes: Annotated[int, typer.Option(min=1, max=1440, help="For so many minutes.")] = 5
    hours: Annotated[
        float,
        typer.Option("--verified-within", min=0, metavar="HOURS", help="How old the last verify may be."),
    ] = 24
    stack: StackOption = ""
    queue_url: QueueOption = ""
    dead_letter_queue_url: DeadLetterOption = ""


@migration_command(Options, when_stopped="Nothing was changed.")
async def command(settings: Settings, options: Options) -> CommandResult:
    """Check whether applications may move to MongoDB.

    Live replication is on; the backfill is complete; verify was clean, complete and recent; the lag was low
    for some minutes, as CloudWatch has it; queue and dead letters are empty. What is not known is no green.

    Exit status: 0 if all is green, else 1; 2 for wrong use or if a server refuses us.
    """
    now = datetime.now(UTC)
    queues = Pipeline(options.queue_url, options.dead_letter_queue_url)
    queues = find_pipeline(settings.aws, options.stack, queues)
    async with open_session(settings, console(errors=True).print) as session:
        source, retry = session.source, session.retry
        checkpoint = await Checkpoints(session.store, retry).load(source.name)
        state = await retry.until_done(lambda: session.store.load_state(COLLECTION, source.name))
    checks: list[Check] = [mapping_check(session.mapping)]
    function = ""
    try:
        async with settings.aws.open_client("lambda") as client:
            mappings = await list_mappings(client, source)
    except (FatalError, TransientError) as error:
        checks.append(Check("live replication", Light.UNKNOWN, str(error)))
    else:
        checks.append(live_check(replication_problem(source, mappings)))
        function = next((each.function for each in mappings if each.is_on), "")
    checks += [
        backfill_check(checkpoint, settings.digest),
        verify_check(state, checkpoint, settings.digest, timedelta(hours=options.hours), now),
        *await lag_checks(settings.aws, options, function, queues.queue_url, now),
        *await queue_checks(settings.aws, queues),
    ]
    is_green = may_cut_over(checks)

    data = {
        "table": source.name,
        "ready": is_green,
        "mapping": session.mapping.data,
        "checks": [asdict(check) for check in checks],
    }
    return CommandResult(
        0 if is_green else 1, data, lambda: print_checks(settings, checks, is_green=is_green)
    )


async def lag_checks(aws: Aws, options: Options, function: str, queue_url: str, now: datetime) -> list[Check]:
    """Asks CloudWatch how far the Lambda and the writers were behind."""
    async with aws.open_client("cloudwatch") as client:

        async def check(
            name: str, metric: tuple[str, str], dimension: dict[str, str], factor: float, why: str
        ) -> Check:
            worst = None
            if dimension["Value"]:
                worst, why = await _known(
                    _worst(client, metric, dimension, options.minutes, now),
                    f"CloudWatch has no {metric[1]} of the last {options.minutes} minutes",
                )
            seconds = None if worst is None else worst * factor
            return lag_check(name, seconds, options.max_lag, options.minutes, why_unknown=why)

        by_function = {"Name": "FunctionName", "Value": function}
        by_queue = {"Name": "QueueName", "Value": queue_url.rpartition("/")[2]}
        no_lambda = "not known: no Lambda reads the stream"
        oldest = ("AWS/SQS", "ApproximateAgeOfOldestMessage")
        return [
            await check("lag of the Lambda", ("AWS/Lambda", "IteratorAge"), by_function, 1e-3, no_lambda),
            await check("lag of the writers", oldest, by_queue, 1.0, _NO_URL),
        ]


async def _worst(
    client: Any, metric: tuple[str, str], dimension: dict[str, str], minutes: int, now: datetime
) -> float | None:
    """The highest value of the last minutes; None: there is none for at least one of them."""
    with aws_errors("asking CloudWatch"):
        answer = await client.get_metric_statistics(
            Namespace=metric[0],
            MetricName=metric[1],
            Dimensions=[dimension],
            StartTime=now - timedelta(minutes=minutes),
            EndTime=now,
            Period=_PERIOD,
            Statistics=["Maximum"],
        )
        points = [float(point["Maximum"]) for point in answer["Datapoints"]]
    if not all(0 <= point < math.inf for point in points):
        raise TransientError("asking CloudWatch: its answer has no maximum that can be read")
    # The newest minutes come late.
    return max(points) if points and len(points) >= minutes - 2 else None


async def queue_checks(aws: Aws, queues: Pipeline) -> list[Check]:
    """Asks SQS how many messages and dead letters there are."""
    wanted = [
        ("messages in the queue", queues.queue_url, "wait, or see docs/operations.md"),
        (
            "dead letters",
            queues.dead_letter_queue_url,
            "mend their cause and redrive them: docs/operations.md",
        ),
    ]
    checks = []
    async with aws.open_client("sqs") as client:
        for name, url, advice in wanted:
            messages, why = None, _NO_URL
            if url:
                messages, why = await _known(_messages(client, url), "not known")
            checks.append(queue_check(name, messages, why_unknown=why, advice=advice))
    return checks


async def _messages(client: Any, url: str) -> int:
    with aws_errors("asking SQS"):
        answer = await client.get_queue_attributes(QueueUrl=url, AttributeNames=list(_MESSAGES))
    attributes = attributes_of(answer)
    return sum(number_in(attributes, name, "asking SQS") for name in _MESSAGES)


async def _known(question: Awaitable[Any], otherwise: str) -> tuple[Any, str]:
    """The answer, or why it is not known."""
    try:
        return await asyncio.wait_for(question, 30), otherwise
    except (FatalError, TransientError) as error:
        return None, str(error)
    except TimeoutError:
        return None, "no answer"


def print_checks(settings: Settings, checks: list[Check], *, is_green: bool) -> None:
    """Prints what the checks found."""
    out = console()
    out.print(Text.assemble((settings.table.name, "bold"), f" and {settings.namespace}:"))
    for check in checks:
        out.print(
            Text.assemble((f"  {check.light:<8}", _COLOURS[check.light]), f"{check.name}: {check.found}")
        )
        if check.advice and check.light is not Light.GREEN:
            out.print(f"            {check.advice}")
    if is_green:
        out.print(Text("Applications may move.", style="green"))
    else:
        out.print("Not yet.")
