"""The example of the README: puts, an update that removes an attribute, a delete, each followed to MongoDB.

What MongoDB then holds is compared exactly: every field, every type, no other document, and nothing in the
dead-letter queue.
"""

import datetime as dt
import json
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import pymongo

from local.errors import StackError
from local.example.console import Screen
from local.pipeline.deployment import Deployment
from local.processes.child import wait_until
from local.stack import Stack

if TYPE_CHECKING:
    from types_boto3_dynamodb.type_defs import AttributeValueTypeDef

Document = dict[str, Any]

TABLE: Final = "mytable"
DATABASE: Final = "replicator"
METADATA: Final = "_ddb"
ARRIVAL_TIMEOUT_S: Final = 30.0

ITEMS: Final[Sequence[Mapping[str, "AttributeValueTypeDef"]]] = (
    {"id": {"N": "1"}, "Name": {"S": "John"}, "created_at": {"N": "1588166528"}},
    {"id": {"N": "2"}, "Name": {"S": "Clare"}, "created_at": {"N": "1588166535"}},
    {"id": {"N": "3"}, "Name": {"S": "Tom"}, "created_at": {"N": "1588166541"}},
)


def _time(seconds: int) -> dt.datetime:
    return dt.datetime.fromtimestamp(seconds, dt.UTC)


JOHN: Final = {"_id": 1, "Name": "John", "age": None, "created_at": _time(1588166528), "id": 1}
CLARE: Final = {"_id": 2, "Name": "Clare", "age": None, "created_at": _time(1588166535), "id": 2}
TOM: Final = {"_id": 3, "Name": "Tom", "age": None, "created_at": _time(1588166541), "id": 3}
CLARE_UPDATED: Final = {"_id": 2, "Name": "Clare", "age": 37, "id": 2}


def perform(stack: Stack, deployment: Deployment, screen: Screen, *, check: Callable[[], None]) -> None:
    """Perform the example and show what MongoDB holds after each step.

    Args:
        stack: Where.
        deployment: The pipeline, with the example's table.
        screen: Where to tell about it.
        check: Asked while waiting; raises if a part of the pipeline has died.

    Raises:
        StackError: MongoDB does not hold in time what it should, or something was parked.
    """
    dynamodb = stack.client("dynamodb")
    table = deployment.example_table
    with pymongo.MongoClient[Document](stack.mongodb_uri, tz_aware=True) as client:
        collection = client[DATABASE][table]
        known = {item["id"]["N"] for item in ITEMS}
        # A MongoDB that was there before us may hold documents of other items.
        others = [
            document["_id"]
            for document in collection.find({}, {"_id": 1})
            if str(document["_id"]) not in known
        ]

        def arrive(*expected: Document) -> None:
            await_documents(
                lambda: list(collection.find({"_id": {"$nin": others}}).sort("_id")), expected, check
            )

        def show() -> None:
            screen.table(*as_table(list(collection.find({"_id": {"$nin": others}}).sort("_id"))))

        with screen.step("Put three items"):
            for item in ITEMS:
                dynamodb.put_item(TableName=table, Item=item)
            arrive(JOHN, CLARE, TOM)
        show()
        with screen.step("Update item 2: set age, remove created_at"):
            dynamodb.update_item(
                TableName=table,
                Key={"id": {"N": "2"}},
                UpdateExpression="SET age = :age REMOVE created_at",
                ExpressionAttributeValues={":age": {"N": "37"}},
            )
            arrive(JOHN, CLARE_UPDATED, TOM)
        show()
        with screen.step("Delete item 3"):
            dynamodb.delete_item(TableName=table, Key={"id": {"N": "3"}})
            arrive(JOHN, CLARE_UPDATED)
        show()
    with screen.step("Check that both queues are empty"):
        _await_empty_queues(stack, deployment, check)


def await_documents(
    read: Callable[[], Sequence[Document]], expected: Sequence[Document], check: Callable[[], None]
) -> None:
    """Wait until the documents are the expected ones.

    Raises:
        StackError: They are not in time; the message says what differs.
    """
    difference: str | None = None

    def arrived() -> bool:
        nonlocal difference
        check()
        difference = describe_difference(read(), expected)
        return difference is None

    try:
        wait_until(arrived, timeout_s=ARRIVAL_TIMEOUT_S, what="the change to reach MongoDB")
    except StackError as error:
        if difference is None or error.log:
            raise
        raise StackError(f"{error} {difference}") from error


def describe_difference(actual: Sequence[Document], expected: Sequence[Document]) -> str | None:
    """What keeps documents from being the expected ones, None if nothing does.

    The metadata field must be there, with a version in it, and is not compared. Types count: 1 is not True,
    and not 1.0.
    """
    present, due = [each["_id"] for each in actual], [each["_id"] for each in expected]
    if present != due:
        return f"It holds the documents {present}, not {due}."
    for found, wanted in zip(actual, expected, strict=True):
        metadata = found.get(METADATA)
        if not isinstance(metadata, dict) or not isinstance(metadata.get("v"), str) or not metadata["v"]:
            return f"Document {wanted['_id']} has no version in {METADATA}."
        for name in sorted((found.keys() | wanted.keys()) - {METADATA}):
            if name not in wanted:
                return (
                    f"Document {wanted['_id']} has {name}: {render(found[name])}, which should not be there."
                )
            if name not in found:
                return f"Document {wanted['_id']} has no {name}."
            if found[name] != wanted[name] or not _same_type(found[name], wanted[name]):
                return (
                    f"Document {wanted['_id']} has {name}: {render(found[name])}, not {render(wanted[name])} "
                    f"({type(found[name]).__name__}, {type(wanted[name]).__name__})."
                )
    return None


def _same_type(found: object, wanted: object) -> bool:
    # bson.Int64 is an int, and so is bool.
    return isinstance(found, type(wanted)) and isinstance(found, bool) == isinstance(wanted, bool)


def _await_empty_queues(stack: Stack, deployment: Deployment, check: Callable[[], None]) -> None:
    sqs = stack.client("sqs")

    def messages(queue_url: str) -> int:
        attributes = sqs.get_queue_attributes(
            QueueUrl=queue_url,
            AttributeNames=["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"],
        )["Attributes"]
        return sum(int(value) for value in attributes.values())

    def drained() -> bool:
        check()
        return messages(deployment.queue_url) == 0

    wait_until(drained, timeout_s=ARRIVAL_TIMEOUT_S, what="the writer to acknowledge every message")
    if parked := messages(deployment.dead_letter_queue_url):
        raise StackError(f"{parked} message(s) of the example went to the dead-letter queue.")


def as_table(documents: Sequence[Document]) -> tuple[list[str], list[list[str]]]:
    """Documents as columns and rows. A field that a document does not have is an empty cell."""
    columns = ["_id", *sorted({name for each in documents for name in each} - {"_id", METADATA})]
    rows = [
        [render(document[name]) if name in document else "" for name in columns] + ["{…}"]
        for document in documents
    ]
    return [*columns, METADATA], rows


def render(value: object) -> str:
    """A value of a document as mongosh writes it."""
    if isinstance(value, dt.datetime):
        return f'ISODate("{value.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")}")'
    if value is None or isinstance(value, str | bool | int | float):
        return json.dumps(value, ensure_ascii=False)
    return str(value)
