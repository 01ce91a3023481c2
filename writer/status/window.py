"""Figures over a sliding window of time, in slots; what is older is forgotten. Pure.

Law: no larger at its end than at its start. Time is the caller's, on a clock that never goes back.
"""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

STEP = 5.0
"""Seconds of a slot."""

SLOTS = 180
"""Slots of the window: 15 minutes."""


class Window:
    """The slots, and columns with a figure for each of them."""

    def __init__(self, now: float) -> None:
        """Makes an empty window that begins now."""
        self._columns: list[tuple[array[float], float]] = []
        self.latest = int(now // STEP)
        """The number of the current slot; the next one has the next number."""

    def column(self, empty: float = 0.0) -> array[float]:
        """A new column: one figure per slot, `empty` where nothing was reported."""
        column = array("d", [empty]) * SLOTS
        self._columns.append((column, empty))
        return column

    def drop(self, columns: Iterable[array[float]]) -> None:
        """Forgets columns."""
        dropped = {id(column) for column in columns}
        self._columns = [each for each in self._columns if id(each[0]) not in dropped]

    @property
    def index(self) -> int:
        """The index in every column of the current slot."""
        return self.latest % SLOTS

    @property
    def end(self) -> float:
        """When the current slot ends."""
        return (self.latest + 1) * STEP

    def advance(self, now: float) -> None:
        """Moves to the slot of this time, and empties those it passes."""
        slot = max(self.latest, int(now // STEP))
        passed = range(max(self.latest, slot - SLOTS) + 1, slot + 1)
        for column, empty in self._columns:
            for number in passed:
                column[number % SLOTS] = empty
        self.latest = slot

    def in_order(self, column: array[float]) -> list[float]:
        """A column from the oldest slot to the current one."""
        first = (self.latest + 1) % SLOTS
        return [*column[first:], *column[:first]]
