"""Ctrl-C and SIGTERM as one exception, held back while it would do harm.

An exception between any two instructions can also come after the start of a server and before the line that
registers its stop. Such a pair belongs in a `shield`. And the exception can be swallowed (for example by a
destructor), so the signal is remembered: long loops call `raise_if_requested`.

Law: nothing here acts before `listen_to_signals`. Other programs that use the stack handle signals
themselves.
"""

import contextlib
import signal
from collections.abc import Iterator
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupted(BaseException):
    """Ctrl-C or SIGTERM. It is no `Exception`, so that no `except Exception` takes it for an error."""

    def __init__(self, signal_number: int) -> None:
        super().__init__()
        self.signal_number = signal_number


class _Requests:
    """The signal that came last, and whether a shield holds it back."""

    def __init__(self) -> None:
        self.signal_number: int | None = None
        self.shields = 0

    def raise_if_unshielded(self) -> None:
        if self.signal_number is not None and not self.shields:
            raise Interrupted(self.signal_number)


_requests = _Requests()


def listen_to_signals() -> None:
    """From now on, every SIGINT or SIGTERM raises `Interrupted` in the main thread."""

    def interrupt(signal_number: int, _: FrameType | None) -> None:
        _requests.signal_number = signal_number
        _requests.raise_if_unshielded()

    for number in SIGNALS:
        signal.signal(number, interrupt)


def ignore_signals() -> None:
    """Ignore both signals from now on: nothing may interrupt the shutdown."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def raise_if_requested() -> None:
    """Do nothing if no signal came.

    Raises:
        Interrupted: One came, even if `Interrupted` was raised for it before.
    """
    _requests.raise_if_unshielded()


@contextlib.contextmanager
def shield() -> Iterator[None]:
    """Hold `Interrupted` back until the block ends. Keep the block short."""
    _requests.shields += 1
    try:
        yield
    finally:
        _requests.shields -= 1
    _requests.raise_if_unshielded()
