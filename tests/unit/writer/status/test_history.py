"""What the writer remembers of the last 15 minutes."""

from __future__ import annotations

import random
import tracemalloc

import pytest

from tests.support.fake_clock import FakeClock
from writer.status.history import MOST_BACKLOGS, MOST_TROUBLES, SAME_TROUBLE, History, Kind
from writer.status.window import SLOTS, STEP, Window
from writer.telemetry.histogram import Histogram
from writer.telemetry.observer import (
    MOST_TABLES,
    Backlog,
    Batch,
    Call,
    Cause,
    Counted,
    InHand,
    Lag,
    Operation,
    Parked,
    Result,
    Trouble,
)


def batch(table: str = "orders", changes: int = 10, lag: float = 1.0, parked: int = 0) -> Batch:
    """A batch of one table."""
    counted = [Counted(table, Operation.PUT, Result.APPLIED, changes)]
    if parked:
        counted.append(Counted(table, Operation.PUT, Result.PARKED, parked))
    letters = [Parked(table, "bad-conversion")] * parked
    return Batch(3, changes + parked, counted, [Lag(table, lag, changes)], letters)


def values(history: History, name: str) -> dict[int, float]:
    """The known figures of a series that are not 0, by how many slots ago they are."""
    history.refresh()
    series = history.series()[name]
    assert len(series) == SLOTS
    return {SLOTS - 1 - slot: value for slot, value in enumerate(series) if value}


def test_what_is_told_is_in_the_slot_of_its_time() -> None:
    """Sums of a slot, the oldest first."""
    clock = FakeClock()
    history = History(clock)
    history.batch(batch(changes=10))
    history.batch(batch(changes=5, parked=2))
    clock.time += 2 * STEP
    history.batch(batch(changes=1))
    assert values(history, "applied") == {2: 15, 0: 1}
    assert values(history, "parked") == {2: 2}
    assert values(history, "changes") == {2: 17, 0: 1}
    assert values(history, "messages") == {2: 6, 0: 3}
    assert values(history, "batches") == {2: 2, 0: 1}


@pytest.mark.parametrize("turns", [1, 3], ids=["once", "three times around"])
def test_what_is_older_than_the_window_is_forgotten(turns: int) -> None:
    """To the slot; and nothing of it comes back when its index is used again."""
    clock = FakeClock()
    history = History(clock)
    for _ in range(turns):
        history.batch(batch(changes=7))
        clock.time += (SLOTS - 1) * STEP
        assert values(history, "applied") == {SLOTS - 1: 7}
        clock.time += STEP
        assert values(history, "applied") == {}
        history.refresh()
        assert history.rows == {}


def test_a_long_gap_empties_everything() -> None:
    """A machine that slept for a week has no more to empty than one window."""
    clock = FakeClock()
    history = History(clock)
    history.batch(batch())
    history.backlog(Backlog(5, 1, 0))
    clock.time += 7 * 86400
    history.batch(batch(changes=3))
    assert values(history, "applied") == {0: 3}
    assert values(history, "waiting") == {}


def test_before_the_start_nothing_is_known() -> None:
    """It does not count as time without traffic."""
    clock = FakeClock()
    history = History(clock)
    clock.time += 3 * STEP
    history.refresh()
    assert list(history.series()["applied"]) == [None] * (SLOTS - 4) + [0] * 4


def test_a_correction_of_the_machines_time_moves_no_figure() -> None:
    """Slots follow the monotonic clock."""

    class Corrected(FakeClock):
        correction = 0.0

        def now(self) -> float:
            return super().now() + self.correction

    clock = Corrected()
    history = History(clock)
    history.batch(batch(changes=4))
    clock.correction = -86400.0
    history.batch(batch(changes=4))
    clock.correction = 86400.0
    clock.time += STEP
    assert values(history, "applied") == {1: 8}


def test_the_lag_of_a_slot() -> None:
    """Its median counts changes, not batches; the oldest one is exact."""
    history = History(FakeClock())
    history.batch(batch(changes=90, lag=1.0))
    history.batch(batch(changes=10, lag=30.0))
    assert values(history, "lag_p50")[0] == pytest.approx(1.0, rel=0.13)
    assert values(history, "lag_p99")[0] == pytest.approx(30.0, rel=0.13)
    assert values(history, "lag_max") == {0: 30.0}
    assert history.lag() == 30.0
    assert history.rows["orders"].lag == 30.0


def test_quantiles_are_near_and_never_above_the_most() -> None:
    """Whatever the lags are: from nothing to years."""
    dice = random.Random(5)  # noqa: S311 - the same lags every time
    lags = Histogram()
    told = sorted(dice.lognormvariate(0, 3) for _ in range(2000))
    for seconds in told:
        lags.add(seconds, 1)
    for part in (0.1, 0.5, 0.99):
        exact = max(told[int(part * len(told)) - 1], 0.01)
        assert lags.quantile(part) == pytest.approx(exact, rel=0.13)
    assert (lags.quantile(1.0) or 0) <= told[-1]
    extremes = Histogram()
    for seconds in (0.0, -1.0, 1e12):
        extremes.add(seconds, 1)
    assert extremes.quantile(0.5) == pytest.approx(0.01, rel=0.13)
    assert Histogram().quantile(0.5) is None


