"""`replicator status` on a running pipeline: its report is correct."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import signal
import struct
import subprocess
import sys
import termios
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import boto3
import pymongo
import pytest

from shared.dead_letter import DeadLetter
from tests.support.commands import Result, plain, replicator
from tests.support.deployments import mapping_of
from writer.names import WRITERS

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.stack import Stack
    from replicator_testing import Pipeline


pytestmark = pytest.mark.usefixtures("new_writer")
CALM = ("--max-behind", "1000")  # another test may have left metrics


@pytest.fixture(autouse=True)
def environment(aws_environment: None, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: ARG001 - its effect
    """An environment that names no pipeline."""
    for name in (
        "REPLICATOR_STACK",
        "REPLICATOR_WRITERS",
        "MONGODB_URI",
        "MONGODB_DATABASE",
        "QUEUE_URL",
        "DEAD_LETTER_QUEUE_URL",
        "FORCE_COLOR",
    ):
        monkeypatch.delenv(name, raising=False)


def status(pipeline: Pipeline, *arguments: str) -> Result:
    url = pipeline.writer.status_url
    return replicator("status", "--stack", pipeline.deployment.name, "--writer", url, *arguments)


def data(pipeline: Pipeline, *arguments: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(status(pipeline, "--json", *arguments).out)
    return found


def test_a_pipeline_that_is_well(pipeline: Pipeline) -> None:
    """Its tables, also those that the stack does not know, its queues and its writer; exit status 0."""
    table = pipeline.create_table(id="N")
    pipeline.put(table, {"id": {"N": "1"}})
    pipeline.wait_for_documents(table, [{"_id": 1, "id": 1}])
    pipeline.wait_until_drained()
    result = status(pipeline, *CALM)
    assert (result.status, result.err) == (0, ""), result.out
    assert f"{table}" in result.out
    assert f"writer        {pipeline.writer.status_url}  ready" in result.out
    assert result.out.endswith("\nAll is well.\n")
    found = data(pipeline, *CALM)
    assert {each["name"] for each in found["tables"]} == {table, pipeline.table}
    assert {each["stream_view"] for each in found["tables"]} == {"NEW_AND_OLD_IMAGES"}
    assert all(each["reads_latest_stream"] for each in found["tables"])
    assert [found["queue"][name] for name in ("visible", "in_flight", "delayed")] == [0, 0, 0]
    assert (found["well"], found["problems"], found["unknown"]) == (True, [], [])
    assert found["writers"][0]["ready"] is True


def test_the_writers_are_found_by_themselves(pipeline: Pipeline) -> None:
    """By their records in MongoDB: nobody has to name them for all to be well."""
    where = ("--mongodb-uri", pipeline.stack.mongodb_uri, "--mongodb-database", pipeline.database)
    command = ("status", "--stack", pipeline.deployment.name, *CALM, *where, "--json")

    def found() -> dict[str, Any]:
        status: dict[str, Any] = json.loads(replicator(*command).out)
        return status

    def wait_for_record(url: str) -> None:
        pipeline.wait_until(found, lambda status: any(each["url"] == url for each in status["writers"]))

    wait_for_record(killed := pipeline.writer.status_url)
    pipeline.writer.kill()
    pipeline.start_writer()
    wait_for_record(url := pipeline.writer.status_url)
    (problem,) = [each for each in found()["problems"] if "Connection refused; it was last seen" in each]
    assert f" {killed} " in problem
    with pymongo.MongoClient[dict[str, Any]](pipeline.stack.mongodb_uri) as client:
        client[pipeline.database][WRITERS].delete_many({"local_url": {"$ne": url}})
    pipeline.wait_until_drained()
    status = found()
    assert (status["well"], status["problems"], status["unknown"]) == (True, [], [])
    assert [each["ready"] for each in status["writers"]] == [True]


def test_what_is_not_well_is_said(pipeline: Pipeline, stack: Stack, needs: Callable[[str], None]) -> None:
    """A disabled mapping, a dead letter, a writer that does not answer, old metrics: one sentence each."""
    needs("mapping_restarts")
    deployment = pipeline.deployment
    functions, sqs = stack.client("lambda"), stack.client("sqs")
    name = deployment.queue_url.split("/")[-1]
    metrics: Any = boto3.client  # one service, untyped
    cloudwatch = metrics("cloudwatch")
    for namespace, metric, dimension, value, number in (
        ("AWS/Lambda", "IteratorAge", "FunctionName", deployment.function_name, 90_000.0),
        ("AWS/SQS", "ApproximateAgeOfOldestMessage", "QueueName", name, 240.0),
    ):
        cloudwatch.put_metric_data(
            Namespace=namespace,
            MetricData=[
                {
                    "MetricName": metric,
                    "Dimensions": [{"Name": dimension, "Value": value}],
                    "Timestamp": datetime.now(UTC),
                    "Value": number,
                }
            ],
        )
    letter: Any = DeadLetter("x", "g", "c", "r").entry("0", 1000)
    del letter["Id"]
    sqs.send_message(QueueUrl=deployment.dead_letter_queue_url, **letter)
    mapping = mapping_of(stack, deployment, deployment.streams[0])
    functions.update_event_source_mapping(UUID=mapping, Enabled=False)
    pipeline.wait_until(
        lambda: functions.get_event_source_mapping(UUID=mapping)["State"],
        lambda state: state == "Disabled",
    )
    result = status(pipeline, "--writer", "http://127.0.0.1:1")
    functions.update_event_source_mapping(UUID=mapping, Enabled=True)
    assert len(pipeline.dead_letters()) == 1
    assert result.status == 1
    assert result.out.partition("Problems:\n")[2].splitlines() == [
        (
            f"- The event source mapping of the table {pipeline.table} is Disabled: aws lambda "
            f"update-event-source-mapping --uuid {mapping} --enabled, and wait until it is Enabled."
        ),
        "- The Lambda is 1m behind the stream, which keeps changes for only 24 hours.",
        "- 1 dead letter waits: see replicator dlq list.",
        "- The writer http://127.0.0.1:1 does not answer: Connection refused.",
    ]
    assert "iterator age 1m" in result.out
    assert "behind        at most 90s" in result.out


def test_the_queues_alone(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the writer's settings and nothing else: what is not known is reported as unknown."""
    monkeypatch.setenv("QUEUE_URL", pipeline.deployment.queue_url)
    monkeypatch.setenv("DEAD_LETTER_QUEUE_URL", pipeline.deployment.dead_letter_queue_url)
    result = replicator("status")
    assert (result.status, result.err) == (3, "")
    assert "tables        unknown" in result.out
    assert "writers       unknown" in result.out
    assert "behind        unknown" in result.out
    assert "No known problems, but some things are unknown:\n- Which tables are replicated" in result.out
    assert "All is well" not in result.out


