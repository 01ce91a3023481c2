"""`replicator plan-cutover`: a list that checks itself, before applications move to MongoDB."""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from ops.aws import aws_errors
from ops.console.exit_status import FOUND, UNKNOWN, WELL
from ops.console.progress import console
from ops.lambda_api import NoLambdaError
from ops.migration.backfill.checkpoints import Checkpoints
from ops.migration.command import CommandResult, migration_command
from ops.migration.cutover.checks import (
    Check,
    Light,
    backfill_check,
    lag_check,
    last_minutes,
    light_of,
    live_check,
    mapping_check,
    queue_check,
    verify_check,
)
from ops.migration.settings import Settings, open_session
from ops.migration.source.live import judge_replication, list_mappings, name_of, whose_lambda
from ops.migration.verify.findings import COLLECTION
from ops.options import DeadLetterOption, FunctionOption, QueueOption, StackOption, TableOptions
from ops.pipeline import Pipeline, find_pipeline
from shared.errors import FatalError, TransientError
from shared.sqs_answers import attributes_of, number_in

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from ops.aws import Aws
    from ops.migration.source.table import Source

_COLOURS = {Light.GREEN: "green", Light.RED: "red", Light.UNKNOWN: "yellow"}
_MESSAGES = (
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed",
)
_PERIOD = 60
_NO_URL = "unknown: give its URL"
_NAME_IT = "give --stack NAME, or --function, QUEUE_URL and DEAD_LETTER_QUEUE_URL"
_NO_LAMBDA = "--endpoint-url or AWS_ENDPOINT_URL must point to where the Lambda is"
_STATUSES = {Light.GREEN: WELL, Light.RED: FOUND, Light.UNKNOWN: UNKNOWN}
_READY = {Light.GREEN: True, Light.RED: False, Light.UNKNOWN: None}
_LAST_WORDS = {
    Light.GREEN: Text("Applications can switch.", style="green"),
    Light.RED: Text("Not yet."),
    Light.UNKNOWN: Text("No known problems, but some things are unknown."),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Options(TableOptions):
    """What the checks take."""

    max_lag: Annotated[
        float, typer.Option(min=0.1, metavar="SECONDS", help="The lag must be below this.")
    ] = 10
    minutes: Annotated[
        int, typer.Option(min=1, max=1440, metavar="MINUTES", help="For this many minutes.")
    ] = 5
    hours: Annotated[
        float,
        typer.Option("--verified-within", min=0, metavar="HOURS", help="How old the last verify may be."),
    ] = 24
    stack: StackOption = ""
    function: FunctionOption = ""
    queue_url: QueueOption = ""
    dead_letter_queue_url: DeadLetterOption = ""


@migration_command(Options, when_stopped="Nothing was changed.")
async def command(settings: Settings, options: Options) -> CommandResult:
    """Check whether applications can switch to MongoDB.

    It checks that live replication is on; the backfill is complete; verify was clean, complete and
    recent; the lag was low for some minutes, according to CloudWatch; the queue and the dead-letter queue
    are empty. Anything that is not known is not green.

    Exit status: 0 if all is green, 1 if something is red, 3 if nothing is red but something is not known; 2
    for wrong use or if a server refuses us.
    """
    now = datetime.now(UTC)
    queues = Pipeline(options.queue_url, options.dead_letter_queue_url, name_of(options.function))
    queues = find_pipeline(settings.aws, options.stack, queues)
    async with open_session(settings, console(errors=True).print) as session:
        source, retry = session.source, session.retry
        checkpoint = await Checkpoints(session.store, retry).load(source.name)
        state = await retry.until_done(lambda: session.store.load_state(COLLECTION, source.name))
    live = await check_replication(settings.aws, source, queues.function)
    checks = [
        mapping_check(session.mapping),
        live,
        backfill_check(checkpoint, settings.digest, source.id),
        verify_check(
            state, checkpoint, settings.digest, timedelta(hours=options.hours), now, table_id=source.id
        ),
        *await lag_checks(settings.aws, options, queues, now),
        *await queue_checks(settings.aws, queues),
    ]
    light = light_of(checks)
    data = {
        "table": source.name,
        "ready": _READY[light],
        "mapping": session.mapping.data,
        "checks": [
            {
                "check": each.name,
                "well": _READY[each.light],
                "text": each.found,
                "advice": each.advice or None,
            }
            for each in checks
        ],
    }
    return CommandResult(_STATUSES[light], data, lambda: print_checks(settings, checks))


async def check_replication(aws: Aws, source: Source, function: str) -> Check:
    """Asks Lambda whether the table's changes are replicated.

    Args:
        aws: where Lambda is.
        source: the table.
        function: the name of the pipeline's function; empty: not known.
    """
    try:
        async with aws.open_client("lambda") as client:
            mappings = await list_mappings(client, source)
    except NoLambdaError as error:
        return Check("live replication", Light.UNKNOWN, str(error), _NO_LAMBDA)
    except (FatalError, TransientError) as error:
        return Check("live replication", Light.UNKNOWN, str(error))
    check = live_check(judge_replication(source, mappings, function))
    if check.light is Light.GREEN and not function:
        return Check("live replication", Light.UNKNOWN, whose_lambda(mappings), _NAME_IT)
    return check


@dataclass(frozen=True, slots=True)
class _Lag:
    """A metric of CloudWatch that says how far something is behind.

    Attributes:
        value: of the dimension; empty: not known, because of `why_unknown`.
        factor: how many seconds its unit has.
        advice: what helps where it is too high.
    """

    name: str
    namespace: str
    metric: str
    dimension: str
    value: str
    factor: float
    why_unknown: str
    advice: str


async def lag_checks(aws: Aws, options: Options, pipeline: Pipeline, now: datetime) -> list[Check]:
    """Asks CloudWatch how far the Lambda and the writers were behind."""
    lags = [
        _Lag(
            name="lag of the Lambda",
            namespace="AWS/Lambda",
            metric="IteratorAge",
            dimension="FunctionName",
            value=pipeline.function,
            factor=1e-3,
            why_unknown="unknown: which Lambda is the pipeline's",
            advice="replicator logs shows whether the Lambda fails or is throttled",
        ),
        _Lag(
            name="lag of the writers",
            namespace="AWS/SQS",
            metric="ApproximateAgeOfOldestMessage",
            dimension="QueueName",
            value=pipeline.queue_url.rpartition("/")[2],
            factor=1.0,
            why_unknown=_NO_URL,
            advice="replicator status shows what the writers wait for; if they are ready, run more of them",
        ),
    ]
    async with aws.open_client("cloudwatch") as client:
        return [await _lag_check(client, each, options, now) for each in lags]


async def _lag_check(client: Any, lag: _Lag, options: Options, now: datetime) -> Check:
    worst, why, helps = None, lag.why_unknown, _NAME_IT
    if lag.value:
        helps = "CloudWatch has data only while items change: check again after a few minutes of changes"
        worst, why = await _known(
            _worst(client, lag, options.minutes, now),
            f"CloudWatch has no {lag.metric} for {last_minutes(options.minutes)}",
        )
    return lag_check(
        lag.name,
        worst,
        options.max_lag,
        options.minutes,
        why_unknown=why,
        advice=lag.advice,
        advice_if_unknown=helps,
    )


async def _worst(client: Any, lag: _Lag, minutes: int, now: datetime) -> float | None:
    """The highest value of the last minutes, seconds; None: there is none for at least one of them."""
    with aws_errors("asking CloudWatch"):
        answer = await client.get_metric_statistics(
            Namespace=lag.namespace,
            MetricName=lag.metric,
            Dimensions=[{"Name": lag.dimension, "Value": lag.value}],
            StartTime=now - timedelta(minutes=minutes),
            EndTime=now,
            Period=_PERIOD,
            Statistics=["Maximum"],
        )
        points = [float(point["Maximum"]) * lag.factor for point in answer["Datapoints"]]
    if not all(0 <= point < math.inf for point in points):
        raise TransientError("asking CloudWatch: its answer has no readable maximum")
    # The newest minutes come late.
    return max(points) if points and len(points) >= minutes - 2 else None


async def queue_checks(aws: Aws, queues: Pipeline) -> list[Check]:
    """Asks SQS how many messages and dead letters there are."""
    wanted = [
        (
            "messages in the queue",
            queues.queue_url,
            "wait until the writers have drained them; replicator status shows whether they do",
        ),
        (
            "dead letters",
            queues.dead_letter_queue_url,
            "fix their cause, which replicator dlq list shows, then replicator dlq redrive --all",
        ),
    ]
    checks = []
    async with aws.open_client("sqs") as client:
        for name, url, advice in wanted:
            messages, why = None, _NO_URL
            if url:
                messages, why = await _known(_messages(client, url), "unknown")
            checks.append(
                queue_check(
                    name,
                    messages,
                    why_unknown=why,
                    advice=advice,
                    advice_if_unknown="" if url else _NAME_IT,
                )
            )
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


def print_checks(settings: Settings, checks: list[Check]) -> None:
    """Prints what the checks found."""
    out = console()
    out.print(Text.assemble((settings.table.name, "bold"), f" and {settings.namespace}:"))
    for check in checks:
        out.print(
            Text.assemble((f"  {check.light:<8}", _COLOURS[check.light]), f"{check.name}: {check.found}")
        )
        if check.advice and check.light is not Light.GREEN:
            for advice in check.advice.split("; "):
                out.print(f"            {advice}")
    out.print(_LAST_WORDS[light_of(checks)])
