"""How a command ends: with an exit status, and a sentence instead of a traceback.

0: all is well. 1: something was found, or is not well. 2: wrong use, or something could not be reached.
3: not known, because something that the answer depends on could not be seen. 70: a mistake in the command
itself. 130: Ctrl-C.
"""

import functools
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Final, NoReturn, ParamSpec

import typer

from ops.console.terminal import printable
from shared.errors import FatalError, PoisonError, TransientError, fatal_reasons

P = ParamSpec("P")

WELL: Final = 0
FOUND: Final = 1
UNUSABLE: Final = 2
UNKNOWN: Final = 3
UNEXPECTED: Final = 70
"""As `EX_SOFTWARE` of sysexits.h."""
_INTERRUPTED: Final = 130
_BROKEN_PIPE: Final = 141
"""As the shell counts a process that SIGPIPE ended."""

_ROOT = Path(__file__).parents[2]
_SHOWN_PLACES = 3


class CommandError(FatalError):
    """The command cannot do its work. The text is a sentence that says why, and what helps."""


def exits_with_status(command: Callable[P, None]) -> Callable[P, None]:
    """Makes a command end as `ending` says."""

    @functools.wraps(command)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> None:
        with ending():
            command(*args, **kwargs)

    return wrapper


@contextmanager
def ending(when_stopped: str = "") -> Iterator[None]:
    """Ends the process with a sentence on standard error, and the exit status, whatever is raised.

    SIGTERM ends it as Ctrl-C does: the command releases what it holds before it exits.

    Args:
        when_stopped: what Ctrl-C means for the command's work, in a sentence.
    """
    before = signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    try:
        yield
    except KeyboardInterrupt:
        if when_stopped:
            warn(f"Stopped. {when_stopped}")
        sys.exit(_INTERRUPTED)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is left in its buffer
        sys.exit(_BROKEN_PIPE)
    except (typer.Exit, typer.Abort, typer.TyperException):
        raise  # typer prints what is wrong with the use of a command
    except (Exception, BaseExceptionGroup) as error:  # noqa: BLE001 - the last one that can make a sentence of it
        _end_with(error)
    finally:
        signal.signal(signal.SIGTERM, before)


def _end_with(error: BaseException) -> NoReturn:
    reasons = [str(error)] if isinstance(error, TransientError | PoisonError) else fatal_reasons(error)
    for reason in reasons:
        warn(f"replicator: {reason}")
    if not reasons:
        warn(f"replicator: {unexpected(error)}")
    sys.exit(UNUSABLE if reasons else UNEXPECTED)


def unexpected(error: BaseException) -> str:
    """What is said of an unexpected error: its type and where it happened. Its text can be data."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    places = _places(error.__traceback__)
    return (
        f"this is a bug in replicator: {type(error).__name__} at {', '.join(places)}. "
        "The result is unknown; please report this line."
    )


def _places(found: TracebackType | None) -> list[str]:
    """Where it was raised, and the last places of our own on the way there, the innermost first."""
    frames = [(Path(frame.filename), frame.lineno, frame.name) for frame in traceback.extract_tb(found)][::-1]
    ours = [each for each in frames if each[0].is_relative_to(_ROOT) and "site-packages" not in each[0].parts]
    inner = frames[:1] if frames[:1] != ours[:1] else []
    shown = inner + [each for each in ours if each[0] != Path(__file__)][:_SHOWN_PLACES]
    return [f"{path.parent.name}/{path.name}:{line} ({name})" for path, line, name in shown]


def warn(text: str) -> None:
    """Prints a line to standard error."""
    typer.echo(printable(text), err=True)
