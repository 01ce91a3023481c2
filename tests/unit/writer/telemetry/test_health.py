"""`health` says what is waited for, why and since when; the log says it once."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from tests.support.fake_clock import FakeClock
from writer.telemetry.health import Dependency, Health, Wait

if TYPE_CHECKING:
    import pytest

START = 1_600_001_000.0


def test_everything_is_waited_for_at_the_start() -> None:
    """Ready only when both dependencies have answered."""
    health = Health(FakeClock())
    assert health.waits == {part: Wait("starting", START) for part in Dependency}
    health.found(Dependency.SQS)
    assert set(health.waits) == {Dependency.MONGODB}
    health.found(Dependency.MONGODB)
    assert health.waits == {}


def test_a_wait_keeps_its_beginning_and_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    """Since the first failure, not the last; a line at each change of state, not at each try."""
    caplog.set_level(logging.INFO)
    clock = FakeClock()
    health = Health(clock)
    for part in Dependency:
        health.found(part)
    caplog.clear()
    health.lost(Dependency.MONGODB, "first")
    for _ in range(3):
        clock.time += 60
        health.lost(Dependency.MONGODB, "again")
    assert health.waits == {Dependency.MONGODB: Wait("first", START)}
    health.found(Dependency.MONGODB)
    health.found(Dependency.MONGODB)
    assert [(record.message, record.levelname) for record in caplog.records] == [
        ("waiting for a part", "WARNING"),
        ("a part is there", "INFO"),
    ]
    assert vars(caplog.records[1])["waited_seconds"] == 180


def test_the_reason_of_a_failed_start_replaces_starting() -> None:
    """A dependency that never answered shows the reason as soon as it is known."""
    health = Health(FakeClock())
    health.lost(Dependency.MONGODB, "no primary")
    assert health.waits[Dependency.MONGODB].reason == "no primary"
