"""A DynamoDB endpoint with tables that never change, in its own process: its CPU time is not counted.

    python -m bench.dynamodb_endpoint ITEMS TEXT CHANGES    # writes its port, serves until its input ends

It implements what `backfill`, `verify` and `follow` need of the JSON protocol, over HTTP on 127.0.0.1:
`DescribeTable`, `Scan` with segments and limits, `BatchGetItem` of keys, and the calls of a stream.
"""

from __future__ import annotations

import sys
from binascii import crc32
from typing import Any

import orjson
from aiohttp import web

from bench.endpoint import HOST, Endpoint, action_of, serve
from bench.items import KINDS

TABLE = "items"
SHARDS = 4
_PAGE_BYTES = 1024 * 1024  # Amazon DynamoDB API reference, "Scan" and "GetRecords"
_PAGE_RECORDS = 1000
_ARN = "arn:aws:dynamodb:us-east-1:123456789012:table/%s/stream/2020-04-30T17:47:21.395"
STREAM = _ARN % TABLE
_FIRST_SEQUENCE = 100_000_000_000_000_000_000_001


class DynamoDBEndpoint(Endpoint):
    """The endpoint. A table of any name has the same items."""

    def __init__(self, items: int, text: int = 0, changes: int = 0) -> None:
        """Starts it.

        Args:
            items: of a table.
            text: characters to add to each item of 250 bytes.
            changes: of a stream: to each item in turn, with both images.
        """
        super().__init__("bench.dynamodb_endpoint", str(items), str(text), str(changes))
        self.url = f"http://{HOST}:{self.port}"


class _Table:
    """The items, encoded once but for their text."""

    def __init__(self, number: int, text: int, changes: int) -> None:
        (kind,) = (kind for kind in KINDS if kind.name == "small")
        some = kind.items()
        self._heads = [
            orjson.dumps({**some[index % len(some)], "id": {"N": str(index)}}, default=_base64)[:-1]
            for index in range(number)
        ]
        self._tail = b',"text":{"S":"%s"}}' % (b"x" * text) if text else b"}"
        self._changes = [range(0)] * SHARDS
        if changes:  # all of an item are in the shard of its number
            if number % SHARDS:
                raise ValueError(f"{number} items in {SHARDS} shards")
            self._changes = [range(shard, changes, SHARDS) for shard in range(SHARDS)]

    def describe(self, asked: dict[str, Any]) -> bytes:
        name = asked["TableName"]
        return orjson.dumps(
            {
                "Table": {
                    "TableName": name,
                    "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
                    "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "N"}],
                    "ItemCount": len(self._heads),
                    "LatestStreamArn": _ARN % name,
                    "StreamSpecification": {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
                }
            }
        )

    def scan(self, asked: dict[str, Any]) -> bytes:
        number, segment, of = len(self._heads), asked.get("Segment", 0), asked.get("TotalSegments", 1)
        last = number * (segment + 1) // of
        after = asked.get("ExclusiveStartKey")
        first = number * segment // of if after is None else int(after["id"]["N"]) + 1
        end, size, found = first, 0, []
        while end < min(last, first + asked.get("Limit", last)) and size < _PAGE_BYTES:
            found.append(self._heads[end] + self._tail)
            size += len(found[-1])
            end += 1
        left = b',"LastEvaluatedKey":{"id":{"N":"%d"}}' % (end - 1) if end < last else b""
        return b'{"Items":[%s],"Count":%d%s}' % (b",".join(found), end - first, left)

    def get(self, asked: dict[str, Any]) -> bytes:
        ((name, wanted),) = asked["RequestItems"].items()
        there = [key for key in wanted["Keys"] if int(key["id"]["N"]) < len(self._heads)]
        return orjson.dumps({"Responses": {name: there}, "UnprocessedKeys": {}})

    def stream(self, asked: dict[str, Any]) -> bytes:
        shards = [
            {"ShardId": f"shardId-{shard:020}-bench", "SequenceNumberRange": {"StartingSequenceNumber": "1"}}
            for shard in range(SHARDS)
        ]
        found = {"StreamArn": asked["StreamArn"], "StreamStatus": "ENABLED", "Shards": shards}
        return orjson.dumps({"StreamDescription": found})

    def iterator(self, asked: dict[str, Any]) -> bytes:
        shard = int(asked["ShardId"].split("-")[1])
        after = asked.get("SequenceNumber")
        first = 0 if after is None else self._changes[shard].index(int(after) - _FIRST_SEQUENCE) + 1
        return b'{"ShardIterator":"%d/%d"}' % (shard, first)

    def records(self, asked: dict[str, Any]) -> bytes:
        shard, first = map(int, asked["ShardIterator"].split("/"))
        found: list[bytes] = []
        size = 0
        for change in self._changes[shard][first : first + _PAGE_RECORDS]:
            found.append(self._record(change))
            size += len(found[-1])
            if size >= _PAGE_BYTES:
                break
        return b'{"Records":[%s],"NextShardIterator":"%d/%d"}' % (
            b",".join(found),
            shard,
            first + len(found),
        )

    def _record(self, change: int) -> bytes:
        turn, index = divmod(change, len(self._heads))
        image = self._heads[index] + b',"turn":{"N":"%d"}' + self._tail
        new, old = image % (turn + 1), image % turn
        return (
            b'{"eventID":"%032x","eventName":"MODIFY","dynamodb":{"Keys":{"id":{"N":"%d"}},"NewImage":%s,'
            b'"OldImage":%s,"ApproximateCreationDateTime":1609459200,"SequenceNumber":"%d",'
            b'"StreamViewType":"NEW_AND_OLD_IMAGES"}}'
        ) % (change, index, new, old, _FIRST_SEQUENCE + change)


def _base64(value: Any) -> Any:
    raise TypeError(type(value).__name__)


def _serve(number: int, text: int, changes: int) -> None:
    table = _Table(number, text, changes)
    actions = {
        "DescribeTable": table.describe,
        "Scan": table.scan,
        "BatchGetItem": table.get,
        "DescribeStream": table.stream,
        "GetShardIterator": table.iterator,
        "GetRecords": table.records,
    }

    async def answer(request: web.Request) -> web.Response:
        body = actions[action_of(request)](orjson.loads(await request.read()))
        headers = {"x-amz-crc32": str(crc32(body))}
        return web.Response(body=body, content_type="application/x-amz-json-1.0", headers=headers)

    serve(answer, largest=_PAGE_BYTES)


if __name__ == "__main__":
    _serve(*map(int, sys.argv[1:]))
