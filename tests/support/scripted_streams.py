"""A server with the API of DynamoDB's streams, whose shards split, are trimmed, and iterators expire."""

from __future__ import annotations

import base64
import itertools
import json
from collections import Counter, deque
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aiohttp import web

from tests.support.odd_sqs import Odd

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

ARN = "arn:aws:dynamodb:us-east-1:000000000000:table/scripted/stream/2026-01-02T03:04:05.678"
PAGE = 3
"""Records of a page."""


def error(code: str) -> Odd:
    """An error of this API."""
    name = f"com.amazonaws.dynamodb.v20120810#{code}"
    return Odd(json.dumps({"__type": name, "message": "as scripted"}), 400)


@dataclass
class ScriptedShard:
    """A shard: its records by their number, oldest first."""

    parent: str | None
    records: dict[int, dict[str, Any]] = field(default_factory=dict)
    closed: bool = False
    trimmed_to: int = 0


class ScriptedStreams:
    """One stream.

    Attributes:
        url: where it listens.
        shards: by their id; what is taken out is trimmed.
        listed_at_once: shards of one page of a listing.
        asked: how often each action was called; of a shard as ``GetRecords shard``.
        odd: for each action what the next calls are answered with.
        generation: what older iterators than this one carry has expired.
        is_off: the stream is switched off.
        iterators_end: the next page of an open shard has no iterator that follows.
    """

    def __init__(self) -> None:
        self.url = ""
        self.shards: dict[str, ScriptedShard] = {}
        self.listed_at_once = 2
        self.asked: Counter[str] = Counter()
        self.odd: dict[str, deque[Odd]] = {}
        self.generation = 0
        self.iterators_end = False
        self.is_off = False
        self._numbers = itertools.count(10**20)

    def shard(self, parent: str | None = None) -> str:
        """Opens a shard; its parent is closed."""
        name = f"shardId-{len(self.shards):020}-abcdef01"
        if parent is not None:
            self.shards[parent].closed = True
        self.shards[name] = ScriptedShard(parent)
        return name

    def put(self, shard: str, key: str) -> str:
        """Adds a record; returns its sequence number."""
        number = next(self._numbers)
        item = {"id": {"S": key}}
        self.shards[shard].records[number] = {
            "eventID": f"e{number}",
            "eventName": "INSERT",
            "dynamodb": {
                "ApproximateCreationDateTime": 1767323045,
                "Keys": item,
                "NewImage": item,
                "SequenceNumber": str(number),
                "StreamViewType": "NEW_AND_OLD_IMAGES",
            },
        }
        return str(number)

    def trim(self, shard: str) -> None:
        """All records that a shard has are older than 24 hours by now."""
        held = self.shards[shard]
        held.trimmed_to = max(held.records, default=0)
        held.records.clear()

    def oddly(self, action: str, *answers: Odd) -> None:
        """The next calls of an action get these answers."""
        self.odd.setdefault(action, deque()).extend(answers)

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[ScriptedStreams]:
        """Serves in this event loop."""
        application = web.Application()
        application.router.add_post("/{path:.*}", self._answer)
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=0)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
            yield self
        finally:
            await runner.cleanup()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        action = request.headers["X-Amz-Target"].rpartition(".")[2]
        asked = json.loads(await request.read())
        self.asked[action] += 1
        odd = self.odd[action].popleft() if self.odd.get(action) else None
        if odd is not None and (odd.cut or odd.hangs):
            if request.transport is not None:
                request.transport.close()
            return web.Response()
        if odd is None:
            found = {
                "DescribeStream": self._describe,
                "GetShardIterator": self._iterator,
                "GetRecords": self._records,
            }[action](asked)
            odd = found if isinstance(found, Odd) else Odd(json.dumps(found))
        body = odd.body.encode() if isinstance(odd.body, str) else odd.body
        return web.Response(status=odd.status, body=body, content_type="application/x-amz-json-1.0")

    def _describe(self, asked: dict[str, Any]) -> dict[str, Any] | Odd:
        if asked["StreamArn"] != ARN:
            return error("ResourceNotFoundException")
        names = list(self.shards)
        start = names.index(asked["ExclusiveStartShardId"]) + 1 if "ExclusiveStartShardId" in asked else 0
        some = names[start : start + self.listed_at_once]
        description: dict[str, Any] = {
            "StreamArn": ARN,
            "StreamStatus": "DISABLED" if self.is_off else "ENABLED",
            "Shards": [self._described(name) for name in some],
        }
        if start + len(some) < len(names):
            description["LastEvaluatedShardId"] = some[-1]
        return {"StreamDescription": description}

    def _described(self, name: str) -> dict[str, Any]:
        shard = self.shards[name]
        numbers = {"StartingSequenceNumber": "1"}
        if shard.closed:
            numbers["EndingSequenceNumber"] = str(10**30)
        parent = {"ParentShardId": shard.parent} if shard.parent else {}
        return {"ShardId": name, "SequenceNumberRange": numbers, **parent}

    def _iterator(self, asked: dict[str, Any]) -> dict[str, Any] | Odd:
        name = asked["ShardId"]
        if name not in self.shards:
            return error("ResourceNotFoundException")
        after = 0
        if asked["ShardIteratorType"] == "AFTER_SEQUENCE_NUMBER":
            after = int(asked["SequenceNumber"])
            if after < self.shards[name].trimmed_to:
                return error("TrimmedDataAccessException")
        return {"ShardIterator": self._text(name, after)}

    def _records(self, asked: dict[str, Any]) -> dict[str, Any] | Odd:
        name, after, generation = json.loads(base64.b64decode(asked["ShardIterator"]))
        self.asked[f"GetRecords {name}"] += 1
        if generation < self.generation:
            return error("ExpiredIteratorException")
        if name not in self.shards:
            return error("ResourceNotFoundException")
        shard = self.shards[name]
        if 0 < after < shard.trimmed_to:
            return error("TrimmedDataAccessException")
        numbers = sorted(number for number in shard.records if number > after)
        page = numbers[:PAGE]
        answer: dict[str, Any] = {"Records": [shard.records[number] for number in page]}
        ends, self.iterators_end = self.iterators_end, False
        if not ends and not (shard.closed and len(page) == len(numbers)):
            answer["NextShardIterator"] = self._text(name, page[-1] if page else after)
        return answer

    def _text(self, name: str, after: int) -> str:
        return base64.b64encode(json.dumps([name, after, self.generation]).encode()).decode()
