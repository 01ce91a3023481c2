"""Every way in which an application changes a table reaches MongoDB."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest

from replicator_testing import Pipeline

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from local.stack import Stack
    from replicator_testing import Item

STREAM = "2020-04-30T17:47:21.395"


def key(number: int) -> Item:
    return {"id": {"N": str(number)}}


def test_updates_and_conditions(pipeline: Pipeline) -> None:
    """MongoDB has the result of each operation; one that was refused changed nothing."""
    table = pipeline.create_table(id="N")
    dynamodb = pipeline.stack.client("dynamodb")
    dynamodb.update_item(  # creates the item
        TableName=table,
        Key=key(1),
        UpdateExpression="SET #name = :name, tags = :tags",
        ExpressionAttributeNames={"#name": "name"},
        ExpressionAttributeValues={":name": {"S": "Ann"}, ":tags": {"L": [{"S": "a"}]}},
    )
    dynamodb.update_item(
        TableName=table,
        Key=key(1),
        UpdateExpression="ADD visits :one SET tags = list_append(tags, :more)",
        ExpressionAttributeValues={":one": {"N": "1"}, ":more": {"L": [{"S": "b"}]}},
    )
    pipeline.put(table, {**key(2), "name": {"S": "Bob"}, "age": {"N": "40"}})
    pipeline.put(table, {**key(2), "name": {"S": "Bob"}})  # a put replaces the item: the age is gone
    with pytest.raises(dynamodb.exceptions.ConditionalCheckFailedException):
        dynamodb.put_item(
            TableName=table,
            Item={**key(2), "name": {"S": "No"}},
            ConditionExpression="attribute_not_exists(id)",
        )
    pipeline.put(table, {**key(3), "name": {"S": "Cid"}})
    dynamodb.delete_item(TableName=table, Key=key(3))
    dynamodb.delete_item(TableName=table, Key=key(4))  # never existed
    pipeline.wait_for_documents(
        table,
        [
            {"_id": 1, "id": 1, "name": "Ann", "tags": ["a", "b"], "visits": 1},
            {"_id": 2, "id": 2, "name": "Bob"},
        ],
    )


def test_batch_writes(pipeline: Pipeline) -> None:
    """All puts and deletes of a batch call arrive, in two tables."""
    first, second = pipeline.create_table(id="N"), pipeline.create_table(id="N")
    dynamodb = pipeline.stack.client("dynamodb")
    for table in (first, second):
        pipeline.put(table, key(1), key(2))
    dynamodb.batch_write_item(
        RequestItems={
            first: [
                {"DeleteRequest": {"Key": key(1)}},
                {"PutRequest": {"Item": {**key(2), "new": {"BOOL": True}}}},
                {"PutRequest": {"Item": key(3)}},
            ],
            second: [{"DeleteRequest": {"Key": key(2)}}],
        }
    )
    pipeline.wait_for_documents(first, [{"_id": 2, "id": 2, "new": True}, {"_id": 3, "id": 3}])
    pipeline.wait_for_documents(second, [{"_id": 1, "id": 1}])


def test_transactions(pipeline: Pipeline) -> None:
    """All changes of a transaction arrive; none of a cancelled one."""
    table = pipeline.create_table(id="N")
    dynamodb = pipeline.stack.client("dynamodb")
    pipeline.put(table, {**key(1), "balance": {"N": "100"}}, {**key(2), "balance": {"N": "0"}}, key(3))

    def transfer(amount: int) -> None:
        def move(number: int, change: int) -> dict[str, Any]:
            return {
                "TableName": table,
                "Key": key(number),
                "UpdateExpression": "SET balance = balance + :change",
                "ConditionExpression": "balance >= :least",
                "ExpressionAttributeValues": {
                    ":change": {"N": str(change)},
                    ":least": {"N": str(max(0, -change))},
                },
            }

        dynamodb.transact_write_items(
            TransactItems=[
                {"Update": move(1, -amount)},  # type: ignore[typeddict-item]  # made by a function
                {"Update": move(2, amount)},  # type: ignore[typeddict-item]  # likewise
                {"Put": {"TableName": table, "Item": {**key(10 + amount), "amount": {"N": str(amount)}}}},
                {"Delete": {"TableName": table, "Key": key(3)}},
            ]
        )

    transfer(30)
    with pytest.raises(dynamodb.exceptions.TransactionCanceledException):
        transfer(71)
    pipeline.put(table, {**key(5), "last": {"BOOL": True}})
    pipeline.wait_for_documents(
        table,
        [
            {"_id": 1, "id": 1, "balance": 70},
            {"_id": 2, "id": 2, "balance": 30},
            {"_id": 5, "id": 5, "last": True},
            {"_id": 40, "id": 40, "amount": 30},
        ],
    )


def test_numbers_in_keys(pipeline: Pipeline, needs: Callable[[str], None]) -> None:
    """1.50 and 1.5 are the same key, and one document."""
    needs("number_keys")
    table = pipeline.create_table(id="N")
    pipeline.put(table, {"id": {"N": "1.50"}, "turn": {"N": "1"}}, {"id": {"N": "1.5"}, "turn": {"N": "2"}})
    pipeline.wait_for_documents(table, [{"_id": 1.5, "id": 1.5, "turn": 2}])


def test_hot_key(pipeline: Pipeline) -> None:
    """Hundreds of quick changes to one item end with the last one; the other items arrive as well."""
    table = pipeline.create_table(id="S")
    dynamodb = pipeline.stack.client("dynamodb")
    for number in range(300):
        dynamodb.update_item(
            TableName=table,
            Key={"id": {"S": "hot"}},
            UpdateExpression="ADD visits :one SET latest = :number",
            ExpressionAttributeValues={":one": {"N": "1"}, ":number": {"N": str(number)}},
        )
        if number % 30 == 0:
            pipeline.put(table, {"id": {"S": f"cold-{number:03}"}})
    cold = [{"_id": f"cold-{number:03}", "id": f"cold-{number:03}"} for number in range(0, 300, 30)]
    pipeline.wait_for_documents(table, [*cold, {"_id": "hot", "id": "hot", "visits": 300, "latest": 299}])


def test_expired_item(pipeline: Pipeline) -> None:
    """An item that DynamoDB deletes by its time to live is deleted from MongoDB, too."""
    table = f"ttl-of-{pipeline.database}"
    pipeline.invoke({"Records": [_record(table, 1, "INSERT"), _record(table, 2, "INSERT", number=2)]})
    pipeline.wait_for_documents(table, [{"_id": 1, "id": 1}, {"_id": 2, "id": 2}])
    expired = _record(table, 3, "REMOVE")
    expired["userIdentity"] = {"type": "Service", "principalId": "dynamodb.amazonaws.com"}
    pipeline.invoke({"Records": [expired]})
    pipeline.wait_for_documents(table, [{"_id": 2, "id": 2}])


def test_a_smaller_message_limit_is_followed(stack: Stack, replicator_package: Path, tmp_path: Path) -> None:
    """On a queue with a limit of 256 KiB, as SQS had until 2025, larger items are compressed, none lost."""
    text = " ".join(random.Random(1).choices(["red", "green", "blue"], k=70_000))  # noqa: S311 - reproducible
    assert len(text) > 300_000
    with Pipeline.start(stack, tmp_path, package=replicator_package, mapping="") as pipeline:
        sqs = stack.client("sqs")
        for url in (pipeline.deployment.queue_url, pipeline.deployment.dead_letter_queue_url):
            sqs.set_queue_attributes(QueueUrl=url, Attributes={"MaximumMessageSize": str(256 * 1024)})
        small = [{**key(number), "text": {"S": "x" * 20_000}} for number in range(2, 30)]
        pipeline.put(pipeline.table, {**key(1), "text": {"S": text}}, *small)
        expected = [{"_id": n, "id": n, "text": text if n == 1 else "x" * 20_000} for n in range(1, 30)]
        pipeline.wait_for_documents(pipeline.table, expected)
        assert pipeline.dead_letters() == []


def _record(table: str, sequence: int, event: str, *, number: int = 1) -> dict[str, Any]:
    image = {} if event == "REMOVE" else {"NewImage": key(number)}
    return {
        "eventID": f"event-{sequence}",
        "eventName": event,
        "eventSourceARN": f"arn:aws:dynamodb:us-east-1:000000000000:table/{table}/stream/{STREAM}",
        "dynamodb": {
            "Keys": key(number),
            "SequenceNumber": f"{100000000000000000000 + sequence}",
            "ApproximateCreationDateTime": 1588166542,
            "StreamViewType": "NEW_AND_OLD_IMAGES",
            **image,
        },
    }
