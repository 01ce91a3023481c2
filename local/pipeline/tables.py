"""Tables on an emulator, each with a stream of new and old images."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError, ParamValidationError

from local.errors import StackError
from local.stack import Stack

if TYPE_CHECKING:
    from types_boto3_dynamodb.type_defs import AttributeDefinitionTypeDef, KeySchemaElementTypeDef

MOST_IN_A_BATCH: Final = 25
"""Amazon DynamoDB API reference, ``BatchWriteItem``."""


def create_table(stack: Stack, name: str, **key: str) -> str:
    """Create a table, wait until it is active, and return the ARN of its stream.

    Args:
        stack: Where to create it.
        name: Its name.
        key: Name → type (S, N or B) of the partition key, then of the sort key.
    """
    dynamodb = stack.client("dynamodb")
    definitions: list[AttributeDefinitionTypeDef] = [
        {"AttributeName": attribute, "AttributeType": kind}  # type: ignore[typeddict-item]  # a literal in the stubs
        for attribute, kind in key.items()
    ]
    schema: list[KeySchemaElementTypeDef] = [
        {"AttributeName": attribute, "KeyType": role}  # type: ignore[typeddict-item]  # likewise
        for attribute, role in zip(key, ("HASH", "RANGE"), strict=False)
    ]
    dynamodb.create_table(
        TableName=name,
        AttributeDefinitions=definitions,
        KeySchema=schema,
        BillingMode="PAY_PER_REQUEST",
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
    )
    dynamodb.get_waiter("table_exists").wait(TableName=name, WaiterConfig={"Delay": 1})
    return dynamodb.describe_table(TableName=name)["Table"]["LatestStreamArn"]


def put_items(stack: Stack, table: str, items: Sequence[Mapping[str, Any]]) -> None:
    """Put items into a table, as many as a call takes at a time.

    Args:
        stack: Where the table is.
        table: Its name.
        items: AttributeValues; no two with one key.

    Raises:
        StackError: DynamoDB refuses one of them; the message has its reason.
    """
    dynamodb = stack.client("dynamodb")
    for start in range(0, len(items), MOST_IN_A_BATCH):
        requests: Any = [{"PutRequest": {"Item": item}} for item in items[start : start + MOST_IN_A_BATCH]]
        try:
            while requests:
                answer = dynamodb.batch_write_item(RequestItems={table: requests})
                requests = answer.get("UnprocessedItems", {}).get(table, [])
        except (ClientError, ParamValidationError) as error:
            raise StackError(f"DynamoDB refuses items of the table {table}: {error}") from error
