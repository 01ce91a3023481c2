"""`/metrics`, read back by Prometheus' own parser."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from tests.support.fake_clock import FakeClock
from writer.telemetry.health import Dependency, Health
from writer.telemetry.metrics import Metrics
from writer.telemetry.observer import (
    MOST_TABLES,
    Backlog,
    Batch,
    Call,
    Cause,
    Counted,
    Facts,
    InHand,
    Lag,
    Operation,
    Result,
    Trouble,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from prometheus_client.metrics_core import Metric

OPENMETRICS = "application/openmetrics-text; version=1.0.0"


class Scraped:
    """A writer's metrics, fetched over HTTP as Prometheus does."""

    def __init__(self, *dependencies: Dependency) -> None:
        self.clock = FakeClock()
        self.health = Health(self.clock, dependencies) if dependencies else Health(self.clock)
        self.metrics = Metrics(Facts("1.2.3", "0123456789ab", 4, 8), self.health, self.clock)

    async def families(self, accept: str = "text/plain") -> Iterable[Metric]:
        app = web.Application()
        app.add_routes([self.metrics.route()])
        async with TestClient(TestServer(app)) as client:
            answer = await client.get("/metrics", headers={"Accept": accept})
            assert answer.status == 200
            assert answer.headers["Content-Type"].startswith(accept.split(";", maxsplit=1)[0])
            text = await answer.text()
        return list((parse_openmetrics if "openmetrics" in accept else parse_text)(text))

    async def read(self, accept: str = "text/plain") -> dict[str, float]:
        return {
            sample.name + "".join(f"|{sample.labels[label]}" for label in sorted(sample.labels)): sample.value
            for family in await self.families(accept)
            for sample in family.samples
        }


def batch(*counted: Counted, lags: tuple[Lag, ...] = ()) -> Batch:
    return Batch(messages=3, changes=7, counted=counted, lags=lags, plan=0.002)


@pytest.mark.parametrize("accept", ["text/plain", OPENMETRICS], ids=["text", "openmetrics"])
async def test_what_was_told_is_there(accept: str) -> None:
    """Every figure, in the format that the client accepts."""
    it = Scraped()
    told = it.metrics
    told.batch(
        batch(
            Counted("people", Operation.PUT, Result.APPLIED, 5),
            Counted("people", Operation.DELETE, Result.APPLIED, 1),
            Counted("", Operation.UNKNOWN, Result.PARKED, 1),
            lags=(Lag("people", 0.9, 4), Lag("people", 4000.0, 2)),
        )
    )
    told.batch(batch(Counted("people", Operation.PUT, Result.APPLIED, 2)))
    told.in_hand(0, InHand(10, 100, it.clock.now() - 7))
    told.in_hand(1, InHand(1))
    told.in_hand(2, InHand(5, 5, it.clock.now() - 70))
    told.in_hand(2, None)
    told.called(Call.BULK, 0.02)
    told.called(Call.DELETE, 0.3)
    told.backlog(Backlog(waiting=12, in_flight=3, dead_letters=1))
    told.oldest_received(2.5)
    told.trouble(Trouble(Cause.MONGODB, "SECRET"))
    it.health.found(Dependency.SQS)
    found = await it.read(accept)
    expected = {
        "changes_total|put|applied|people": 7,
        "changes_total|delete|applied|people": 1,
        "changes_total|unknown|parked|": 1,
        "batch_changes_sum": 14,
        "batch_messages_count": 2,
        "batch_messages_bucket|2.0": 0,
        "batch_messages_bucket|5.0": 2,
        "plan_seconds_sum": 0.004,
        "mongodb_batch_seconds_bucket|0.01": 0,
        "mongodb_batch_seconds_bucket|0.025": 1,
        "sqs_request_seconds_sum|delete": 0.3,
        "sqs_request_seconds_count|receive": 0,
        "retries_total|mongodb": 1,
        "retries_total|sqs": 0,
        "messages_in_flight": 11,
        "changes_in_flight": 100,
        "oldest_unapplied_seconds": 7,
        "queue_messages|waiting": 12,
        "queue_messages|in_flight": 3,
        "queue_messages|dead": 1,
        "received_message_age_seconds": 2.5,
        "lag_max_seconds": 4000,
        "lag_seconds_bucket|0.5|people": 0,
        "lag_seconds_bucket|1.0|people": 4,
        "lag_seconds_bucket|3600.0|people": 4,
        "lag_seconds_bucket|+Inf|people": 6,
        "lag_seconds_sum|people": 0.9 * 4 + 8000,
        "lag_seconds_count|people": 6,
        "last_success_timestamp_seconds": it.clock.now(),
        "waiting|sqs": 0,
        "waiting|mongodb": 1,
        "ready": 0,
        "build_info|0123456789ab|1.2.3": 1,
    }
    shown = {name: found[f"replicator_{name}"] for name in expected}
    assert shown == pytest.approx(expected)
    assert found["process_start_time_seconds"] > 0
    assert found["process_resident_memory_bytes"] > 0
    assert not any("SECRET" in name for name in found)


