"""What the run prints at the terminal: steps with their durations, facts below them, tables, commands.

Whatever may be copied (addresses, paths, commands) is printed without line breaks. The terminal wraps it on
the screen, and a copy of it, or a file with it, is in one piece.
"""

import contextlib
import time
from collections.abc import Iterator

from rich.console import Console
from rich.table import Table
from rich.text import Text

INDENT = "    "


class Screen:
    """Standard output: coloured on a terminal, plain text elsewhere."""

    def __init__(self) -> None:
        self._console = Console(highlight=False, markup=False, emoji=False)
        unicode = self._console.encoding.startswith("utf")
        self._done, self._failed = ("✓", "✗") if unicode else ("+", "x")

    def _line(self, *parts: Text | str) -> None:
        self._console.print(Text.assemble(*parts), soft_wrap=True)

    def title(self, text: str) -> None:
        """Print a heading, with an empty line before it."""
        self._line()
        self._line(Text(text, style="bold"))

    def say(self, text: str = "") -> None:
        """Print a line."""
        self._line(text)

    def fact(self, name: str, value: object) -> None:
        """Print a fact below the step that it belongs to."""
        self._line(INDENT, Text(f"{name:<15}", style="dim"), str(value))

    def command(self, text: str) -> None:
        """Print a command to try by hand."""
        self._line(INDENT, Text(text, style="cyan"))

    @contextlib.contextmanager
    def step(self, doing: str) -> Iterator[None]:
        """Show what is being done, then whether it succeeded, and how long that took."""
        started = time.monotonic()
        try:
            with self._console.status(doing):
                yield
        except BaseException:
            self._line(Text(self._failed, style="red"), " ", doing)
            raise
        elapsed = time.monotonic() - started
        self._line(Text(self._done, style="green"), f" {doing}  ", Text(f"{elapsed:.1f} s", style="dim"))

    def table(self, columns: list[str], rows: list[list[str]]) -> None:
        """Print a small table, indented like the facts."""
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
        for column in columns:
            table.add_column(column, no_wrap=True)
        for row in rows:
            table.add_row(*row)
        # As wide as its content: a narrow screen wraps its lines, and cuts nothing off.
        width = self._console.measure(table).maximum
        with self._console.capture() as capture:
            self._console.print(table, width=width, crop=False, no_wrap=True, overflow="ignore")
        for line in capture.get().splitlines():
            self._console.print(Text(INDENT) + Text.from_ansi(line.rstrip()), soft_wrap=True)

    def failure(self, reason: str, log_name: str, log_tail: str) -> None:
        """Print the reason of a failure, and the end of the log that shows it."""
        self._line()
        self._line(Text("Failed: ", style="bold red"), reason)
        if log_tail:
            self._line()
            self._line(Text(f"The end of {log_name}:", style="dim"))
            self._line(log_tail)
