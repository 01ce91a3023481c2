"""Text for people: on a terminal coloured and as wide as it is, elsewhere plain, and nothing is cut."""

import json
import math
import sys
from collections.abc import Sequence
from typing import Any

import typer
from rich.cells import cell_len
from rich.console import Console
from rich.highlighter import JSONHighlighter
from rich.text import Text

_INDENT = "  "
_ONE_LINE = 160
"""Columns. A narrower terminal shows the last cell of a row on a line of its own."""


class Output:
    """Standard output."""

    def __init__(self) -> None:
        self.console = Console(highlight=False, markup=False, emoji=False, soft_wrap=True)

    @property
    def width(self) -> int:
        """Columns of a line; unlimited where there is no terminal."""
        return self.console.width if self.console.is_terminal else sys.maxsize

    def line(self, *parts: Text | str, indent: str = _INDENT) -> None:
        """Prints a line. A terminal gets it broken between words, with the rest indented."""
        text = Text.assemble(*map(_safe, parts))
        if not self.console.is_terminal:
            self.console.print(text)
            return
        for number, part in enumerate(text.wrap(self.console, self.width - len(indent)) or [text]):
            self.console.print(Text(indent * bool(number)) + part)

    def print(self, text: Text) -> None:
        """Prints a line as it is, and quickly, because there may be many."""
        text = _safe(text)
        if self.console.is_terminal:
            self.console.print(text)
        else:
            typer.echo(text.plain)

    def field(self, name: str, value: Text | str, width: int = 11) -> None:
        """Prints a name and its value."""
        self.line(Text(f"{name:<{width}}", style="dim"), value, indent=" " * width)

    def json(self, value: Any) -> None:
        """Prints a value as indented JSON."""
        text = json.dumps(value, ensure_ascii=False, indent=2)
        self.console.print(JSONHighlighter()(Text(printable(text))))

    def table(
        self, header: Sequence[str], rows: Sequence[Sequence[str]], caps: Sequence[int], *, apart: bool = True
    ) -> None:
        """Prints a table.

        Args:
            header: the names of the columns.
            rows: their texts.
            caps: the widest that each cell but the last may be on a terminal.
            apart: whether a narrow terminal shows the last cell of a row below the others.
        """
        fits = self.console.is_terminal
        widths = [
            min(max(cell_len(row[at]) for row in (header, *rows)), cap if fits else sys.maxsize)
            for at, cap in enumerate(caps)
        ]
        apart = apart and fits and self.width < _ONE_LINE
        for number, row in enumerate((header, *rows)):
            style = "dim" if number == 0 else ""
            cells = [self._cell(text, width) for text, width in zip(row, widths, strict=False)]
            head = Text("  ", style=style).join(cells)
            head.stylize(style)
            last = Text(_on_one_line(row[-1]), style=style)
            self._cut(head if apart else head.append("  ").append_text(last))
            if apart and number:
                self._cut(Text(_INDENT) + last)

    def _cell(self, text: str, width: int) -> Text:
        cell = Text(_on_one_line(text))
        cell.truncate(width, overflow="ellipsis", pad=True)
        return cell

    def _cut(self, text: Text) -> None:
        if self.console.is_terminal:
            text.truncate(self.width, overflow="ellipsis")
        text.rstrip()
        self.console.print(text)


def printable(text: str) -> str:
    """The text, with escapes in place of characters that a terminal would act on, such as C1 controls."""
    if text.isprintable():
        return text
    return "".join(map(_escaped, text))


def _on_one_line(text: str) -> str:
    return printable(text).replace("\n", "\\n").replace("\t", "\\t")


def _safe(part: Text | str) -> Text:
    """A part of a line. Its text can come from the queue, and contain commands for the terminal."""
    text = Text(part) if isinstance(part, str) else part
    if text.plain.isprintable() or (safe := printable(text.plain)) == text.plain:
        return text
    return Text(safe, style=text.style)


def _escaped(character: str) -> str:
    if character.isprintable() or character in "\n\t":
        return character
    return character.encode("unicode_escape").decode()


def age(seconds: float) -> str:
    """An age in one unit, rounded down: 12s, 5m, 3h, 2d."""
    for unit, name in ((86400, "d"), (3600, "h"), (60, "m")):
        if seconds >= unit:
            return f"{int(seconds // unit)}{name}"
    return f"{max(0, int(seconds))}s"


def bound(seconds: float) -> str:
    """An upper bound in one unit, of which there are at least two: 90s, 3m, 36h, 3d."""
    for unit, name in ((86400, "d"), (3600, "h"), (60, "m")):
        if seconds > 2 * unit:
            return f"{math.ceil(seconds / unit)}{name}"
    return f"{max(0, math.ceil(seconds))}s"


def count(number: int, noun: str) -> str:
    """A number with its noun: 1 message, 2 messages."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
