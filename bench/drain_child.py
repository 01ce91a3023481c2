"""One way of writing a load to MongoDB, in a process of its own: `python -m bench.drain_child WAY JSON`.

Prints the result as JSON. The clocks run from the first batch to the last acknowledgement; imports,
connecting and reading the load come before, and are not measured.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from unittest.mock import patch

import pymongo
from bson.raw_bson import RawBSONDocument
from pymongo.write_concern import WriteConcern

from bench.items import MESSAGE_LIMIT, TABLE
from bench.load import read
from follow.memory_inbox import MemoryInbox
from shared.aws import sqs_client
from shared.envelope import decode
from writer.context import Context
from writer.mapping.rules import Rules
from writer.mongodb.apply import Command
from writer.mongodb.sending import command_of, update_of
from writer.mongodb.sink import MongoSink
from writer.planning.plan import make_plan
from writer.ports import Message
from writer.runtime import SystemClock, spare_the_collector
from writer.service import Service
from writer.settings import LOOPS_PER_CONNECTION
from writer.sqs.inbox import SqsInbox
from writer.status.history import History
from writer.telemetry.account import account
from writer.telemetry.health import Health
from writer.telemetry.metrics import Metrics
from writer.telemetry.observer import Facts, Observers
from writer.telemetry.state_log import StateLog

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pymongo.collection import Collection

    from shared.dead_letter import DeadLetter
    from writer.mongodb.answers import Operation
    from writer.names import Library
    from writer.ports import Inbox
    from writer.write import Write

PER_BULK = 500
"""Operations of one bulk write of the ceiling."""

PER_INVOCATION = 100
"""Records of one invocation of the article's Lambda: the default of an event source mapping on a stream."""

_GRACE = 10.0


class Task(NamedTuple):
    """The options of a child.

    Attributes:
        uri: of MongoDB.
        database: an empty one, or one with the documents that are to change.
        load: file of messages; with the emulator, the messages are in its queue.
        messages: how many messages there are.
        changes: how many changes there are.
        connections: of the pool, or threads.
        queue_url: of the emulator's queue; the SDK's variables name its endpoint.
        dead_letter_queue_url: likewise.
        loops: how many drain; 0: as many as the writer has with so many connections.
        library: what the writer talks to MongoDB with.
    """

    uri: str
    database: str
    load: str
    messages: int
    changes: int
    connections: int
    queue_url: str = ""
    dead_letter_queue_url: str = ""
    loops: int = 0
    library: Library = "motor"

    @property
    def drains(self) -> int:
        """The number of loops."""
        return self.loops or LOOPS_PER_CONNECTION * self.connections


@dataclass
class _Watched:
    """An inbox that records when it began, and when everything is acknowledged."""

    inbox: Inbox
    messages: int
    began: float = 0.0
    cpu_began: float = 0.0
    deleted: int = 0
    batches: int = 0
    again: int = 0
    done: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def visibility(self) -> float:
        return self.inbox.visibility

    @property
    def park_limit(self) -> int:
        return self.inbox.park_limit

    @property
    def max_receives(self) -> int:
        return self.inbox.max_receives

    async def receive(self) -> Sequence[Message]:
        if not self.began:
            self.began, self.cpu_began = time.perf_counter(), time.process_time()
        messages = await self.inbox.receive()
        self.batches += bool(messages)
        self.again += sum(message.receives > 1 for message in messages)
        return messages

    def hurry(self) -> None:
        self.inbox.hurry()

    async def delete(self, messages: Sequence[Message]) -> None:
        await self.inbox.delete(messages)
        self.deleted += len(messages)
        if self.deleted >= self.messages:
            self.done.set()

    async def extend(self, messages: Sequence[Message]) -> Sequence[Message]:
        return await self.inbox.extend(messages)

    async def release(self, messages: Sequence[Message], delay: int) -> None:
        await self.inbox.release(messages, delay)

    async def park(self, letters: Sequence[DeadLetter]) -> None:
        raise ValueError(f"the benchmark's own changes are poison: {letters[0].reason}")


