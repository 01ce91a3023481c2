"""What a writer does while MongoDB takes no writes of one table, or of one item; on real servers."""

from __future__ import annotations

import json
import os
import re
import signal
from typing import TYPE_CHECKING, Any

import pymongo
import pytest

from local.polling import wait_until
from local.servers.mongod import Mongod
from tests.contract.secure_mongod import ADMIN, PASSWORD, SecureMongod, secure_mongod
from tests.contract.test_writer_process import Running, running
from tests.support.builders import TABLE, body_of, put
from tests.support.quick_writer import quick_writer
from tests.support.writer_settings import writer_settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from local.stack import Stack
    from tests.conftest import Queues

OTHER = "other"
NARROW = "narrow"
CHANGES = ("insert", "update", "remove")

IMPATIENT = quick_writer("writer.telemetry.health.SLOW_WRITE=1.0")
"""A writer to which a write is slow after a second, and not after fifteen."""
LANES = 5


@pytest.fixture
def environment(stack: Stack, queues: Queues, database: str) -> dict[str, str]:
    return stack.environment() | writer_settings(stack, queues, database)


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecureMongod]:
    with secure_mongod(tmp_path_factory.mktemp("secure")) as found:
        yield found


@pytest.fixture
def admin(secure: SecureMongod) -> Iterator[Any]:
    with pymongo.MongoClient[dict[str, Any]](secure.uri(user=ADMIN)) as client:
        yield client


def set_queue(stack: Stack, queues: Queues, *, visibility: int, receives: int) -> None:
    sqs = stack.client("sqs")
    found = sqs.get_queue_attributes(QueueUrl=queues.url, AttributeNames=["RedrivePolicy"])["Attributes"]
    policy = json.loads(found["RedrivePolicy"]) | {"maxReceiveCount": receives}
    wanted = {"VisibilityTimeout": str(visibility), "RedrivePolicy": json.dumps(policy)}
    sqs.set_queue_attributes(QueueUrl=queues.url, Attributes=wanted)  # type: ignore[arg-type]


def send(stack: Stack, queues: Queues, number: int, table: str, group: str, **image: Any) -> None:
    stack.client("sqs").send_message(
        QueueUrl=queues.url,
        MessageBody=body_of(put(number, number, table=table, n=number, **image)),
        MessageGroupId=f"{table}/{group}",
        MessageDeduplicationId=f"{table}-{number}",
    )


def messages_left(stack: Stack, url: str) -> int:
    found = stack.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    return int(found["ApproximateNumberOfMessages"]) + int(found["ApproximateNumberOfMessagesNotVisible"])


def extensions(writer: Running) -> int:
    text = writer.text("/metrics")[1]
    found = re.search(r'replicator_sqs_request_seconds_count\{request="extend"\} ([0-9.]+)', text)
    return int(float(found[1])) if found else 0


def allow(admin: Any, database: str, *tables: str) -> None:
    """The user may change these collections of the database, and look at all."""
    resource = {"db": database, "collection": ""}
    privileges = [{"resource": resource, "actions": ["find", "createCollection", "createIndex"]}]
    privileges += [
        {"resource": resource | {"collection": name}, "actions": [*CHANGES]}
        for name in (*tables, "_replicator_tombstones")
    ]
    admin[database].command("updateRole", NARROW, privileges=privileges)


