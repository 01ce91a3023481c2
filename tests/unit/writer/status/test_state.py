"""What the writer says it is doing."""

from __future__ import annotations

import pytest

from writer.status.history import Sample
from writer.status.state import BACKLOG, Awaited, Kind, Situation, state_of
from writer.telemetry.observer import Backlog

NOW = 10_000.0


def samples(*waiting: int, step: float = 15.0) -> list[Sample]:
    """Answers of the queue up to now."""
    first = NOW - step * (len(waiting) - 1)
    return [Sample(first + step * number, Backlog(each, 0, 0)) for number, each in enumerate(waiting)]


def test_what_is_waited_for_comes_before_everything_but_a_stop() -> None:
    """With the reason, and since when."""
    awaited = [Awaited("MongoDB", "no primary", 500.0), Awaited("SQS", "", 100.0)]
    state = state_of(Situation(NOW, awaited, samples=samples(5000, 4000), changes=10))
    assert (state.kind, state.title, state.since) == (Kind.WAITING, "Waiting for MongoDB", 500.0)
    assert state.words.startswith("no primary. ")
    both = state_of(Situation(NOW, [*awaited, Awaited("SQS", "503", 400.0)]))
    assert (both.title, both.since) == ("Waiting for MongoDB and SQS", 400.0)
    stopping = state_of(Situation(NOW, awaited, stopping=True, in_hand=12))
    assert stopping.kind is Kind.DRAINING
    assert "12 messages are in flight" in stopping.words
    assert "1 message is" in state_of(Situation(NOW, stopping=True, in_hand=1)).words


def test_starting_is_no_outage() -> None:
    """No dependency was called yet."""
    state = state_of(Situation(NOW, [Awaited("SQS", "", 1.0), Awaited("MongoDB", "", 1.0)]))
    assert (state.kind, state.words, state.since) == (Kind.STARTING, "Connecting to SQS and MongoDB.", None)


def test_up_to_date_or_replicating() -> None:
    """No traffic is fine, too; and an unknown backlog is no problem."""
    assert state_of(Situation(NOW)).kind is Kind.UP_TO_DATE
    assert state_of(Situation(NOW, changes=1)).kind is Kind.REPLICATING
    held = state_of(Situation(NOW, in_hand=1))
    assert (held.kind, held.words) == (
        Kind.REPLICATING,
        "1 message is being written; none was acknowledged in the last seconds.",
    )
    assert state_of(Situation(NOW, samples=samples(BACKLOG - 1))).kind is Kind.UP_TO_DATE


def test_catching_up_tells_when_it_is_done() -> None:
    """By the trend of the last minutes."""
    state = state_of(Situation(NOW, samples=samples(9000, 7500, 6000, 4500), changes=1))
    assert state.kind is Kind.CATCHING_UP
    assert state.eta == pytest.approx(45.0)
    assert state.words == "4,500 messages are waiting in the queue, 100 fewer each second."


def test_the_trend_is_that_of_the_last_minutes() -> None:
    """Older samples do not count any more."""
    grew = [Sample(NOW - 600 + 15 * n, Backlog(n * 1000, 0, 0)) for n in range(20)]
    state = state_of(Situation(NOW, samples=[*grew, *samples(9000, 7500, 6000, 4500)]))
    assert state.kind is Kind.CATCHING_UP


@pytest.mark.parametrize(
    ("waiting", "words"),
    [
        ((1000, 2500, 4000, 5500), "5,500 messages are waiting in the queue, 100 more each second."),
        (
            (4000, 4000, 4000, 4000),
            "4,000 messages are waiting in the queue, and the number is not shrinking.",
        ),
        ((10**9 + 1, 10**9 + 1, 10**9, 10**9), "1,000,000,000 messages are waiting in the queue, and the"),
    ],
    ids=["grows", "stays", "shrinks, for years"],
)
def test_falling_behind(waiting: tuple[int, ...], words: str) -> None:
    """A backlog that does not become smaller."""
    state = state_of(Situation(NOW, samples=samples(*waiting)))
    assert (state.kind, state.eta) == (Kind.FALLING_BEHIND, None)
    assert state.words.startswith(words)


def test_a_burst_is_no_backlog() -> None:
    """It has to last."""
    assert state_of(Situation(NOW, samples=samples(0, 0, 3000), changes=1)).kind is Kind.REPLICATING
    assert state_of(Situation(NOW, samples=samples(3000, 3000, 0), changes=1)).kind is Kind.REPLICATING


def test_too_early_for_a_trend() -> None:
    """One answer, or several at once."""
    for few in (samples(3000), samples(3000, 2000, step=1.0)):
        state = state_of(Situation(NOW, samples=few))
        assert (state.kind, state.eta) == (Kind.CATCHING_UP, None)


def test_an_old_answer_is_better_than_none() -> None:
    """While the queue cannot be asked, its last answer counts."""
    old = [Sample(NOW - 300, Backlog(3000, 0, 0))]
    assert state_of(Situation(NOW, samples=old)).kind is Kind.CATCHING_UP


def test_without_a_queue_changes_stay_in_the_stream() -> None:
    """And messages wait in memory."""
    lost = state_of(Situation(NOW, [Awaited("MongoDB", "no primary", 500.0)], has_queue=False))
    assert "changes stay in the stream for 24 hours" in lost.words
    behind = state_of(Situation(NOW, samples=samples(9000, 7500, 6000, 4500), has_queue=False))
    assert behind.words.startswith("4,500 messages are waiting in memory, ")
