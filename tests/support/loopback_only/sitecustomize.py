"""For PYTHONPATH of a Python program that must not reach AWS: it ends where it would leave this machine.

What it was about to do is appended to the file that LOOPBACK_ONLY_NOTES names, because a shell may hide how
the program ended.
"""

from __future__ import annotations

import os
import sys
import time
from typing import Any

_HOSTS = ("127.0.0.1", "::1", "localhost", None)
_STATUS = 97
_sleep = time.sleep


def _refuse(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "socket.getaddrinfo":
        host = arguments[0]
    elif event == "socket.connect" and isinstance(arguments[1], tuple):  # else a path
        host = arguments[1][0]
    else:
        return
    if host not in _HOSTS:
        with open(os.environ["LOOPBACK_ONLY_NOTES"], "a") as notes:  # noqa: PTH123 - nothing else is loaded here
            notes.write(f"{event} {host}\n")
        os._exit(_STATUS)


def _sleep_less(seconds: Any) -> None:
    # `aws cloudformation deploy` asks every 30 s whether it is done; an emulator is done at once.
    _sleep(min(seconds, 0.1))


sys.addaudithook(_refuse)
time.sleep = _sleep_less
