"""Tables on an emulator, each with a stream of new and old images."""

from typing import TYPE_CHECKING

from local.stack import Stack

if TYPE_CHECKING:
    from types_boto3_dynamodb.type_defs import AttributeDefinitionTypeDef, KeySchemaElementTypeDef


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
