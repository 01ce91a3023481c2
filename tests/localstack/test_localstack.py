"""LocalStack without Docker: on loopback only, stopped with its parent, fit for the main job."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from local.errors import StackError
from local.paths import ROOT
from local.polling import wait_until
from local.servers.capabilities import LOCALSTACK
from local.servers.dynamodb_local import DynamoDBLocal
from local.stack import Stack
from tests.support.processes import processes_in

if TYPE_CHECKING:
    from collections.abc import Iterator

    from local.servers.localstack import LocalStack

# It reaches servers that listen on all interfaces, and none that listens on 127.0.0.1 only.
ANOTHER_LOOPBACK_ADDRESS = "127.0.0.2"
NAMED = ("AWS_ENDPOINT_URL", "LOCALSTACK_HOST", "MONGODB_URI")


def is_open(host: str, port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((host, port)) == 0


def port_of(endpoint_url: str) -> int:
    return int(endpoint_url.rpartition(":")[2])


def test_both_servers_listen_on_one_address(localstack: LocalStack) -> None:
    """An emulator that accepts any credentials cannot be reached from the network."""
    for port in (port_of(localstack.endpoint_url), localstack.dynamodb.port):
        assert is_open("127.0.0.1", port)
        assert not is_open(ANOTHER_LOOPBACK_ADDRESS, port)


def test_a_named_localstack_is_used(
    stack: Stack, localstack: LocalStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Like one in Docker: nothing is started beside it, and it has LocalStack's capabilities."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", localstack.endpoint_url)
    monkeypatch.setenv("MONGODB_URI", stack.mongodb_uri)
    with Stack("localstack") as named:
        assert (named.emulator, named.mongod) == (None, None)
        assert named.endpoint_url == localstack.endpoint_url
        assert named.capabilities == LOCALSTACK


def test_dynamodb_local_stands_alone(tmp_path: Path) -> None:
    """It runs without LocalStack and beside another one, and stops in order."""
    with DynamoDBLocal(tmp_path) as first, DynamoDBLocal(tmp_path) as second:
        for server in (first, second):
            server.wait()
            server.check()
        assert first.port != second.port
    assert not first.child.running
    with pytest.raises(StackError, match="DynamoDB Local stopped unexpectedly"):
        first.check()


def test_a_part_that_died_is_noticed(tmp_path: Path, localstack: LocalStack) -> None:
    """Without its DynamoDB, LocalStack would go on answering with errors."""
    with type(localstack)(tmp_path) as another:
        another.wait()
        another.check()
        another.dynamodb.child.kill()
        with pytest.raises(StackError, match="DynamoDB Local stopped unexpectedly"):
            another.check()


@pytest.fixture
def run() -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "local", "run", "--stack", "localstack"],
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if name not in NAMED},
        stdout=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )
    yield process
    process.kill()
    process.communicate()


@pytest.mark.usefixtures("localstack")
def test_the_main_job_runs_on_it_and_a_killed_run_leaves_nothing(run: subprocess.Popen[str]) -> None:
    """`make run STACK=localstack` verifies the example; kill -9 ends its servers, functions and writer."""
    assert run.stdout
    output = ""
    for line in run.stdout:
        output += line
        if "Replicating until Ctrl-C" in line:
            break
    assert "All as expected" in output
    folder = Path(re.findall(r"Data and logs +(\S+)", output)[0])
    assert len(processes_in(folder)) >= len(("mongod", "DynamoDB Local", "LocalStack", "function"))
    run.kill()
    wait_until(lambda: not processes_in(folder), what="the processes to end")
    shutil.rmtree(folder)
