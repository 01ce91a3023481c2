"""`network`: how fast a backlog drains when MongoDB, or the queue too, is far away or the line is narrow."""

from __future__ import annotations

import random
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from bench.load import Load, read
from bench.measure import Series
from bench.network_model import CPU, Lines, Modelled, drain
from bench.network_queue import DEAD, QUEUE, NetworkQueue
from bench.report import Result, Table, shown, values
from bench.world import CONNECTIONS, World, store
from local.stack import Stack
from tests.faults.proxy import Proxy
from writer.settings import LOOPS_PER_CONNECTION

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bench.world import Stored

ABOUT = f"""\
One writer drains a backlog of new documents (250 bytes of JSON) from a queue in memory that speaks SQS's
protocol. *Near* is a round trip of 0.5 ms to MongoDB and 2 ms to the queue, *far* is 40 ms, *narrow* is far
and 1 MB/s in each direction, shared by all connections to a server.

Modelled: the writer's own loops, planning and SQS calls, in a time that passes only while everything waits.
Each batch makes four commands to MongoDB, one after the other, each on one of the pool's connections, and a
change takes {CPU * 1e6:.0f} µs of the writer's only core. mongod takes no time. These figures are the same on
every machine: they are what the way allows.

Measured: the real writer, in a process of its own, through two proxies, before mongod and before the queue.
The delay alone costs no throughput: what is under way waits side by side. Connecting is not delayed, there is
no TLS, and *near* is the proxies without a delay. Everything shares the machine's cores.

Rates are changes per second from the first request to the last acknowledgement. *Again*: messages that were
handed out a second time. *Requests* are those to SQS per 1,000 changes. Measured figures are medians of the
rounds; in brackets: half of the rounds lie in there.\
"""

CHANGES = 30_000
FAR, BANDWIDTH = 0.04, 1_000_000.0
_SMALL_EVENT = 64
"""Records of an event that makes a message of each of them."""

_NEAR = "near, 4"
_COMPRESSED = "&compressors=zlib"


class Way(NamedTuple):
    """How a writer reaches both servers, and with what.

    Attributes:
        to_mongodb, to_queue: seconds that a round trip takes longer than it does here.
        pool: connections.
        bandwidth: bytes per second to each of them; 0: no limit.
        option: of the connection string.
    """

    to_mongodb: float = FAR
    to_queue: float = FAR
    pool: int = CONNECTIONS
    bandwidth: float = 0.0
    option: str = ""


WAYS: Mapping[str, Way] = {
    _NEAR: Way(0.0, 0.0),
    "MongoDB far, 4": Way(to_queue=0.0),
    "MongoDB far, 16": Way(to_queue=0.0, pool=16),
    "both far, 4": Way(),
    "both far, 16": Way(pool=16),
    "both narrow, 4": Way(bandwidth=BANDWIDTH),
    "both narrow, 4, compressors=zlib": Way(bandwidth=BANDWIDTH, option=_COMPRESSED),
    "both narrow, 16": Way(pool=16, bandwidth=BANDWIDTH),
}
"""Those that are measured."""

_NEAR_MONGODB, _NEAR_QUEUE = 0.0005, 0.002
_PLACES = {
    "near": Lines(_NEAR_MONGODB, _NEAR_QUEUE),
    "MongoDB far": Lines(FAR, _NEAR_QUEUE),
    "both far": Lines(FAR, FAR),
    "both narrow": Lines(FAR, FAR, BANDWIDTH),
}


_USUAL = (CONNECTIONS, CONNECTIONS * LOOPS_PER_CONNECTION)
_POOLS = [(pool, pool * LOOPS_PER_CONNECTION) for pool in (1, 2, CONNECTIONS, 8, 16, 32)]
_LOOPS = [(CONNECTIONS, loops) for loops in (4, 12, 16)]
_LARGE_EVENTS = {
    "near": [_USUAL],
    "MongoDB far": [*_POOLS, *_LOOPS],
    "both far": [*_POOLS, *_LOOPS],
    "both narrow": [_USUAL, (16, 32)],
}
_SMALL_EVENTS = {place: [_USUAL, (16, 32)] for place in ("near", "MongoDB far", "both far")}
"""Place → pools and loops, which are modelled."""


