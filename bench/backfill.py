"""`backfill`: copying and comparing a table, beside the plain way of doing it.

The whole way, from `Scan` on, in CPU time and memory, each in a process of its own; and what becomes of
documents, compared with `insert_many` of the same documents and connections, in elapsed time. All on a new
`mongod`; server and client share the machine, and so do the variants in each round.
"""

from __future__ import annotations

import asyncio
import functools
import gc
import json
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import bson
import pymongo
from pymongo.write_concern import WriteConcern

from bench import migration_child
from bench.dynamodb_endpoint import DynamoDBEndpoint
from bench.items import KINDS
from bench.measure import Series
from bench.report import Result, Table, shown, values
from local.servers.mongod import Mongod
from ops.migration.backfill.copier import batch_of
from ops.migration.images import copied, write_of
from ops.migration.store import Store
from writer.mapping.rules import Rules

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ops.migration.images import Item
    from writer.write import Write

ABOUT = """\
*A table, the whole way.* CPU time and peak memory of one process, medians of all rounds. "Plain" is what a
script does: boto3's `Scan` in four segments and threads; `TypeDeserializer` and `insert_many` of what it
gives, or nothing. `backfill` and `verify` are ours, without the command line, in four segments as well. The
ratio is that to the plain way, round by round; in brackets: half of the rounds lie in there. DynamoDB is a
process that answers from memory.

*Documents per second.* Elapsed time, median of all rounds; the ratio is that of the medians: 1 is as fast as
`insert_many`.

`insert_many` is PyMongo's, unordered, of the same documents as dicts, in bulks of 1000 by four threads over
four connections, `w=majority`. The backfill writes as many bulks at once over as many connections: "write
path" is what becomes of documents (tombstones before, insert, tombstones after), "with the mapping" begins
with the items as they are read. Reading the table is in neither.\
"""

CONNECTIONS = 4
_TABLE_ITEMS = 20_000
_ROUNDS_PER_COPY = 6
"""Rounds of documents to one of the whole way, which takes so much longer."""

_PLAIN = {"insert_many": "insert_many", "backfill": "insert_many", "verify": "scan", "scan": "scan"}
"""Way → the plain one that does the same, or reads as much."""

_NAMES = {
    "insert_many": "plain: Scan, TypeDeserializer, insert_many",
    "backfill": "backfill",
    "verify": "verify",
    "scan": "plain: Scan",
}
_CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "benchmark",
    "AWS_SECRET_ACCESS_KEY": "benchmark",
    "AWS_DEFAULT_REGION": "us-east-1",
}
_BULK = 1_000
_ITEMS = 10_000
_DATABASE = "bench"
_KEY = {"id": "N"}
_MAPPED, _WRITE, _INSERT = "backfill, with the mapping", "backfill, write path", "insert_many"


