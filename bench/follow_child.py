"""One way to copy a table or to read its stream, in a process of its own: prints what that cost, as JSON.

    python -m bench.follow_child WAY ENDPOINT MONGODB_URI

Ways: `copy` and `read` are the plain ones, with aiobotocore and PyMongo; `follow` is ours without the command
line, until it has caught up. Imports are not in the times, and all of the process is in its memory.
"""

from __future__ import annotations

import asyncio
import json
import sys
from contextlib import AsyncExitStack
from functools import partial
from typing import TYPE_CHECKING, Any

from bench.dynamodb_endpoint import SHARDS, STREAM, TABLE
from bench.measure import process_cost

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping

DATABASE = "bench"
_BULK = 1_000

Document = dict[str, Any]


def _plain(part: Callable[..., Awaitable[None]], service: str, endpoint: str, uri: str) -> Callable[[], None]:
    """As many parts at once as there are shards."""
    from aiobotocore.session import get_session  # noqa: PLC0415 - not in the memory of the other way
    from boto3.dynamodb.types import TypeDeserializer  # noqa: PLC0415
    from pymongo import AsyncMongoClient  # noqa: PLC0415

    from writer.mapping.bson_values import decimal128  # noqa: PLC0415

    class Deserializer(TypeDeserializer):
        def _deserialize_n(self, value: str) -> Any:
            number = super()._deserialize_n(value)  # type: ignore[misc]
            return int(number) if number == number.to_integral_value() else decimal128(number)

    deserialize = Deserializer().deserialize

    def documents(items: Iterable[Document]) -> list[Document]:
        found = [{name: deserialize(value) for name, value in item.items()} for item in items]
        return [{"_id": each["id"], **each} for each in found]

    async def run() -> None:
        async with AsyncExitStack() as resources:
            mongodb = await resources.enter_async_context(
                AsyncMongoClient[Document](uri, maxPoolSize=SHARDS, w="majority")
            )
            client = await resources.enter_async_context(
                get_session().create_client(service, endpoint_url=endpoint)  # type: ignore[call-overload]
            )
            collection = mongodb[DATABASE][TABLE]
            await asyncio.gather(*(part(client, collection, documents, each) for each in range(SHARDS)))

    return lambda: asyncio.run(run())


async def _copy(client: Any, collection: Any, documents: Callable[..., list[Document]], segment: int) -> None:
    where: dict[str, Any] = {"TableName": TABLE, "Segment": segment, "TotalSegments": SHARDS}
    while True:
        page = await client.scan(**where)
        found = documents(page["Items"])
        for start in range(0, len(found), _BULK):
            await collection.insert_many(found[start : start + _BULK], ordered=False)
        if "LastEvaluatedKey" not in page:
            return
        where["ExclusiveStartKey"] = page["LastEvaluatedKey"]


async def _read(client: Any, collection: Any, documents: Callable[..., list[Document]], number: int) -> None:
    from pymongo import ReplaceOne  # noqa: PLC0415

    listing = await client.describe_stream(StreamArn=STREAM)
    shard = listing["StreamDescription"]["Shards"][number]["ShardId"]
    where = {"StreamArn": STREAM, "ShardId": shard, "ShardIteratorType": "TRIM_HORIZON"}
    iterator = (await client.get_shard_iterator(**where))["ShardIterator"]
    while (page := await client.get_records(ShardIterator=iterator))["Records"]:
        iterator = page["NextShardIterator"]
        found = documents(record["dynamodb"]["NewImage"] for record in page["Records"])
        await collection.bulk_write([ReplaceOne({"_id": each["_id"]}, each, upsert=True) for each in found])


def _follow(endpoint: str, uri: str) -> Callable[[], None]:
    from follow.process import run  # noqa: PLC0415
    from follow.work import Work  # noqa: PLC0415
    from ops.migration.settings import settings_of  # noqa: PLC0415
    from ops.options import TableOptions  # noqa: PLC0415
    from writer.mapping.rules import Rules  # noqa: PLC0415

    settings = settings_of(
        TableOptions(
            table=TABLE, mongodb_uri=uri, mongodb_database=DATABASE, no_mapping=True, endpoint_url=endpoint
        )
    )

    def say(line: str) -> None:
        sys.stderr.write(f"{line}\n")

    async def nobody_watches(_: object) -> None:
        pass

    return lambda: asyncio.run(
        run(Work([settings], Rules(), once=True), say, asyncio.Event(), nobody_watches)
    )


WAYS: Mapping[str, Callable[[str, str], Callable[[], None]]] = {
    "copy": partial(_plain, _copy, "dynamodb"),
    "read": partial(_plain, _read, "dynamodbstreams"),
    "follow": _follow,
}


if __name__ == "__main__":
    chosen, *servers = sys.argv[1:]
    sys.stdout.write(json.dumps(process_cost(WAYS[chosen](*servers))) + "\n")
