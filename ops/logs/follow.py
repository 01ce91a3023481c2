"""Reads log groups again and again: each event once, also one that arrives late.

CloudWatch Logs finds events by their own times, not by when they arrived, and gives events of one time in
several answers. So each look begins some time before the newest event that was seen, and what was seen is
remembered that long. An event that arrives later than that is not shown.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from ops.logs.events import Event

LATE = 120_000
"""Milliseconds that an event may arrive after newer ones of its group."""

_AHEAD = 86_400_000  # CloudWatch Logs takes events up to two hours in the future (PutLogEvents)


@dataclass(slots=True)
class _Group:
    """What was seen of one group: times of events by their identities."""

    start: int
    seen: dict[tuple[int, str, str], int] = field(default_factory=dict)

    def is_new(self, event: Event) -> bool:
        identity = (event.at, event.stream, event.identity)
        if identity in self.seen:
            return False
        self.seen[identity] = event.at
        return True

    def forget(self, now: int) -> None:
        """Begins the next look later, if newer events were seen."""
        newest = min(max(self.seen.values(), default=0), now)
        self.start = max(self.start, newest - LATE)
        self.seen = {identity: at for identity, at in self.seen.items() if at >= self.start}


def follow(
    read: Callable[[str, int, int], Iterable[Event]],
    groups: Iterable[str],
    start: int,
    now: Callable[[], int],
    pause: Callable[[], None],
) -> Iterator[Event]:
    """The events from `start` on, without end; those of one look in the order of time.

    Args:
        read: the events of a group between two times, both in milliseconds since the epoch.
        groups: their names.
        start: when the first look begins.
        now: the time.
        pause: what is done between two looks.
    """
    known = {name: _Group(start) for name in groups}
    while True:
        end = now() + _AHEAD
        looks = [filter(group.is_new, read(name, group.start, end)) for name, group in known.items()]
        yield from heapq.merge(*looks, key=lambda event: event.at)
        for group in known.values():
            group.forget(now())
        pause()
