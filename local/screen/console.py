"""What the run prints at the terminal: steps with their durations, facts below them, tables, commands.

Whatever may be copied (addresses, paths, commands) is printed without line breaks. The terminal wraps it on
the screen, and a copy of it, or a file with it, is in one piece.
"""

import contextlib
import time
from collections.abc import Iterator

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from local.screen.documents import INDENT


class Screen:
    """Standard output: coloured on a terminal, plain text elsewhere."""

    def __init__(self) -> None:
        self._console = Console(highlight=False, markup=False, emoji=False)
        unicode = self._console.encoding.startswith("utf")
        self._done, self._failed, self.arrow = ("✓", "✗", "→") if unicode else ("+", "x", "->")

    @property
    def width(self) -> int | None:
        """The columns of the terminal; None: this is none."""
        return self._console.width if self._console.is_terminal else None

    def _line(self, *parts: Text | str) -> None:
        self._console.print(Text.assemble(*parts), soft_wrap=True)

    def title(self, text: str) -> None:
        """Print a heading, with an empty line before it. A terminal gets it broken between words."""
        self._line()
        self._console.print(Text(text, style="bold"), soft_wrap=not self._console.is_terminal)

    def say(self, text: str = "") -> None:
        """Print a line, as `title` does."""
        self._console.print(Text(text), soft_wrap=not self._console.is_terminal)

    def fact(self, name: str, value: object) -> None:
        """Print a fact below the step that it belongs to."""
        self._line(INDENT, Text(f"{name:<15}", style="dim"), str(value))

    def command(self, text: str) -> None:
        """Print a command to try by hand. Its lines end where the shell goes on reading, and nowhere else."""
        for line in text.splitlines():
            self._line(INDENT, Text(line, style="cyan"))

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
        """Print a small table, indented like the facts: as wide as its content, and nothing is cut."""
        widths = [max(map(cell_len, cells)) for cells in zip(columns, *rows, strict=True)]
        for number, cells in enumerate([columns, *rows]):
            pairs = zip(cells, widths, strict=True)
            padded = (text + " " * (width - cell_len(text)) for text, width in pairs)
            self._line(INDENT, Text("  ".join(padded).rstrip(), style="" if number else "dim"))

    def failure(self, reason: str, log_name: str, log_tail: str) -> None:
        """Print the reason of a failure, and the end of the log that shows it."""
        self._line()
        self._line(Text("Failed: ", style="bold red"), reason)
        if log_tail:
            self._line()
            self._line(Text(f"The end of {log_name}:", style="dim"))
            self._line(log_tail)
