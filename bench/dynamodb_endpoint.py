"""A DynamoDB endpoint with one table that never changes, in its own process: its CPU time is not counted.

    python -m bench.dynamodb_endpoint ITEMS    # writes its port, and serves until its standard input ends

It implements what `backfill` and `verify` need of the JSON protocol, over HTTP on 127.0.0.1: `DescribeTable`,
`Scan` with segments and limits, `BatchGetItem` of keys.
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
_PAGE_BYTES = 1024 * 1024  # Amazon DynamoDB API reference, "Scan"


class DynamoDBEndpoint(Endpoint):
    """The endpoint with so many items."""

    def __init__(self, items: int) -> None:
        super().__init__("bench.dynamodb_endpoint", str(items))
        self.url = f"http://{HOST}:{self.port}"


class _Table:
    """The items, encoded once."""

    def __init__(self, number: int) -> None:
        (kind,) = (kind for kind in KINDS if kind.name == "small")
        some = kind.items()
        self._items = [
            orjson.dumps({**some[index % len(some)], "id": {"N": str(index)}}, default=_base64)
            for index in range(number)
        ]

    def describe(self, _: dict[str, Any]) -> bytes:
        return orjson.dumps(
            {
                "Table": {
                    "TableName": TABLE,
                    "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
                    "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "N"}],
                    "ItemCount": len(self._items),
                }
            }
        )

    def scan(self, asked: dict[str, Any]) -> bytes:
        number, segment, of = len(self._items), asked.get("Segment", 0), asked.get("TotalSegments", 1)
        last = number * (segment + 1) // of
        after = asked.get("ExclusiveStartKey")
        first = number * segment // of if after is None else int(after["id"]["N"]) + 1
        end, size = first, 0
        while end < min(last, first + asked.get("Limit", last)) and size < _PAGE_BYTES:
            size += len(self._items[end])
            end += 1
        left = b',"LastEvaluatedKey":{"id":{"N":"%d"}}' % (end - 1) if end < last else b""
        return b'{"Items":[%s],"Count":%d%s}' % (b",".join(self._items[first:end]), end - first, left)

    def get(self, asked: dict[str, Any]) -> bytes:
        keys = asked["RequestItems"][TABLE]["Keys"]
        there = [key for key in keys if int(key["id"]["N"]) < len(self._items)]
        return orjson.dumps({"Responses": {TABLE: there}, "UnprocessedKeys": {}})


def _base64(value: Any) -> Any:
    raise TypeError(type(value).__name__)


def _serve(number: int) -> None:
    table = _Table(number)
    actions = {"DescribeTable": table.describe, "Scan": table.scan, "BatchGetItem": table.get}

    async def answer(request: web.Request) -> web.Response:
        body = actions[action_of(request)](orjson.loads(await request.read()))
        headers = {"x-amz-crc32": str(crc32(body))}
        return web.Response(body=body, content_type="application/x-amz-json-1.0", headers=headers)

    serve(answer, largest=_PAGE_BYTES)


if __name__ == "__main__":
    _serve(int(sys.argv[1]))
