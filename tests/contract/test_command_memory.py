"""What a copy and a comparison take of memory, as whole processes: a bound for tables of any size."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from bench.dynamodb_endpoint import TABLE, DynamoDBEndpoint
from local.paths import ROOT
from local.polling import HANG_TIMEOUT_S
from local.processes.child import base_environment
from tests.support.command_processes import of_one_table

if TYPE_CHECKING:
    from local.stack import Stack

ITEMS = 60_000
MOST_MIB = 130
_SCRIPT = """
import atexit, pathlib, sys
atexit.register(lambda: sys.stderr.write(pathlib.Path("/proc/self/status").read_text()))
from ops.__main__ import main
main()
"""


def measured(environment: dict[str, str], *arguments: str) -> tuple[dict[str, Any], float]:
    """What a command found in its table, and the peak of its memory in MiB."""
    done = subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-c", _SCRIPT, *arguments, "--json"],
        env=base_environment() | environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=HANG_TIMEOUT_S,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    peak = re.search(r"^VmHWM:\s*(\d+) kB$", done.stderr, re.MULTILINE)
    assert peak is not None
    return of_one_table(json.loads(done.stdout)), int(peak[1]) / 1024


def test_memory_does_not_follow_the_table(stack: Stack, database: str) -> None:
    """All items at once, read, would take several times as much (P7)."""
    environment = {
        **stack.environment(),
        "MONGODB_URI": stack.mongodb_uri,
        "MONGODB_DATABASE": database,
    }
    with DynamoDBEndpoint(ITEMS) as endpoint:
        where = (TABLE, "--no-mapping", "--endpoint-url", endpoint.url)
        copied, of_copy = measured(environment, "backfill", *where, "--no-live")
        compared, of_comparison = measured(environment, "verify", *where, "--settle", "0")
    assert copied["copied"] == compared["items"] == compared["documents"] == ITEMS
    assert compared["clean"]
    assert of_copy < MOST_MIB
    assert of_comparison < MOST_MIB
