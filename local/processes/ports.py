"""Ports of 127.0.0.1 that no one else uses, neither another program nor another run of this stack.

A port that is free now may be taken a moment later. Two runs that start together would both find the
well-known port free, and the second would use the first one's server as its own. So a port is leased: this
process holds an exclusive lock on a file for it, and the operating system drops the lock with the process.
"""

import contextlib
import fcntl
import os
import re
import secrets
import socket
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from local.errors import StackError

HOST = "127.0.0.1"
# Below the ports that Linux (from 32768) and macOS (from 49152) give to outgoing connections: one of those
# could take a port of ours before its server is up, or while that is started again.
OURS = range(20_000, 32_768)
HIGHEST = 65_535


@dataclass(frozen=True)
class PortLease:
    """A port of `HOST` that belongs to this process until `release`."""

    number: int
    _lock: int

    def release(self) -> None:
        """Give the port back. Call this once, after its server has ended."""
        _lock_file(self.number).unlink(missing_ok=True)
        os.close(self._lock)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def free_port(preferred: int) -> PortLease:
    """Lease the preferred port, or any free one of `OURS` if that is taken.

    Args:
        preferred: The server's well-known port; 0 for any.
    """
    candidate = preferred or secrets.choice(OURS)
    while True:
        if lease := _lease(candidate):
            return lease
        candidate = secrets.choice(OURS)


def given_port(setting: str, text: str, preferred: int) -> PortLease:
    """Lease the port that a person asks for.

    Args:
        setting: The name of the setting, for the message.
        text: Its value; empty or 0: a free port.
        preferred: The port to take if it is empty and that port is free.

    Raises:
        StackError: It is not the number of a port, or another program has this port.
    """
    if not text:
        return free_port(preferred)
    number = int(text) if re.fullmatch("[0-9]{1,5}", text) else HIGHEST + 1
    if number > HIGHEST:
        raise StackError(f"{setting}={text!r} is not a port: a number up to {HIGHEST}, 0 for any free port.")
    if number == 0:
        return free_port(0)
    if lease := _lease(number):
        return lease
    raise StackError(f"{setting}={number}: this port of {HOST} cannot be used. Another program may have it.")


def _lease(port: int) -> PortLease | None:
    with socket.socket() as probe:
        # As servers do: a port is free although its last connections are still in TIME_WAIT.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return None
        if (lock := _lock(port)) is None:
            return None
    return PortLease(port, lock)


def _lock_file(port: int) -> Path:
    return Path(tempfile.gettempdir()) / f"replicator-port-{port}.lock"


def _lock(port: int) -> int | None:
    """A descriptor that holds the port's lock (not inherited by children), or None if it is taken."""
    path = _lock_file(port)
    with contextlib.ExitStack() as undo:
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
            undo.callback(os.close, descriptor)
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not os.path.samestat(os.fstat(descriptor), path.stat()):  # released between open and flock
                return None
        except OSError:  # another run has it, perhaps another user's, whose file we cannot open
            return None
        undo.pop_all()
        return descriptor
