"""`replicator status` on the queues and real writers: also one that is frozen, and one that was killed."""

from __future__ import annotations

import json
import os
import re
import signal
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import boto3
import pymongo
import pytest

from local.pipeline.deployment import Deployment
from local.pipeline.writer_process import WriterProcess
from local.polling import wait_until
from tests.support.builders import TABLE, body_of, put
from tests.support.commands import replicator

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from local.stack import Stack
    from tests.conftest import Queues

NO_TABLES = (
    "Which tables are replicated, and whether their streams are being read: name the pipeline with "
    "--stack, or the "
    "Lambda with --function."
)
NO_WRITERS = (
    "Which writers are running: name MongoDB, where each writer keeps a record, with --mongodb-uri and "
    "--mongodb-database, "
    "or name the writers with --writer URL."
)


STANDS = re.compile(
    r"1 message is in flight, and none was finished in \d+s: a writer holds them but writes "
    r"nothing, and may be frozen\."
)


@pytest.fixture(autouse=True)
def environment(
    aws_environment: None,  # noqa: ARG001 - its effect
    queues: Queues,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The queues as they are named for a writer, and nothing else."""
    for name in (
        "REPLICATOR_STACK",
        "REPLICATOR_FUNCTION",
        "REPLICATOR_WRITERS",
        "MONGODB_URI",
        "FORCE_COLOR",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("QUEUE_URL", queues.url)
    monkeypatch.setenv("DEAD_LETTER_QUEUE_URL", queues.dead_letter_url)


def status(*arguments: str) -> tuple[int, dict[str, Any]]:
    result = replicator("status", "--json", *arguments)
    assert result.err == ""
    return result.status, json.loads(result.out)


def send(stack: Stack, queues: Queues, number: int) -> None:
    stack.client("sqs").send_message(
        QueueUrl=queues.url,
        MessageBody=body_of(put(number, number)),
        MessageGroupId=f"g{number}",
        MessageDeduplicationId=str(number),
    )


def test_an_old_message_is_not_well(stack: Stack, queues: Queues) -> None:
    """Its age comes from CloudWatch, under the name of the queue; the newest value counts."""
    send(stack, queues, 1)
    make: Any = boto3.session.Session().client  # for one service, without its types
    now = datetime.now(UTC).timestamp()
    for ago, seconds in ((0, 240.0), (180, 7.0)):
        make("cloudwatch").put_metric_data(
            Namespace="AWS/SQS",
            MetricData=[
                {
                    "MetricName": "ApproximateAgeOfOldestMessage",
                    "Dimensions": [{"Name": "QueueName", "Value": queues.url.split("/")[-1]}],
                    "Timestamp": datetime.fromtimestamp(now - ago, UTC),
                    "Value": seconds,
                }
            ],
        )
    code, found = status()
    assert code == 1
    assert [found["queue"][name] for name in ("visible", "in_flight", "delayed", "oldest_seconds")] == [
        *(1, 0, 0, 240.0)
    ]
    assert found["problems"] == ["The oldest message has waited for 4m: the writers are not keeping up."]
    assert (found["function"], found["tables"], found["behind_seconds_at_most"]) == (None, None, None)
    code, found = status("--max-behind", "300")
    assert (code, found["well"], found["unknown"]) == (3, None, [NO_TABLES, NO_WRITERS])


class Writing:
    """A real writer of the queue, whose records are in a database of its own."""

    def __init__(self, stack: Stack, queues: Queues, writer: WriterProcess, where: tuple[str, ...]) -> None:
        self.stack, self.queues, self.process, self.where = stack, queues, writer, where

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.process.child.pid, number)

    @contextmanager
    def frozen_with_a_message(self) -> Iterator[None]:
        """The writer is stopped while it writes a document, which a transaction keeps it from."""
        sqs = self.stack.client("sqs")

        def holds_it() -> bool:
            attributes = sqs.get_queue_attributes(QueueUrl=self.queues.url, AttributeNames=["All"])
            return attributes["Attributes"]["ApproximateNumberOfMessagesNotVisible"] == "1"

        with (
            pymongo.MongoClient[dict[str, Any]](self.stack.mongodb_uri) as client,
            client.start_session() as session,
        ):
            collection = client[self.where[-1]].create_collection(TABLE)
            with suppress(_DoneError), session.start_transaction():
                collection.insert_one({"_id": 1}, session=session)
                send(self.stack, self.queues, 1)
                wait_until(holds_it, what="the writer to hold a message")
                self.signal(signal.SIGSTOP)
                raise _DoneError  # which takes the document back
        try:
            yield
        finally:
            with suppress(ProcessLookupError):
                self.signal(signal.SIGCONT)


class _DoneError(Exception):
    """The end of a transaction that is not committed."""


@pytest.fixture
def writing(stack: Stack, queues: Queues, database: str, tmp_path: Path) -> Iterator[Writing]:
    deployment = Deployment("", queues.url, queues.dead_letter_url, function_name="")
    settings = {"MONGODB_DATABASE": database}
    where = ("--mongodb-uri", stack.mongodb_uri, "--mongodb-database", database)
    log = tmp_path / "log"
    with WriterProcess(stack, deployment, log=log, replication_file=None, settings=settings) as writer:
        writer.wait()
        found = Writing(stack, queues, writer, where)
        wait_until(lambda: status(*where)[1]["writers"], what="the writer's record")
        yield found


def test_a_writer_that_is_frozen_and_killed(stack: Stack, queues: Queues, writing: Writing) -> None:
    """It is found by its record, is well while it works, and is not well when it holds messages for ever."""
    url = writing.process.status_url
    code, found = status(*writing.where)
    assert (code, found["problems"], found["unknown"]) == (3, [], [NO_TABLES])
    (writer,) = found["writers"]
    assert (writer["url"], writer["ready"], writer["in_flight"], writer["error"]) == (url, True, 0, None)
    assert datetime.fromisoformat(writer["seen"]) <= datetime.fromisoformat(found["at"])

    with writing.frozen_with_a_message():
        code, found = status()  # by the queue alone
        assert (code, found["well"]) == (1, False)
        (problem,) = found["problems"]
        assert STANDS.fullmatch(problem)
        assert found["queue"]["finishes_messages"] is False
        code, found = status(*writing.where)
        assert code == 1
        assert STANDS.fullmatch(found["problems"][0])
        assert found["problems"][1].startswith(
            f"The writer {url} does not answer: no complete answer within 5 s; it was last seen "
        )
        stack.client("sqs").purge_queue(QueueUrl=queues.url)
        writing.process.kill()
    code, found = status(*writing.where)
    (problem,) = found["problems"]
    assert code == 1
    assert problem.startswith(f"The writer {url} does not answer: Connection refused; it was last seen ")


def test_messages_that_nobody_takes(stack: Stack, queues: Queues, database: str) -> None:
    """MongoDB has no record of a writer: that is known, and so it is not well as soon as a message waits."""
    where = ("--mongodb-uri", stack.mongodb_uri, "--mongodb-database", database)
    code, found = status(*where)
    assert (code, found["problems"]) == (3, [])
    assert found["unknown"][1:] == [
        "Whether a writer is running: none has a recent record in MongoDB, and no message is waiting."
    ]
    send(stack, queues, 1)
    code, found = status(*where)
    assert (code, found["problems"]) == (
        1,
        ["1 message waits, and no writer is running: none has a recent record in MongoDB."],
    )


def test_a_database_that_cannot_be_read() -> None:
    """Which writers run is not known then; the rest is."""
    code, found = status("--mongodb-uri", "user:secret@127.0.0.1", "--mongodb-database", "d")
    assert code == 3
    assert found["unknown"][1].startswith("Which writers are running: MONGODB_URI ")
    assert "secret" not in json.dumps(found)
