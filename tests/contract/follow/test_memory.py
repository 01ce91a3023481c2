"""What `follow` takes of memory, as a whole process: a bound for any tables, with items of any size."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pymongo
import pytest

from bench.dynamodb_endpoint import DynamoDBEndpoint
from local.paths import ROOT
from local.polling import HANG_TIMEOUT_S
from local.processes.child import base_environment

if TYPE_CHECKING:
    from local.stack import Stack

MOST_MIB = 130
_SCRIPT = """
import atexit, pathlib, sys, typer
from follow.command import command
atexit.register(lambda: sys.stderr.write(pathlib.Path("/proc/self/status").read_text()))
app = typer.Typer()
app.command()(command)
app()
"""


@pytest.mark.parametrize(
    ("tables", "items", "text", "changes"),
    [(1, 12_000, 0, 24_000), (3, 64, 400_000, 64)],
    ids=["small items", "the largest items of three tables"],
)
def test_memory_follows_neither_tables_nor_items(  # noqa: PLR0913, PLR0917 - fixtures
    stack: Stack, database: str, tables: int, items: int, text: int, changes: int
) -> None:
    """The copy and the stream at once, as fast as they come: all pages are full (P7)."""
    names = [f"items-{number}" for number in range(tables)]
    environment = {
        **stack.environment(),
        "MONGODB_URI": stack.mongodb_uri,
        "MONGODB_DATABASE": database,
        "MALLOC_ARENA_MAX": "1",  # as in deploy/Dockerfile
    }
    with DynamoDBEndpoint(items, text, changes) as endpoint:
        done = subprocess.run(  # noqa: S603 - our own command
            [sys.executable, "-c", _SCRIPT, *names, "--no-mapping", "--once", "--endpoint-url", endpoint.url],
            env=base_environment() | environment,
            cwd=ROOT,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            timeout=HANG_TIMEOUT_S,
        )
    assert done.returncode == 0, done.stderr
    with pymongo.MongoClient[dict[str, Any]](stack.mongodb_uri) as client:
        found = [client[database][name].count_documents({"turn": changes // items}) for name in names]
    assert found == [items] * tables
    peak = re.search(r"^VmHWM:\s*(\d+) kB$", done.stderr, re.MULTILINE)
    assert peak is not None
    print(f"{int(peak[1]) >> 10} MiB")  # noqa: T201 - shown if the test fails, or with -s
    assert int(peak[1]) / 1024 < MOST_MIB
