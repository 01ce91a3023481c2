"""`scale`: one writer under other loads, and several writers; memory and connections."""

from __future__ import annotations

import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pymongo

from bench.items import LANES
from bench.load import Load
from bench.measure import Series
from bench.report import Plot, Result, Table, shown, values
from bench.world import CONNECTIONS, World, batches_in, store
from local.pipeline.deployment import Deployment
from local.pipeline.writer_process import WriterProcess
from local.stack import Stack

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bench.world import Stored

ABOUT = """\
Writers as processes of their own (`python -m writer`) drain a backlog from the emulator's queue into the
embedded mongod. The emulator is a Python program that uses one core at most, mongod takes another, and
there are two: several writers do not write faster here, and what is seen is that they do not hinder each
other.

Rates count from the moment when every writer has applied a batch until the queue is empty, changes per
second. Memory is the peak resident memory of one writer, connections are those that MongoDB counts, less
those without writers. Writers log at DEBUG, to tell of each batch. Writes are what a hot key costs: how
often its document was written. Medians of the rounds; in brackets: half of the rounds lie in there.\
"""

_WRITERS = (1, 2, 3, 4)
_LANES = (1, 4, 16, LANES, 256)
_SIZES = {"250 B": (20_000, 0), "1 KB": (10_000, 750), "10 KB": (2_000, 9_750), "100 KB": (200, 99_750)}
_BACKLOGS = (10_000, 100_000, 1_000_000)
_CHANGES = 20_000
_UNPACKED = 2_000
_HOT = 10_000
_LARGEST_EVENT = 10_000
_DRAIN_SECONDS = 600.0


class Drained(NamedTuple):
    """What was measured during one drain.

    Attributes:
        rate: changes per second.
        memory: peak resident memory of the largest writer, MiB.
        connections: the writers' connections to MongoDB.
        writes: inserts and updates of documents, stale ones included.
    """

    rate: float
    memory: float
    connections: float
    writes: float


def run(rounds: int) -> Result:
    """Measures all loads in each round, the largest backlog only once."""
    found: dict[str, list[Drained]] = {}
    with tempfile.TemporaryDirectory() as name, Stack("embedded") as stack:
        bench = _Bench(stack, Path(name))
        loads = {label: (store(load, Path(name)), writers) for label, (load, writers) in _loads().items()}
        for number in range(rounds):
            for label, (stored, writers) in loads.items():
                if number == 0 or not _is_once(label):
                    found.setdefault(label, []).append(bench.drain(stored, writers))
    series = {
        label: {figure: Series([getattr(one, figure) for one in measured]) for figure in Drained._fields}
        for label, measured in found.items()
    }
    figures = {
        label: {figure: values(one) for figure, one in measured.items()} for label, measured in series.items()
    }
    return Result("scale", ABOUT, _tables(series), figures, {"rounds": rounds}, _plots(series))


def _is_once(label: str) -> bool:
    return label == f"backlog: {_BACKLOGS[-1]}"


def _loads() -> Mapping[str, tuple[Load, int]]:
    """Name → load and number of writers."""
    usual = Load(_CHANGES, _CHANGES)
    return {
        **{f"writers: {number}": (usual, number) for number in _WRITERS},
        **{f"lanes: {lanes}": (usual._replace(lanes=lanes), 1) for lanes in _LANES},
        "lanes: 0": (Load(_UNPACKED, _UNPACKED, lanes=0), 1),
        **{f"size: {name}": (Load(size, size, padding=more), 1) for name, (size, more) in _SIZES.items()},
        **{f"hot key: {records}": (Load(_HOT, 1, records=records), 1) for records in (1_000, 100)},
        **{f"backlog: {number}": (Load(number, number, records=_LARGEST_EVENT), 1) for number in _BACKLOGS},
    }