class _Stopwatch:
    """Adds up the CPU time of the functions that it wraps."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def timed(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def run(*arguments: Any) -> Any:
            began = time.thread_time()
            answer = function(*arguments)
            self.seconds += time.thread_time() - began
            return answer

        return run


def writer_on_memory(task: Task) -> Mapping[str, float]:
    """The writer, with its queue in memory."""

    async def run() -> Mapping[str, float]:
        inbox = MemoryInbox(SystemClock(), visibility=600)
        for group, body in read(Path(task.load)):
            inbox.send(body, group)
        spare_the_collector()
        return await _drained(task, _Watched(inbox, task.messages))

    return asyncio.run(run())


def writer_on_memory_by_pymongo(task: Task) -> Mapping[str, float]:
    """The writer on PyMongo's own asynchronous client, with its queue in memory."""
    return writer_on_memory(task._replace(library="pymongo"))


def writer_on_sqs(task: Task) -> Mapping[str, float]:
    """The writer, on the emulator's queue."""

    async def run() -> Mapping[str, float]:
        async with sqs_client(2 * task.drains + 2, attempts=3, read_timeout=15) as sqs:
            inbox = SqsInbox(sqs, task.queue_url, task.dead_letter_queue_url)
            await inbox.open()
            spare_the_collector()
            return await _drained(task, _Watched(inbox, task.messages))

    return asyncio.run(run())


def emulator_alone(task: Task) -> Mapping[str, float]:
    """As many loops as the writer's receive and delete the emulator's messages, and do nothing else."""

    async def run() -> Mapping[str, float]:
        loops = task.drains
        async with sqs_client(2 * loops + 2, attempts=3, read_timeout=15) as sqs:
            queue = SqsInbox(sqs, task.queue_url, task.dead_letter_queue_url)
            await queue.open()
            inbox = _Watched(queue, task.messages)

            async def loop() -> None:
                while not inbox.done.is_set():
                    await inbox.delete(await inbox.receive())

            workers = [asyncio.create_task(loop()) for _ in range(loops)]
            await inbox.done.wait()
            seconds, cpu = time.perf_counter() - inbox.began, time.process_time() - inbox.cpu_began
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)
            return _found(task.changes, seconds, cpu)

    return asyncio.run(run())


async def _drained(task: Task, inbox: _Watched) -> Mapping[str, float]:
    clock, stop = SystemClock(), asyncio.Event()
    health = Health(clock)
    sink = MongoSink.connect(task.uri, task.database, task.connections, library=task.library)
    async with AsyncExitStack() as resources:
        resources.push_async_callback(sink.aclose)
        await sink.open()
        loops = task.drains
        facts = Facts("", "", task.connections, loops)
        observers = Observers(Metrics(facts, health, clock), StateLog(health, clock, "bench"), History(clock))
        watch = _Stopwatch()
        for method in ("batch", "in_hand", "called", "backlog", "oldest_received", "trouble"):
            setattr(observers, method, watch.timed(getattr(observers, method)))
        resources.enter_context(patch("writer.processor.account", watch.timed(account)))
        service = Service(Context(clock, health, observers, stop), inbox, sink, Rules())
        async with asyncio.TaskGroup() as group:
            group.create_task(service.run(loops, _GRACE))
            await inbox.done.wait()
            seconds, cpu = time.perf_counter() - inbox.began, time.process_time() - inbox.cpu_began
            stop.set()
        share = watch.seconds / cpu
        counted = {"batches": inbox.batches, "again": inbox.again}
        return {**_found(task.changes, seconds, cpu), **counted, "observing": share}


