"""`python -m writer` as a process against real servers: settings, order of starting, signals, secrets."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pymongo
import pytest

from local.paths import ROOT
from local.polling import HANG_TIMEOUT_S, wait_until
from local.processes.child import base_environment
from local.servers.mongod import Mongod
from tests.support.builders import TABLE, body_of, put
from tests.support.metric_lines import figures_of
from tests.support.quick_writer import quick_writer
from tests.support.writer_settings import writer_settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from local.stack import Stack
    from tests.conftest import Queues

SECRET = "hunter2-do-not-log"
LATE = "work in flight did not end in time"
"""What it says when the grace time, 20 s, is over and its work is not."""


QUICK = quick_writer()
IMPATIENT = quick_writer("writer.mongodb.client._SELECTION_MS=1000")
"""A writer whose driver looks for MongoDB for one second, not for five, until it says that there is none."""

APPLIED = f'replicator_changes_total{{operation="put",result="applied",table="{TABLE}"}} 2.0'


@dataclass
class Running:
    """A writer process and what it has written so far."""

    process: subprocess.Popen[bytes]
    log: Path
    lines: list[dict[str, Any]] = field(default_factory=list)
    _stopped_at: int = 0

    @property
    def output(self) -> str:
        return self.log.read_text()

    @property
    def output_after_stop(self) -> str:
        """What it has written since `stop` was called."""
        return self.output[self._stopped_at :]

    def logged(self, message: str) -> dict[str, Any] | None:
        for text in self.output.splitlines(keepends=True):
            if text.endswith("\n") and f'"{message}"' in text:
                found: dict[str, Any] = json.loads(text)
                return found
        return None

    def answer(self, path: str) -> tuple[int, dict[str, Any]]:
        status, text = self.text(path)
        return status, json.loads(text)

    def text(self, path: str) -> tuple[int, str]:
        listening = wait_until(lambda: self.logged("status server listening"), what="a status server")
        connection = http.client.HTTPConnection("127.0.0.1", listening["port"], timeout=HANG_TIMEOUT_S)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read().decode()
        finally:
            connection.close()

    def ready(self) -> bool:
        return self.answer("/readyz")[0] == 200

    def waits_for(self, part: str) -> bool:
        waiting = self.answer("/readyz")[1]["waiting_for"]
        return part in waiting and waiting[part]["reason"] != "starting"

    def stop(self) -> int:
        """Sends SIGTERM; returns the exit status."""
        self._stopped_at = len(self.output)
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(HANG_TIMEOUT_S)


@contextmanager
def running(log: Path, environment: dict[str, str], program: Sequence[str] = QUICK) -> Iterator[Running]:
    """A writer process, whose stop does not wait long for a poll; killed at the end if it still lives."""
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603 - our own command line
            [sys.executable, "-W", "error", *program],
            cwd=ROOT,
            env=base_environment() | environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        yield Running(process, log)
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def environment(stack: Stack, queues: Queues, database: str) -> dict[str, str]:
    return stack.environment() | writer_settings(stack, queues, database)


def ended(log: Path, environment: dict[str, str]) -> Running:
    """A writer that ends by itself."""
    with running(log, environment) as writer:
        writer.process.wait(HANG_TIMEOUT_S)
        return writer


def sentence(writer: Running) -> str:
    """The reason it gives; there is one line about it, and no traceback."""
    (line,) = [json.loads(text) for text in writer.output.splitlines() if '"level":"ERROR"' in text]
    assert "Traceback" not in writer.output
    return str(line["reason"])


def send(stack: Stack, queues: Queues, *numbers: int) -> None:
    for number in numbers:
        stack.client("sqs").send_message(
            QueueUrl=queues.url,
            MessageBody=body_of(put(number, number, n=number)),
            MessageGroupId=f"lane-{number}",
            MessageDeduplicationId=str(number),
        )


def documents(stack: Stack, database: str) -> set[int]:
    with pymongo.MongoClient[dict[str, Any]](stack.mongodb_uri) as client:
        return {document["_id"] for document in client[database]["mytable"].find()}


def test_wrong_settings_are_all_named(tmp_path: Path) -> None:
    """One sentence, exit status 2, no traceback, no secret."""
    writer = ended(
        tmp_path / "log",
        {
            "MONGODB_URI": f"mongodb://u:{SECRET}@host/",
            "MONGODB_DATABASE": "admin",
            "POOL_SIZE": "many",
            "LOG_LEVEL": "LOUD",
        },
    )
    assert writer.process.returncode == 2
    reason = sentence(writer)
    for named in ("QUEUE_URL", "DEAD_LETTER_QUEUE_URL", "POOL_SIZE", "LOG_LEVEL", "'admin'"):
        assert named in reason
    assert SECRET not in writer.output


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (None, "cannot be read"),
        (b"\xff\xfe", "cannot be read"),
        (b"tables: {t: {key: x}}", "tables.t.key"),
    ],
    ids=["missing", "not text", "wrong"],
)
def test_a_wrong_replication_file_is_named(
    tmp_path: Path, environment: dict[str, str], content: bytes | None, named: str
) -> None:
    """With its path and the place in it; nothing is started."""
    path = tmp_path / "replication.yaml"
    if content is not None:
        path.write_bytes(content)
    writer = ended(tmp_path / "log", {**environment, "REPLICATION_FILE": str(path)})
    assert writer.process.returncode == 2
    assert str(path) in sentence(writer)
    assert named in sentence(writer)


def test_wrong_settings_and_a_wrong_replication_file_are_named_together(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    """Every mistake in one message: nobody has to fix them one start at a time."""
    wrong = {"POOL_SIZE": "many", "REPLICATION_FILE": str(tmp_path / "none.yaml")}
    writer = ended(tmp_path / "log", {**environment, **wrong})
    assert writer.process.returncode == 2
    assert "POOL_SIZE" in sentence(writer)
    assert "none.yaml" in sentence(writer)


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"QUEUE_URL": "http://127.0.0.1/000000000000/no-such-queue.fifo"}, "check the queue's URL"),
        ({"AWS_REGION": None, "AWS_DEFAULT_REGION": None}, "set AWS_REGION"),
        ({"AWS_ENDPOINT_URL": "localhost"}, "Invalid endpoint"),
        ({"AWS_PROFILE": "no-such-profile"}, "no-such-profile"),
        ({"MONGODB_URI": f"mongodb://u:{SECRET}@@host/"}, "MONGODB_URI"),
        ({"MONGODB_URI": f"mongodb://u:{SECRET}@host:1/?minPoolSize=1000"}, "MONGODB_URI"),
    ],
    ids=["no queue", "no region", "no url", "no profile", "malformed uri", "options that contradict"],
)
def test_what_only_a_person_can_mend_ends_it(
    tmp_path: Path, environment: dict[str, str], wrong: dict[str, str | None], named: str
) -> None:
    """Exit status 1, and a sentence that says what to do, without secrets."""
    settings = {name: value for name, value in {**environment, **wrong}.items() if value is not None}
    writer = ended(tmp_path / "log", settings)
    assert writer.process.returncode == 1
    assert named in sentence(writer)
    assert SECRET not in writer.output


def test_a_refused_password_ends_it(tmp_path: Path, stack: Stack, environment: dict[str, str]) -> None:
    """It says where to look; the password is nowhere in the output."""
    uri = stack.mongodb_uri.replace("mongodb://", f"mongodb://writer:{SECRET}@")
    writer = ended(tmp_path / "log", {**environment, "MONGODB_URI": uri, "LOG_LEVEL": "DEBUG"})
    assert writer.process.returncode == 1
    assert "check user, password and authSource in MONGODB_URI" in sentence(writer)
    assert SECRET not in writer.output


def test_a_taken_port_ends_it(tmp_path: Path, environment: dict[str, str]) -> None:
    """The setting is named."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        writer = ended(tmp_path / "log", {**environment, "STATUS_PORT": port})
    assert writer.process.returncode == 1
    assert f"STATUS_PORT={port}" in sentence(writer)


