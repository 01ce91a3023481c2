"""`end-to-end`: from a put in DynamoDB to the document in MongoDB, through the emulator and the Lambda."""

from __future__ import annotations

import random
import tempfile
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from statistics import quantiles
from typing import TYPE_CHECKING, Any

import pymongo

from bench.items import KINDS
from bench.load import body_of_one
from bench.measure import Series
from bench.report import Result, Table, shown, values
from bench.world import batches_in
from deploy.package import build
from local.pipeline.writer_process import WriterProcess
from local.stack import Stack
from replicator_testing import Pipeline

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

ABOUT = """\
Items are put into a table of the emulator, whose stream invokes the packaged Lambda, which sends to the
emulator's queue, from which one writer writes to the embedded mongod. Latency runs from the call that puts
the item until a change stream shows the document. The emulator polls streams and queues as it sees fit, and
it is a Python program on the same cores: on AWS, figures are others.

- low load: one put every 100 ms.
- half of the capacity: half as many a second as the pipeline sustained just before.
- queue and writer: a message with one change is sent to the queue directly, one every 100 ms; from the call
  that sends it until the change stream shows the document.
- the writer alone: of the batches of that last load, the time from their arrival to their acknowledgement,
  as the writer's log has it at `LOG_LEVEL=DEBUG` (`plan_ms`, `apply_ms`, `settle_ms`; the last is the call
  that deletes the messages).

Sustained: puts in batches of 25 from two threads for five seconds; changes per second from the first
document to the last. Milliseconds; medians of the rounds, in brackets: half of the rounds lie in there.\
"""

_PAUSE = 0.1
_PARTS = ("plan_ms", "apply_ms", "settle_ms")
_LOW_PUTS = 100
_SUSTAINED_SECONDS = 5.0
_HALF_SECONDS = 5.0
_ARRIVAL = 60.0
_LOADS = ("low load", "half of the capacity", "queue and writer", "the writer alone")
_SMALL = next(kind for kind in KINDS if kind.name == "small")


class Watcher:
    """Records when documents become visible, by a change stream."""

    def __init__(self, uri: str, database: str, collection: str) -> None:
        self._client = pymongo.MongoClient[dict[str, Any]](uri)
        self._stream = self._client[database][collection].watch(max_await_time_ms=50)
        self._seen: dict[int, float] = {}
        self._arrived = threading.Condition()
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._ends.is_set():
            event = self._stream.try_next()
            if event is not None:
                now = time.perf_counter()
                with self._arrived:
                    self._seen[event["documentKey"]["_id"]] = now
                    self._arrived.notify_all()

    def wait(self, keys: Sequence[int]) -> Sequence[float]:
        """When each of the documents became visible; waits for them.

        Raises:
            TimeoutError: a document did not arrive.
        """
        with self._arrived:
            if not self._arrived.wait_for(lambda: all(key in self._seen for key in keys), _ARRIVAL):
                raise TimeoutError("a document did not arrive")
            return [self._seen[key] for key in keys]

    def close(self) -> None:
        """Stops watching."""
        self._ends.set()
        self._thread.join()
        self._stream.close()
        self._client.close()