def run(rounds: int) -> Result:
    """Measures all variants in each round, on empty collections."""
    with tempfile.TemporaryDirectory() as folder, Mongod(Path(folder)) as server:
        server.wait()
        ways = _ways(server.uri, max(1, rounds // _ROUNDS_PER_COPY))
        return _with_ways(asyncio.run(_measure(server.uri, rounds)), ways)


def _ways(uri: str, rounds: int) -> dict[str, list[dict[str, float]]]:
    """Each way in a process of its own, all of them in each round."""
    found: dict[str, list[dict[str, float]]] = {way: [] for way in _PLAIN}
    environment = {**os.environ, **_CREDENTIALS}
    with (
        DynamoDBEndpoint(_TABLE_ITEMS) as endpoint,
        pymongo.MongoClient[dict[str, Any]](uri) as client,
    ):
        for _ in range(rounds):
            for way, results in found.items():
                if way != "verify":  # it compares what the backfill before it has copied
                    client.drop_database(migration_child.DATABASE)
                done = subprocess.run(  # noqa: S603 - our own module
                    [sys.executable, "-m", "bench.migration_child", way, endpoint.url, uri],
                    env=environment,
                    cwd=Path(__file__).resolve().parent.parent,
                    stdout=subprocess.PIPE,
                    check=True,
                )
                results.append(json.loads(done.stdout))
    return found


def _with_ways(result: Result, ways: dict[str, list[dict[str, float]]]) -> Result:
    rows = []
    figures: dict[str, Any] = {}
    for way, plain in _PLAIN.items():
        cpu = Series([each["cpu"] / _TABLE_ITEMS * 1e6 for each in ways[way]])
        ratio = Series([mine["cpu"] / its["cpu"] for mine, its in zip(ways[way], ways[plain], strict=True)])
        memory = Series([each["mib"] for each in ways[way]])
        rows.append((_NAMES[way], shown(cpu, 0), shown(ratio, 2), f"{memory.median:,.0f}"))
        figures[way] = {"CPU us per item": values(cpu), "ratio": values(ratio), "MiB": values(memory)}
    table = Table("A table, the whole way", ("", "CPU µs/item", "ratio", "peak MiB"), rows)
    return replace(
        result,
        tables=[table, *result.tables],
        figures={**figures, **result.figures},
        settings={**result.settings, "items of the table": _TABLE_ITEMS},
    )


async def _measure(uri: str, rounds: int) -> Result:
    items = _items()
    store = Store.connect(uri, _DATABASE, CONNECTIONS)
    await store.open()
    rates: dict[str, list[float]] = {_MAPPED: [], _WRITE: [], _INSERT: []}
    with (
        pymongo.MongoClient[dict[str, Any]](uri, maxPoolSize=CONNECTIONS) as client,
        ThreadPoolExecutor(CONNECTIONS) as threads,
    ):
        for number in range(rounds + 1):
            order = list(rates) if number % 2 else list(rates)[::-1]
            for variant in order:
                rules = Rules().table(f"c{number}")
                writes = _writes(rules.name, items)
                documents = [bson.decode(write.document or b"") for write in writes]
                gc.collect()
                gc.freeze()  # the collector must not traverse what was prepared
                started = time.perf_counter()
                if variant == _INSERT:
                    target = client[_DATABASE].get_collection(
                        rules.name, write_concern=WriteConcern(w="majority")
                    )
                    insert = functools.partial(target.insert_many, ordered=False)
                    list(threads.map(insert, _bulks(documents)))
                elif variant == _WRITE:
                    await _all_at_once(_bulks(writes), store.apply)
                else:

                    async def copy(some: Sequence[Item], name: str = rules.name) -> None:
                        await store.apply(batch_of(Rules().table(name), _KEY, some, 0).writes)

                    await _all_at_once(_bulks(items), copy)
                seconds = time.perf_counter() - started
                gc.unfreeze()
                assert client[_DATABASE][rules.name].count_documents({}) == _ITEMS  # noqa: S101
                client[_DATABASE].drop_collection(rules.name)
                if number:  # the first round warms up
                    rates[variant].append(_ITEMS / seconds)
    store.close()
    return _result({name: Series(values) for name, values in rates.items()}, rounds)


async def _all_at_once(bulks: Sequence[Any], write: Callable[[Any], Any]) -> None:
    waiting = iter(bulks)

    async def loop() -> None:
        for bulk in waiting:
            await write(bulk)

    await asyncio.gather(*(loop() for _ in range(CONNECTIONS)))


def _items() -> list[Item]:
    (kind,) = (kind for kind in KINDS if kind.name == "small")
    some = kind.items()
    return [{**some[number % len(some)], "id": {"N": str(number)}} for number in range(_ITEMS)]


def _writes(table: str, items: Sequence[Item]) -> list[Write]:
    rules = Rules().table(table)
    found = [write_of(rules, copied(table, _KEY, item, 0)) for item in items]
    return [write for write in found if write is not None]


def _bulks(everything: Sequence[Any]) -> list[Sequence[Any]]:
    return [everything[start : start + _BULK] for start in range(0, len(everything), _BULK)]


def _result(found: dict[str, Series], rounds: int) -> Result:
    base = median(found[_INSERT].values)
    ratios = {name: series.median / base for name, series in found.items()}
    rows = [(name, _range(series), f"{ratios[name]:.2f}") for name, series in found.items()]
    figures = {
        name: {"per second": series.median, "quartiles": series.quartiles, "ratio": ratios[name]}
        for name, series in found.items()
    }
    table = Table("Documents per second", ("", "documents/s", "ratio"), rows)
    return Result("backfill", ABOUT, [table], figures, {"rounds": rounds, "items": _ITEMS})


def _range(series: Series) -> str:
    low, high = series.quartiles
    return f"{series.median:,.0f} ({low:,.0f} to {high:,.0f})"