def test_it_replicates_until_it_is_stopped(
    tmp_path: Path, stack: Stack, queues: Queues, database: str, environment: dict[str, str]
) -> None:
    """Ready, working, stopped with status 0 before its grace ends; every line is JSON."""
    settings = {"LOG_LEVEL": "DEBUG", "CLOUDWATCH_METRICS": "here"}
    with running(tmp_path / "log", {**environment, **settings}, ("-m", "writer")) as writer:
        wait_until(writer.ready, what="the writer to be ready")
        assert writer.answer("/healthz")[0] == 200
        send(stack, queues, 1, 2)
        wait_until(lambda: documents(stack, database) == {1, 2}, what="two documents")
        wait_until(lambda: APPLIED in writer.text("/metrics")[1], what="a metric")
        wait_until(lambda: 'queue_messages{state="dead"} 0.0' in writer.text("/metrics")[1], what="a backlog")
        assert environment["MONGODB_URI"] not in writer.text("/metrics")[1]
        assert writer.stop() == 0
    assert LATE not in writer.output
    (state,) = [line for line in map(json.loads, writer.output.splitlines()) if line["message"] == "state"]
    figures = figures_of(state, "Queue", "here")
    assert (figures["applied"], figures["ready"], figures["messages_in_flight"]) == (2, 1, 0)
    assert figures["lag_max_ms"] > 0
    levels = {json.loads(line)["level"] for line in writer.output.splitlines()}
    assert levels <= {"DEBUG", "INFO", "WARNING"}


