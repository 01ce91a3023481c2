"""Runs a command of a migration: options → settings → its coroutine → what it prints and its exit status.

A command works on one table, or on several, one after the other. What happens to one of them does not end the
others: it is in the summary, and the exit status is the most serious one.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeVar

import typer
from rich.text import Text

from ops.aws import Aws
from ops.console.exit_status import FOUND, UNEXPECTED, UNKNOWN, UNUSABLE, WELL, ending, unexpected, warn
from ops.console.progress import console
from ops.console.terminal import Output
from ops.migration.settings import settings_of
from ops.migration.tables import choose, is_pattern, of_pipeline
from ops.options import TableOptions, TablesArgument, TablesOptions, signature_of
from ops.pipeline import UnknownTablesError
from shared.errors import PoisonError, TransientError, fatal_reasons

if TYPE_CHECKING:
    import inspect
    from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence

    from ops.migration.settings import Settings
    from ops.migration.tables import Known

OptionsT = TypeVar("OptionsT", bound=TableOptions)
TablesT = TypeVar("TablesT", bound=TablesOptions)

_SERIOUS = (UNEXPECTED, UNUSABLE, UNKNOWN, FOUND, WELL)
"""The most serious status first."""

_WORDS = {WELL: "ok", FOUND: "found", UNKNOWN: "unknown", UNUSABLE: "failed", UNEXPECTED: "failed"}
_COLUMNS = (60, 9)


@dataclass(frozen=True, slots=True)
class CommandResult:
    """What a command found.

    Attributes:
        status: the exit status.
        data: what `--json` prints of the table.
        show: prints it for people.
        found: the same in some words, for the summary of several tables.
        error: why the command did not do its work; empty: it did.
    """

    status: int
    data: Mapping[str, Any] = field(default_factory=dict)
    show: Callable[[], None] = lambda: None
    found: str = ""
    error: str = ""

    def print(self, *, as_json: bool) -> None:
        if not as_json:
            self.show()
        elif self.data:
            typer.echo(json.dumps(self.data))


def migration_command(
    options: type[OptionsT], *, when_stopped: str
) -> Callable[[Callable[[Settings, OptionsT], Coroutine[Any, Any, CommandResult]]], Callable[..., None]]:
    """Makes a command for typer of a coroutine function that takes settings and options of one table.

    Args:
        options: the class of its options.
        when_stopped: what Ctrl-C means, in a sentence.
    """

    def decorate(
        main: Callable[[Settings, OptionsT], Coroutine[Any, Any, CommandResult]],
    ) -> Callable[..., None]:
        def command(**arguments: Any) -> None:
            chosen = options(**arguments)
            if is_pattern(chosen.table):
                raise typer.BadParameter(f"{chosen.table!r} is a pattern: name one table", param_hint="TABLE")
            with ending(when_stopped):
                with contextlib.redirect_stdout(sys.stderr):  # what hooks print is not the command's result
                    result = asyncio.run(main(settings_of(chosen), chosen))
                result.print(as_json=chosen.as_json)
            raise typer.Exit(result.status)

        command.__doc__ = main.__doc__
        vars(command)["__signature__"] = signature_of(options)  # typer reads it
        return command

    return decorate


def tables_command(
    options: type[TablesT],
    *,
    when_stopped: str,
    begin: Callable[[TablesT], None] = lambda _: None,
    known: Callable[[TablesT], Known | None] = lambda _: None,
) -> Callable[[Callable[[Settings, TablesT], Coroutine[Any, Any, CommandResult]]], Callable[..., None]]:
    """Makes a command for typer that runs a coroutine function for each of its tables.

    Args:
        options: the class of its options.
        when_stopped: what Ctrl-C means, in a sentence.
        begin: checks and prepares what all tables share; called once, before the first one.
        known: the tables that patterns are matched against; None: those that the pipeline replicates.
    """

    def decorate(
        main: Callable[[Settings, TablesT], Coroutine[Any, Any, CommandResult]],
    ) -> Callable[..., None]:
        def command(**arguments: Any) -> None:
            wanted = arguments.pop("tables") or []
            shared = options(**arguments, table="")
            with ending(when_stopped):
                begin(shared)
                try:
                    names = choose(wanted, lambda: known(shared) or _of_pipeline(shared))
                except UnknownTablesError as error:
                    warn(f"replicator: {error}")
                    raise typer.Exit(UNKNOWN) from error
                if len(names) > 1 and shared.for_one_table:
                    raise typer.BadParameter(f"{shared.for_one_table} is for one table, not {len(names)}")
                if names != wanted:
                    warn(f"{_count(names)}: {', '.join(names)}")
                results = list(_run_each(main, [replace(shared, table=name) for name in names]))
                if shared.as_json:
                    print_json(results)
                elif len(results) != 1:
                    _print_summary(results)
            raise typer.Exit(status_of(results))

        command.__doc__ = main.__doc__
        vars(command)["__signature__"] = _with_tables(options)  # typer reads it
        return command

    return decorate


def _with_tables(options: type[TablesOptions]) -> inspect.Signature:
    """The signature of the options, with any number of tables in place of one."""
    signature = signature_of(options)
    table = signature.parameters["table"]
    several = table.replace(name="tables", default=None, annotation=TablesArgument)
    others = [each for each in signature.parameters.values() if each is not table]
    return signature.replace(parameters=[several, *others])


def _of_pipeline(options: TablesOptions) -> Known:
    aws = Aws(options.endpoint_url, options.region)
    return of_pipeline(aws, options.stack, options.function)


def _run_each(
    main: Callable[[Settings, TablesT], Coroutine[Any, Any, CommandResult]], works: Sequence[TablesT]
) -> Iterable[CommandResult]:
    """Runs a command for one table after the other, and shows what it found."""
    for options in works:
        try:
            with contextlib.redirect_stdout(sys.stderr):  # what hooks print is not the command's result
                result = asyncio.run(main(settings_of(options), options))
        except typer.BadParameter:
            raise  # it is the same for every table
        except (Exception, BaseExceptionGroup) as error:  # noqa: BLE001 - the other tables have their turn
            result = _failure(error)
        if result.error:
            name = f"{options.table}: " if len(works) > 1 else ""
            console(errors=True).print(f"replicator: {name}{result.error}", style="red")
        elif not options.as_json:
            result.show()
        data = {"table": options.table, "status": result.status, "error": result.error or None}
        yield replace(result, data=data | dict(result.data))


def _failure(error: BaseException) -> CommandResult:
    """What a command has found that ended with an error."""
    reasons = [str(error)] if isinstance(error, TransientError | PoisonError) else fatal_reasons(error)
    if reasons:
        return CommandResult(UNUSABLE, error="; ".join(reasons))
    return CommandResult(UNEXPECTED, error=unexpected(error))


def status_of(results: Sequence[CommandResult]) -> int:
    """The most serious exit status."""
    statuses = {result.status for result in results}
    return next((status for status in _SERIOUS if status in statuses), WELL)


def print_json(results: Sequence[CommandResult]) -> None:
    """Prints one object: the exit status, and what was found in each table."""
    tables = [dict(result.data) for result in results]
    typer.echo(json.dumps({"status": status_of(results), "tables": tables}))


def _print_summary(results: Sequence[CommandResult]) -> None:
    rows = [
        (str(each.data["table"]), _WORDS.get(each.status, str(each.status)), each.error or each.found)
        for each in results
    ]
    out = Output()
    out.line()
    if rows:
        out.table(("table", "status", "found"), rows, _COLUMNS)


def _count(names: Sequence[str]) -> str:
    return "1 table" if len(names) == 1 else f"{len(names):,} tables"


def print_counts(rows: Iterable[tuple[int, str, bool]]) -> None:
    """Prints a number and what it counts on each line, in red where the last value says so."""
    for number, words, is_wrong in rows:
        console().print(Text(f"{number:>14,}  {words}", style="red" if is_wrong and number else ""))
