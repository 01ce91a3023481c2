"""What the benchmarks run on: the embedded servers, temporary databases, and child processes that measure."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import uuid
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pymongo

from bench.drain_child import Task
from bench.items import TABLE
from bench.load import read
from local.paths import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from types_boto3_sqs.literals import QueueAttributeNameType
    from types_boto3_sqs.type_defs import SendMessageBatchRequestEntryTypeDef

    from bench.load import Load
    from local.stack import Stack

CONNECTIONS = 4
"""The default of `POOL_SIZE`."""

_CHILD_SECONDS = 900


class Stored(NamedTuple):
    """A load in a file.

    Attributes:
        path: the file.
        messages: how many there are.
        load: its description.
    """

    path: Path
    messages: int
    load: Load


def store(load: Load, folder: Path) -> Stored:
    """Writes a load into a new file."""
    path = folder / f"{uuid.uuid4().hex}.jsonl"
    return Stored(path, load.write(path), load)


class World:
    """A running stack, and what benchmarks do with it."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack

    @contextmanager
    def database(self) -> Iterator[str]:
        """The name of an empty database, dropped at the end."""
        name = f"bench_{uuid.uuid4().hex[:12]}"
        yield name
        with pymongo.MongoClient[dict[str, Any]](self._stack.mongodb_uri) as client:
            client.drop_database(name)

    @contextmanager
    def queues(self, stored: Stored) -> Iterator[tuple[str, str]]:
        """A queue with the messages of a load, and its dead-letter queue, deleted at the end."""
        sqs, name = self._stack.client("sqs"), f"bench-{uuid.uuid4().hex[:12]}"
        common: dict[QueueAttributeNameType, str] = {"FifoQueue": "true", "MaximumMessageSize": "1048576"}
        dead = sqs.create_queue(QueueName=f"{name}-dead.fifo", Attributes=common)["QueueUrl"]
        described = sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])
        policy = {"deadLetterTargetArn": described["Attributes"]["QueueArn"], "maxReceiveCount": 10}
        common |= {"VisibilityTimeout": "120", "RedrivePolicy": json.dumps(policy)}
        url = sqs.create_queue(QueueName=f"{name}.fifo", Attributes=common)["QueueUrl"]
        try:
            self.send(url, stored)
            yield url, dead
        finally:
            sqs.delete_queue(QueueUrl=url)
            sqs.delete_queue(QueueUrl=dead)

    def send(self, url: str, stored: Stored) -> None:
        """Sends the messages of a load, in their order."""
        sqs, size = self._stack.client("sqs"), 0
        batch: list[SendMessageBatchRequestEntryTypeDef] = []
        for group, body in read(stored.path):
            if len(batch) == 10 or (batch and size + len(body) > 900_000):
                sqs.send_message_batch(QueueUrl=url, Entries=batch)
                batch, size = [], 0
            batch.append(
                {
                    "Id": str(len(batch)),
                    "MessageBody": body,
                    "MessageGroupId": group,
                    "MessageDeduplicationId": uuid.uuid4().hex,
                }
            )
            size += len(body)
        sqs.send_message_batch(QueueUrl=url, Entries=batch)

    def run(
        self, way: str, stored: Stored, database: str, *, checkout: Path = ROOT, **options: Any
    ) -> Mapping[str, float]:
        """Writes a load in one way, in its own process; returns the result.

        Args:
            way: one of `bench.drain_child.WAYS`.
            stored: the load.
            database: the target.
            options: fields of the task; and `endpoint_url` of the queue's server, if it is reached elsewhere.
            checkout: where the code is; another release's has the same benchmark, perhaps with fewer options.
        """
        environment = {**os.environ, **self._stack.environment()}
        if endpoint_url := options.pop("endpoint_url", None):
            environment["AWS_ENDPOINT_URL"] = endpoint_url
        given = {
            "uri": self._stack.mongodb_uri,
            "connections": CONNECTIONS,
            "changes": stored.load.changes,
            **options,
        }
        task = Task(database=database, load=str(stored.path), messages=stored.messages, **given)
        chosen = {
            name: value
            for name, value in task._asdict().items()
            if name not in Task._field_defaults or value != Task._field_defaults[name]
        }
        command = [sys.executable, "-m", "bench.drain_child", way, json.dumps(chosen)]
        before = self.mongod_seconds()
        ran = subprocess.run(  # noqa: S603 - our own module
            command,
            cwd=checkout,
            env=environment,
            capture_output=True,
            text=True,
            timeout=_CHILD_SECONDS,
            check=False,
        )
        if ran.returncode != 0:
            raise ValueError(f"{way} failed: {ran.stderr[-2000:]}")
        found: Mapping[str, float] = json.loads(ran.stdout.splitlines()[-1])
        return {**found, "mongod": (self.mongod_seconds() - before) / task.changes * 1e6}

    def mongod_seconds(self) -> float:
        """The CPU time of MongoDB's process on this machine so far, as Linux tells it; NaN: not known."""
        with pymongo.MongoClient[dict[str, Any]](self._stack.mongodb_uri) as client:
            pid = client.admin.command("serverStatus")["pid"]
        try:
            text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
        except OSError:
            return math.nan
        user, system = text.rpartition(")")[2].split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")

    def check(self, database: str, stored: Stored, *, changes: int | None = None) -> None:
        """Raises a `ValueError` if MongoDB does not have all documents of the load."""
        load = stored.load
        expected = load.keys if changes is None else min(changes, load.keys)
        with pymongo.MongoClient[dict[str, Any]](self._stack.mongodb_uri) as client:
            count = client[database][TABLE].count_documents({"turn": load.turn})
        if count != expected:
            raise ValueError(f"{count} documents are there, not {expected}")


def batches_in(log: Path, start: int = 0) -> Sequence[Mapping[str, Any]]:
    """The batches in a writer's log, from a position in the file."""
    if not log.exists():
        return []
    lines = log.read_bytes()[start:].splitlines()
    return [json.loads(line) for line in lines if b'"batch applied"' in line and line[-1:] == b"}"]
