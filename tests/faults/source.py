"""Tables in DynamoDB Local, whose streams hold records as DynamoDB makes them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config

from local.servers.emulator import ACCESS_KEY, REGION

if TYPE_CHECKING:
    from collections.abc import Iterator

    from types_boto3_dynamodb import DynamoDBClient

    from local.servers.dynamodb_local import DynamoDBLocal

Item = dict[str, Any]
"""An item in DynamoDB's own notation: attribute name → AttributeValue."""


@dataclass(frozen=True)
class Table:
    """A table with a stream.

    Attributes:
        key: the names of its key attributes, partition key first.
        stream: the stream's ARN.
    """

    name: str
    key: tuple[str, ...]
    stream: str


class Source:
    """The clients of one DynamoDB Local."""

    dynamodb: DynamoDBClient
    streams: Any

    def __init__(self, server: DynamoDBLocal) -> None:
        """Make the clients."""
        self.server = server
        session: Any = boto3.session.Session(
            aws_access_key_id=ACCESS_KEY, aws_secret_access_key=ACCESS_KEY, region_name=REGION
        )
        config = Config(proxies={})
        self.dynamodb = session.client("dynamodb", endpoint_url=server.endpoint_url, config=config)
        self.streams = session.client("dynamodbstreams", endpoint_url=server.endpoint_url, config=config)

    def create_table(self, name: str, **key: Any) -> Table:
        """Creates a table; `key` maps attribute names to types (S, N or B), partition key first."""
        self.dynamodb.create_table(
            TableName=name,
            AttributeDefinitions=[
                {"AttributeName": attribute, "AttributeType": kind} for attribute, kind in key.items()
            ],
            KeySchema=[
                {"AttributeName": attribute, "KeyType": "RANGE" if position else "HASH"}
                for position, attribute in enumerate(key)
            ],
            BillingMode="PAY_PER_REQUEST",
        )
        self.fill(name, tuple(key))
        # The stream has no record of items that existed before it.
        description = self.dynamodb.update_table(
            TableName=name,
            StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
        )["TableDescription"]
        return Table(name, tuple(key), description["LatestStreamArn"])

    def fill(self, name: str, key: tuple[str, ...]) -> None:
        """Fills a table before its stream is enabled; here with nothing."""

    def items(self, table: Table) -> Iterator[Item]:
        """All items of a table."""
        pages = self.dynamodb.get_paginator("scan").paginate(TableName=table.name, ConsistentRead=True)
        for page in pages:
            yield from page["Items"]

    def delete_table(self, table: Table) -> None:
        """Deletes a table and its stream."""
        self.dynamodb.delete_table(TableName=table.name)
