"""A large backlog costs neither memory nor connections (P7)."""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pymongo
import pytest

from local.pipeline.writer_process import WriterProcess
from local.polling import wait_until
from producer_lambda import handler
from tests.faults.world import queues_only
from tests.support.lambda_environment import LONGEST_INVOCATION_S, Deadline
from tests.support.strategies import arn

if TYPE_CHECKING:
    from local.stack import Stack
    from tests.conftest import DeployLambda, Queues

CHANGES = 300_000
BATCH = 10_000  # the most that Lambda passes to an invocation
KEYS = 100_000  # each of them changes three times
POOL_SIZE = 4
MOST_BYTES = 120 * 1024 * 1024  # the limit for a writer, whatever its backlog
MONITORS = 2  # of the driver, per member: one waits for changes, one measures the round trip
FLAT_BYTES = 30 * 1024 * 1024
TABLE = "bulk"


@dataclass
class Sampler:
    """Samples a writer: its progress, its memory, its connections."""

    writer: WriterProcess
    client: pymongo.MongoClient[dict[str, Any]]
    samples: list[tuple[int, int]] = field(default_factory=list)
    most_connections: int = 0
    changes: int = 0
    _offset: int = 0

    def done(self) -> bool:
        """Takes a sample; returns whether the backlog is drained."""
        self.writer.child.check()
        self._read_log()
        self.samples.append((self.changes, self._resident_bytes()))
        self.most_connections = max(self.most_connections, self._connections())
        return self.changes >= CHANGES

    def peak(self, begin: float, end: float) -> int:
        """The peak memory while that part of the backlog was drained."""
        return max(size for changes, size in self.samples if begin * CHANGES <= changes <= end * CHANGES)

    def _read_log(self) -> None:
        with self.writer.log.open("rb") as log:
            log.seek(self._offset)
            for line in log:
                if not line.endswith(b"\n"):
                    break
                self._offset += len(line)
                self.changes += json.loads(line).get("changes", 0)

    def _resident_bytes(self) -> int:
        pages = int(Path(f"/proc/{self.writer.child.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def _connections(self) -> int:
        """The writer's connections as MongoDB sees them, busy or not; MongoDB may have other clients, too."""
        everything = {"$currentOp": {"allUsers": True, "idleConnections": True, "localOps": True}}
        ours = {"$match": {"appName": "dynamodb-mongodb-replicator"}}
        known = {"$group": {"_id": "$client"}}
        clients = [client["_id"] for client in self.client.admin.aggregate([everything, ours, known])]
        return len(self._ports() & {int(client.rpartition(":")[2]) for client in clients})

    def _ports(self) -> set[int]:
        """The local TCP ports of the writer's process."""
        process = Path(f"/proc/{self.writer.child.pid}")
        own = set()
        for descriptor in (process / "fd").iterdir():
            with contextlib.suppress(FileNotFoundError):  # closed in the meantime
                own.add(str(descriptor.readlink()))
        lines = [line.split() for line in (process / "net" / "tcp").read_text().splitlines()[1:]]
        return {int(line[1].rpartition(":")[2], 16) for line in lines if f"socket:[{line[9]}]" in own}


@pytest.fixture
def backlog(queues: Queues, deploy_lambda: DeployLambda) -> Queues:
    """A queue with all changes, sent by the Lambda."""
    deploy_lambda(queues.url, queues.dead_letter_url)
    for start in range(0, CHANGES, BATCH):
        records = [_record(number) for number in range(start, start + BATCH)]
        assert handler.lambda_handler({"Records": records}, Deadline(LONGEST_INVOCATION_S)) == {
            "batchItemFailures": []
        }
    return queues


def test_memory_and_connections(stack: Stack, backlog: Queues, database: str, tmp_path: Path) -> None:
    """While it drains 300,000 changes, the writer's memory does not grow.

    It never has more connections than its pool and the driver's monitors. At the end both sides are equal.
    """
    with (
        pymongo.MongoClient[dict[str, Any]](stack.mongodb_uri) as client,
        WriterProcess(
            stack,
            queues_only(backlog.url, backlog.dead_letter_url),
            log=tmp_path / "writer.log",
            replication_file=None,
            settings={
                "MONGODB_URI": stack.mongodb_uri,
                "MONGODB_DATABASE": database,
                "POOL_SIZE": str(POOL_SIZE),
            },
        ) as writer,
    ):
        sampler = Sampler(writer, client)
        while not sampler.done():  # however long it takes: only what does not move hangs
            before = sampler.changes
            wait_until(
                lambda before=before: sampler.done() or sampler.changes > before,  # type: ignore[misc]
                what="the next changes of the backlog",
            )
        first, last = sampler.peak(0, 0.1), sampler.peak(0.9, 1)
        print(f"{first >> 20} MiB, then {last >> 20} MiB; {sampler.most_connections} connections")  # noqa: T201
        assert last - first <= FLAT_BYTES
        assert sampler.peak(0, 1) <= MOST_BYTES
        assert POOL_SIZE <= sampler.most_connections <= POOL_SIZE + MONITORS
        found = {document["_id"]: document for document in client[database][TABLE].find({}, {"_ddb": 0})}
        assert found == {number % KEYS: _document(number) for number in range(CHANGES - KEYS, CHANGES)}


def _document(number: int) -> dict[str, Any]:
    key = number % KEYS
    return {
        "_id": key,
        "id": key,
        "turn": number // KEYS,
        "name": f"name of {number}",
        "tags": ["a", 12.75],
        "text": "x" * 100,
    }


def _record(number: int) -> dict[str, Any]:
    key = {"id": {"N": str(number % KEYS)}}
    image = {
        **key,
        "turn": {"N": str(number // KEYS)},
        "name": {"S": f"name of {number}"},
        "tags": {"L": [{"S": "a"}, {"N": "12.75"}]},
        "text": {"S": "x" * 100},
    }
    return {
        "eventID": f"event-{number}",
        "eventName": "INSERT" if number < KEYS else "MODIFY",
        "eventSourceARN": arn(TABLE),
        "dynamodb": {
            "Keys": key,
            "NewImage": image,
            "SequenceNumber": f"{10**20 + number}",
            "ApproximateCreationDateTime": 1588166542,
            "StreamViewType": "NEW_AND_OLD_IMAGES",
        },
    }