async def test_what_is_not_known_is_not_there() -> None:
    """No answer from the queues, no success yet: no figure, rather than a misleading zero."""
    found = await Scraped().read()
    assert not [name for name in found if "queue_messages" in name or "last_success" in name]
    assert found["replicator_lag_max_seconds"] == found["replicator_oldest_unapplied_seconds"] == 0


async def test_ready() -> None:
    """As `/readyz` says."""
    it = Scraped()
    for part in Dependency:
        it.health.found(part)
    assert (await it.read())["replicator_ready"] == 1


async def test_the_greatest_of_the_last_minute() -> None:
    """Falls when the minute is over, to the greatest since."""
    it = Scraped()
    for seconds, age in ((0, 3.0), (30, 9.0), (10, 5.0), (10, 1.0)):
        it.clock.time += seconds
        it.metrics.oldest_received(age)
        it.metrics.batch(batch(lags=(Lag("t", age, 1),)))
    for passed, greatest in ((0, 9.0), (45, 5.0), (10, 1.0), (20, 0.0)):
        it.clock.time += passed
        found = await it.read()
        assert found["replicator_received_message_age_seconds"] == greatest
        assert found["replicator_lag_max_seconds"] == greatest


async def test_the_number_of_series_is_bounded() -> None:
    """Tables come with messages, which anybody may have written."""
    it = Scraped()
    for number in range(3 * MOST_TABLES):
        name = f"table-{number}" if number else "x" * 10_000
        it.metrics.batch(batch(Counted(name, Operation.PUT, Result.APPLIED, 1), lags=(Lag(name, 1.0, 1),)))
    tables = {
        sample.labels["table"]
        for family in await it.families()
        for sample in family.samples
        if "table" in sample.labels
    }
    assert len(tables) == MOST_TABLES + 1
    assert max(map(len, tables)) < 255
    found = await it.read()
    assert found["replicator_changes_total|put|applied|other"] == 2 * MOST_TABLES
    assert found["replicator_lag_seconds_count|other"] == 2 * MOST_TABLES


async def test_every_figure_is_explained_and_a_number() -> None:
    """Each family has a help text and a kind; counters end in _total; nothing is NaN."""
    for family in await Scraped().families(OPENMETRICS):
        assert family.documentation
        assert family.type != "unknown"
        assert not any(math.isnan(sample.value) for sample in family.samples)


async def test_a_process_without_a_queue_shows_none() -> None:
    """Nothing that SQS tells, and no part that it does not have (P8)."""
    it = Scraped(Dependency.DYNAMODB, Dependency.MONGODB)
    it.health.found(Dependency.MONGODB)
    it.metrics.called(Call.RECEIVE, 1.0)
    it.metrics.trouble(Trouble(Cause.DYNAMODB, "SECRET"))
    it.metrics.trouble(Trouble(Cause.SQS, "SECRET"))
    it.metrics.backlog(Backlog(7, 2, 1))
    families = await it.families()
    assert not any("SQS" in each.documentation for each in families)
    read = await it.read()
    assert {name for name in read if name.startswith("replicator_waiting")} == {
        "replicator_waiting|dynamodb",
        "replicator_waiting|mongodb",
    }
    assert (read["replicator_waiting|dynamodb"], read["replicator_waiting|mongodb"]) == (1.0, 0.0)
    assert read["replicator_retries_total|dynamodb"] == 1.0
    assert read["replicator_queue_messages|waiting"] == 7.0
    assert not any("sqs" in name for name in read)
