"""The result of a benchmark, as JSON for programs and as Markdown for people, with the machine."""

from __future__ import annotations

import json
import os
import platform
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from bench.measure import Series

_LIBRARIES = ("orjson", "pymongo", "boto3")


@dataclass(frozen=True, slots=True)
class Table:
    """One table of a report; the first column is text, the others are figures."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True, slots=True)
class Plot:
    """One curve.

    Attributes:
        name: the last part of the file's name, after that of the benchmark.
        x: label of the x axis.
        y: label of the y axis, with the unit.
        points: x → y, in order.
    """

    name: str
    x: str
    y: str
    points: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Result:
    """The result of a benchmark.

    Attributes:
        name: of the benchmark.
        about: what was measured, and how to read the figures.
        tables: for people.
        figures: the same and more, for programs, as JSON.
        settings: the options of the run.
        plots: the same as curves.
    """

    name: str
    about: str
    tables: Sequence[Table]
    figures: Mapping[str, Any]
    settings: Mapping[str, Any] = field(default_factory=dict)
    plots: Sequence[Plot] = ()


def machine() -> Mapping[str, str]:
    """The facts about this machine on which figures depend."""
    return {
        "processor": _processor(),
        "cores": str(os.cpu_count()),
        "system": f"{platform.system()} {platform.machine()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        **{library: version(library) for library in _LIBRARIES},
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:  # not Linux
        lines = []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or "unknown"


def values(series: Series) -> Mapping[str, float]:
    """A series for programs: its median and quartiles."""
    low, high = series.quartiles
    return {"median": round(series.median, 3), "low": round(low, 3), "high": round(high, 3)}


def shown(series: Series, digits: int) -> str:
    """A series for people: its median, with the quartiles in brackets."""
    low, high = series.quartiles
    return f"{series.median:,.{digits}f} ({low:,.{digits}f} to {high:,.{digits}f})"


def as_json(result: Result, facts: Mapping[str, str], at: datetime) -> str:
    """The result as JSON."""
    content = {
        "benchmark": result.name,
        "at": at.isoformat(timespec="seconds"),
        "machine": facts,
        "settings": result.settings,
        "figures": result.figures,
    }
    return json.dumps(content, indent=2) + "\n"


def as_markdown(result: Result, facts: Mapping[str, str], at: datetime) -> str:
    """The result as a page of Markdown."""
    where = ", ".join(f"{name} {fact}" for name, fact in facts.items())
    settings = ", ".join(f"{name} {value}" for name, value in result.settings.items())
    parts = [f"# {result.name}", result.about, f"{at.date().isoformat()}; {where}; {settings}."]
    parts += [f"## {table.title}\n\n{markdown_table(table)}" for table in result.tables]
    parts += [f"![{plot.y} by {plot.x}]({_file_of(result, plot)})" for plot in result.plots]
    return "\n\n".join(parts) + "\n"


def markdown_table(table: Table) -> str:
    """A table with aligned columns, figures on the right."""
    widths = [max(map(len, cells)) for cells in zip(table.columns, *table.rows, strict=True)]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    lines = [_line(table.columns, widths), _line(rule, widths)]
    return "\n".join([*lines, *(_line(row, widths) for row in table.rows)])


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    first = cells[0].ljust(widths[0])
    others = [cell.rjust(width) for cell, width in zip(cells[1:], widths[1:], strict=True)]
    return f"| {' | '.join([first, *others])} |"


def write(result: Result, facts: Mapping[str, str], at: datetime, json_file: Path) -> None:
    """Writes the JSON file, and beside it the page and its plots."""
    json_file.parent.mkdir(parents=True, exist_ok=True)
    json_file.write_text(as_json(result, facts, at), encoding="utf-8")
    json_file.with_suffix(".md").write_text(as_markdown(result, facts, at), encoding="utf-8")
    for plot in result.plots:
        _draw(plot, json_file.parent / _file_of(result, plot))


def _file_of(result: Result, plot: Plot) -> str:
    return f"{result.name}-{plot.name}.svg"


def _draw(plot: Plot, path: Path) -> None:
    from matplotlib import rc_context  # noqa: PLC0415 - half a second, for the few benchmarks with plots
    from matplotlib.figure import Figure  # noqa: PLC0415 - likewise

    figure = Figure(figsize=(6, 3.5), layout="constrained")
    axes = figure.subplots()
    axes.plot(list(plot.points), list(plot.points.values()), marker="o")
    axes.set(xlabel=plot.x, ylabel=plot.y, ylim=(0, None))
    axes.grid(axis="y", alpha=0.3)
    # No date and stable ids: the same points make the same file.
    with rc_context({"svg.hashsalt": plot.name}):
        figure.savefig(path, metadata={"Date": None})
