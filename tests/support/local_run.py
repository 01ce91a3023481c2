"""`make run` as a process: `python -m local run`, whose output is read line by line."""

import contextlib
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

from local.paths import ROOT
from local.polling import HANG_TIMEOUT_S


class Run:
    """One `python -m local run` whose output is read line by line."""

    def __init__(self, *arguments: str, directory: Path = ROOT, **environment: str) -> None:
        """Start it without the variables that name servers and their ports, except the given ones."""
        named = ("AWS_ENDPOINT_URL", "LOCALSTACK_HOST", "MONGODB_URI", "STATUS_PORT")
        inherited = {name: value for name, value in os.environ.items() if name not in named}
        self.process = subprocess.Popen(  # noqa: S603 - our own command line
            [sys.executable, "-m", "local", "run", *arguments],
            cwd=directory,
            env=inherited | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
        )
        self.output = ""

    def read_until(self, pattern: str) -> re.Match[str]:
        """Wait for the next line that matches. A run that never shows it is killed at last."""
        assert self.process.stdout
        hangs = threading.Timer(HANG_TIMEOUT_S, self.process.kill)
        hangs.start()
        try:
            for line in self.process.stdout:
                self.output += line
                if match := re.search(pattern, line):
                    return match
        finally:
            hangs.cancel()
        raise AssertionError(f"no {pattern!r} in:\n{self.output}")

    def end(self) -> int:
        """Read the rest and return the exit status."""
        assert self.process.stdout
        self.output += self.process.stdout.read()
        return self.process.wait(HANG_TIMEOUT_S)


@contextlib.contextmanager
def started(*arguments: str, directory: Path = ROOT, **environment: str) -> Iterator[Run]:
    run = Run(*arguments, directory=directory, **environment)
    try:
        yield run
    except BaseException:
        run.process.kill()
        sys.stderr.write(run.output + run.process.communicate()[0])  # what it said explains most failures
        raise
    finally:
        run.process.kill()
        run.process.communicate()
