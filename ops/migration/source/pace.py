"""How fast a table is read: a limit on read capacity units per second, shared by all readers. Pure.

Source: Amazon DynamoDB developer guide, "Capacity unit consumption": half a unit per 4 KB for an eventually
consistent read, one for a consistent one; with `ReturnConsumedCapacity` the answer says what it cost.
"""

from __future__ import annotations


class Pace:
    """After a read all wait for as long as its cost takes at the limit."""

    def __init__(self, units_per_second: float = 0) -> None:
        """Takes the limit in read capacity units; 0: none."""
        self.limit = units_per_second
        self.spent = 0.0
        self._free_at = 0.0
        self._items = 0

    def wait(self, now: float) -> float:
        """Seconds until the next read may begin."""
        return max(0.0, self._free_at - now)

    def record(self, units: float, items: int, now: float) -> None:
        """Records what a read cost.

        Args:
            units: read capacity units.
            items: how many items it read.
            now: seconds on a monotonic clock.
        """
        self.spent += units
        self._items += items
        if self.limit:
            self._free_at = max(self._free_at, now) + units / self.limit

    def page(self) -> int | None:
        """How many items cost about what one second allows; None: as many as fit."""
        if not self.limit:
            return None
        per_item = self.spent / self._items if self._items else 1.0
        return max(1, int(self.limit / per_item)) if per_item else None
