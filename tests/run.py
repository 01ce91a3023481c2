"""Runs all parts of the tests, one after the other, whatever fails in them, and sums them up at the end.

`make test` is this. One seed decides the order of the tests, the examples of the property tests, and the
faults of the fault suite, so that a run can be repeated.
"""

from __future__ import annotations

import argparse
import secrets
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from local.paths import ROOT
from tests.summary import Part, read, summary

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_MOST_SEED = 2**32

SHARED_OUT = "--dist=worksteal"
"""Whoever is done takes over tests of another process. By whole files, those with few tests come last, and of
them are the longest: one process would work on alone."""

PARTS: Mapping[str, Sequence[str]] = {
    "unit, property": ("--maxprocesses=4", SHARED_OUT, "tests/unit", "tests/property"),
    "contract": ("--maxprocesses=4", SHARED_OUT, "tests/contract"),
    # Each process has servers of its own, which need the processors, too. A file's tests share a pipeline.
    "e2e": ("--maxprocesses=2", "--dist=loadfile", "tests/e2e"),
    "faults": ("--maxprocesses=2", "--dist=loadfile", "tests/faults"),
}
"""By its name, what pytest is told beside the common arguments."""


def main(arguments: Sequence[str] | None = None, parts: Mapping[str, Sequence[str]] = PARTS) -> int:
    """Runs them.

    Returns:
        The exit status: 0 if every part succeeded.
    """
    parser = argparse.ArgumentParser(prog="make test", description=__doc__)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(_MOST_SEED), help="of an earlier run")
    seed: int = parser.parse_args(arguments).seed
    with tempfile.TemporaryDirectory(prefix="replicator-tests-") as folder:
        report = Path(folder) / "report.xml"
        ran = [_run(name, each, seed, report) for name, each in parts.items()]
    print(summary(ran, seed))  # noqa: T201 - for the person who asked
    return int(any(part.failed for part in ran))


def _run(name: str, arguments: Sequence[str], seed: int, report: Path) -> Part:
    report.unlink(missing_ok=True)
    print(f"\n{name}", flush=True)  # noqa: T201 - above pytest's own lines
    began = time.monotonic()
    status = _wait_for(
        [
            *(sys.executable, "-m", "pytest", "--numprocesses=auto"),
            *(f"--randomly-seed={seed}", f"--hypothesis-seed={seed}"),
            *("-o", "junit_family=xunit1", f"--junit-xml={report}"),
            *arguments,
        ]
    )
    cases = read(report.read_text(encoding="utf-8")) if report.exists() else []
    return Part(name, time.monotonic() - began, status, cases)


def _wait_for(command: Sequence[str]) -> int:
    """Runs a command; Ctrl-C reaches it, too, and it has the time to stop its servers before we end."""
    with subprocess.Popen(command, cwd=ROOT) as process:  # noqa: S603 - our own command line
        try:
            return process.wait()
        except KeyboardInterrupt:
            process.wait()
            raise


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
