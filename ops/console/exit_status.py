"""How a command ends: with an exit status, and a sentence instead of a traceback.

0: all is well. 1: something was found, or is not well. 2: wrong use, or something could not be reached.
130: Ctrl-C.
"""

import functools
import signal
import sys
from collections.abc import Callable
from typing import Final, ParamSpec

import typer

from ops.console.terminal import printable
from shared.errors import FatalError

P = ParamSpec("P")

WELL: Final = 0
FOUND: Final = 1
UNUSABLE: Final = 2
_INTERRUPTED: Final = 130


class CommandError(FatalError):
    """The command cannot do its work. The text is a sentence that says why, and what helps."""


def exits_with_status(command: Callable[P, None]) -> Callable[P, None]:
    """Makes a command end with a sentence on standard error instead of a traceback.

    SIGTERM ends it as Ctrl-C does: the command releases what it holds before it exits.
    """

    @functools.wraps(command)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> None:
        before = signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
        try:
            command(*args, **kwargs)
        except CommandError as error:
            warn(f"replicator: {error}")
            raise typer.Exit(UNUSABLE) from error
        except KeyboardInterrupt as interrupt:
            raise typer.Exit(_INTERRUPTED) from interrupt
        finally:
            signal.signal(signal.SIGTERM, before)

    return wrapper


def warn(text: str) -> None:
    """Prints a line to standard error."""
    typer.echo(printable(text), err=True)
