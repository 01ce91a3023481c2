"""Tells of the numbers of tables how far they are: for a screen, and in one line. Pure.

Law: a lag is told only of changes that are acknowledged. While none is, it says how many wait.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from ops.console.progress import Row, duration
from ops.console.terminal import count

if TYPE_CHECKING:
    from collections.abc import Sequence

    from follow.table import TableFollower

_SPAN = 10.0
"""Seconds over which changes are counted for a rate."""


class View:
    """Looks at tables again and again."""

    def __init__(self, tables: Sequence[TableFollower]) -> None:
        self._tables = [_TableView(each) for each in tables]

    def look(self, now: float, wall: float) -> tuple[list[Row], str]:
        """How they are.

        Args:
            now: monotonic, seconds.
            wall: seconds since the epoch.

        Returns:
            A row for each table, those that are copied first and then those with the largest lag; and a line.
        """
        for each in self._tables:
            each.look(now, wall)
        self._tables.sort(key=lambda each: each.rank)  # stable: what is equal stays where it is
        return [each.row(now) for each in self._tables], self._line(now)

    def _line(self, now: float) -> str:
        if len(self._tables) == 1:
            row = self._tables[0].row(now)
            return f"{row.what}: {row.text}"
        left = sum(not each.table.is_copied.is_set() for each in self._tables)
        copied = sum(each.table.copy.copied for each in self._tables)
        rate = sum(each.rate for each in self._tables)
        lags = [each.lag for each in self._tables if each.lag is not None]
        parts = [count(len(self._tables), "table")]
        parts += [f"{left:,} of them not copied yet ({copied:,} items are)"] if left else []
        parts += [f"{rate:,.0f} changes/s"] + ([f"lag up to {_lag(max(lags))}"] if lags else [])
        return ", ".join(parts)


class _TableView:
    """One of them."""

    def __init__(self, table: TableFollower) -> None:
        self.table = table
        self.lag: float | None = None
        self._began: float | None = None
        self._copied_per_second = 0.0
        self._seen = deque[tuple[float, int, int]]()  # time, changes, settled messages

    @property
    def rate(self) -> float:
        """Changes a second that were read."""
        (first, changes, _), (last, more, _) = self._seen[0], self._seen[-1]
        return (more - changes) / (last - first) if last > first else 0.0

    @property
    def rank(self) -> tuple[bool, float]:
        return self.table.is_copied.is_set(), -round(self.lag or 0)

    def look(self, now: float, wall: float) -> None:
        table, delivery = self.table, self.table.delivery
        self._seen.append((now, table.changes, delivery.settled if delivery is not None else 0))
        while self._seen[0][0] < now - _SPAN:
            self._seen.popleft()
        is_moving = self._seen[-1][2] > self._seen[0][2]
        made = delivery.made if delivery is not None and is_moving else None
        if made is None:
            self.lag = None
        elif len(self._seen) < 2 or self._seen[-1][2] > self._seen[-2][2]:  # noqa: PLR2004 - the last two looks
            self.lag = max(0.0, wall - made)
        if self._began is None and table.copy.copied > table.copy.before:
            self._began = now
        if self._began is not None and now > self._began:
            self._copied_per_second = (table.copy.copied - table.copy.before) / (now - self._began)

    def row(self, now: float) -> Row:
        """What is shown of it."""
        table = self.table
        if table.is_waiting:
            return Row(table.name, "waiting for another process to end")
        if table.delivery is None:
            return Row(table.name, "begins")
        if table.is_copied.is_set():
            return Row(table.name, ", ".join([f"{table.changes:,} changes", *self._following(now)]))
        share = (
            min(1.0, table.copy.copied / table.copy.items) if table.copy.items else None
        )  # AWS counts every six hours
        return Row(table.name, ", ".join([*self._copying(), *self._following(now)]), share)

    def _copying(self) -> list[str]:
        table, rate = self.table, self._copied_per_second
        total = f" of about {table.copy.items:,}" if table.copy.items else ""
        parts = [f"{table.copy.copied:,}{total} items"]
        if rate:
            parts.append(f"{rate:,.0f}/s")
            if table.copy.items > table.copy.copied:
                parts.append(f"{duration((table.copy.items - table.copy.copied) / rate)} left")
        return parts

    def _following(self, now: float) -> list[str]:
        if self.lag is not None:
            return [f"{self.rate:,.0f}/s", f"lag {_lag(self.lag)}"]
        delivery = self.table.delivery
        if delivery is not None and not delivery.is_settled:
            return [f"waiting for MongoDB for {duration(now - self._seen[0][0])} or longer"]
        return ["nothing new"] if self.table.is_copied.is_set() else []


def _lag(seconds: float) -> str:
    return duration(seconds) if seconds >= 10 else f"{seconds:.1f} s"  # noqa: PLR2004 - tenths matter below
