"""The command `replicator` as an operator runs it: a process of its own, with the settings it is given."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from local import paths
from local.polling import HANG_TIMEOUT_S
from local.processes.child import Child, base_environment

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def run(environment: Mapping[str, str], *arguments: str, status: int = 0) -> dict[str, Any]:
    """Runs a command with --json to its end; returns what it printed.

    Args:
        environment: its settings.
        arguments: the command's name, the table, options.
        status: the exit status that it has to have.
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
    assert done.returncode == status, f"{done.returncode}: {done.stdout}{done.stderr}"
    found: dict[str, Any] = json.loads(done.stdout) if done.stdout else {}
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