def test_it_waits_for_a_mongodb_that_comes_later(
    tmp_path: Path, stack: Stack, queues: Queues, environment: dict[str, str]
) -> None:
    """Not healthy until it was ready once, with the reason; then it works; then it stops during an outage."""
    with Mongod(tmp_path) as mongod:
        mongod.wait()
        mongod.kill()
        here = {**environment, "MONGODB_URI": mongod.uri, "MONGODB_DATABASE": "late"}
        with running(tmp_path / "log", here, IMPATIENT) as writer:
            wait_until(lambda: writer.waits_for("mongodb"), what="it to say that it waits for MongoDB")
            assert writer.answer("/healthz")[0] == 503
            assert not writer.ready()
            send(stack, queues, 1)
            mongod.restart()
            wait_until(writer.ready, what="the writer to be ready")
            with pymongo.MongoClient[dict[str, Any]](mongod.uri) as client:
                wait_until(lambda: client["late"]["mytable"].count_documents({}) == 1, what="the document")
            mongod.kill()
            send(stack, queues, 2)
            wait_until(lambda: writer.waits_for("mongodb"), what="it to notice the outage")
            assert writer.answer("/healthz")[0] == 200
            assert writer.stop() == 0
            assert LATE not in writer.output
            sqs = stack.client("sqs")
            (message,) = wait_until(
                lambda: sqs.receive_message(
                    QueueUrl=queues.url, MessageSystemAttributeNames=["ApproximateReceiveCount"]
                ).get("Messages"),
                what="the message to be given back",
            )
            assert int(message["Attributes"]["ApproximateReceiveCount"]) == 2  # the writer's and ours


def test_a_stop_while_nothing_is_there_is_obeyed_at_once(tmp_path: Path, environment: dict[str, str]) -> None:
    """Neither dependency is there, one of them does not even answer: no call has to time out first.

    A call that did would be reported: what is lost, and why.
    """
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        uri = f"mongodb://u:{SECRET}@127.0.0.1:{port}/"
        for wrong in ({"AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}"}, {"MONGODB_URI": uri}):
            with running(tmp_path / "log", {**environment, **wrong}) as writer:
                wait_until(lambda: writer.logged("status server listening"), what="a status server")
                assert writer.stop() == 0
            assert '"stopped"' in writer.output_after_stop
            assert "waiting for a server" not in writer.output_after_stop
            assert SECRET not in writer.output


def test_a_killed_writer_loses_nothing(
    tmp_path: Path, stack: Stack, queues: Queues, database: str, environment: dict[str, str]
) -> None:
    """Kill -9 in the middle of a backlog; another writer finishes it (P3)."""
    stack.client("sqs").set_queue_attributes(QueueUrl=queues.url, Attributes={"VisibilityTimeout": "5"})
    numbers = set(range(1, 61))
    send(stack, queues, *sorted(numbers))
    with running(tmp_path / "first", {**environment, "POOL_SIZE": "1"}) as first:
        wait_until(lambda: documents(stack, database), what="the first documents")
        os.kill(first.process.pid, signal.SIGKILL)
        first.process.wait()
    with running(tmp_path / "second", environment) as second:
        wait_until(lambda: documents(stack, database) == numbers, what="all documents")
        assert second.process.poll() is None
