"""The progress of a long run: a bar on a terminal, a line every ten seconds elsewhere.

It goes to standard error, because results go to standard output.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.progress import (
    BarColumn,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as RichProgress
from rich.progress_bar import ProgressBar
from rich.table import Table

from ops.console.terminal import printable

_SECONDS_BETWEEN_LINES = 10.0
_ROWS_LEFT_FREE = 4
"""Of a terminal: for the line about the rows that are not shown, and for what is printed above them."""


def console(*, errors: bool = False) -> Console:
    """Standard output or error. Only a terminal gets colours, and lines broken between words."""
    made = Console(stderr=errors, highlight=False, markup=False, emoji=False)
    made.soft_wrap = not made.is_terminal
    return made


@dataclass
class Progress:
    """Shows the progress of one run, as a `with` block.

    Attributes:
        what: the name of what is processed, such as ``people``.
        total: about how many items there are; 0: unknown.
        before: how many earlier runs did; they do not count towards the rate.
        now: a monotonic clock, seconds.
        quiet: whether only `say` prints.
    """

    what: str
    total: int = 0
    before: int = 0
    now: Callable[[], float] = time.monotonic
    quiet: bool = False
    _done: int = 0
    _note: str = ""
    _started: float = 0.0
    _reported: float = 0.0
    _console: Console = field(default_factory=lambda: console(errors=True))
    _bar: RichProgress | None = None

    def __enter__(self) -> Self:
        self._started = self._reported = self.now()
        if self._console.is_terminal and not self.quiet:
            self._bar = RichProgress(
                TextColumn("{task.description}"),
                BarColumn(),
                TaskProgressColumn(),
                TextColumn("{task.fields[rate]}"),
                TimeElapsedColumn(),
                TimeRemainingColumn(),
                console=self._console,
                transient=True,
            )
            self._bar.add_task(self.what, total=self.total or None, completed=self.before, rate="")
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def say(self, line: str) -> None:
        """Prints a line."""
        self._console.print(line)

    def done(self, items: int, note: str = "") -> None:
        """Counts items that are done. `note` is shown beside the numbers."""
        self._done += items
        self._note = note
        if self._bar is not None:
            known = max(self.total, self.before + self._done) or None
            self._bar.update(
                self._bar.task_ids[0],
                completed=self.before + self._done,
                total=known,
                rate=f"{self._rate():,.0f}/s {note}".strip(),
            )
        elif not self.quiet and self.now() - self._reported >= _SECONDS_BETWEEN_LINES:
            self._reported = self.now()
            self.say(self.line())

    def line(self) -> str:
        """The progress in words."""
        done = self.before + self._done
        rate = self._rate()
        share = f" of about {self.total:,}" if self.total else ""
        left = f", {duration((self.total - done) / rate)} left" if rate and self.total > done else ""
        note = f", {self._note}" if self._note else ""
        return f"{self.what}: {done:,}{share} items, {rate:,.0f}/s{left}{note}"

    def _rate(self) -> float:
        seconds = self.now() - self._started
        return self._done / seconds if seconds > 0 else 0.0


@dataclass(frozen=True, slots=True)
class Row:
    """One of several things that are at work at the same time.

    Attributes:
        what: its name.
        text: how it is.
        share: how much of it is done, 0 to 1; None: there is nothing that ends.
    """

    what: str
    text: str
    share: float | None = None


class Board:
    """Rows that stay where they are on a terminal, and a line now and then elsewhere. As a `with` block."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        """Shows nothing yet; `now` is a monotonic clock, seconds."""
        self._now = now
        self._console = console(errors=True)
        self._live = Live(console=self._console, auto_refresh=False, transient=True)
        self._reported = now()
        self._last = ""

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def say(self, line: str) -> None:
        """Prints a line; on a terminal it stands above the rows."""
        self._console.print(printable(line))

    def show(self, rows: Sequence[Row], line: str) -> None:
        """Shows how it is now.

        Args:
            rows: those that matter most first: what a terminal has no room for is left out.
            line: the same in one line, for where there is no terminal; it is not printed twice in a row.
        """
        if self._console.is_terminal:
            self._live.update(self._table(rows), refresh=True)
        elif self._now() - self._reported >= _SECONDS_BETWEEN_LINES and line != self._last:
            self._reported, self._last = self._now(), line
            self.say(line)

    def _table(self, rows: Sequence[Row]) -> Table:
        most = max(1, self._console.height - _ROWS_LEFT_FREE)
        table = Table.grid(padding=(0, 1), expand=False)
        table.add_column(no_wrap=True, overflow="ellipsis", max_width=self._console.width // 3)
        table.add_column(no_wrap=True, overflow="ellipsis")
        width = max(10, self._console.width // 6)
        for row in rows[:most]:
            if row.share is None:
                table.add_row(printable(row.what), printable(row.text))
                continue
            parts = Table.grid(padding=(0, 1))
            for _ in range(3):
                parts.add_column(no_wrap=True, overflow="ellipsis")
            parts.add_row(ProgressBar(1.0, row.share, width), f"{row.share:4.0%}", printable(row.text))
            table.add_row(printable(row.what), parts)
        if len(rows) > most:
            table.add_row("…", f"and {len(rows) - most:,} more")
        return table


def duration(seconds: float) -> str:
    """Seconds as text: `45 s`, `12 min`, `3 h 20 min`, `4 d 2 h`."""
    minutes, hours, days = seconds / 60, seconds / 3600, seconds / 86400
    if minutes < 2:  # noqa: PLR2004 - the larger unit would be too coarse
        return f"{seconds:.0f} s"
    if hours < 2:  # noqa: PLR2004
        return f"{minutes:.0f} min"
    if days < 2:  # noqa: PLR2004
        return f"{int(hours)} h {int(minutes % 60)} min"
    return f"{int(days)} d {int(hours % 24)} h"