class _BatchLog:
    """The writer's log, from now on."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._start = log.stat().st_size

    def milliseconds(self, changes: int) -> Sequence[float]:
        """How long each batch took, after so many changes were acknowledged."""
        deadline = time.monotonic() + _ARRIVAL
        while time.monotonic() < deadline:
            entries = batches_in(self._log, self._start)
            if sum(entry["changes"] for entry in entries) >= changes:
                return [sum(entry[part] for part in _PARTS) for entry in entries]
            time.sleep(_PAUSE)
        raise TimeoutError("the writer did not acknowledge")


class Puts:
    """Puts items with distinct keys."""

    def __init__(self, stack: Stack, table: str, source: random.Random) -> None:
        self._dynamodb = stack.client("dynamodb")
        self._table = table
        self._source = source
        self._next = 0
        self._lock = threading.Lock()

    def keys(self, number: int) -> Sequence[int]:
        """Keys that no item has yet."""
        with self._lock:
            first = self._next
            self._next += number
        return range(first, first + number)

    def one(self, key: int) -> None:
        """Puts one item."""
        self._dynamodb.put_item(TableName=self._table, Item=self._item(key))

    def batch(self, keys: Sequence[int]) -> None:
        """Puts up to 25."""
        puts: Any = [{"PutRequest": {"Item": self._item(key)}} for key in keys]
        while puts:
            answer = self._dynamodb.batch_write_item(RequestItems={self._table: puts})
            puts = answer.get("UnprocessedItems", {}).get(self._table, [])

    def _item(self, key: int) -> Any:
        return {"id": {"N": str(key)}, **_SMALL.make(self._source, key)}


def run(rounds: int) -> Result:
    """In each round, measures low load, the capacity, half of it, and the writer's part."""
    found: dict[str, list[float]] = {}

    def record(name: str, milliseconds: Sequence[float]) -> None:
        percentiles = quantiles(milliseconds, n=100, method="inclusive")
        found.setdefault(f"{name}: p50", []).append(percentiles[49])
        found.setdefault(f"{name}: p99", []).append(percentiles[98])

    with _pipeline() as pipeline:
        puts = Puts(pipeline.stack, pipeline.table, random.Random(1))
        watcher = Watcher(pipeline.stack.mongodb_uri, pipeline.database, pipeline.table)
        try:
            latencies(puts.one, puts.keys(20), _PAUSE, watcher)  # warms everything up
            for _ in range(rounds):
                record("low load", latencies(puts.one, puts.keys(_LOW_PUTS), _PAUSE, watcher))
                rate = _sustained(puts, watcher)
                found.setdefault("sustained", []).append(rate)
                number = round(rate / 2 * _HALF_SECONDS)
                record("half of the capacity", latencies(puts.one, puts.keys(number), 2 / rate, watcher))
                send = _sender(pipeline)
                batches = _BatchLog(pipeline.writer.log)
                record("queue and writer", latencies(send, puts.keys(_LOW_PUTS), _PAUSE, watcher))
                record("the writer alone", batches.milliseconds(_LOW_PUTS))
        finally:
            watcher.close()
    series = {name: Series(measured) for name, measured in found.items()}
    return Result(
        "end-to-end",
        ABOUT,
        _tables(series),
        {name: values(one) for name, one in series.items()},
        {"rounds": rounds},
    )


@contextmanager
def _pipeline() -> Iterator[Pipeline]:
    with tempfile.TemporaryDirectory() as folder, Stack("embedded") as stack:
        package = Path(folder) / "producer.zip"
        build(package)
        with Pipeline.start(stack, Path(folder), package=package, mapping="") as pipeline:
            pipeline.writer.kill()
            pipeline.writer = WriterProcess(
                stack,
                pipeline.deployment,
                log=Path(folder) / "debug.log",
                settings={"MONGODB_DATABASE": pipeline.database, "LOG_LEVEL": "DEBUG"},
                replication_file=pipeline.replication_file,
            )
            pipeline.writer.wait()
            yield pipeline


def latencies(
    put: Callable[[int], None], keys: Sequence[int], pause: float, watcher: Watcher
) -> Sequence[float]:
    """Milliseconds from each call to its document; one call every `pause` seconds, if calls are that fast."""
    calls, begun = [], time.perf_counter()

    def call(key: int) -> float:
        began = time.perf_counter()
        put(key)
        return began

    with ThreadPoolExecutor(8) as threads:
        for number, key in enumerate(keys):
            time.sleep(max(0.0, begun + number * pause - time.perf_counter()))
            calls.append(threads.submit(call, key))
        began = [one.result() for one in calls]
    return [(seen - start) * 1000 for start, seen in zip(began, watcher.wait(keys), strict=True)]


def _sustained(puts: Puts, watcher: Watcher) -> float:
    keys: list[int] = []
    until = time.perf_counter() + _SUSTAINED_SECONDS

    def put() -> None:
        while time.perf_counter() < until:
            mine = puts.keys(25)
            keys.extend(mine)
            puts.batch(mine)

    with ThreadPoolExecutor(2) as threads:
        for work in [threads.submit(put) for _ in range(2)]:
            work.result()
    seen = watcher.wait(keys)
    return len(keys) / (max(seen) - min(seen))


def _sender(pipeline: Pipeline) -> Callable[[int], None]:
    sqs, url, table = pipeline.stack.client("sqs"), pipeline.deployment.queue_url, pipeline.table

    def send(key: int) -> None:
        group, body = body_of_one(table, key)
        identity = uuid.uuid4().hex
        sqs.send_message(
            QueueUrl=url, MessageBody=body, MessageGroupId=group, MessageDeduplicationId=identity
        )

    return send


def _tables(series: Mapping[str, Series]) -> Sequence[Table]:
    rows = [[name, shown(series[f"{name}: p50"], 0), shown(series[f"{name}: p99"], 0)] for name in _LOADS]
    return [
        Table("Latency", ("load", "p50, ms", "p99, ms"), rows),
        Table("Sustained", ("", "changes/s"), [["puts", shown(series["sustained"], 0)]]),
    ]
