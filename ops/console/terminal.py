"""Lines for a person. On a terminal coloured, and as wide as it is; elsewhere plain, and nothing is cut."""

from __future__ import annotations

import io
import json
import math
import sys
from typing import TYPE_CHECKING, Any

import typer
from rich.cells import cell_len
from rich.console import Console
from rich.highlighter import JSONHighlighter
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Sequence

_INDENT = "  "
_ONE_LINE = 160
"""Columns of a terminal from which on the last cell of a row stands beside the others, and not below."""


class Output:
    """Standard output, or a text."""

    def __init__(self, apart_from: Console | None = None) -> None:
        """Begins with nothing printed.

        Args:
            apart_from: print for this terminal, but not to it: `printed` has it all.
        """
        self._text = io.StringIO()
        self.console = Console(
            file=self._text if apart_from else None,
            force_terminal=apart_from.is_terminal if apart_from else None,
            width=apart_from.width if apart_from else None,
            highlight=False,
            markup=False,
            emoji=False,
            soft_wrap=True,
        )

    @property
    def printed(self) -> str:
        """What was printed, with its styles, if it is a text."""
        return self._text.getvalue()

    @property
    def width(self) -> int:
        """Columns of a line; without a terminal any number."""
        return self.console.width if self.console.is_terminal else sys.maxsize

    def line(self, *parts: Text | str, indent: str = _INDENT) -> None:
        """One line. On a terminal it is broken between words, and what follows is indented."""
        text = Text.assemble(*map(_safe, parts))
        if not self.console.is_terminal:
            self.console.print(text)
            return
        for number, part in enumerate(text.wrap(self.console, self.width - len(indent)) or [text]):
            self.console.print(Text(indent * bool(number)) + part)

    def print(self, text: Text) -> None:
        """A line as it is; a terminal breaks it. Quick, for there may be many."""
        text = _safe(text)
        if self.console.is_terminal:
            self.console.print(text)
        else:
            typer.echo(text.plain)

    def field(self, name: str, value: Text | str, width: int = 11) -> None:
        """A name and its value."""
        self.line(Text(f"{name:<{width}}", style="dim"), value, indent=" " * width)

    def json(self, value: Any) -> None:
        """A value as JSON, over as many lines as it takes."""
        text = json.dumps(value, ensure_ascii=False, indent=2)
        self.console.print(JSONHighlighter()(Text(printable(text))))

    def table(
        self, header: Sequence[str], rows: Sequence[Sequence[str]], caps: Sequence[int], *, apart: bool = True
    ) -> None:
        """A table.

        Args:
            header: names of the columns.
            rows: their texts.
            caps: on a terminal, the most columns that each cell but the last may have.
            apart: on a narrow terminal the last cell of a row stands below the others.
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
            if not apart:
                head.append_text(Text("  ")).append_text(last)
                self._cut(head)
            elif number == 0:
                self._cut(head)
            else:
                self._cut(head)
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
    """The text with an escape in place of what would command the terminal (C1 controls, for example)."""
    if text.isprintable():
        return text
    return "".join(map(_escaped, text))


def _on_one_line(text: str) -> str:
    return printable(text).replace("\n", "\\n").replace("\t", "\\t")


def _safe(part: Text | str) -> Text:
    """A part of a line; what it says can come from the queue, and be meant for the terminal."""
    text = Text(part) if isinstance(part, str) else part
    if text.plain.isprintable() or (safe := printable(text.plain)) == text.plain:
        return text
    return Text(safe, style=text.style)


def _escaped(character: str) -> str:
    if character.isprintable() or character in "\n\t":
        return character
    return character.encode("unicode_escape").decode()


def age(seconds: float) -> str:
    """How long ago, in one unit: 12s, 5m, 3h, 2d."""
    for unit, name in ((86400, "d"), (3600, "h"), (60, "m")):
        if seconds >= unit:
            return f"{int(seconds // unit)}{name}"
    return f"{max(0, int(seconds))}s"


def bound(seconds: float) -> str:
    """A time that is not longer than this, in one unit of which there are a few: 90s, 3m, 36h, 3d."""
    for unit, name in ((86400, "d"), (3600, "h"), (60, "m")):
        if seconds > 2 * unit:
            return f"{math.ceil(seconds / unit)}{name}"
    return f"{max(0, math.ceil(seconds))}s"


def count(number: int, noun: str) -> str:
    """A number and its noun: 1 message, 2 messages."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
