"""What AWS's answers say before a cutover: what cannot be read is not known, and is never green."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from ops.migration.cutover import plan_cutover
from ops.migration.cutover.checks import Light
from ops.pipeline import Pipeline
from tests.unit.ops.migration.source.test_live import SOURCE, OneMapping

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

QUEUES = Pipeline("https://sqs/queue.fifo", "https://sqs/dead.fifo", "f")
EMPTY = {
    "ApproximateNumberOfMessages": "0",
    "ApproximateNumberOfMessagesNotVisible": "0",
    "ApproximateNumberOfMessagesDelayed": "0",
}
OPTIONS = plan_cutover.Options(table="people", minutes=3)


class Answering:
    """Clients that give one answer to each call."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    @asynccontextmanager
    async def open_client(self, _: str) -> AsyncIterator[Any]:
        yield self

    async def get_queue_attributes(self, **_: Any) -> Any:
        return self.answer

    async def get_metric_statistics(self, **_: Any) -> Any:
        return self.answer


async def test_a_lambda_that_nobody_has_named_is_not_known() -> None:
    """Any one can read the stream, and have no lag: that replicates nothing."""
    aws: Any = OneMapping()
    for function, light in (("", Light.UNKNOWN), ("analytics", Light.GREEN), ("producer", Light.RED)):
        check = await plan_cutover.check_replication(aws, SOURCE, function)
        assert check.light is light
        assert bool(function) is not ("the Lambda analytics reads the stream; whether" in check.found)
    lagging: Any = Answering({"Datapoints": [{"Maximum": 1.0}] * 3})
    nobodys = replace(QUEUES, function="")
    lag, _ = await plan_cutover.lag_checks(lagging, OPTIONS, nobodys, datetime.now(UTC))
    assert (lag.light, lag.found) == (Light.UNKNOWN, "unknown: which Lambda is the pipeline's")
    assert "--stack NAME" in lag.advice


async def queue_lights(answer: Any) -> list[Light]:
    aws: Any = Answering(answer)
    return [check.light for check in await plan_cutover.queue_checks(aws, QUEUES)]


async def lag_lights(answer: Any) -> list[Light]:
    aws: Any = Answering(answer)
    checks = await plan_cutover.lag_checks(aws, OPTIONS, QUEUES, datetime.now(UTC))
    return [check.light for check in checks]


async def test_empty_queues_are_green() -> None:
    assert await queue_lights({"Attributes": EMPTY}) == [Light.GREEN] * 2
    assert (
        await queue_lights({"Attributes": {**EMPTY, "ApproximateNumberOfMessages": "1"}}) == [Light.RED] * 2
    )


@pytest.mark.parametrize(
    "answer",
    [
        {},
        None,
        [],
        "x",
        {"Attributes": {}},
        {"Attributes": None},
        *({"Attributes": {name: "0" for name in EMPTY if name != missing}} for missing in EMPTY),
        *({"Attributes": {**EMPTY, "ApproximateNumberOfMessagesDelayed": odd}} for odd in ("x", "-1", "", 0)),
    ],
    ids=repr,
)
async def test_a_number_that_is_not_told_is_not_known(answer: Any) -> None:
    """Nobody may move because SQS did not say how many messages there are."""
    assert await queue_lights(answer) == [Light.UNKNOWN] * 2


async def test_low_lags_are_green() -> None:
    assert await lag_lights({"Datapoints": [{"Maximum": 1.0}] * 3}) == [Light.GREEN] * 2


@pytest.mark.parametrize(
    "answer",
    [
        {},
        None,
        [],
        {"Datapoints": []},
        {"Datapoints": None},
        {"Datapoints": "abc"},
        {"Datapoints": [{}] * 3},
        *(
            {"Datapoints": [{"Maximum": 1.0}, {"Maximum": 1.0}, {"Maximum": odd}]}
            for odd in (-1.0, "x", None)
        ),
        *({"Datapoints": [{"Maximum": 1.0}, {"Maximum": odd}]} for odd in (float("nan"), float("inf"))),
    ],
    ids=repr,
)
async def test_a_lag_that_is_not_told_is_not_known(answer: Any) -> None:
    assert await lag_lights(answer) == [Light.UNKNOWN] * 2
