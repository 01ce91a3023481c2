"""Child processes that never outlive this one: started, watched, and stopped by their process id.

A child has its own session. So Ctrl-C in a terminal reaches only this process, which chooses the order in
which its children stop. On Linux a child dies with the thread that started it, even if that is killed by
SIGKILL: start children from a thread that lives at least as long as they do.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from local import polling
from local.errors import StackError
from local.polling import HANG_TIMEOUT_S, T

LEASH = Path(__file__).with_name("leash.py")
# The variables that a child inherits. All others (proxies, AWS profiles, PYTHON*) are left out, so that a
# stack behaves the same on every machine. MONGODB_CLIENT is the one setting that whole suites run with, too.
INHERITED = (
    "PATH",
    "HOME",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "LD_LIBRARY_PATH",
    "TMPDIR",
    "USER",
    "MONGODB_CLIENT",
)


def base_environment() -> dict[str, str]:
    """The part of our environment that every child inherits."""
    return {name: os.environ[name] for name in INHERITED if name in os.environ}


class Child:
    """One running command, whose output goes to a file."""

    def __init__(
        self,
        name: str,
        command: Sequence[str | Path],
        *,
        environment: Mapping[str, str],
        log: Path,
        directory: Path,
    ) -> None:
        """Start the command.

        Args:
            name: Its name in messages.
            command: The program and its arguments.
            environment: The child's whole environment.
            log: File to which its output is appended.
            directory: Its working directory.

        Raises:
            StackError: The program cannot be started.
        """
        self.name = name
        self.log = log
        line = [os.fspath(part) for part in command]
        if sys.platform == "linux":
            line = [sys.executable, "-I", "-S", os.fspath(LEASH), str(os.getpid()), *line]
        try:
            with log.open("ab") as output:
                self._process = subprocess.Popen(  # noqa: S603 - a command line of our own, no shell
                    line,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    env=dict(environment),
                    cwd=directory,
                    start_new_session=True,
                )
        except OSError as error:
            raise StackError(f"{name} cannot be started: {error}") from error

    @property
    def pid(self) -> int:
        """The process id of the command itself: the leash becomes the command."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether the process has not ended."""
        return self._process.poll() is None

    @property
    def killed_by(self) -> str:
        """The name of the signal that has ended the process; empty: none has."""
        status = self._process.poll() or 0
        return signal.Signals(-status).name if status < 0 else ""

    def check(self) -> None:
        """Do nothing if the process is running.

        Raises:
            StackError: It has ended, whatever its exit status.
        """
        if (status := self._process.poll()) is not None:
            how = f"killed by {self.killed_by}" if self.killed_by else f"exit status {status}"
            raise StackError(f"{self.name} stopped unexpectedly ({how}).", log=self.log)

    def wait_until(
        self, condition: Callable[[], T | None], *, what: str, timeout_s: float = HANG_TIMEOUT_S
    ) -> T:
        """As `polling.wait_until`, but give up at once when the process ends.

        Raises:
            StackError: The condition did not hold in time, or the process ended.
        """

        def while_alive() -> T | None:
            self.check()
            return condition()

        try:
            return polling.wait_until(while_alive, timeout_s=timeout_s, what=what)
        except StackError as error:
            raise StackError(str(error), log=self.log) from error

    def stop(self, *, grace_s: float = 30.0) -> int:
        """Send SIGTERM, SIGKILL if that does not end it, and return its exit status.

        Args:
            grace_s: Seconds between the two signals.

        Returns:
            The exit status; if a signal ended it, minus the number of the signal.
        """
        self._process.terminate()
        try:
            return self._process.wait(grace_s)
        except subprocess.TimeoutExpired:
            return self.kill()

    def kill(self) -> int:
        """Send SIGKILL, and return the exit status as `stop` does."""
        self._process.kill()
        return self._process.wait()
