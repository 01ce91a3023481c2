"""The command `replicator` as an operator runs it: a process of its own, with the settings it is given."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from local import paths
from local.polling import HANG_TIMEOUT_S
from local.processes.child import Child, base_environment
from tests.support.commands import check_json

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def run(environment: Mapping[str, str], *arguments: str, status: int | None = 0) -> dict[str, Any]:
    """Runs a command with --json to its end; returns what it printed, of one table what it found there.

    Args:
        environment: its settings.
        arguments: the command's name, the table, options.
        status: the exit status that it has to have; None: any.
    """
    done = subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-m", "ops", *arguments, "--json"],
        env=base_environment() | dict(environment),
        cwd=paths.ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=HANG_TIMEOUT_S,
    )
    assert status in (None, done.returncode), f"{done.returncode}: {done.stdout}{done.stderr}"
    check_json(arguments, done.stdout)
    return of_one_table(json.loads(done.stdout)) if done.stdout else {}


def of_one_table(printed: dict[str, Any]) -> dict[str, Any]:
    """What a command found in its only table; all that it printed if it has several, or is for one only."""
    tables = printed.get("tables", [])
    found: dict[str, Any] = tables[0] if len(tables) == 1 else printed
    return found


def start(environment: Mapping[str, str], log: Path, *arguments: str) -> Child:
    """Starts a command that will be killed."""
    return Child(
        f"replicator {arguments[0]}",
        [sys.executable, "-m", "ops", *arguments],
        environment=base_environment() | dict(environment),
        log=log,
        directory=paths.ROOT,
    )


def typed(environment: Mapping[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs a command to its end, as it is typed into a pipe: what it prints, and its exit status."""
    return subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-m", "ops", *arguments],
        env=base_environment() | dict(environment),
        cwd=paths.ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=HANG_TIMEOUT_S,
    )
