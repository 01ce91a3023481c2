"""The writer process while nobody reads what it writes to standard output."""

from __future__ import annotations

import fcntl
import http.client
import json
import signal
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

import pymongo
import pytest
from prometheus_client.parser import text_string_to_metric_families

from local.paths import ROOT
from local.polling import HANG_TIMEOUT_S, wait_until
from local.processes.child import base_environment
from local.servers.server import answers
from tests.support.builders import body_of, put
from tests.support.quick_writer import quick_writer
from tests.support.writer_settings import writer_settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from local.stack import Stack
    from tests.conftest import Queues

HOST = "127.0.0.1"
MESSAGES, CHANGES = 20, 1_000
LONG = "e" * 100
"""What all changes have in their ids, so that their lines fill what can wait."""


@dataclass
class Writer:
    """A writer process, whose output a pipe of 4 KB takes."""

    process: subprocess.Popen[bytes]
    output: IO[bytes]
    port: int

    def dropped(self) -> float:
        """The number of lines that it has dropped, as it says itself."""
        connection = http.client.HTTPConnection(HOST, self.port, timeout=HANG_TIMEOUT_S)
        connection.request("GET", "/metrics")
        text = connection.getresponse().read().decode()
        connection.close()
        samples = [each for family in text_string_to_metric_families(text) for each in family.samples]
        return next(each.value for each in samples if each.name == "replicator_log_lines_dropped_total")

    def stop(self) -> int:
        """Sends SIGTERM; returns the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(HANG_TIMEOUT_S)


@contextmanager
def started(stack: Stack, queues: Queues, database: str) -> Iterator[Writer]:
    """A writer that is ready, with all its log lines; nobody has read since it told its port."""
    settings = writer_settings(stack, queues, database) | {"LOG_LEVEL": "DEBUG"}
    process = subprocess.Popen(  # noqa: S603 - our own command line
        [sys.executable, "-W", "error", *quick_writer()],
        cwd=ROOT,
        env=base_environment() | stack.environment() | settings,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    output = process.stdout
    assert output is not None
    try:
        fcntl.fcntl(output, fcntl.F_SETPIPE_SZ, 4096)
        lines = map(json.loads, output)
        port = next(line["port"] for line in lines if line["message"] == "status server listening")
        wait_until(lambda: answers(HOST, port, "/readyz"), what="the writer to be ready")
        yield Writer(process, output, port)
    finally:
        process.kill()
        process.wait()
        output.close()


def send(stack: Stack, queues: Queues) -> None:
    """Twenty documents, each changed a thousand times."""
    for number in range(MESSAGES):
        changes = [
            put(sequence, number)._replace(event_id=f"{LONG}{sequence}") for sequence in range(CHANGES)
        ]
        stack.client("sqs").send_message(
            QueueUrl=queues.url,
            MessageBody=body_of(*changes),
            MessageGroupId=f"lane-{number}",
            MessageDeduplicationId=str(number),
        )


@pytest.fixture
def documents(stack: Stack, database: str) -> Iterator[Any]:
    """The target collection."""
    with pymongo.MongoClient[dict[str, Any]](stack.mongodb_uri) as client:
        yield client[database]["mytable"]


def test_nobody_reads(stack: Stack, queues: Queues, database: str, documents: Any) -> None:
    """Replication goes on and probes are answered; lines are lost and counted; it ends when asked to."""
    with started(stack, queues, database) as writer:
        send(stack, queues)
        wait_until(lambda: documents.count_documents({}) == MESSAGES, what="all documents")
        wait_until(writer.dropped, what="lines to be dropped")
        assert answers(HOST, writer.port, "/readyz")
        assert writer.stop() == 0


def test_somebody_reads_again(stack: Stack, queues: Queues, database: str, documents: Any) -> None:
    """Every line is whole JSON, and one of them says how many are missing."""
    with started(stack, queues, database) as writer:
        send(stack, queues)
        wait_until(lambda: documents.count_documents({}) == MESSAGES, what="all documents")
        wait_until(writer.dropped, what="lines to be dropped")
        lines = map(json.loads, writer.output)
        told = next(line for line in lines if line["message"] == "log lines were dropped")
        assert 0 < told["lines"] <= writer.dropped()
        writer.process.send_signal(signal.SIGTERM)
        assert list(lines)[-1]["message"] == "stopped"
        assert writer.process.wait(HANG_TIMEOUT_S) == 0


def test_the_reader_has_gone(stack: Stack, queues: Queues, database: str, documents: Any) -> None:
    """The same, though every write fails."""
    with started(stack, queues, database) as writer:
        writer.output.close()
        send(stack, queues)
        wait_until(lambda: documents.count_documents({}) == MESSAGES, what="all documents")
        assert answers(HOST, writer.port, "/readyz")
        wait_until(writer.dropped, what="lines to be counted as lost")
        assert writer.stop() == 0
