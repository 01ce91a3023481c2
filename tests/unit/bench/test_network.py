"""What the way to the servers allows, by the model: the same on every machine, so that a test can hold it."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import pytest

from bench.load import Load
from bench.network_model import CPU, Lines, drain

if TYPE_CHECKING:
    from collections.abc import Sequence

CHANGES = 6_000
NEAR = Lines(0.0005, 0.002)
FAR = Lines(0.04, 0.04)


@cache
def messages() -> Sequence[tuple[str, str]]:
    return [(message.group, message.body) for message in Load(CHANGES, CHANGES).messages()]


def test_near_the_writer_is_the_limit() -> None:
    """Nothing is faster than its core, and the ways cost little."""
    found = drain(messages(), NEAR, 4, 8)
    assert found.changes == CHANGES
    assert 0.6 / CPU < found.rate < 1 / CPU


def test_the_same_figures_every_time() -> None:
    """No clock of the machine has a part in them."""
    assert drain(messages(), FAR, 4, 8) == drain(messages(), FAR, 4, 8)


def test_far_away_connections_are_the_limit() -> None:
    """So POOL_SIZE is what to turn, as docs/performance.md says; two loops for each use it, one does not."""
    pool_of_2 = drain(messages(), FAR, 2, 4).rate
    assert drain(messages(), FAR, 4, 8).rate > 1.5 * pool_of_2
    assert drain(messages(), FAR, 2, 2).rate < 0.75 * pool_of_2


@pytest.mark.parametrize(("pool", "loops"), [(4, 8), (16, 32)])
def test_on_a_narrow_line_nothing_comes_twice(pool: int, loops: int) -> None:
    """However long a request takes: an answer that was given up would lock its messages for nobody (P4).

    More connections do not make the line wider; they may not make it narrower either.
    """
    narrow = drain(messages(), FAR._replace(bandwidth=500_000.0), pool, loops)
    assert narrow.again == 0
    assert narrow.rate > 0.8 * drain(messages(), FAR._replace(bandwidth=500_000.0), 2, 4).rate


def test_requests_to_sqs_for_a_change() -> None:
    """A batch that is nearly full does not ask for the last message: that costs a round trip, and money."""
    found = drain(messages(), FAR, 4, 8)
    assert found.requests < 7 * found.batches