def test_the_lag_grows_while_a_batch_is_in_hand() -> None:
    """Nothing is acknowledged while MongoDB is away: then the age of what is held is the lag."""
    clock = FakeClock()
    history = History(clock)
    history.in_hand(0, InHand(10, 40, clock.now() - 2))
    history.in_hand(1, InHand(10))
    clock.time += 3 * STEP
    assert values(history, "lag_max") == {3: 2 + STEP, 2: 2 + 2 * STEP, 1: 2 + 3 * STEP}
    assert history.lag() == 2 + 3 * STEP
    assert history.messages_in_hand == 20
    history.in_hand(0, None)
    history.in_hand(1, None)
    assert history.messages_in_hand == 0
    clock.time += 3 * STEP
    assert 0 not in values(history, "lag_max")
    assert history.lag() is None


def test_the_throughput_of_now() -> None:
    """Of the last slots, and of no more seconds than there were."""
    clock = FakeClock()
    history = History(clock)
    clock.time += 4
    history.batch(batch(changes=80))
    history.refresh()
    assert history.recent() == (80, 4)
    clock.time += 8
    history.batch(batch(changes=16))
    history.refresh()
    assert history.recent() == (96, 12)
    clock.time += 3 * STEP
    history.refresh()
    assert history.recent()[0] == 0


def test_calls_have_a_mean() -> None:
    """Of those that were answered in a slot."""
    history = History(FakeClock())
    for seconds in (0.1, 0.3):
        history.called(Call.BULK, seconds)
    assert values(history, "bulk_seconds") == {0: pytest.approx(0.2)}
    assert values(history, "delete_seconds") == {}


def test_more_tables_than_rows() -> None:
    """The rest shares one; when a table has been quiet for the window, another one takes its row."""
    clock = FakeClock()
    history = History(clock)
    for number in range(MOST_TABLES + 5):
        history.batch(batch(f"table-{number}", changes=1))
    history.batch(batch("x" * 300, changes=1))
    assert len(history.rows) == MOST_TABLES
    assert history.others.totals()[Result.APPLIED] == 6
    clock.time += SLOTS * STEP / 2
    history.batch(batch("table-0", changes=1))
    clock.time += SLOTS * STEP / 2 + STEP
    history.batch(batch("new", changes=2))
    assert {name: row.totals()[Result.APPLIED] for name, row in history.rows.items()} == {
        "table-0": 1,
        "new": 2,
    }
    assert history.others.totals()[Result.APPLIED] == 0


def test_changes_of_an_older_stream_are_an_incident() -> None:
    """Of their table, with their number, however many batches they came in."""
    history = History(FakeClock())
    for table, changes in (("a", 3), ("b", 1), ("a", 4)):
        history.batch(Batch(1, changes, [Counted(table, Operation.PUT, Result.OLDER_STREAM, changes)]))
    told = [(each.kind, each.cause, each.table, each.count) for each in history.incidents]
    assert told == [(Kind.CHANGES, "older_stream", "b", 1), (Kind.CHANGES, "older_stream", "a", 7)]
    assert history.rows["a"].totals()[Result.OLDER_STREAM] == 7


def test_the_same_trouble_is_counted() -> None:
    """With its latest words; after a quiet minute it is another one."""
    clock = FakeClock()
    history = History(clock)
    history.trouble(Trouble(Cause.MONGODB, "first"))
    history.trouble(Trouble(Cause.SQS, "away"))
    clock.time += SAME_TROUBLE
    history.trouble(Trouble(Cause.MONGODB, "second"))
    clock.time += SAME_TROUBLE + 1
    history.trouble(Trouble(Cause.MONGODB, "third"))
    history.batch(batch(parked=2))
    told = [(each.cause, each.words, each.table, each.count) for each in history.incidents]
    assert told == [
        (Cause.SQS, "away", None, 1),
        (Cause.MONGODB, "second", None, 2),
        (Cause.MONGODB, "third", None, 1),
        ("bad-conversion", "", "orders", 2),
    ]


def test_the_memory_is_bounded() -> None:
    """With ever new tables and troubles: less than 1 MB, and no growth over time."""
    tracemalloc.start()
    try:
        clock = FakeClock()
        history = History(clock)

        def lives(rounds: int) -> int:
            for number in range(rounds):
                clock.time += 600
                for table in range(MOST_TABLES + 20):
                    history.batch(batch(f"{number}-{table}".ljust(255, "x"), lag=table, parked=table % 2))
                history.trouble(Trouble(Cause.MONGODB, "x" * 10_000))
                history.in_hand(number % 8, InHand(1, 1, clock.now()))
                history.backlog(Backlog(number, number, number))
                history.refresh()
            return tracemalloc.get_traced_memory()[0]

        early, late = lives(5), lives(15)
    finally:
        tracemalloc.stop()
    assert early < 1_000_000
    assert late < early + 20_000
    assert len(history.incidents) == MOST_TROUBLES
    assert history.samples.maxlen == MOST_BACKLOGS


def test_a_window_without_columns_and_with_dropped_ones() -> None:
    """A column that was dropped is left alone."""
    window = Window(0.0)
    kept, dropped = window.column(), window.column()
    kept[0] = dropped[0] = 1.0
    window.drop([dropped])
    window.advance(SLOTS * STEP)
    assert (sum(kept), sum(dropped)) == (0.0, 1.0)
