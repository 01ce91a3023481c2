"""A command at a terminal, as a person has it: a pseudo-terminal that the command is in control of."""

from __future__ import annotations

import contextlib
import errno
import os
import pty
import signal
import sys
import threading
from typing import TYPE_CHECKING, Self

from local import paths
from local.polling import wait_until
from local.processes.child import base_environment
from tests.support.commands import plain

if TYPE_CHECKING:
    from collections.abc import Mapping

CTRL_C = "\x03"
END_OF_INPUT = "\x04"


class TerminalSession:
    """`replicator` with these arguments, in a `with` block."""

    def __init__(self, environment: Mapping[str, str], *arguments: str) -> None:
        whole = base_environment() | dict(environment) | {"TERM": "xterm", "COLUMNS": "120"}
        self.pid, self._terminal = pty.fork()
        if self.pid == 0:
            os.chdir(paths.ROOT)
            os.execve(sys.executable, [sys.executable, "-m", "ops", *arguments], whole)  # noqa: S606
        self._shown = b""
        self._status: int | None = None
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._status is None:
            self.kill()
        os.close(self._terminal)

    @property
    def shown(self) -> str:
        """What the terminal has shown up to now, without styles."""
        return plain(self._shown.decode(errors="replace").replace("\r\n", "\n"))

    def wait_for(self, text: str) -> None:
        """Waits until the terminal shows a text."""
        wait_until(lambda: text in self.shown or not self._reader.is_alive(), what=f"{text!r}")
        assert text in self.shown, self.shown

    def type(self, keys: str) -> None:
        """Types."""
        os.write(self._terminal, keys.encode())

    def kill(self) -> None:
        """Ends it by kill -9."""
        os.kill(self.pid, signal.SIGKILL)
        self.end()

    def end(self) -> int:
        """Waits for its end, and returns its exit status."""
        self._reader.join()
        _, status = os.waitpid(self.pid, 0)
        self._status = os.waitstatus_to_exitcode(status)
        return self._status

    def _read(self) -> None:
        with contextlib.suppress(OSError):
            while some := self._some():
                self._shown += some

    def _some(self) -> bytes:
        try:
            return os.read(self._terminal, 4096)
        except OSError as error:
            if error.errno == errno.EIO:  # nobody has the other side open any more
                return b""
            raise