def run(rounds: int) -> Result:
    """Models, and measures on a new server."""
    with Stack("embedded") as stack:
        return run_on(stack, rounds, CHANGES)


def run_on(stack: Stack, rounds: int, changes: int) -> Result:
    """Models all ways once, and measures some of them in each round."""
    found: dict[str, list[Mapping[str, float]]] = {}
    world = World(stack)
    with tempfile.TemporaryDirectory() as folder:
        stored = store(Load(changes, changes), Path(folder))
        small = store(Load(changes // 5, changes // 5, records=_SMALL_EVENT), Path(folder))
        modelled = {
            "Modelled: events of 1,000 records": _model(stored, _LARGE_EVENTS),
            f"Modelled: events of {_SMALL_EVENT} records": _model(small, _SMALL_EVENTS),
        }
        for number in range(rounds):
            for name in list(WAYS) if number % 2 else list(WAYS)[::-1]:
                measured = measure_way(world, stack, stored, WAYS[name])
                found.setdefault(name, []).append(measured)
    rates = {name: Series([one["rate"] for one in found[name]]) for name in WAYS}
    again = {name: max(int(one["again"]) for one in found[name]) for name in WAYS}
    figures = {
        "measured": {
            name: {
                "changes per second": values(rate),
                "of the near one": values(rate.over(rates[_NEAR])),
                "again": again[name],
            }
            for name, rate in rates.items()
        },
        **{title: {name: one._asdict() for name, one in some.items()} for title, some in modelled.items()},
    }
    tables = [_modelled(title, some) for title, some in modelled.items()]
    settings = {"rounds": rounds, "changes": changes}
    return Result("network", ABOUT, [*tables, _measured(rates, again)], figures, settings)


def _model(stored: Stored, ways: Mapping[str, Sequence[tuple[int, int]]]) -> Mapping[str, Modelled]:
    messages = list(read(stored.path))
    return {
        f"{place}, {pool}, {loops}": drain(messages, _PLACES[place], pool, loops)
        for place, some in ways.items()
        for pool, loops in some
    }


def _modelled(title: str, found: Mapping[str, Modelled]) -> Table:
    near = found[f"near, {CONNECTIONS}, {CONNECTIONS * LOOPS_PER_CONNECTION}"].rate
    rows = [
        [
            name,
            f"{one.rate:,.0f}",
            f"{one.rate / near:.2f}",
            f"{one.changes / one.batches:,.0f}",
            f"{1000 * one.requests / one.changes:.1f}",
            str(one.again),
        ]
        for name, one in found.items()
    ]
    columns = ("way, pool, loops", "changes/s", "of near", "changes a batch", "requests", "again")
    return Table(title, columns, rows)


def _measured(rates: Mapping[str, Series], again: Mapping[str, int]) -> Table:
    rows = [
        [name, shown(rate, 0), shown(rate.over(rates[_NEAR]), 2), str(again[name])]
        for name, rate in rates.items()
    ]
    return Table("Measured: events of 1,000 records", ("way, pool", "changes/s", "of near", "again"), rows)


def measure_way(world: World, stack: Stack, stored: Stored, way: Way) -> Mapping[str, float]:
    """Drains a load once, in one way."""
    rng, narrow = random.Random(1), way.bandwidth
    mongodb = urlsplit(stack.mongodb_uri).netloc
    with (
        NetworkQueue(stored.path) as queue,
        Proxy(mongodb, rng, round_trip=way.to_mongodb, bandwidth=narrow) as to_mongodb,
        Proxy(queue.address, rng, round_trip=way.to_queue, bandwidth=narrow) as to_queue,
        world.database() as database,
    ):
        url = f"http://{to_queue.address}"
        found = world.run(
            "writer, emulator",
            stored,
            database,
            uri=f"mongodb://{to_mongodb.address}/?directConnection=true{way.option}",
            endpoint_url=url,
            queue_url=f"{url}/000000000000/{QUEUE}",
            dead_letter_queue_url=f"{url}/000000000000/{DEAD}",
            connections=way.pool,
        )
        world.check(database, stored)
    return found
