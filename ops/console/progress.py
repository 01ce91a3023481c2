"""What a long run says: a bar on a terminal, a line now and then elsewhere.

On standard error: results go to standard output.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as RichProgress

if TYPE_CHECKING:
    from collections.abc import Callable

_SECONDS_BETWEEN_LINES = 10.0


def console(*, errors: bool = False) -> Console:
    """Standard output (or error). Colours, and lines broken between words, on a terminal only."""
    made = Console(stderr=errors, highlight=False, markup=False, emoji=False)
    made.soft_wrap = not made.is_terminal
    return made


@dataclass
class Progress:
    """Tells about one run, as a `with` block.

    Attributes:
        what: what is done, such as ``people``.
        total: how many items there are, roughly; 0: not known.
        before: how many were done by earlier runs: they do not count for the rate.
        now: seconds on a clock that never goes back.
    """

    what: str
    total: int = 0
    before: int = 0
    now: Callable[[], float] = time.monotonic
    quiet: bool = False
    _done: int = 0
    _note: str = ""
    _started: float = 0.0
    _told: float = 0.0
    _console: Console = field(default_factory=lambda: console(errors=True))
    _bar: RichProgress | None = None

    def __enter__(self) -> Self:
        self._started = self._told = self.now()
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
        """A line of its own."""
        self._console.print(line)

    def done(self, items: int, note: str = "") -> None:
        """That many items more; `note` is what else there is to say."""
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
        elif not self.quiet and self.now() - self._told >= _SECONDS_BETWEEN_LINES:
            self._told = self.now()
            self.say(self.line())

    def line(self) -> str:
        """How far it is, in words."""
        done = self.before + self._done
        rate = self._rate()
        share = f" of about {self.total:,}" if self.total else ""
        left = f", {duration((self.total - done) / rate)} left" if rate and self.total > done else ""
        note = f", {self._note}" if self._note else ""
        return f"{self.what}: {done:,}{share} items, {rate:,.0f}/s{left}{note}"

    def _rate(self) -> float:
        seconds = self.now() - self._started
        return self._done / seconds if seconds > 0 else 0.0


def duration(seconds: float) -> str:
    """Seconds in words: `45 s`, `12 min`, `3 h 20 min`, `4 d 2 h`."""
    minutes, hours, days = seconds / 60, seconds / 3600, seconds / 86400
    if minutes < 2:  # noqa: PLR2004 - below, seconds say more
        return f"{seconds:.0f} s"
    if hours < 2:  # noqa: PLR2004 - likewise
        return f"{minutes:.0f} min"
    if days < 2:  # noqa: PLR2004 - likewise
        return f"{int(hours)} h {int(minutes % 60)} min"
    return f"{int(days)} d {int(hours % 24)} h"
