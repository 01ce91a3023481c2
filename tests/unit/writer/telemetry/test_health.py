"""`health` says what is waited for, why and since when; the log says it once."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from tests.support.fakes import FakeClock
from writer.telemetry.health import Health, Part, Wait

if TYPE_CHECKING:
    import pytest

START = 1_600_001_000.0


def test_everything_is_waited_for_at_the_start() -> None:
    """Ready only when both parts have answered."""
    health = Health(FakeClock())
    assert health.waits == {part: Wait("starting", START) for part in Part}
    health.found(Part.SQS)
    assert set(health.waits) == {Part.MONGODB}
    health.found(Part.MONGODB)
    assert health.waits == {}


def test_a_wait_keeps_its_beginning_and_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    """Since the first failure, not the last; a line at each change of state, not at each try."""
    caplog.set_level(logging.INFO)
    clock = FakeClock()
    health = Health(clock)
    for part in Part:
        health.found(part)
    caplog.clear()
    health.lost(Part.MONGODB, "first")
    for _ in range(3):
        clock.time += 60
        health.lost(Part.MONGODB, "again")
    assert health.waits == {Part.MONGODB: Wait("first", START)}
    health.found(Part.MONGODB)
    health.found(Part.MONGODB)
    assert [(record.message, record.levelname) for record in caplog.records] == [
        ("waiting for a part", "WARNING"),
        ("a part is there", "INFO"),
    ]
    assert vars(caplog.records[1])["waited_seconds"] == 180


def test_the_reason_of_a_failed_start_replaces_starting() -> None:
    """A part that was never there says why, as soon as it is known."""
    health = Health(FakeClock())
    health.lost(Part.MONGODB, "no primary")
    assert health.waits[Part.MONGODB].reason == "no primary"
