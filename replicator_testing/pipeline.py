"""A deployed pipeline with a running writer, for end-to-end tests."""

import contextlib
import json
import os
import sys
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import pymongo

from local.errors import StackError
from local.pipeline.deployment import Deployment, delete, deploy, message_count
from local.pipeline.tables import create_table
from local.pipeline.writer_process import WriterProcess
from local.polling import wait_until
from local.stack import Stack

METADATA_FIELD = "_ddb"

Item = dict[str, Any]
"""An item in DynamoDB's own notation: attribute name → AttributeValue."""


@dataclass
class Pipeline:
    """One deployment, its writer and its tables. All are removed at the end of its `with` block.

    Attributes:
        stack: The servers.
        database: The MongoDB database that its writer fills; dropped at the end.
        folder: The mapping and the writer's log.
        tables: What `create_table` created: name → id of the event source mapping.
    """

    stack: Stack
    deployment: Deployment
    database: str
    folder: Path
    writer: WriterProcess
    tables: dict[str, str] = field(default_factory=dict)

    @classmethod
    def start(  # noqa: PLR0913 - all but the first two by name
        cls,
        stack: Stack,
        folder: Path,
        *,
        package: Path,
        mapping: str,
        table: str = "",
        parameters: Mapping[str, str] | None = None,
    ) -> Self:
        """Deploys the pipeline and starts its writer.

        Args:
            stack: The servers.
            folder: An existing, empty folder.
            package: The Lambda's package.
            mapping: Text of the `replication.yaml`.
            table: Name of the example table; by default a unique one.
            parameters: The template's parameters.

        Raises:
            StackError: The deployment failed, or the writer does not start; its log names errors of the
                mapping.
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
        # The servers may run on, so everything is removed from them. An orderly shutdown of the writer would
        # wait for its long polls, to save what is removed now.
        self.writer.kill()
        self.remove_tables()
        delete(self.stack, self.deployment)
        sqs = self.stack.client("sqs")
        for url in (self.deployment.queue_url, self.deployment.dead_letter_queue_url):
            # The template retains them, but LocalStack deletes them with the stack.
            with contextlib.suppress(sqs.exceptions.QueueDoesNotExist):
                sqs.delete_queue(QueueUrl=url)
        with pymongo.MongoClient[dict[str, Any]](self.stack.mongodb_uri) as client:
            client.drop_database(self.database)

    def start_writer(self, mapping: str | None = None) -> None:
        """Starts a new writer after the last one was stopped.

        Args:
            mapping: Text of its `replication.yaml`; by default that of the last writer.
        """
        text = self.replication_file.read_text() if mapping is None else mapping
        self.writer = _start_writer(self.stack, self.deployment, self.database, self.folder, text)

    @property
    def replication_file(self) -> Path:
        """The writer's mapping."""
        return self.folder / "replication.yaml"

    @property
    def table(self) -> str:
        """The example table; its key is the number `id`."""
        return self.deployment.example_table

    def create_table(self, name: str | None = None, **key: str) -> str:
        """Creates another table whose stream invokes the same Lambda; returns its name.

        Args:
            name: Its name; by default a unique one.
            key: Name → type (S, N or B) of the partition key, then of the sort key.
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
        self.tables[name] = mapping["UUID"]
        return name

    def remove_tables(self) -> None:
        """Deletes the tables that `create_table` created. Their documents stay."""
        while self.tables:
            name, mapping = self.tables.popitem()
            self.stack.client("lambda").delete_event_source_mapping(UUID=mapping)
            self.stack.client("dynamodb").delete_table(TableName=name)

    def put(self, table: str, *items: Item) -> None:
        """Puts items one by one."""
        dynamodb = self.stack.client("dynamodb")
        for item in items:
            dynamodb.put_item(TableName=table, Item=item)

    def documents(self, table: str) -> list[dict[str, Any]]:
        """The documents of a table in MongoDB, without the metadata field, in the order of `_id`."""
        with pymongo.MongoClient[dict[str, Any]](self.stack.mongodb_uri, tz_aware=True) as client:
            documents = list(client[self.database][table].find().sort("_id"))
        for document in documents:
            assert document.pop(METADATA_FIELD)["v"]
        return documents

    def wait_for_documents(self, table: str, expected: Sequence[Mapping[str, Any]]) -> None:
        """Waits until MongoDB has exactly these documents; fails with those that it has instead."""
        self.wait_until(lambda: self.documents(table), lambda found: found == list(expected))

    def wait_until(self, read: Callable[[], Any], wanted: Callable[[Any], bool]) -> Any:
        """Reads a value until it is wanted, and returns it; fails with the last one after a minute."""
        last: list[Any] = []

        def reached() -> bool:
            self.writer.child.check()
            last[:] = [read()]
            return wanted(last[0])

        try:
            wait_until(reached, what="the expected state")
        except StackError as error:
            raise AssertionError(f"{error} It was {str(last[0])[:2000] if last else 'never read'}") from error
        return last[0]

    def wait_until_drained(self) -> None:
        """Waits until the queue has no message, visible or in flight."""
        queue_url = self.deployment.queue_url
        self.wait_until(lambda: message_count(self.stack, queue_url), lambda number: number == 0)

    def invoke(self, event: Any) -> Any:
        """Invokes the deployed Lambda with an event; returns its answer."""
        answer = self.stack.client("lambda").invoke(
            FunctionName=self.deployment.function_name, Payload=json.dumps(event).encode()
        )
        payload = json.loads(answer["Payload"].read())
        assert "FunctionError" not in answer, payload
        return payload

    def dead_letters(self) -> list[dict[str, Any]]:
        """Receives and deletes up to ten dead letters: their attributes as texts, and the body."""
        sqs = self.stack.client("sqs")
        url = self.deployment.dead_letter_queue_url
        letters = []
        answer = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"])
        for message in answer.get("Messages", []):
            attributes = message.get("MessageAttributes", {})
            texts = {name: value["StringValue"] for name, value in attributes.items()}
            letters.append({**texts, "body": message["Body"]})
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return letters

    def wait_for_dead_letters(self, number: int) -> list[dict[str, Any]]:
        """Receives dead letters until there are at least so many; fails with those that came."""
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
    # The writer finds the modules of hooks where the tests find them.
    importable = os.pathsep.join(entry or os.getcwd() for entry in sys.path)  # noqa: PTH109 - as Python means it
    writer = WriterProcess(
        stack,
        deployment,
        log=folder / "writer.log",
        replication_file=file,
        settings={"MONGODB_DATABASE": database, "PYTHONPATH": importable},
    )
    try:
        writer.wait()
    except BaseException:
        writer.kill()
        raise
    return writer
