"""`health` says what is waited for, why and since when; the log says it once."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from tests.support.fake_clock import FakeClock
from writer.telemetry.health import SLOW_WRITE, Dependency, Health, Outage, TableWait, Wait

if TYPE_CHECKING:
    import pytest

START = 1_600_001_000.0


def test_everything_is_waited_for_at_the_start() -> None:
    """Ready only when both dependencies have answered."""
    health = Health(FakeClock())
    assert health.waits == {part: Wait("starting", START) for part in health.dependencies}
    health.found(Dependency.SQS)
    assert set(health.waits) == {Dependency.MONGODB}
    assert not health.ready
    health.found(Dependency.MONGODB)
    assert health.waits == {}


def test_a_process_waits_for_nothing_but_what_it_has() -> None:
    """One that reads streams has no queue to wait for."""
    health = Health(FakeClock(), (Dependency.DYNAMODB, Dependency.MONGODB))
    assert set(health.waits) == {Dependency.DYNAMODB, Dependency.MONGODB}
    health.found(Dependency.MONGODB)
    assert (health.ready, health.has_started) == (False, False)
    health.found(Dependency.DYNAMODB)
    assert (health.ready, health.has_started) == (True, True)


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
    assert health.waits == {Dependency.MONGODB: Wait("again", START)}
    health.found(Dependency.MONGODB)
    health.found(Dependency.MONGODB)
    assert [(record.message, record.levelname) for record in caplog.records] == [
        ("waiting for a server", "WARNING"),
        ("a server answers again", "INFO"),
    ]
    assert vars(caplog.records[1])["waited_seconds"] == 180


def test_the_reason_of_a_failed_start_replaces_starting() -> None:
    """A dependency that never answered shows the reason as soon as it is known."""
    health = Health(FakeClock())
    health.lost(Dependency.MONGODB, "no primary")
    assert health.waits[Dependency.MONGODB].reason == "no primary"


def found_health(clock: FakeClock) -> Health:
    health = Health(clock)
    for part in Dependency:
        health.found(part)
    return health


def test_who_fails_again_and_again_waits_though_others_reach_the_dependency() -> None:
    """A batch that meets an unknown error is shown, whatever a ping says (P8)."""
    health = found_health(FakeClock())
    health.lost(Dependency.MONGODB, "MongoDB: OperationFailure 4242", "a batch")
    health.lost(Dependency.MONGODB, "MongoDB: AutoReconnect", "another")
    health.found(Dependency.MONGODB, "another")
    health.found(Dependency.MONGODB, "a ping")
    assert not health.ready
    health.found(Dependency.MONGODB, "a batch")
    assert health.ready


def test_who_gives_up_waits_no_longer_but_knows_of_no_success() -> None:
    """The next success of anybody ends the wait."""
    health = found_health(FakeClock())
    health.lost(Dependency.MONGODB, "no primary", "a batch")
    health.given_up(Dependency.MONGODB, "a batch")
    assert not health.ready
    health.found(Dependency.MONGODB, "another")
    assert health.ready


def test_a_write_that_is_not_answered_is_shown_before_it_is() -> None:
    """After 15 s, with the time that it has taken; it ends with the answer, and the page has the outage."""
    clock = FakeClock()
    health = found_health(clock)
    with health.writing():
        clock.time += SLOW_WRITE - 1
        assert health.ready
        clock.time += 6
        with health.writing():
            assert not health.ready
            reason = "MongoDB has not answered a write for 20 s"
            assert health.waits == {Dependency.MONGODB: Wait(reason, START)}
    assert health.ready
    assert list(health.outages) == [Outage(Dependency.MONGODB, START, START + 20)]
    with health.writing():
        pass
    assert len(health.outages) == 1


def test_a_table_that_waits_is_shown_and_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    """With the latest reason, since the first; a line when it begins and one when it ends."""
    caplog.set_level(logging.INFO)
    health = found_health(FakeClock())
    caplog.clear()
    place = ("", "people")
    for number, reason in enumerate(("first", "again")):
        health.refused(place, TableWait("people", "13", reason, START + number))
    assert health.tables == {place: TableWait("people", "13", "again", START)}
    assert (health.ready, health.waits) == (False, {})
    health.relieved(place)
    health.relieved(place)
    assert health.ready
    assert [record.message for record in caplog.records] == [
        "a table is waiting: MongoDB refuses its writes",
        "a table is no longer waiting",
    ]


def test_a_table_that_another_process_follows() -> None:
    """This one waits for the end of the lease; a collection of the same name is something else."""
    clock = FakeClock()
    health = Health(clock)
    for part in Dependency:
        health.found(part)
    health.refused(("", "people"), TableWait("people", "13", "no right", START))
    health.leased("people", elsewhere=True)
    clock.time += 5
    health.leased("people", elsewhere=True)
    health.relieved(("", "people"))
    (wait,) = health.tables.values()
    assert wait == TableWait("people", "lease", "another process follows people", START)
    assert not health.ready
    health.leased("people", elsewhere=False)
    assert health.ready
