"""The example of the README: puts, an update that removes an attribute, a delete, each followed to MongoDB.

The documents are then compared exactly: every field, every type, no other document, and no message in the
dead-letter queue.
"""

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

import pymongo

from local.errors import StackError
from local.pipeline.deployment import Deployment, message_count
from local.polling import wait_until
from local.screen.console import Screen
from local.screen.documents import Document, as_table, describe_difference
from local.stack import Stack

if TYPE_CHECKING:
    from types_boto3_dynamodb.type_defs import AttributeValueTypeDef

TABLE: Final = "mytable"
DATABASE: Final = "replicator"

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


def perform(stack: Stack, screen: Screen, *, check: Callable[[], None]) -> None:
    """Perform the example and show the documents in MongoDB after each step.

    Args:
        stack: The servers, with the example's table.
        screen: Where to show it.
        check: Called while waiting; raises if a part of the pipeline has died.

    Raises:
        StackError: The documents in MongoDB are not as expected in time.
    """
    dynamodb, table = stack.client("dynamodb"), TABLE
    with pymongo.MongoClient[Document](stack.mongodb_uri, tz_aware=True) as client:
        collection = client[DATABASE][table]
        known = {item["id"]["N"] for item in ITEMS}
        # A MongoDB that was not started here may have documents of other items.
        others = [
            document["_id"]
            for document in collection.find({}, {"_id": 1})
            if str(document["_id"]) not in known
        ]

        def read() -> list[Document]:
            return list(collection.find({"_id": {"$nin": others}}).sort("_id"))

        with screen.step("Put three items"):
            for item in ITEMS:
                dynamodb.put_item(TableName=table, Item=item)
            await_documents(read, [JOHN, CLARE, TOM], check)
        screen.table(*as_table(read()))
        with screen.step("Update item 2: set age, remove created_at"):
            dynamodb.update_item(
                TableName=table,
                Key={"id": {"N": "2"}},
                UpdateExpression="SET age = :age REMOVE created_at",
                ExpressionAttributeValues={":age": {"N": "37"}},
            )
            await_documents(read, [JOHN, CLARE_UPDATED, TOM], check)
        screen.table(*as_table(read()))
        with screen.step("Delete item 3"):
            dynamodb.delete_item(TableName=table, Key={"id": {"N": "3"}})
            await_documents(read, [JOHN, CLARE_UPDATED], check)
        screen.table(*as_table(read()))


def await_documents(
    read: Callable[[], Sequence[Document]], expected: Sequence[Document], check: Callable[[], None]
) -> None:
    """Wait until the documents are the expected ones.

    Raises:
        StackError: They are not in time; the message has the difference.
    """
    difference: str | None = None

    def arrived() -> bool:
        nonlocal difference
        check()
        difference = describe_difference(read(), expected)
        return difference is None

    try:
        wait_until(arrived, what="the change to reach MongoDB")
    except StackError as error:
        if difference is None or error.log:
            raise
        raise StackError(f"{error} {difference}") from error


def await_empty_queues(stack: Stack, deployment: Deployment, check: Callable[[], None]) -> None:
    """Wait until every message is acknowledged.

    Raises:
        StackError: Something was parked, or a message stays.
    """

    def drained() -> bool:
        check()
        return message_count(stack, deployment.queue_url) == 0

    wait_until(drained, what="the writer to acknowledge every message")
    if parked := message_count(stack, deployment.dead_letter_queue_url):
        raise StackError(f"{parked} message(s) of the example went to the dead-letter queue.")