def test_watching_goes_on_until_ctrl_c(pipeline: Pipeline, stack: Stack) -> None:
    """One object per line; the exit status is that of the last report."""
    watched = ["--stack", pipeline.deployment.name, "--watch", "--interval", "0.1", *CALM]
    arguments = ["status", *watched, "--json"]
    with subprocess.Popen(  # noqa: S603 - our own command
        [sys.executable, "-m", "ops", *arguments],
        env=stack.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as watching:
        assert watching.stdout
        seen = [json.loads(watching.stdout.readline()) for _ in range(3)]
        watching.send_signal(signal.SIGINT)
        _, said = watching.communicate()
    assert (watching.returncode, said) == ({True: 0, False: 1, None: 3}[seen[-1]["well"]], b"")
    assert seen[0]["at"] < seen[1]["at"] < seen[2]["at"]
    assert replicator(*arguments[:-1]).err == "replicator: --watch without --json needs a terminal\n"


def test_watching_on_a_terminal(pipeline: Pipeline, stack: Stack) -> None:
    """One screen that is redrawn; its last content stays at the end."""
    ours, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 100, 0, 0))
    writer = ["--writer", pipeline.writer.status_url]
    arguments = [
        "status",
        "--stack",
        pipeline.deployment.name,
        *writer,
        "--watch",
        "--interval",
        "0.1",
        *CALM,
    ]
    seen = b""
    with subprocess.Popen(  # noqa: S603 - our own command
        [sys.executable, "-m", "ops", *arguments],
        env=stack.environment() | {"TERM": "xterm-256color"},
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        start_new_session=True,
    ) as watching:
        os.close(terminal)
        while seen.count(b"dead letters") < 3:
            seen += os.read(ours, 65536)
        watching.send_signal(signal.SIGINT)
        with contextlib.suppress(OSError):  # the terminal's other end is closed
            while more := os.read(ours, 65536):
                seen += more
        watching.wait()
    os.close(ours)
    assert watching.returncode == 0
    last = seen.rpartition(b"\x1b[?1049l")[2]  # back from the alternate screen
    assert plain(last.decode()).count("All is well.") == plain(last.decode()).count("dead letters") == 1
