"""`follow`: copying a table and reading its stream, beside the plain way of doing each."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from statistics import quantiles
from typing import Any

import pymongo

from bench import follow_child
from bench.dynamodb_endpoint import TABLE, DynamoDBEndpoint
from bench.end_to_end import Puts, Watcher, latencies
from bench.measure import Series
from bench.report import Result, Table, shown, values
from local.example import scenario
from local.paths import ROOT
from local.pipeline.follow_process import FollowProcess
from local.pipeline.tables import create_table
from local.processes import ports
from local.servers.emulator import AWS_VARIABLES
from local.servers.mongod import Mongod
from local.stack import Stack

ABOUT = """\
Medians of all rounds, each way in a process of its own. The ratios are those to the plain way, round by
round; in brackets: half of the rounds lie in there. Less is better for CPU time, more for the rate. DynamoDB
is a process that answers from memory, MongoDB a new `mongod`; all share the machine.

*Copy.* Plain is aiobotocore's `Scan` in four segments at once, `TypeDeserializer` and PyMongo's `insert_many`
of 1,000 documents, `w=majority`. *Changes.* Plain is `GetRecords` of four shards at once and `bulk_write`
with `ReplaceOne` of the new images: it writes older changes over newer ones, and forgets where it was. All
changes are there at the start, and each changes a document that is there. `follow` is ours, without the
command line, until it has caught up: it looks for tombstones, writes only what is newer, notes how far it is,
and reads each shard three times in vain before it ends, which takes about two seconds.

*Latency.* The command follows a table of the emulator. From the call that puts an item until a change stream
of the embedded mongod shows the document, milliseconds. A shard is read again 0.21 seconds after a page with
records, 0.5 seconds after an empty one.\
"""

_ITEMS = 20_000
_CHANGES = 40_000
_PARTS = {"copy": _ITEMS, "read": _CHANGES}
"""The plain way of each part, and how many items or changes it has."""

_PACES = {"ten puts a second": (0.1, 100), "a put a second": (1.0, 20)}
"""Seconds between two puts, and how many there are in a round."""


def run(rounds: int) -> Result:
    """Measures both ways of both parts in each round."""
    found: dict[str, dict[str, list[dict[str, float]]]] = {
        part: {"plain": [], "follow": []} for part in _PARTS
    }
    with (
        tempfile.TemporaryDirectory() as folder,
        Mongod(Path(folder)) as server,
        DynamoDBEndpoint(_ITEMS) as still,
        DynamoDBEndpoint(_ITEMS, changes=_CHANGES) as changing,
        pymongo.MongoClient[dict[str, Any]](server.uri) as client,
    ):
        server.wait()

        def measure(way: str, endpoint: DynamoDBEndpoint, turn: int) -> dict[str, float]:
            done = subprocess.run(  # noqa: S603 - our own module
                [sys.executable, "-m", "bench.follow_child", way, endpoint.url, server.uri],
                env=os.environ | dict(AWS_VARIABLES),
                cwd=ROOT,
                stdout=subprocess.PIPE,
                check=True,
            )
            count = client[follow_child.DATABASE][TABLE].count_documents({"turn": turn} if turn else {})
            assert count == _ITEMS  # noqa: S101 - a benchmark of what does not work is worth nothing
            return dict(json.loads(done.stdout))

        for number in range(rounds):
            for name in ("plain", "follow") if number % 2 else ("follow", "plain"):
                client.drop_database(follow_child.DATABASE)
                for part, endpoint, turn in (("copy", still, 0), ("read", changing, _CHANGES // _ITEMS)):
                    way = part if name == "plain" else name
                    found[part][name].append(measure(way, endpoint, turn))
    return _result(found, _latencies(rounds), rounds)


def _latencies(rounds: int) -> dict[str, dict[str, Series]]:
    """By pace, of each round the median and 99 %."""
    found: dict[str, dict[str, list[float]]] = {pace: {"p50": [], "p99": []} for pace in _PACES}
    with ExitStack() as resources:
        folder = Path(resources.enter_context(tempfile.TemporaryDirectory()))
        stack = resources.enter_context(Stack("embedded"))
        create_table(stack, scenario.TABLE, id="N")
        watcher = Watcher(stack.mongodb_uri, scenario.DATABASE, scenario.TABLE)
        resources.callback(watcher.close)
        process = FollowProcess(
            stack,
            scenario.TABLE,
            log=folder / "follow.log",
            database=scenario.DATABASE,
            port=resources.enter_context(ports.free_port(8080)).number,
        )
        resources.callback(process.stop)
        process.wait()
        puts = Puts(stack, scenario.TABLE, random.Random(1))
        latencies(puts.one, puts.keys(20), 0.1, watcher)  # warms everything up
        for _ in range(rounds):
            for pace, (pause, number) in _PACES.items():
                measured = latencies(puts.one, puts.keys(number), pause, watcher)
                percentiles = quantiles(measured, n=100, method="inclusive")
                found[pace]["p50"].append(percentiles[49])
                found[pace]["p99"].append(percentiles[98])
    return {pace: {name: Series(each) for name, each in series.items()} for pace, series in found.items()}


def _result(
    found: dict[str, dict[str, list[dict[str, float]]]],
    waited: dict[str, dict[str, Series]],
    rounds: int,
) -> Result:
    tables, figures = [], {}
    for part, number in _PARTS.items():
        rows = []
        cpu, rate = (
            {name: Series([figure(each, number) for each in runs]) for name, runs in found[part].items()}
            for figure in (_cpu, _rate)
        )
        for name, runs in found[part].items():
            memory = Series([each["mib"] for each in runs])
            ratios = cpu[name].over(cpu["plain"]), rate[name].over(rate["plain"])
            rows.append(
                (
                    name,
                    shown(cpu[name], 0),
                    shown(ratios[0], 2),
                    shown(rate[name], 0),
                    shown(ratios[1], 2),
                    f"{memory.median:,.0f}",
                )
            )
            figures[f"{part}, {name}"] = {
                "CPU us": values(cpu[name]),
                "CPU, ratio": values(ratios[0]),
                "per second": values(rate[name]),
                "rate, ratio": values(ratios[1]),
                "MiB": values(memory),
            }
        title, unit = ("Copy", "item") if part == "copy" else ("Changes", "change")
        columns = ("", f"CPU µs/{unit}", "ratio", f"{unit}s/s", "ratio", "peak MiB")
        tables.append(Table(title, columns, rows))
    lines = [(pace, *(shown(each, 0) for each in series.values())) for pace, series in waited.items()]
    tables.append(Table("Latency", ("", "p50, ms", "p99, ms"), lines))
    figures |= {
        pace: {name: values(each) for name, each in series.items()} for pace, series in waited.items()
    }
    return Result("follow", ABOUT, tables, figures, {"rounds": rounds, "items": _ITEMS, "changes": _CHANGES})


def _cpu(run: dict[str, float], number: int) -> float:
    """Microseconds of each of so many."""
    return run["cpu"] / number * 1e6


def _rate(run: dict[str, float], number: int) -> float:
    """So many a second."""
    return number / run["seconds"]
