"""Asks a person at a terminal before something is written. Only a yes is a yes.

The answer is read by the event loop: Ctrl-C ends the command at once, and no thread waits for a line.
"""

from __future__ import annotations

import asyncio
import os
import sys

_MOST = 1_000


def can_ask() -> bool:
    """Whether a person reads standard error and types standard input."""
    return sys.stdin.isatty() and sys.stderr.isatty()


async def confirmed(question: str) -> bool:
    """Asks on standard error; everything but `y` and `yes` is a no, the end of the input, too.

    What was typed before the question was there, perhaps for minutes, is no answer to it.
    """
    import termios  # noqa: PLC0415 - not on every system, and other commands work there

    termios.tcflush(sys.stdin.fileno(), termios.TCIFLUSH)
    sys.stderr.write(f"{question} [y/N] ")
    sys.stderr.flush()
    loop = asyncio.get_running_loop()
    ready, descriptor = asyncio.Event(), sys.stdin.fileno()
    loop.add_reader(descriptor, ready.set)
    try:
        await ready.wait()  # a terminal is ready when it has a whole line
        answer = os.read(descriptor, _MOST)
    finally:
        loop.remove_reader(descriptor)
    return answer.decode(errors="replace").strip().lower() in {"y", "yes"}
