"""Whether messages in flight are finished: what several looks say that one cannot."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest

from ops.status.facts import Figures, Queue, Status, Writer, Writers
from ops.status.progress import LEAST_SECONDS, Looks, needs_another_look
from tests.unit.ops.status.test_findings import WELL

BUSY = Writers([Writer("http://a:1", figures=Figures(3.0, 4))])
IDLE = Writers([Writer("http://a:1", figures=Figures(0.0, 4))])
SILENT = Writers([Writer("http://a:1", "no whole answer")])
OTHERS = Writers([Writer("http://a:1", figures=Figures(0.0, 4))], why_unknown="no right")


def look(at: float, visible: int, in_flight: int, writers: Writers = SILENT) -> Status:
    return replace(WELL, at=at, queue=Queue(visible, in_flight, 0), writers=writers)


def seen(*looks: Status) -> list[bool | None]:
    compared = Looks()
    return [compared.judge(each).progress.seen for each in looks]


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        (look(0, 0, 4), look(5, 0, 4), [None, False]),  # nothing moves
        (look(0, 3, 4), look(5, 7, 0), [None, True]),  # nobody holds any: their age tells the rest
        (look(0, 4, 3), look(5, 3, 4), [None, False]),  # received, and not finished
        (look(0, 3, 4), look(5, 2, 4), [None, True]),
        (look(0, 3, 4), look(5, 9, 4), [None, None]),  # new ones came; some may have been finished
        (look(0, 3, 4, IDLE), look(5, 9, 4, IDLE), [None, False]),  # no: nobody finishes any
        (look(0, 3, 4, OTHERS), look(5, 9, 4, OTHERS), [None, None]),  # others may
        (look(0, 3, 4, BUSY), look(5, 3, 4, BUSY), [True, True]),
        (look(0, 3, 4), look(5, 3, 4, BUSY), [None, True]),
        (look(0, 3, 0), look(5, 3, 0), [True, True]),
        (look(0, 3, 4), look(LEAST_SECONDS - 1, 3, 4), [None, None]),  # too early to say
    ],
    ids=repr,
)
def test_two_looks(first: Status, second: Status, said: list[bool | None]) -> None:
    assert seen(first, second) == said
    assert needs_another_look(Looks().judge(first)) is (said[0] is None)


def test_watching_compares_with_the_last_progress() -> None:
    """Looks that are close to each other say together what two that are far apart do."""
    still = [look(at, 0, 4) for at in range(8)]
    assert seen(*still) == [None] * 5 + [False] * 3
    assert seen(*still[:4], look(4, 0, 3), *(look(at, 0, 3) for at in range(5, 11))) == [
        *([None] * 4),
        True,
        *([None] * 4),
        *([False] * 2),
    ]
    compared = Looks()
    seconds = [compared.judge(each).progress.seconds for each in still]
    assert all(after - before == 1 for before, after in pairwise(seconds))
