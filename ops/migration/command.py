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

from ops.console.exit_status import UNUSABLE
from ops.console.progress import console
from ops.migration.settings import settings_of
from ops.options import TableOptions, signature_of
from shared.errors import FatalError, fatal_reasons

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable, Mapping

    from ops.migration.settings import Settings

OptionsT = TypeVar("OptionsT", bound=TableOptions)

_INTERRUPTED = 130


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
            result = _run(main(settings_of(chosen), chosen), when_stopped)
            result.print(as_json=chosen.as_json)
            raise typer.Exit(result.status)

        command.__doc__ = main.__doc__
        vars(command)["__signature__"] = signature_of(options)  # typer reads it
        return command

    return decorate


def _run(main: Coroutine[Any, Any, CommandResult], when_stopped: str) -> CommandResult:
    """Runs a command to its end: status 2 after an error that only a person can fix, 130 after Ctrl-C."""
    err = console(errors=True)
    try:
        with contextlib.redirect_stdout(sys.stderr):  # what hooks print is not the command's result
            return asyncio.run(main)
    except KeyboardInterrupt:
        err.print(f"Stopped. {when_stopped}")
        return CommandResult(_INTERRUPTED)
    except (FatalError, BaseExceptionGroup) as error:
        reasons = fatal_reasons(error)
        if not reasons:
            raise
        for reason in reasons:
            err.print(f"replicator: {reason}", style="red")
        return CommandResult(UNUSABLE)


def print_counts(rows: Iterable[tuple[int, str, bool]]) -> None:
    """Prints a number and what it counts on each line, in red where the last value says so."""
    for number, words, is_wrong in rows:
        console().print(Text(f"{number:>14,}  {words}", style="red" if is_wrong and number else ""))