class _Bench:
    """Drains loads with writers that are processes."""

    def __init__(self, stack: Stack, folder: Path) -> None:
        self._stack = stack
        self._folder = folder
        self._world = World(stack)

    def drain(self, stored: Stored, number: int) -> Drained:
        """Drains a load with so many writers."""
        client = pymongo.MongoClient[dict[str, Any]](self._stack.mongodb_uri)
        with (
            client,
            ExitStack() as resources,
            self._world.database() as database,
            self._world.queues(stored) as (url, dead),
        ):
            before = self._connections(client)
            deployment = Deployment("bench", url, dead, "")
            writers = []
            for index in range(number):
                log = self._folder / f"{database}-{index}.log"
                settings = {"MONGODB_DATABASE": database, "LOG_LEVEL": "DEBUG"}
                writer = WriterProcess(
                    self._stack, deployment, log=log, replication_file=None, settings=settings
                )
                writers.append(resources.enter_context(writer))
            rate = self._rate(stored, writers, url)
            connections = self._connections(client) - before
            memory = max(_peak_memory(writer.child.pid) for writer in writers)
            written = sum(
                batch[kind]
                for writer in writers
                for batch in batches_in(writer.log)
                for kind in ("inserted", "modified", "stale")
            )
            self._world.check(database, stored)
            for writer in writers:
                writer.kill()  # an orderly shutdown would wait for its long polls
        return Drained(rate, memory, connections, written)

    def _rate(self, stored: Stored, writers: Sequence[WriterProcess], url: str) -> float:
        deadline = time.monotonic() + _DRAIN_SECONDS
        sqs = self._stack.client("sqs")
        began = done = 0.0
        while time.monotonic() < deadline:
            if not began and all(batches_in(writer.log) for writer in writers):
                began = time.perf_counter()
                done = sum(batch["changes"] for writer in writers for batch in batches_in(writer.log))
            names: Any = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
            there = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
            if not any(int(number) for number in there.values()):
                # A writer that was too late for a batch: others had drained everything.
                left = stored.load.changes - done if began else 0
                return left / (time.perf_counter() - began) if left else float("nan")
            time.sleep(0.02)
        raise TimeoutError("the queue was not emptied")

    def _connections(self, client: pymongo.MongoClient[dict[str, Any]]) -> int:
        return int(client.admin.command("serverStatus")["connections"]["current"])


def _peak_memory(pid: int) -> float:
    """Peak resident memory, MiB; Linux only."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    (line,) = [line for line in status.splitlines() if line.startswith("VmHWM:")]
    return int(line.split()[1]) / 1024


def _tables(series: Mapping[str, Mapping[str, Series]]) -> Sequence[Table]:
    def rows(kind: str, *figures: str) -> Sequence[Sequence[str]]:
        return [
            [label.removeprefix(f"{kind}: "), *(shown(found[figure], 0) for figure in figures)]
            for label, found in series.items()
            if label.startswith(f"{kind}: ")
        ]

    return [
        Table("Writers", ("writers", "changes/s", "connections"), rows("writers", "rate", "connections")),
        Table(
            f"Lanes (0: a message for each of {_UNPACKED:,} changes)",
            ("lanes", "changes/s"),
            rows("lanes", "rate"),
        ),
        Table("Sizes of items", ("size", "changes/s", "memory, MiB"), rows("size", "rate", "memory")),
        Table(
            "Memory by backlog (events of 10,000 records)",
            ("changes", "memory, MiB", "changes/s", "connections"),
            rows("backlog", "memory", "rate", "connections"),
        ),
        Table(
            f"One hot key, {_HOT:,} changes",
            ("records of an event", "writes"),
            rows("hot key", "writes"),
        ),
    ]


def _plots(series: Mapping[str, Mapping[str, Series]]) -> Sequence[Plot]:
    def points(kind: str, figure: str) -> Mapping[str, float]:
        return {
            label.removeprefix(f"{kind}: "): found[figure].median
            for label, found in series.items()
            if label.startswith(f"{kind}: ")
        }

    return [
        Plot("writers", "writers", "changes/s", points("writers", "rate")),
        Plot("lanes", "lanes", "changes/s", points("lanes", "rate")),
        Plot("sizes", "size of an item", "changes/s", points("size", "rate")),
        Plot("memory", "changes in the queue", "peak memory of the writer, MiB", points("backlog", "memory")),
        Plot(
            "connections", "writers", f"connections ({CONNECTIONS} a pool)", points("writers", "connections")
        ),
    ]
