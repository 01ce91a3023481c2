"""`replicator check-config`: whether a `replication.yaml` is right, and what it makes of an item."""

import contextlib
import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from ops.config.report import Report
from ops.config.sample import ItemError, Preview, change_of, preview, read_items
from ops.config.summary import entries_of, entry_of
from ops.console.exit_status import exits_with_status
from ops.options import JsonOption, MongodbDatabaseOption
from writer.mapping.hooks import load_hooks
from writer.mapping.model import WILDCARD, Replication, UnnamedTables
from writer.mapping.parser import parse_replication
from writer.mapping.problems import MappingError
from writer.mapping.rules import Rules

_File = Annotated[
    Path,
    typer.Argument(
        metavar="FILE", exists=True, dir_okay=False, show_default=False, help="The replication.yaml to check."
    ),
]
_Table = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Tell about this DynamoDB table only. Needed with --sample, unless the file has one entry and "
        "that is no pattern.",
    ),
]
_Sample = Annotated[
    Path | None,
    typer.Option(
        metavar="ITEM.json",
        help="Show what becomes of the items in this file, which `aws dynamodb get-item`, `query` or `scan` "
        "printed; - is standard input.",
    ),
]
_Key = Annotated[
    list[str] | None,
    typer.Option(
        metavar="ATTR",
        help="A key attribute of the table, where its entry names none; twice for a composite key.",
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
    """Check a replication.yaml, and show what becomes of items under it.

    Hooks are imported, also from the current directory, and called.

    Exit status: 0 if all is right, 1 for mistakes or a parked item, 2 for wrong use.
    """
    if key and sample is None:
        raise typer.BadParameter("it needs --sample", param_hint="--key")
    report = Report(str(file), mongodb_database)
    text = _text_of(file, "FILE")
    with contextlib.redirect_stdout(sys.stderr):  # hooks may print
        _check(report, text, table, sample, key or [])
    if as_json:
        typer.echo(json.dumps(report.data(), indent=2))
    else:
        report.print()
    raise typer.Exit(0 if report.is_right else 1)


def _check(report: Report, text: str, table: str | None, sample: Path | None, key: list[str]) -> None:
    try:
        replication = parse_replication(text, report.file)
        sys.path.insert(0, str(Path.cwd()))
        rules = Rules(replication, load_hooks(replication), report.database)
    except MappingError as error:
        report.mistakes = error.mistakes
        return
    every = entries_of(rules, replication)
    report.mistakes = [f"tables.{entry.name}: {entry.poison.reason}" for entry in every if entry.poison]
    if report.mistakes:
        return
    if sample is not None:
        table = table or _only_table(replication)
        report.previews = _previews(rules, table, sample, key)
    report.entries = [entry_of(rules, replication, table)] if table else every
    report.has_others = not table and WILDCARD not in replication.tables
    report.refuses_others = replication.unnamed_tables is UnnamedTables.REFUSE


def _only_table(replication: Replication) -> str:
    """The table of the items, if it was not named."""
    names = list(replication.tables)
    if len(names) != 1 or names[0].endswith(WILDCARD):
        there = ", ".join(names) or "none"
        raise typer.BadParameter(f"name the table of the items; entries are {there}", param_hint="--table")
    return names[0]


def _previews(rules: Rules, table: str, sample: Path, key: list[str]) -> list[Preview]:
    names = key or list(rules.entry(table)[1].key)
    if not names:
        raise typer.BadParameter(
            f"the entry of the table {table!r} names no key: name its key attributes", param_hint="--key"
        )
    try:
        items = read_items(_text_of(sample, "--sample"))
    except ItemError as error:
        raise typer.BadParameter(f"{sample}: {error}", param_hint="--sample") from error
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
        raise typer.BadParameter(f"{path} cannot be read: {error}", param_hint=what) from error
