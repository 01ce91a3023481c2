"""What a long or narrow way alone allows: the writer's own loops and inbox, on modelled servers and time.

Law: no clock of the machine. Time passes only while all wait, so the figures are the same on every machine.
"""

from __future__ import annotations

import asyncio
import selectors
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from bench.network_queue import DEAD, QUEUE, VISIBILITY, Answers
from follow.memory_inbox import MemoryInbox
from writer.context import Context
from writer.mapping.rules import Rules
from writer.ports import Outcome
from writer.service import Service
from writer.sqs.inbox import SqsInbox
from writer.telemetry.health import Health
from writer.telemetry.observer import Observer

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from types_aiobotocore_sqs import SQSClient

    from writer.write import Write

CPU = 29e-6
"""Seconds of the writer's process for a change, with SQS's client; from `drain`."""

_EPOCH = 1_600_000_000.0
_OVERHEAD = 80  # bytes of a command's part for one document, beside the document
_REQUEST = 600  # bytes of a request to SQS, and of what it tells about a message
_GRACE = 10.0


class Modelled(NamedTuple):
    """What was counted.

    Attributes:
        rate: changes per second of the modelled time.
        changes: all of them.
        batches: bulk writes.
        requests: to SQS.
        again: messages that were handed out a second time.
    """

    rate: float
    changes: int
    batches: int
    requests: int
    again: int


class Lines(NamedTuple):
    """The ways to both servers.

    Attributes:
        to_mongodb, to_queue: seconds of a round trip.
        bandwidth: bytes per second of each, in each direction; 0: no limit.
    """

    to_mongodb: float
    to_queue: float
    bandwidth: float = 0.0


def drain(messages: Iterable[tuple[str, str]], lines: Lines, pool: int, loops: int) -> Modelled:
    """Drains a queue with messages (group and body), over so many connections to MongoDB."""
    with asyncio.Runner(loop_factory=_Loop) as runner:
        return runner.run(_drain(messages, lines, pool, loops))


class _Clock:
    """The loop's time, as the writer's clock."""

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()

    def now(self) -> float:
        return _EPOCH + self.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class _Selector(selectors.SelectSelector):
    """Lets time pass instead of waiting for it."""

    def __init__(self) -> None:
        super().__init__()
        self.time = 0.0

    def select(self, timeout: float | None = None) -> Any:
        self.time += max(0.0, timeout or 0.0)
        return super().select(0)


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._modelled = _Selector()
        super().__init__(self._modelled)

    def time(self) -> float:
        return self._modelled.time


class _Line:
    """The way to a server and back."""

    def __init__(self, round_trip: float, bandwidth: float) -> None:
        self._half = round_trip / 2
        self._bandwidth = bandwidth
        self._turns = [asyncio.Lock(), asyncio.Lock()]

    async def there(self, size: int) -> None:
        await self._pass(0, size)

    async def back(self, size: int) -> None:
        await self._pass(1, size)

    async def _pass(self, direction: int, size: int) -> None:
        left = size if self._bandwidth else 0
        while left > 0:  # all connections in turns, as a narrow line does
            some = min(left, 8192)
            async with self._turns[direction]:
                await asyncio.sleep(some / self._bandwidth)
            left -= some
        await asyncio.sleep(self._half)


class _Sqs:
    """A client of SQS at the end of a line."""

    def __init__(self, queue: MemoryInbox, line: _Line) -> None:
        self._queue = queue
        self._line = line
        self.answers = Answers(queue)
        self.requests = 0
        self.empty = asyncio.Event()

    async def get_queue_attributes(self, **content: Any) -> Mapping[str, Any]:
        return await self.answers.to("GetQueueAttributes", content)

    async def receive_message(self, **content: Any) -> Mapping[str, Any]:
        return await self._ask("ReceiveMessage", content)

    async def delete_message_batch(self, **content: Any) -> Mapping[str, Any]:
        return await self._ask("DeleteMessageBatch", content)

    async def change_message_visibility_batch(self, **content: Any) -> Mapping[str, Any]:
        return await self._ask("ChangeMessageVisibilityBatch", content)

    async def _ask(self, action: str, content: Mapping[str, Any]) -> Mapping[str, Any]:
        self.requests += not self.empty.is_set()
        await self._line.there(_REQUEST)
        found = await self.answers.to(action, content)
        bodies = [each["Body"] for each in found.get("Messages", ())]
        await self._line.back(_REQUEST + sum(len(body) + _REQUEST for body in bodies))
        if not self._queue.left:
            self.empty.set()
        return found


class _Sink:
    """MongoDB at the end of a line, and the writer's CPU time."""

    def __init__(self, pool: int, line: _Line) -> None:
        self._connections = asyncio.Semaphore(pool)
        self._core = asyncio.Lock()
        self._line = line
        self.batches = self.changes = 0

    async def apply(self, writes: Sequence[Write]) -> Outcome:
        changes = sum(write.changes for write in writes)
        async with self._core:
            await asyncio.sleep(CPU * changes)
        keys = _OVERHEAD * len(writes)
        documents = sum(len(write.document or b"") for write in writes)
        # Look for tombstones, look which documents are there, insert them, look for tombstones again.
        for bytes_there in (keys, keys, keys + documents, keys):
            async with self._connections:
                await self._line.there(bytes_there)
                await self._line.back(200)
        self.batches += 1
        self.changes += changes
        return Outcome(inserted=len(writes))

    async def ping(self) -> None:
        """It is always there."""


async def _drain(messages: Iterable[tuple[str, str]], lines: Lines, pool: int, loops: int) -> Modelled:
    clock, stop = _Clock(), asyncio.Event()
    queue = MemoryInbox(clock, visibility=VISIBILITY)
    for lane, body in messages:
        queue.send(body, lane)
    sqs = _Sqs(queue, _Line(lines.to_queue, lines.bandwidth))
    inbox = SqsInbox(cast("SQSClient", sqs), QUEUE, DEAD)
    await inbox.open()
    sink = _Sink(pool, _Line(lines.to_mongodb, lines.bandwidth))
    service = Service(Context(clock, Health(clock), Observer(), stop), inbox, sink, Rules())
    async with asyncio.TaskGroup() as group:
        group.create_task(service.run(loops, _GRACE))
        await sqs.empty.wait()
        seconds = clock.monotonic()
        stop.set()
    return Modelled(sink.changes / seconds, sink.changes, sink.batches, sqs.requests, sqs.answers.again)
