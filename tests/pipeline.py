"""A deployed pipeline with a running writer, as the end-to-end tests use it."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pymongo

from local.process import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from types_boto3_dynamodb.type_defs import AttributeDefinitionTypeDef, KeySchemaElementTypeDef

    from local.deployment import Deployment
    from local.stack import Stack
    from local.writer_process import WriterProcess

ARRIVAL_SECONDS = 60.0
METADATA_FIELD = "_ddb"

Item = dict[str, Any]
"""An item in DynamoDB's own notation: attribute name → AttributeValue."""


@dataclass
class Pipeline:
    """One deployment, its writer, and the tables that feed it."""

    stack: Stack
    deployment: Deployment
    writer: WriterProcess
    database: str
    _tables: list[tuple[str, str]] = field(default_factory=list)

    @property
    def table(self) -> str:
        """The example table: key `id`, a number."""
        return self.deployment.table_name

    def create_table(self, **key: str) -> str:
        """Makes another table whose stream feeds the same Lambda.

        Args:
            key: attribute name → type (S, N or B): the partition key, then the sort key.

        Returns:
            The table's name, a new one at every call.
        """
        dynamodb = self.stack.client("dynamodb")
        name = f"table-{uuid.uuid4().hex[:12]}"
        definitions: list[AttributeDefinitionTypeDef] = [
            {"AttributeName": attribute, "AttributeType": kind}  # type: ignore[typeddict-item]  # a literal in the stubs
            for attribute, kind in key.items()
        ]
        roles = ("HASH", "RANGE")
        schema: list[KeySchemaElementTypeDef] = [
            {"AttributeName": attribute, "KeyType": role}  # type: ignore[typeddict-item]  # likewise
            for attribute, role in zip(key, roles, strict=False)
        ]
        dynamodb.create_table(
            TableName=name,
            AttributeDefinitions=definitions,
            KeySchema=schema,
            BillingMode="PAY_PER_REQUEST",
            StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
        )
        dynamodb.get_waiter("table_exists").wait(TableName=name, WaiterConfig={"Delay": 1})
        stream = dynamodb.describe_table(TableName=name)["Table"]["LatestStreamArn"]
        mapping = self.stack.client("lambda").create_event_source_mapping(
            EventSourceArn=stream,
            FunctionName=self.deployment.function_name,
            StartingPosition="TRIM_HORIZON",
            BatchSize=1000,
            FunctionResponseTypes=["ReportBatchItemFailures"],
        )
        self._tables.append((name, mapping["UUID"]))
        return name

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
        except Exception as error:
            raise AssertionError(f"{error} It was {str(last[0])[:2000] if last else 'never read'}") from error
        return last[0]

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

    def remove_tables(self) -> None:
        """Undoes `create_table`: the stack may live on."""
        for name, mapping in self._tables:
            self.stack.client("lambda").delete_event_source_mapping(UUID=mapping)
            self.stack.client("dynamodb").delete_table(TableName=name)
