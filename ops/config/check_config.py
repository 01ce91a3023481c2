"""`replicator check-config`: whether a `replication.yaml` is valid, and what it makes of an item."""

from __future__ import annotations

import contextlib
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ops.config.report import Report
from ops.config.sample import ItemError, Preview, change_of, preview, read_items
from ops.config.summary import entries_of, entry_of
from ops.config.unused_rules import untouched_rules, unused_rules
from ops.console.exit_status import exits_with_status
from ops.options import JsonOption, MongodbDatabaseOption
from writer.mapping.hooks import load_named_hooks
from writer.mapping.model import WILDCARD, Replication, UnnamedTables
from writer.mapping.parser import read_replication
from writer.mapping.problems import MappingError, did_you_mean
from writer.mapping.rules import Rules

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ops.config.sample import Item, Preview
    from writer.mapping.hooks import Hook
    from writer.mapping.model import Replication
    from writer.mapping.parser import Reading
    from writer.mapping.problems import Mistake

_File = Annotated[
    Path,
    typer.Argument(
        metavar="FILE",
        show_default=False,
        envvar="REPLICATION_FILE",
        help="The replication.yaml to check; - is standard input.",
    ),
]
_Table = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Report on this DynamoDB table only. Needed with --sample, unless the file has one entry that "
        "is not a pattern.",
    ),
]
_Sample = Annotated[
    Path | None,
    typer.Option(
        metavar="ITEM.json",
        help="Show what the items in this file become. It is what the AWS CLI prints for get-item, query or "
        "scan; - is standard input.",
    ),
]
_Key = Annotated[
    list[str] | None,
    typer.Option(
        metavar="ATTR",
        help="A key attribute of the table, if its entry names none; twice for a composite key.",
    ),
]


@exits_with_status
def command(  # noqa: PLR0913 - one parameter per option
    file: _File,
    *,
    table: _Table = None,
    sample: _Sample = None,
    key: _Key = None,
    as_json: JsonOption = False,
    mongodb_database: MongodbDatabaseOption = "",
) -> None:
    """Check a replication.yaml, and show what it makes of items.

    Hooks are imported, also from the current directory, and called. No server
    is asked: replicator doctor checks whether the file fits the tables, such
    as their keys, and is the one that the writers use.

    Every problem is one line: the file, line and column, the setting, and
    what is allowed there. Warnings name rules that have no effect, with
    --sample also those that match nothing in the sample.

    Exit status: 0 if the file is valid, warnings or not, 1 for problems or a
    parked item, 2 for wrong use.
    """
    if key and sample is None:
        raise typer.BadParameter("it needs --sample", param_hint="--key")
    if str(file) == "-" and str(sample) == "-":
        raise typer.BadParameter("only one of FILE and --sample can be standard input")
    report = Report("standard input" if str(file) == "-" else str(file), mongodb_database)
    text = _text_of(file, "FILE")
    with contextlib.redirect_stdout(sys.stderr):  # hooks may print
        _check(report, text, table, sample, key or [])
    if as_json:
        typer.echo(json.dumps(report.data(), indent=2))
    else:
        report.print()
    raise typer.Exit(0 if report.is_valid else 1)


def _check(report: Report, text: str, table: str | None, sample: Path | None, key: list[str]) -> None:
    reading = read_replication(text)
    sys.path.insert(0, str(Path.cwd()))
    hooks, wrong_hooks = _hooks_of(reading)
    replication = reading.replication
    if replication is None or wrong_hooks:
        report.problems = sorted([*reading.mistakes, *wrong_hooks], key=lambda each: (each.line, each.column))
        return
    try:
        rules = Rules(replication, hooks, report.database)
    except MappingError as error:
        report.problems = [_located(reading, each) for each in error.mistakes]
        return
    every = entries_of(rules, replication)
    report.problems = [
        reading.located(("tables", entry.name), entry.poison.reason) for entry in every if entry.poison
    ]
    if report.problems:
        return
    unused = {name: [*unused_rules(rule)] for name, rule in replication.tables.items()}
    if sample is not None:
        table = table or _only_table(replication)
        items = _items(sample)
        report.previews = _previews(rules, table, sample, items, key)
        name, rule = rules.entry(table)
        places = [place for place, _ in unused.get(name, [])]
        untouched = [each for each in untouched_rules(rule, items) if each[0] not in places]
        unused[name] = [*unused.get(name, []), *untouched]
    report.warnings = [
        reading.located(("tables", name, *place), why) for name in unused for place, why in unused[name]
    ]
    report.entries = [entry_of(rules, replication, table)] if table else every
    report.has_others = not table and WILDCARD not in replication.tables
    report.refuses_others = replication.unnamed_tables is UnnamedTables.REFUSE
    if table and not report.entries[0].by:
        report.guess = did_you_mean(table, list(replication.tables))


def _hooks_of(reading: Reading) -> tuple[Mapping[str, Hook], list[Mistake]]:
    """The hooks, and what is wrong with them, whatever else is wrong with the file."""
    try:
        return load_named_hooks(reading.hooks), []
    except MappingError as error:
        return {}, [_located(reading, each) for each in error.mistakes]


def _located(reading: Reading, mistake: Mistake) -> Mistake:
    """A mistake that was found after reading, with its line."""
    places = [("tables", table, *below) for table in _tables(reading) for below in ((), ("hook",))]
    place = next((each for each in places if ".".join(each) == mistake.setting), ())
    return replace(reading.located(place, mistake.text), setting=mistake.setting)


def _tables(reading: Reading) -> Iterable[str]:
    return [*reading.hooks, *(reading.replication.tables if reading.replication else ())]


def _only_table(replication: Replication) -> str:
    """The table of the items, if it was not named."""
    names = list(replication.tables)
    if len(names) != 1 or names[0].endswith(WILDCARD):
        there = ", ".join(names) or "none"
        raise typer.BadParameter(f"name the table of the items; entries are {there}", param_hint="--table")
    return names[0]


def _items(sample: Path) -> list[Item]:
    try:
        return read_items(_text_of(sample, "--sample"))
    except ItemError as error:
        raise typer.BadParameter(f"{sample}: {error}", param_hint="--sample") from error


def _previews(rules: Rules, table: str, sample: Path, items: Sequence[Item], key: list[str]) -> list[Preview]:
    names = key or list(rules.entry(table)[1].key)
    if not names:
        raise typer.BadParameter(
            f"the entry of the table {table!r} names no key: name its key attributes", param_hint="--key"
        )
    previews = []
    for number, item in enumerate(items, 1):
        try:
            change = change_of(table, names, item)
        except ItemError as error:
            place = f"{sample}: item {number}: " if len(items) > 1 else f"{sample}: "
            raise typer.BadParameter(f"{place}{error}", param_hint="--sample") from error
        previews.append(preview(rules, change))
    return previews


def _text_of(path: Path, what: str) -> str:
    try:
        data = sys.stdin.buffer.read() if str(path) == "-" else path.read_bytes()
        return data.decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise typer.BadParameter(f"{path} cannot be read: {why}", param_hint=what) from error
