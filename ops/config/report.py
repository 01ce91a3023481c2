"""What `check-config` found, for a person and for a script."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.highlighter import JSONHighlighter
from rich.text import Text

from ops.config.summary import as_json, as_text, place, rule_data, rule_lines

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ops.config.preview import Preview
    from ops.config.summary import Entry
    from shared.errors import PoisonError

_INDENT = 4  # of the rest of a line that is broken


@dataclass(slots=True)
class Report:
    """What was found.

    Attributes:
        file: name of the file that was checked.
        database: that of the writer's settings; empty: not known.
        mistakes: what is wrong with the file; if something is, nothing else is known.
        entries: what is told about.
        has_others: tables without an entry go by the defaults, and are to be mentioned.
        previews: what becomes of the items of the sample; None: there is no sample.
    """

    file: str
    database: str
    mistakes: Sequence[str] = ()
    entries: Sequence[Entry] = ()
    has_others: bool = False
    previews: Sequence[Preview] | None = None

    @property
    def is_right(self) -> bool:
        """Whether nothing is wrong."""
        found: list[Entry | Preview] = [*self.entries, *(self.previews or ())]
        return not self.mistakes and all(each.poison is None for each in found)

    def data(self) -> dict[str, Any]:
        """One JSON object."""
        data: dict[str, Any] = {"file": self.file, "ok": self.is_right, "mistakes": list(self.mistakes)}
        if self.mistakes:
            return data
        data["tables"] = [
            {
                "name": entry.name,
                "entry": entry.by or None,
                **self._place(entry),
                "settings": rule_data(entry.rule),
            }
            for entry in self.entries
        ]
        if self.previews is not None:
            data["items"] = [self._preview_data(preview) for preview in self.previews]
        return data

    def _place(self, found: Entry | Preview) -> dict[str, Any]:
        if found.poison is not None:
            return {"parked": {"code": found.poison.code, "reason": found.poison.reason}}
        return {"database": found.database or self.database or None, "collection": found.collection}

    def _preview_data(self, preview: Preview) -> dict[str, Any]:
        data = self._place(preview)
        if preview.poison is None:
            data["document"] = None if preview.document is None else as_json(preview.document)
        if preview.found_by is not None:
            data["found_by"] = as_json(preview.found_by)
        return data

    def print(self) -> None:
        """Lines for a person; coloured on a terminal."""
        say = _Printer()
        for mistake in self.mistakes:
            say.line(Text(f"{self.file}: ", style="bold"), Text(mistake, style="red"))
        if self.mistakes:
            return
        say.line(Text(f"{self.file} is right.", style="green"))
        for entry in self.entries:
            say.line()
            self._print_entry(say, entry)
        if self.has_others:
            say.line()
            others = "Every other table" if self.entries else "Every table"
            say.line(f"{others} goes as it is to the collection of its own name.")
        for number, preview in enumerate(self.previews or (), 1):
            say.line()
            self._print_preview(say, number, preview)

    def _print_entry(self, say: _Printer, entry: Entry) -> None:
        target = "" if entry.poison else f" -> {place(entry.database, entry.collection, self.database)}"
        by = f" (by {entry.by})" if entry.by else " (no entry: the defaults)"
        if entry.by == entry.name:
            by = ""
        say.line(Text(entry.name, style="bold"), target, Text(by, style="dim"))
        if entry.poison:
            say.poison("  every change would be parked", entry.poison)
        for name, words in rule_lines(entry.rule):
            say.line(Text(f"  {name:<15}", style="dim"), words)

    def _print_preview(self, say: _Printer, number: int, preview: Preview) -> None:
        item = f"item {number}" if len(self.previews or ()) > 1 else "the item"
        if preview.poison is not None:
            say.poison(f"{item} would be parked", preview.poison)
            return
        target = place(preview.database, preview.collection, self.database)
        if preview.document is None:
            say.line(
                Text(item, style="bold"),
                f" is not replicated: the hook returned None; a document of it in {target} is removed",
            )
            return
        say.line(Text(item, style="bold"), f" -> {target}")
        say.json(as_text(preview.document))
        if preview.found_by is not None:
            say.line("found by ", as_text(preview.found_by, indent=None))


class _Printer:
    """Standard output. On a terminal lines are broken between words; elsewhere a line stays a line."""

    def __init__(self) -> None:
        self._console = Console(highlight=False, markup=False, emoji=False, soft_wrap=True)

    def line(self, *parts: Text | str) -> None:
        text = Text.assemble(*parts)
        width = self._console.width - _INDENT if self._console.is_terminal else sys.maxsize
        for number, part in enumerate(text.wrap(self._console, width) or [text]):
            self._console.print(Text(" " * _INDENT * bool(number)) + part)

    def json(self, text: str) -> None:
        self._console.print(JSONHighlighter()(Text(text)))

    def poison(self, what: str, poison: PoisonError) -> None:
        self.line(Text(f"{what}: ", style="bold"), Text(f"{poison.code}: {poison.reason}", style="red"))
