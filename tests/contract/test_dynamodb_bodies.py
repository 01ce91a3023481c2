"""Answers with items, read without botocore's parser: the same as with it, and what is odd is left to it."""

from __future__ import annotations

import json
from binascii import crc32
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web

from local.processes import ports
from ops.aws import Aws, aws_errors
from ops.dynamodb_bodies import read_bodies
from shared.errors import TransientError
from tests.support.lambda_events import in_lambda_event
from tests.support.migrations import create_table

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from local.stack import Stack

pytestmark = pytest.mark.usefixtures("aws_environment")

ITEM: dict[str, Any] = {
    "id": {"B": b"\x00\xff"},
    "B": {"S": "B"},
    "n": {"N": "12345678901234567890123456789012345678"},
    "tiny": {"N": "1.5"},
    "no": {"NULL": True},
    "yes": {"BOOL": False},
    "text": {"S": "\u0000ü\U0001f600"},
    "texts": {"SS": ["B", "BS"]},
    "numbers": {"NS": ["1"]},
    "sets": {"BS": [b"", b"\xfe"]},
    "deep": {"M": {"B": {"L": [{"B": b"1"}, {"M": {"BS": {"BS": [b"2"]}}}, {"L": []}]}}},
}


async def test_the_same_as_botocore(stack: Stack, unique: str) -> None:
    """Every type, binary keys to go on after, and what did not fit."""
    create_table(stack, unique, id="B")
    dynamodb = stack.client("dynamodb")
    for key in (b"\x00\xff", b"2"):
        dynamodb.put_item(TableName=unique, Item={**ITEM, "id": {"B": key}})
    asked: dict[str, Any] = {"TableName": unique, "Limit": 1, "ReturnConsumedCapacity": "TOTAL"}
    wanted: Any = dynamodb.scan(**asked)
    got: Any = dynamodb.batch_get_item(RequestItems={unique: {"Keys": [{"id": {"B": b"2"}}]}})
    async with Aws().open_client("dynamodb") as client:
        answer = await client.scan(**asked)
        gotten = await client.batch_get_item(RequestItems={unique: {"Keys": [{"id": {"B": b"2"}}]}})
        last = await client.scan(**asked, ExclusiveStartKey=answer["LastEvaluatedKey"])
        assert last["Items"][0]["id"] != answer["Items"][0]["id"]
        for mine, its in ((answer, wanted), (gotten, got)):
            for each in (mine, its):
                assert each.pop("ResponseMetadata")["HTTPStatusCode"] == 200
            assert mine == its
        with pytest.raises(client.exceptions.ResourceNotFoundException):
            await client.scan(TableName=f"{unique}-none")


async def test_records_as_a_lambda_event_has_them(stack: Stack, unique: str) -> None:
    """Every type and binary keys; nothing else is different from what botocore reads."""
    create_table(stack, unique, id="B")
    dynamodb: Any = stack.client("dynamodb")
    on = {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}
    arn = dynamodb.update_table(TableName=unique, StreamSpecification=on)["TableDescription"][
        "LatestStreamArn"
    ]
    for number in ("1", "2"):
        dynamodb.put_item(TableName=unique, Item={**ITEM, "n": {"N": number}})
    streams: Any = stack.client("dynamodbstreams")  # type: ignore[call-overload]
    (shard,) = streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]
    place = {"StreamArn": arn, "ShardId": shard["ShardId"], "ShardIteratorType": "TRIM_HORIZON"}
    wanted = streams.get_records(ShardIterator=streams.get_shard_iterator(**place)["ShardIterator"])[
        "Records"
    ]
    async with Aws().open_client("dynamodbstreams") as client:
        iterator = (await client.get_shard_iterator(**place))["ShardIterator"]
        answer = await client.get_records(ShardIterator=iterator)
        with pytest.raises(client.exceptions.ResourceNotFoundException):
            await client.describe_stream(StreamArn=f"{arn}9")
    for record in wanted:
        body = record["dynamodb"]
        body |= {
            name: in_lambda_event(body[name]) for name in ("Keys", "NewImage", "OldImage") if name in body
        }
        body["ApproximateCreationDateTime"] = body["ApproximateCreationDateTime"].timestamp()
    assert answer["Records"] == wanted
    assert len(wanted) == 2
    dynamodb.delete_table(TableName=unique)


@asynccontextmanager
async def server_of(*answers: tuple[int, bytes, int]) -> AsyncIterator[tuple[Any, list[str]]]:
    """A client of a server that gives these answers: status, body and an offset of its checksum."""
    left, asked = list(answers), []

    async def handle(request: web.Request) -> web.Response:
        asked.append(request.headers["X-Amz-Target"])
        status, body, wrong = left.pop(0)
        headers = {"x-amz-crc32": str(crc32(body) + wrong)}
        return web.Response(status=status, body=body, headers=headers)

    application = web.Application()
    application.router.add_post("/", handle)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, ports.HOST, 0)
    await site.start()
    url = f"http://{ports.HOST}:{runner.addresses[0][1]}"
    async with Aws(url, "us-east-1").open_client("dynamodb") as client:
        yield client, asked
    await runner.cleanup()


GOOD = json.dumps({"Items": [{"id": {"N": "1"}}], "Count": 1}).encode()


async def test_a_wrong_checksum_is_asked_again() -> None:
    """The SDK takes it of the body as it came."""
    async with server_of((200, GOOD.replace(b"1", b"2"), 1), (200, GOOD, 0)) as (client, asked):
        assert (await client.scan(TableName="t"))["Items"] == [{"id": {"N": "1"}}]
    assert len(asked) == 2


async def test_a_checksum_that_stays_wrong_is_no_page() -> None:
    """After its last try the SDK returns what it got: that is neither items nor the end of a table."""
    bad = GOOD.replace(b"1", b"2")
    async with server_of(*[(200, bad, 1)] * 3) as (client, asked):
        with pytest.raises(TransientError, match="ChecksumError"), aws_errors("reading"):
            await client.scan(TableName="t")
    assert len(asked) == 3


@pytest.mark.parametrize(
    "body",
    [
        b'{"Items": [{"id": {"B": "no base64"}}]}',
        b'{"Items": [{"id": {"B": 5}}]}',
        b'{"Items": 5}',
        b'{"Count": 5}',
        b"[]",
        b'{"Items": [',
        b"<html/>",
        b"",
    ],
    ids=str,
)
async def test_an_answer_of_another_form_is_no_page(body: bytes) -> None:
    """Whatever botocore makes of it: nothing is taken for items here."""
    answer: dict[str, Any] = {}
    response = {"status_code": 200, "headers": {}, "body": body}

    class Events:
        def register(self, event: str, handler: Any) -> None:
            if event.endswith("Scan"):
                handler(response_dict=response, customized_response_dict=answer, operation_model=None)

    class Client:
        class meta:  # noqa: N801 - as botocore names it
            events = Events()

    read_bodies(Client)
    assert (answer, response["body"]) == ({}, body)
