"""`backfill`: writing copied items, compared with `insert_many` of the same documents and connections.

Elapsed time, on a new `mongod`. Server and client share the machine, and so do the variants in each round.
Reading the table is not measured.
"""

from __future__ import annotations

import asyncio
import functools
import gc
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import bson
import pymongo
from pymongo.write_concern import WriteConcern

from bench.items import KINDS
from bench.measure import Series
from bench.report import Result, Table
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
Documents per second, elapsed time, median of all rounds; in brackets: half of the rounds lie in there. The
ratio is that of the medians: 1 is as fast as `insert_many`.

`insert_many` is PyMongo's, unordered, of the same documents as dicts, in bulks of 1000 by four threads over
four connections, `w=majority`. The backfill writes as many bulks at once over as many connections: "write
path" is what becomes of documents (tombstones before, insert, tombstones after), "with the mapping" begins
with the items as the SDK reads them. Reading the table is in neither.\
"""

CONNECTIONS = 4
_BULK = 1_000
_ITEMS = 10_000
_DATABASE = "bench"
_KEY = {"id": "N"}
_MAPPED, _WRITE, _INSERT = "backfill, with the mapping", "backfill, write path", "insert_many"


def run(rounds: int) -> Result:
    """Measures all variants in each round, on empty collections."""
    with tempfile.TemporaryDirectory() as folder, Mongod(Path(folder)) as server:
        server.wait()
        return asyncio.run(_measure(server.uri, rounds))


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