def test_a_refused_right_holds_one_table(  # noqa: PLR0913, PLR0917 - fixtures
    tmp_path: Path,
    stack: Stack,
    queues: Queues,
    database: str,
    environment: dict[str, str],
    secure: SecureMongod,
    admin: Any,
) -> None:
    """A right is taken away in mid-run: others go on, `/readyz` names it, and at last all arrives (P3 to P5).

    While it is held, receive counts do not grow. A stop gives it back at once, and kill -9 loses nothing.
    """
    set_queue(stack, queues, visibility=5, receives=5)
    admin[database].command("createRole", NARROW, privileges=[], roles=[])
    roles = [{"role": NARROW, "db": database}]
    admin.admin.command("createUser", database, pwd=PASSWORD, roles=roles)
    allow(admin, database, TABLE, OTHER)
    here = environment | {"MONGODB_URI": secure.uri(user=database), "POOL_SIZE": "2"}

    def numbers(table: str) -> set[int]:
        return {document["_id"] for document in admin[database][table].find()}

    def refused(writer: Running) -> bool:
        status, content = writer.answer("/readyz")
        return status == 503 and content["tables"].get(TABLE, {}).get("code") == "13"

    with running(tmp_path / "first", here) as writer:
        send(stack, queues, 1, TABLE, "0")
        wait_until(lambda: numbers(TABLE) == {1}, what="the first document")
        allow(admin, database, OTHER)
        for number in range(2, 2 + 2 * LANES):
            send(stack, queues, number, TABLE, str(number % LANES))
        wait_until(lambda: refused(writer), what="the refusal to show")
        content = writer.answer("/readyz")[1]
        assert content["waiting_for"] == {}
        assert f"{database}.{TABLE}" in content["tables"][TABLE]["reason"]
        assert f"table {TABLE}" in json.dumps(writer.answer("/status.json")[1]["state"])
        send(stack, queues, 1, OTHER, "0")
        wait_until(lambda: numbers(OTHER) == {1}, what="another table's document")
        begun = extensions(writer)
        wait_until(lambda: extensions(writer) > begun + 8 * LANES, what="the locks to be extended, often")
        assert writer.stop() == 0
    assert '"level":"ERROR"' not in writer.output
    received: dict[str, str] = {}

    def receive() -> bool:
        answer = stack.client("sqs").receive_message(
            QueueUrl=queues.url,
            MaxNumberOfMessages=10,
            VisibilityTimeout=5,
            MessageSystemAttributeNames=["ApproximateReceiveCount"],
        )
        for message in answer.get("Messages", []):
            received[message["MessageId"]] = message["Attributes"]["ApproximateReceiveCount"]
        return len(received) == 2 * LANES

    wait_until(receive, what="all messages to be given back")
    # Ours, and the writer's; it has not seen those behind others of their lane.
    assert "2" in received.values()
    assert set(received.values()) <= {"1", "2"}

    with running(tmp_path / "second", here) as second:
        wait_until(lambda: refused(second), what="the refusal to show again")
        os.kill(second.process.pid, signal.SIGKILL)
        second.process.wait()

    with running(tmp_path / "third", here) as third:
        wait_until(lambda: refused(third), what="the refusal to show to another writer")
        allow(admin, database, TABLE, OTHER)
        wait_until(lambda: numbers(TABLE) == set(range(1, 2 + 2 * LANES)), what="all documents")
        wait_until(third.ready, what="the writer to be ready")
        wait_until(lambda: messages_left(stack, queues.url) == 0, what="an empty queue")
        assert third.stop() == 0
    assert messages_left(stack, queues.dead_letter_url) == 0


def test_a_taken_value_parks_one_change(
    tmp_path: Path, stack: Stack, queues: Queues, database: str, environment: dict[str, str]
) -> None:
    """Seven healthy messages behind it are done at their first delivery; it alone becomes a letter (P5)."""
    set_queue(stack, queues, visibility=30, receives=3)
    with pymongo.MongoClient[dict[str, Any]](stack.mongodb_uri) as client:
        collection = client[database][TABLE]
        collection.create_index("email", unique=True)
        collection.insert_one({"_id": "somebody else's", "email": "taken"})
        send(stack, queues, 1, TABLE, "0", email="taken")
        for number in range(2, 9):
            send(stack, queues, number, TABLE, "0", email=f"{number}@example.com")
        with running(tmp_path / "log", environment) as writer:
            wait_until(lambda: messages_left(stack, queues.dead_letter_url) == 1, what="a dead letter")
            wait_until(lambda: messages_left(stack, queues.url) == 0, what="an empty queue")
            assert writer.stop() == 0
        found = {document["_id"] for document in collection.find({"n": {"$exists": True}})}
    assert found == set(range(2, 9))
    lines = [json.loads(line) for line in writer.output.splitlines()]
    states = [line for line in lines if line["message"] == "state"]
    assert sum(line["messages"] for line in states) == 8 + 2  # one message comes three times, and no other
    (letter,) = stack.client("sqs").receive_message(
        QueueUrl=queues.dead_letter_url, MaxNumberOfMessages=10, MessageAttributeNames=["All"]
    )["Messages"]
    attributes = {name: value.get("StringValue", "") for name, value in letter["MessageAttributes"].items()}
    assert (attributes["code"], attributes["sequence"]) == ("mongodb-11000", "1")
    assert f"table {TABLE}" in attributes["reason"]


def test_a_write_that_hangs_is_shown(
    tmp_path: Path, stack: Stack, queues: Queues, environment: dict[str, str]
) -> None:
    """MongoDB answers pings and no write: `/readyz` says so before the write has failed."""
    with Mongod(tmp_path) as mongod:
        mongod.wait()
        here = environment | {"MONGODB_URI": mongod.uri, "MONGODB_DATABASE": "locked"}
        with (
            pymongo.MongoClient[dict[str, Any]](mongod.uri) as client,
            running(tmp_path / "log", here, IMPATIENT) as writer,
        ):
            wait_until(writer.ready, what="the writer to be ready")
            client.admin.command("fsync", lock=True)
            try:
                send(stack, queues, 1, TABLE, "0")
                wait_until(lambda: writer.waits_for("mongodb"), what="the hanging write to show")
                reason = writer.answer("/readyz")[1]["waiting_for"]["mongodb"]["reason"]
                assert re.fullmatch(r"MongoDB has not answered a write for \d+ s", reason)
            finally:
                client.admin.command("fsyncUnlock")
            wait_until(writer.ready, what="the writer to be ready again")
            wait_until(lambda: client["locked"][TABLE].count_documents({}), what="the document")
            assert writer.stop() == 0
