"""The result of `check-config`, as text and as JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from rich.text import Text

from ops.config.summary import Entry, as_json, as_text, namespace, rule_data, rule_lines
from ops.console.terminal import Output

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ops.config.sample import Preview
    from ops.json_outputs.mapping import CheckedMapping, MappedItem, MappedTable, MappingProblem
    from shared.errors import PoisonError
    from writer.mapping.problems import Mistake

_AS_IT_IS = "is replicated unchanged to the collection of the same name"


@dataclass(slots=True)
class Report:
    """The result.

    Attributes:
        file: the name of the file that was checked.
        database: the database of the writer's settings; empty: unknown.
        problems: what is wrong with the file. If there are any, nothing else is known.
        warnings: rules that have no effect.
        entries: the entries to show.
        has_others: whether to mention what becomes of tables without an entry.
        refuses_others: their changes are parked.
        previews: what becomes of the sample's items; None: there is no sample.
        guess: the entry that was meant by the name of a table without one, in words.
    """

    file: str
    database: str
    problems: Sequence[Mistake] = ()
    warnings: Sequence[Mistake] = ()
    entries: Sequence[Entry] = ()
    has_others: bool = False
    refuses_others: bool = False
    previews: Sequence[Preview] | None = None
    guess: str = ""

    @property
    def is_valid(self) -> bool:
        """Whether there are neither problems nor parked items."""
        found: list[Entry | Preview] = [*self.entries, *(self.previews or ())]
        return not self.problems and all(each.poison is None for each in found)

    def data(self) -> CheckedMapping:
        """The result as a JSON object."""
        data: CheckedMapping = {
            "file": self.file,
            "valid": self.is_valid,
            "problems": [_problem_data(each) for each in self.problems],
            "warnings": [_problem_data(each) for each in self.warnings],
        }
        if self.problems:
            return data
        data["unnamed_tables"] = "refuse" if self.refuses_others else "replicate"
        data["tables"] = [self._table_data(entry) for entry in self.entries]
        if self.previews is not None:
            data["items"] = [self._preview_data(preview) for preview in self.previews]
        return data

    def _target(self, found: Entry | Preview) -> MappedItem:
        if found.poison is not None:
            return {"parked": {"code": found.poison.code, "reason": found.poison.reason}}
        return {"database": found.database or self.database or None, "collection": found.collection}

    def _table_data(self, entry: Entry) -> MappedTable:
        settings = rule_data(entry.rule)
        target = cast("MappedTable", self._target(entry))
        return {"name": entry.name, "entry": entry.by or None, **target, "settings": settings}

    def _preview_data(self, preview: Preview) -> MappedItem:
        data = self._target(preview)
        if preview.poison is None:
            data["document"] = None if preview.document is None else as_json(preview.document)
        if preview.found_by is not None:
            data["found_by"] = as_json(preview.found_by)
        return data

    def print(self) -> None:
        """Prints the result as text."""
        output = Output()
        self._print_mistakes(output, self.problems, "", "red")
        if self.problems:
            return
        self._print_mistakes(output, self.warnings, "warning: ", "yellow")
        _line(output, Text(f"{self.file} is valid.", style="green"))
        for entry in self.entries:
            output.line()
            self._print_entry(output, entry)
        if self.has_others:
            output.line()
            others = "Every other table" if self.entries else "Every table"
            fate = "is refused: its changes are parked" if self.refuses_others else _AS_IT_IS
            _line(output, f"{others} {fate}.")
        for number, preview in enumerate(self.previews or (), 1):
            output.line()
            self._print_preview(output, number, preview)

    def _print_mistakes(self, output: Output, mistakes: Sequence[Mistake], kind: str, style: str) -> None:
        for mistake in mistakes:
            where = mistake.located(self.file).removesuffix(str(mistake))
            _line(output, Text(where, style="bold"), Text(f"{kind}{mistake}", style=style))

    def _print_entry(self, output: Output, entry: Entry) -> None:
        target = "" if entry.poison else f" -> {namespace(entry.database, entry.collection, self.database)}"
        by = f" (by {entry.by})" if entry.by else f" (no entry: the defaults){self.guess}"
        if entry.by == entry.name:
            by = ""
        _line(output, Text(entry.name, style="bold"), target, Text(by, style="dim"))
        if entry.poison:
            _print_poison(output, "  every change would be parked", entry.poison)
        for name, words in rule_lines(entry.rule):
            _line(output, Text(f"  {name:<15}", style="dim"), words)

    def _print_preview(self, output: Output, number: int, preview: Preview) -> None:
        item = f"item {number}" if len(self.previews or ()) > 1 else "the item"
        if preview.poison is not None:
            _print_poison(output, f"{item} would be parked", preview.poison)
            return
        target = namespace(preview.database, preview.collection, self.database)
        if preview.document is None:
            _line(
                output,
                Text(item, style="bold"),
                f" is not replicated: the hook returned None; a document of it in {target} is removed",
            )
            return
        _line(output, Text(item, style="bold"), f" -> {target}")
        output.json(as_json(preview.document))
        if preview.found_by is not None:
            _line(output, "found by ", as_text(preview.found_by))


def _problem_data(mistake: Mistake) -> MappingProblem:
    return {
        "setting": mistake.setting,
        "text": mistake.text,
        "line": mistake.line,
        "column": mistake.column,
    }


def _print_poison(output: Output, what: str, poison: PoisonError) -> None:
    _line(output, Text(f"{what}: ", style="bold"), Text(f"{poison.code}: {poison.reason}", style="red"))


def _line(output: Output, *parts: Text | str) -> None:
    output.line(*parts, indent="    ")
