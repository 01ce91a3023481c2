"""A queue with changes, and the documents that a writer makes of them."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pymongo

from local.processes import ports
from tests.support import task_definition
from tests.support.builders import TABLE, body_of, put

if TYPE_CHECKING:
    from collections.abc import Iterator

    from local.stack import Stack
    from tests.conftest import Queues

LANES = 40
PER_REQUEST = 10


class Replication:
    """What one writer has to do.

    Attributes:
        settings: The writer's environment: that of the task definition, and where the servers are here.
        sent: How many changes were sent, one to a message, each of a document of its own: 0, 1, 2 and so on.
    """

    def __init__(self, stack: Stack, queues: Queues, database: str, status_port: int) -> None:
        """Nothing is sent yet."""
        self._stack, self._queues, self._database = stack, queues, database
        self._sqs = stack.client("sqs")
        self.sent = 0
        parameters = {
            "QueueUrl": queues.url,
            "QueueArn": self._arn(queues.url),
            "DeadLetterQueueUrl": queues.dead_letter_url,
            "MongoDbDatabase": database,
            "MongoDbUriSecretArn": "arn:secret",
            "AWS::Region": "us-east-1",
        }
        here = {"STATUS_HOST": ports.HOST, "STATUS_PORT": str(status_port)}
        given = task_definition.environment(parameters, {"arn:secret": stack.mongodb_uri})
        self.settings = given | stack.environment() | here

    def _arn(self, url: str) -> str:
        found = self._sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
        return found["Attributes"]["QueueArn"]

    def send(self) -> None:
        """Send ten changes."""
        answer = self._sqs.send_message_batch(
            QueueUrl=self._queues.url,
            Entries=[
                {
                    "Id": str(number),
                    "MessageBody": body_of(put(number + 1, number)),
                    "MessageGroupId": f"lane-{number % LANES}",
                    "MessageDeduplicationId": str(number),
                }
                for number in range(self.sent, self.sent + PER_REQUEST)
            ],
        )
        assert not answer.get("Failed")
        self.sent += PER_REQUEST

    @contextmanager
    def sending(self) -> Iterator[None]:
        """Send as fast as it goes, for the time of the block."""
        stop = threading.Event()

        def send() -> None:
            while not stop.is_set():
                self.send()

        with ThreadPoolExecutor(1) as pool:
            done = pool.submit(send)
            try:
                yield
            finally:
                stop.set()
            done.result()

    def documents(self) -> dict[int, dict[str, Any]]:
        """What is in MongoDB."""
        with pymongo.MongoClient[dict[str, Any]](self._stack.mongodb_uri) as client:
            return {document["_id"]: document for document in client[self._database][TABLE].find()}

    def parked(self) -> list[str]:
        """The codes of dead letters, of ten at most."""
        found = self._sqs.receive_message(
            QueueUrl=self._queues.dead_letter_url, MaxNumberOfMessages=10, MessageAttributeNames=["code"]
        )
        return [each["MessageAttributes"]["code"]["StringValue"] for each in found.get("Messages", [])]
