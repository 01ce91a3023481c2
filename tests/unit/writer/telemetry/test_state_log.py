"""The line with the writer's state, once a minute, as CloudWatch reads it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from tests.support.fake_clock import FakeClock, settled
from tests.support.metric_lines import figures_of, lines_of
from tests.support.writer_context import context_on
from writer.side_tasks import STATE_INTERVAL, log_state
from writer.telemetry.health import Dependency, Health, TableWait
from writer.telemetry.observer import Batch, Cause, Counted, InHand, Lag, Operation, Result, Trouble
from writer.telemetry.state_log import StateLog

if TYPE_CHECKING:
    import pytest

PLACE = ("", "a")
PUT, DELETE = Operation.PUT, Operation.DELETE
IDLE = {
    "ready": 1,
    "tables_waiting": 0,
    "oldest_unapplied_ms": 0,
    "applied": 0,
    "stale": 0,
    "older_stream": 0,
    "coalesced": 0,
    "parked": 0,
    "retries": 0,
    "messages_in_flight": 0,
}
NOTHING_DONE = dict.fromkeys(
    ("batches", "messages", "changes", "given_back", "plan_ms", "apply_ms", "settle_ms"), 0
)
"""Sums that are no metrics."""


def state_log(clock: FakeClock, name: str | None = "replicator", health: Health | None = None) -> StateLog:
    health = health or Health(clock)
    for part in Dependency:
        health.found(part)
    return StateLog(health, clock, name)


def test_a_minute_in_figures(capsys: pytest.CaptureFixture[str]) -> None:
    """What was done since the last line, what is in hand now; without changes there is no lag."""
    clock = FakeClock()
    health = Health(clock)
    state = state_log(clock, health=health)
    with lines_of(capsys) as lines:
        counted = [
            Counted("a", PUT, Result.APPLIED, 90),
            Counted("a", DELETE, Result.APPLIED, 5),
            Counted("b", PUT, Result.STALE, 4),
            Counted("b", PUT, Result.COALESCED, 3),
            Counted("b", Operation.PUT, Result.OLDER_STREAM, 6),
            Counted("", Operation.UNKNOWN, Result.PARKED, 2),
        ]
        lags = [Lag("a", 1.0, 98), Lag("b", 50.0, 1), Lag("b", 700.0, 1)]
        state.batch(Batch(5, 104, counted, lags, given_back=2, plan=0.25, apply=1.5, settle=0.0004))
        state.batch(Batch(2, 6, settle=0.0004))
        state.in_hand(0, InHand(5, 104, clock.now() - 2.5))
        state.in_hand(3, InHand(4))
        state.trouble(Trouble(Cause.SQS, "SECRET"))
        health.refused(PLACE, TableWait("a", "13", "SECRET", clock.now()))
        state.write()
        health.relieved(PLACE)
        state.in_hand(0, None)
        state.in_hand(3, None)
        state.write()
    lines = [line for line in lines if "table" not in line]  # those of health
    assert [(line["message"], line["level"]) for line in lines] == [("state", "INFO")] * 2
    found = figures_of(lines[0], "Queue", "replicator")
    assert 1000 <= found.pop("lag_p50_ms") <= 1130
    assert 50_000 <= found.pop("lag_p99_ms") <= 57_000
    assert found == {
        "ready": 0,
        "tables_waiting": 1,
        "lag_max_ms": 700_000,
        "oldest_unapplied_ms": 2500,
        "applied": 95,
        "stale": 4,
        "older_stream": 6,
        "coalesced": 3,
        "parked": 2,
        "retries": 1,
        "messages_in_flight": 9,
    }
    assert {name: lines[0][name] for name in NOTHING_DONE} == {
        "batches": 2,
        "messages": 7,
        "changes": 110,
        "given_back": 2,
        "plan_ms": 250,
        "apply_ms": 1500,
        "settle_ms": 1,
    }
    assert NOTHING_DONE.items() <= lines[1].items()
    assert lines[0]["_aws"]["Timestamp"] == clock.now() * 1000
    assert figures_of(lines[1], "Queue", "replicator") == IDLE
    assert "SECRET" not in str(lines)


def test_without_a_name_the_line_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    """The figures are there to be read, and cost nothing."""
    state = state_log(FakeClock(), None)
    with lines_of(capsys) as lines:
        state.write()
    assert (IDLE | NOTHING_DONE).items() <= lines[0].items()
    assert not {"_aws", "Queue", "emf"} & lines[0].keys()


async def test_once_a_minute_until_the_stop(capsys: pytest.CaptureFixture[str]) -> None:
    """One line a minute: CloudWatch keeps one figure a minute."""
    context = context_on(clock := FakeClock())
    state = state_log(clock)
    with lines_of(capsys) as lines:
        task = asyncio.create_task(log_state(context, state))
        await clock.advance(3 * STATE_INTERVAL + 1)
        context.stop.set()
        await settled()
        assert task.done()
    assert len(lines) == 3
