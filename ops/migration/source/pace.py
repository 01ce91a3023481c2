"""How fast a table is read: a limit on read capacity units per second, over all who read. Pure.

Source: Amazon DynamoDB developer guide, "Capacity unit consumption": half a unit per 4 KB for an eventually
consistent read, one for a consistent one; `ReturnConsumedCapacity` has the answer tell what it cost.
"""

from __future__ import annotations


class Pace:
    """Who has read more than its due waits, as long as it takes to be even again."""

    def __init__(self, units_per_second: float = 0) -> None:
        """Begins with nothing read.

        Args:
            units_per_second: the limit; 0: none.
        """
        self.limit = units_per_second
        self.spent = 0.0
        self._even_at = 0.0
        self._items = 0

    def wait(self, now: float) -> float:
        """Seconds until the next read may begin."""
        return max(0.0, self._even_at - now)

    def note(self, units: float, items: int, now: float) -> None:
        """Takes down what a read cost.

        Args:
            units: read capacity units.
            items: how many items it read.
            now: seconds on a clock that never goes back.
        """
        self.spent += units
        self._items += items
        if self.limit:
            self._even_at = max(self._even_at, now) + units / self.limit

    def page(self) -> int | None:
        """The number of items whose read costs about what one second allows; None: as many as there fit."""
        if not self.limit:
            return None
        per_item = self.spent / self._items if self._items else 1.0
        return max(1, int(self.limit / per_item)) if per_item else None
