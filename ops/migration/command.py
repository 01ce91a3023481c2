"""Runs a command of a migration: options → settings → its coroutine → what it prints and its exit status."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import typer
from rich.text import Text

from ops.console.exit_status import ending
from ops.console.progress import console
from ops.migration.settings import settings_of
from ops.options import TableOptions, signature_of

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable, Mapping

    from ops.migration.settings import Settings

OptionsT = TypeVar("OptionsT", bound=TableOptions)


@dataclass(frozen=True, slots=True)
class CommandResult:
    """What a command found.

    Attributes:
        status: the exit status.
        data: what `--json` prints; empty: nothing.
        show: prints it for people.
    """

    status: int
    data: Mapping[str, Any] = field(default_factory=dict)
    show: Callable[[], None] = lambda: None

    def print(self, *, as_json: bool) -> None:
        if not as_json:
            self.show()
        elif self.data:
            typer.echo(json.dumps(self.data))


def migration_command(
    options: type[OptionsT], *, when_stopped: str
) -> Callable[[Callable[[Settings, OptionsT], Coroutine[Any, Any, CommandResult]]], Callable[..., None]]:
    """Makes a command for typer of a coroutine function that takes settings and options.

    Args:
        options: the class of its options.
        when_stopped: what Ctrl-C means, in a sentence.
    """

    def decorate(
        main: Callable[[Settings, OptionsT], Coroutine[Any, Any, CommandResult]],
    ) -> Callable[..., None]:
        def command(**arguments: Any) -> None:
            chosen = options(**arguments)
            with ending(when_stopped):
                with contextlib.redirect_stdout(sys.stderr):  # what hooks print is not the command's result
                    result = asyncio.run(main(settings_of(chosen), chosen))
                result.print(as_json=chosen.as_json)
            raise typer.Exit(result.status)

        command.__doc__ = main.__doc__
        vars(command)["__signature__"] = signature_of(options)  # typer reads it
        return command

    return decorate


def print_counts(rows: Iterable[tuple[int, str, bool]]) -> None:
    """Prints a number and what it counts on each line, in red where the last value says so."""
    for number, words, is_wrong in rows:
        console().print(Text(f"{number:>14,}  {words}", style="red" if is_wrong and number else ""))
