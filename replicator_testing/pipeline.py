"""A deployed pipeline with a running writer, as the end-to-end tests use it."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

import pymongo

from local.errors import StackError
from local.pipeline.deployment import delete, deploy
from local.pipeline.tables import create_table
from local.pipeline.writer_process import WriterProcess
from local.polling import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from local.pipeline.deployment import Deployment
    from local.stack import Stack

ARRIVAL_SECONDS = 60.0
METADATA_FIELD = "_ddb"

Item = dict[str, Any]
"""An item in DynamoDB's own notation: attribute name → AttributeValue."""


@dataclass
class Pipeline:
    """One deployment, its writer, and the tables that feed it. Undone at the end of its `with` block."""

    stack: Stack
    deployment: Deployment
    database: str
    """The MongoDB database that its writer fills; dropped at the end."""
    folder: Path
    """Existing folder of its own: the mapping and the writer's log."""
    writer: WriterProcess
    _tables: list[tuple[str, str]] = field(default_factory=list)

    @classmethod
    def start(  # noqa: PLR0913 - each names something of its own
        cls,
        stack: Stack,
        folder: Path,
        *,
        package: Path,
        mapping: str,
        table: str = "",
        parameters: Mapping[str, str] | None = None,
    ) -> Self:
        """Deploys it and starts its writer.

        Args:
            stack: Where.
            folder: Existing folder of its own.
            package: The Lambda's package.
            mapping: Text of the `replication.yaml`.
            table: Name of the example table; a new one if not given.
            parameters: The template's parameters.

        Raises:
            StackError: It cannot be deployed, or the writer does not start; a wrong mapping is in its log.
        """
        suffix = uuid.uuid4().hex[:8]
        deployment = deploy(
            stack,
            f"replicator-{suffix}",
            package=package,
            table=table or f"example-{suffix}",
            parameters={"VisibilityTimeout": "10"} | dict(parameters or {}),
        )
        database = f"replicator_{suffix}"
        try:
            writer = _start_writer(stack, deployment, database, folder, mapping)
        except BaseException:
            delete(stack, deployment)
            raise
        return cls(stack, deployment, database, folder, writer)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        # The stack and MongoDB may live on, so nothing of ours may stay on them. In an orderly end the writer
        # would wait for its long polls, to save what is now removed.
        self.writer.kill()
        self.remove_tables()
        delete(self.stack, self.deployment)
        sqs = self.stack.client("sqs")
        for url in (self.deployment.queue_url, self.deployment.dead_letter_queue_url):
            # The template retains them; LocalStack takes no notice of that.
            with contextlib.suppress(sqs.exceptions.QueueDoesNotExist):
                sqs.delete_queue(QueueUrl=url)
        with pymongo.MongoClient[dict[str, Any]](self.stack.mongodb_uri) as client:
            client.drop_database(self.database)

    def start_writer(self, mapping: str | None = None) -> None:
        """Starts a writer in place of the one that was stopped.

        Args:
            mapping: Text of its `replication.yaml`, if it is another than before.
        """
        text = self.replication_file.read_text() if mapping is None else mapping
        self.writer = _start_writer(self.stack, self.deployment, self.database, self.folder, text)

    @property
    def replication_file(self) -> Path:
        """The mapping that the writer uses."""
        return self.folder / "replication.yaml"

    @property
    def table(self) -> str:
        """The example table: key `id`, a number."""
        return self.deployment.example_table

    def create_table(self, name: str | None = None, **key: str) -> str:
        """Makes another table whose stream feeds the same Lambda.

        Args:
            name: the table's name; a new one if not given.
            key: attribute name → type (S, N or B): the partition key, then the sort key.

        Returns:
            The table's name.
        """
        name = name or f"table-{uuid.uuid4().hex[:12]}"
        stream = create_table(self.stack, name, **key)
        mapping = self.stack.client("lambda").create_event_source_mapping(
            EventSourceArn=stream,
            FunctionName=self.deployment.function_name,
            StartingPosition="TRIM_HORIZON",
            BatchSize=1000,
            FunctionResponseTypes=["ReportBatchItemFailures"],
        )
        self._tables.append((name, mapping["UUID"]))
        return name

    def remove_tables(self) -> None:
        """Undoes `create_table`. The documents stay."""
        while self._tables:
            name, mapping = self._tables.pop()
            self.stack.client("lambda").delete_event_source_mapping(UUID=mapping)
            self.stack.client("dynamodb").delete_table(TableName=name)

    def has_table(self, name: str) -> bool:
        """Whether `create_table` made it."""
        return any(name == table for table, _ in self._tables)

    def put(self, table: str, *items: Item) -> None:
        """Puts items one by one."""
        dynamodb = self.stack.client("dynamodb")
        for item in items:
            dynamodb.put_item(TableName=table, Item=item)

    def documents(self, table: str) -> list[dict[str, Any]]:
        """What MongoDB holds for a table, without our metadata, in the order of `_id`."""
        with pymongo.MongoClient[dict[str, Any]](self.stack.mongodb_uri, tz_aware=True) as client:
            documents = list(client[self.database][table].find().sort("_id"))
        for document in documents:
            assert document.pop(METADATA_FIELD)["v"]
        return documents

    def wait_for_documents(self, table: str, expected: Sequence[Mapping[str, Any]]) -> None:
        """Waits until MongoDB holds exactly these documents; fails with what it holds instead."""
        self.wait_until(lambda: self.documents(table), lambda found: found == list(expected))

    def wait_until(self, read: Callable[[], Any], wanted: Callable[[Any], bool]) -> Any:
        """Reads again and again until the value is wanted; returns it, or fails with the last one."""
        last: list[Any] = []

        def reached() -> bool:
            self.writer.child.check()
            last[:] = [read()]
            return wanted(last[0])

        try:
            wait_until(reached, timeout_s=ARRIVAL_SECONDS, what="the expected state")
        except StackError as error:
            raise AssertionError(f"{error} It was {str(last[0])[:2000] if last else 'never read'}") from error
        return last[0]

    def wait_until_drained(self) -> None:
        """Waits until the queue is empty and nothing of it is in flight."""
        sqs = self.stack.client("sqs")

        def messages() -> int:
            attributes = sqs.get_queue_attributes(
                QueueUrl=self.deployment.queue_url,
                AttributeNames=["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"],
            )["Attributes"]
            return sum(int(value) for value in attributes.values())

        self.wait_until(messages, lambda number: number == 0)

    def invoke(self, event: Any) -> Any:
        """Invokes the deployed Lambda by hand; returns its answer."""
        answer = self.stack.client("lambda").invoke(
            FunctionName=self.deployment.function_name, Payload=json.dumps(event).encode()
        )
        payload = json.loads(answer["Payload"].read())
        assert "FunctionError" not in answer, payload
        return payload

    def dead_letters(self) -> list[dict[str, Any]]:
        """Takes what is in the dead-letter queue: its attributes as texts, and the body."""
        sqs = self.stack.client("sqs")
        url = self.deployment.dead_letter_queue_url
        letters = []
        answer = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"])
        for message in answer.get("Messages", []):
            texts = {
                name: value["StringValue"] for name, value in message.get("MessageAttributes", {}).items()
            }
            letters.append({**texts, "body": message["Body"]})
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return letters

    def wait_for_dead_letters(self, number: int) -> list[dict[str, Any]]:
        """Takes dead letters until there were that many; fails with those that came."""
        letters: list[dict[str, Any]] = []

        def collect() -> list[dict[str, Any]]:
            letters.extend(self.dead_letters())
            return letters

        self.wait_until(collect, lambda found: len(found) >= number)
        return letters


def _start_writer(
    stack: Stack, deployment: Deployment, database: str, folder: Path, mapping: str
) -> WriterProcess:
    file = folder / "replication.yaml"
    file.write_text(mapping)
    writer = WriterProcess(
        stack,
        deployment,
        log=folder / "writer.log",
        replication_file=file,
        settings={"MONGODB_DATABASE": database, "PYTHONPATH": _importable()},
    )
    try:
        writer.wait()
    except BaseException:
        writer.kill()
        raise
    return writer


def _importable() -> str:
    """Where the tests find their modules: hooks are found there, too."""
    return os.pathsep.join(entry or os.getcwd() for entry in sys.path)  # noqa: PTH109 - as Python means it
