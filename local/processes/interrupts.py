"""Ctrl-C and SIGTERM as one exception, kept away from the moments in which it would do harm.

An exception that may come between any two instructions can come between the start of a server and the note
that it has to be stopped. Such pairs stand in a `shield`. And it can be swallowed (by a destructor, say), so
what was asked for is remembered: loops that may run for long look at it themselves.

Nothing here does anything before `listen_to_signals`: other programs that use the stack have their own ways.
"""

import contextlib
import signal
from collections.abc import Iterator
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupted(BaseException):
    """Ctrl-C or SIGTERM. No `except Exception` on the way may take it for an error."""

    def __init__(self, signal_number: int) -> None:
        super().__init__()
        self.signal_number = signal_number


class _Requests:
    """What was asked for, and whether it may be granted now."""

    def __init__(self) -> None:
        self.signal_number: int | None = None
        self.shields = 0

    def grant(self) -> None:
        if self.signal_number is not None and not self.shields:
            raise Interrupted(self.signal_number)


_requests = _Requests()


def listen_to_signals() -> None:
    """Raise `Interrupted` in the main thread at every SIGINT or SIGTERM from now on."""

    def interrupt(signal_number: int, _: FrameType | None) -> None:
        _requests.signal_number = signal_number
        _requests.grant()

    for number in SIGNALS:
        signal.signal(number, interrupt)


def ignore_signals() -> None:
    """Let nothing interrupt what follows: the way out."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def raise_if_requested() -> None:
    """Do nothing if nobody asked to stop.

    Raises:
        Interrupted: Somebody did, if that was seen before or not.
    """
    _requests.grant()


@contextlib.contextmanager
def shield() -> Iterator[None]:
    """Hold `Interrupted` back until the end of the block. Keep the block short."""
    _requests.shields += 1
    try:
        yield
    finally:
        _requests.shields -= 1
    _requests.grant()
