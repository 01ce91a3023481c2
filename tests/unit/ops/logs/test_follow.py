"""Following log groups: each event once, whatever its time, and nothing is remembered for ever."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from ops.logs.events import Event
from ops.logs.follow import LATE, follow

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

NOW = 1_000_000_000


def event(at: int, identity: str, group: str = "g") -> Event:
    return Event(at, group, "s", identity, identity)


class Groups:
    """Groups that get more events with each look; it notes from when on it was read."""

    def __init__(self, *arrivals: Mapping[str, Sequence[Event]]) -> None:
        self.arrivals = iter(arrivals)
        self.there: list[Event] = []
        self.starts: list[tuple[str, int]] = []
        self.arrive()

    def arrive(self) -> None:
        events = next(self.arrivals, None)
        assert events is not None, "an event was not shown, and no other arrives"
        for each in events.values():
            self.there.extend(each)

    def read(self, group: str, start: int, end: int) -> Iterator[Event]:
        self.starts.append((group, start))
        found = [each for each in self.there if each.group == group and start <= each.at <= end]
        return iter(sorted(found, key=lambda each: each.at))


def texts(groups: Groups, names: Sequence[str], number: int) -> list[str]:
    events = follow(groups.read, names, 0, lambda: NOW, groups.arrive)
    return [each.text for each in itertools.islice(events, number)]


def test_equal_times_and_late_arrivals() -> None:
    """None twice and none lost: of one time, of an earlier time, of two groups."""
    groups = Groups(
        {"g": [event(NOW, "a")]},
        {"g": [event(NOW, "b"), event(NOW - 5, "late")], "h": [event(NOW - 2, "other", "h")]},
        {"g": [event(NOW, "c"), event(NOW - LATE, "latest")]},
    )
    assert texts(groups, ["g", "h"], 6) == ["a", "late", "other", "b", "latest", "c"]


def test_a_time_in_the_future_hides_nothing() -> None:
    """One clock that is ahead does not move the begin beyond ours."""
    groups = Groups({"g": [event(NOW + LATE * 20, "ahead")]}, {"g": [event(NOW, "now")]})
    assert texts(groups, ["g"], 2) == ["ahead", "now"]


def test_a_slow_group_is_read_from_its_own_time() -> None:
    """A group whose lines come late does not lose them to one whose lines come at once."""
    groups = Groups(
        {"g": [event(NOW, "a")], "h": [event(NOW - 9 * LATE, "b", "h")]},
        {"h": [event(NOW - 8 * LATE, "c", "h")]},
    )
    assert texts(groups, ["g", "h"], 3) == ["b", "a", "c"]


def test_it_reads_and_remembers_no_more_than_it_has_to() -> None:
    """The begin follows the newest event (P7)."""
    groups = Groups(*({"g": [event(n * LATE, f"{n}")]} for n in range(50)))
    assert texts(groups, ["g"], 50) == [f"{n}" for n in range(50)]
    assert [start for _, start in groups.starts] == [0, 0, *(n * LATE for n in range(48))]
