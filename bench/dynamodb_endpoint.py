"""A DynamoDB endpoint with one table that never changes, in its own process: its CPU time is not counted.

    python -m bench.dynamodb_endpoint ITEMS    # writes its port, and serves until its standard input ends

It implements what `backfill` and `verify` need of the JSON protocol, over HTTP on 127.0.0.1: `DescribeTable`,
`Scan` with segments and limits, `BatchGetItem` of keys.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from binascii import crc32
from pathlib import Path
from typing import Any, Self

import orjson
from aiohttp import web

from bench.items import KINDS

HOST, TABLE = "127.0.0.1", "items"
_ROOT = Path(__file__).resolve().parent.parent
_LONGEST_STOP = 10  # seconds
_PAGE_BYTES = 1024 * 1024  # Amazon DynamoDB API reference, "Scan"


class DynamoDBEndpoint:
    """The endpoint, running from its construction to the end of the `with` block."""

    def __init__(self, items: int) -> None:
        self._process = subprocess.Popen(  # noqa: S603 - this module
            [sys.executable, "-m", "bench.dynamodb_endpoint", str(items)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=_ROOT,
        )
        assert self._process.stdout  # noqa: S101 - a pipe was asked for
        self.url = f"http://{HOST}:{int(self._process.stdout.readline())}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate(timeout=_LONGEST_STOP)  # closes its standard input


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


async def _serve(number: int) -> None:
    table = _Table(number)
    actions = {"DescribeTable": table.describe, "Scan": table.scan, "BatchGetItem": table.get}

    async def handle(request: web.Request) -> web.Response:
        action = request.headers["X-Amz-Target"].rpartition(".")[2]
        body = actions[action](orjson.loads(await request.read()))
        headers = {"x-amz-crc32": str(crc32(body))}
        return web.Response(body=body, content_type="application/x-amz-json-1.0", headers=headers)

    application = web.Application()
    application.router.add_post("/", handle)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, HOST, 0)
    await site.start()
    sys.stdout.write(f"{runner.addresses[0][1]}\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.read)
    await runner.cleanup()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1])))
