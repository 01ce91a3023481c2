"""Reads a stream in a test, and remembers what came."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

from follow.reader.calls import Stream
from follow.reader.reader import Pauses, StreamReader
from local.polling import HANG_TIMEOUT_S, POLL_INTERVAL_S
from ops.aws import Aws
from ops.migration.retry import Retry

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence

    from follow.reader.lineage import Position

SHORT = Pauses(full=0.01, empty=0.02, listing=0.05)
"""A stand-in and an emulator have no quota."""


class Collector:
    """A `follow.reader.reader.Receiver` that keeps everything.

    Attributes:
        keys: the value of each record's key, in the order of reading.
        events: each page as ``shard last-key`` and each end as ``shard end``.
        gate: pages are taken only while it is set.
    """

    def __init__(self) -> None:
        self.keys: list[str] = []
        self.shards: list[str] = []
        self.events: list[tuple[str, str]] = []
        self.last: dict[str, str] = {}
        self.forgotten: list[str] = []
        self.lines: list[str] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.waiting = 0
        self.turns = asyncio.Semaphore(4)

    async def room(self) -> None:
        """It has room for all."""

    async def page(self, shard: str, records: Sequence[dict[str, Any]], last: str) -> None:
        self.waiting += 1
        await self.gate.wait()
        self.waiting -= 1
        for record in records:
            ((value,),) = [list(each.values()) for each in record["dynamodb"]["Keys"].values()]
            self.keys.append(value)
            self.events.append((shard, value))
        self.last[shard] = last

    def end(self, shard: str) -> None:
        self.events.append((shard, "end"))

    def listed(self, forgotten: Sequence[str]) -> None:
        self.forgotten += forgotten

    def ended(self) -> list[str]:
        """The shards that have ended, in this order."""
        return [shard for shard, what in self.events if what == "end"]


class Reading:
    """A reader at work."""

    def __init__(self, reader: StreamReader, collector: Collector, task: asyncio.Task[None]) -> None:
        self.reader, self.found, self.task = reader, collector, task

    async def until(self, condition: Callable[[], bool]) -> None:
        """Waits for a condition, or raises what ended the reading."""
        async with asyncio.timeout(HANG_TIMEOUT_S):
            while not condition():
                if self.task.done():
                    await self.task
                await asyncio.sleep(POLL_INTERVAL_S / 10)

    async def caught_up(self) -> None:
        self.reader.look_again()
        await self.until(lambda: self.reader.is_caught_up)


@asynccontextmanager
async def reading(
    url: str, arn: str, positions: Mapping[str, Position] | None = None, listed_ago: float | None = None
) -> AsyncIterator[Reading]:
    """Reads a stream while the context is open."""
    found = Collector()
    async with Aws(url, "us-east-1").open_client("dynamodbstreams") as client:
        reader = StreamReader(
            Stream(client, arn),
            positions or {},
            found,
            lambda: Retry(found.lines.append),
            SHORT,
            listed_ago=listed_ago,
        )
        task = asyncio.create_task(reader.run())
        try:
            yield Reading(reader, found, task)
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError, ExceptionGroup):
                await task