def ceiling(task: Task) -> Mapping[str, float]:
    """Guarded operations, prepared, in the driver's full bulk writes, one thread per connection."""

    def made(write: Write) -> pymongo.UpdateOne:
        if write.document is None:
            raise ValueError("the load has puts only")
        is_older = {"$lt": [{"$ifNull": [f"${write.target.metadata_field}.v", ""]}, write.version]}
        image = {"$literal": RawBSONDocument(write.document)}
        stages = [{"$replaceWith": {"$cond": [is_older, image, "$$ROOT"]}}]
        return pymongo.UpdateOne({"_id": write.target.document_id}, stages, upsert=True)

    def write_all(collection: Collection[Any], bulk: Sequence[pymongo.UpdateOne]) -> None:
        collection.bulk_write(bulk, ordered=False)

    return _by_driver_alone(task, made, write_all)


def raw_ceiling(task: Task) -> Mapping[str, float]:
    """The writer's own operations, prepared, in full commands, one thread per connection."""

    def write_all(collection: Collection[Any], operations: Sequence[Operation]) -> None:
        command = command_of(TABLE, "update", operations)
        answer = collection.database.command({**command, "writeConcern": {"w": "majority"}})
        if "writeErrors" in answer:
            raise ValueError("MongoDB refused a write of the benchmark")

    return _by_driver_alone(task, lambda write: update_of(Command(write, puts=True)), write_all)


def _by_driver_alone(
    task: Task, made: Callable[[Write], Any], write_all: Callable[[Collection[Any], Sequence[Any]], None]
) -> Mapping[str, float]:
    sent = round(time.time() * 1000)
    messages = [Message("", "", body, group, 1, sent) for group, body in read(Path(task.load))]
    rules = Rules()
    operations: list[Any] = []
    for first in range(0, len(messages), 10):
        plan = make_plan(messages[first : first + 10], rules, MESSAGE_LIMIT)
        operations += [made(write) for write in plan.writes]
    bulks = [operations[first : first + PER_BULK] for first in range(0, len(operations), PER_BULK)]
    spare_the_collector()
    with (
        pymongo.MongoClient[dict[str, Any]](task.uri, maxPoolSize=task.connections) as client,
        ThreadPoolExecutor(task.connections) as threads,
    ):
        collection = client[task.database].get_collection(TABLE, write_concern=WriteConcern(w="majority"))
        client.admin.command("ping")
        began, cpu_began = time.perf_counter(), time.process_time()
        list(threads.map(lambda bulk: write_all(collection, bulk), bulks))
        return _found(task.changes, time.perf_counter() - began, time.process_time() - cpu_began)


def article(task: Task) -> Mapping[str, float]:
    """The article's way: a client per invocation, an `update_one` with upsert per record, in sequence.

    `connections` invocations run at a time. Importing the driver, a part of a cold start, is not measured.
    """
    items = [
        change.image
        for _, body in read(Path(task.load))
        for change in decode(body).entries
        if hasattr(change, "image") and change.image is not None
    ][: task.changes]

    def invocation(first: int) -> None:
        with pymongo.MongoClient[dict[str, Any]](task.uri) as client:
            collection = client[task.database][TABLE]
            for item in items[first : first + PER_INVOCATION]:
                collection.update_one({"_id": item["id"]}, {"$set": dict(item)}, upsert=True)

    with ThreadPoolExecutor(task.connections) as threads:
        began, cpu_began = time.perf_counter(), time.process_time()
        list(threads.map(invocation, range(0, len(items), PER_INVOCATION)))
        return _found(len(items), time.perf_counter() - began, time.process_time() - cpu_began)


def _found(changes: int, seconds: float, cpu: float) -> dict[str, float]:
    return {"rate": changes / seconds, "cpu": cpu / changes * 1e6}


WAYS: Mapping[str, Callable[[Task], Mapping[str, float]]] = {
    "ceiling": ceiling,
    "raw ceiling": raw_ceiling,
    "writer, queue in memory": writer_on_memory,
    "writer, queue in memory, PyMongo's client": writer_on_memory_by_pymongo,
    "writer, emulator": writer_on_sqs,
    "emulator alone": emulator_alone,
    "article": article,
}


if __name__ == "__main__":
    _, way, options = sys.argv
    sys.stdout.write(json.dumps(WAYS[way](Task(**json.loads(options)))))
