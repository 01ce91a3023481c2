"""Child processes that never outlive this one: started, watched, and stopped by their process id.

A child has a session of its own, so that Ctrl-C in a terminal reaches only us and we choose the order in
which the others stop. On Linux it dies with the thread that started it, even if that is killed by SIGKILL:
start children from a thread that lives as long as they shall.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from local.errors import StackError

T = TypeVar("T")

LEASH = Path(__file__).with_name("leash.py")
POLL_INTERVAL_S = 0.05
# What a child may see of our own environment. Everything else (proxies, AWS profiles, PYTHON*) is left out,
# so that a stack behaves the same on every machine.
INHERITED = ("PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "LD_LIBRARY_PATH", "TMPDIR", "USER")


def base_environment() -> dict[str, str]:
    """The part of our environment that every child gets."""
    return {name: os.environ[name] for name in INHERITED if name in os.environ}


def wait_until(condition: Callable[[], T | None], *, timeout_s: float, what: str) -> T:
    """Ask again and again until the condition returns something true, and return that.

    Args:
        condition: Asked every 50 ms.
        timeout_s: Seconds after which to give up.
        what: What is waited for, to stand after "waited for".

    Raises:
        StackError: It did not come true in time.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        if value := condition():
            return value
        if time.monotonic() >= deadline:
            raise StackError(f"Waited {timeout_s:g} s in vain for {what}.")
        time.sleep(POLL_INTERVAL_S)


class Child:
    """One running command, and the file that its output goes to."""

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
            name: What people call it, in messages.
            command: The program and its arguments.
            environment: All of the child's environment.
            log: File that its output is appended to.
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
        """The process id (that of the command itself: the leash becomes the command)."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether the process still lives."""
        return self._process.poll() is None

    def check(self) -> None:
        """Do nothing if the process lives.

        Raises:
            StackError: It has ended, whatever its exit status.
        """
        if (status := self._process.poll()) is not None:
            raise StackError(f"{self.name} has stopped by itself ({describe_status(status)}).", log=self.log)

    def wait_until(self, condition: Callable[[], T | None], *, timeout_s: float, what: str) -> T:
        """Like the function of this name, but give up at once when the process ends.

        Raises:
            StackError: It did not come true in time, or the process ended.
        """

        def while_alive() -> T | None:
            self.check()
            return condition()

        try:
            return wait_until(while_alive, timeout_s=timeout_s, what=what)
        except StackError as error:
            raise StackError(str(error), log=self.log) from error

    def stop(self, *, grace_s: float = 10.0) -> int:
        """Ask it to end, insist after a while, and return how it ended.

        Args:
            grace_s: Seconds between SIGTERM and SIGKILL.

        Returns:
            The exit status; minus the number of the signal that ended it otherwise.
        """
        self._process.terminate()
        try:
            return self._process.wait(grace_s)
        except subprocess.TimeoutExpired:
            return self.kill()

    def kill(self) -> int:
        """End it by SIGKILL and return how it ended, as `stop` does."""
        self._process.kill()
        return self._process.wait()


def describe_status(status: int) -> str:
    """An exit status of `subprocess` in words."""
    if status < 0:
        return f"killed by {signal.Signals(-status).name}"
    return f"exit status {status}"
