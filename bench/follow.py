"""`follow`: copying a table and reading its stream, beside the plain way of doing each."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pymongo

from bench import follow_child
from bench.dynamodb_endpoint import TABLE, DynamoDBEndpoint
from bench.measure import Series
from bench.report import Result, Table, shown, values
from local.paths import ROOT
from local.servers.emulator import AWS_VARIABLES
from local.servers.mongod import Mongod

ABOUT = """\
Medians of all rounds, each way in a process of its own. The ratios are those to the plain way, round by
round; in brackets: half of the rounds lie in there. Less is better for CPU time, more for the rate. DynamoDB
is a process that answers from memory, MongoDB a new `mongod`; all share the machine.

*Copy.* Plain is aiobotocore's `Scan` in four segments at once, `TypeDeserializer` and PyMongo's `insert_many`
of 1,000 documents, `w=majority`. *Changes.* Plain is `GetRecords` of four shards at once and `bulk_write`
with `ReplaceOne` of the new images: it writes older changes over newer ones, and forgets where it was. All
changes are there at the start, and each changes a document that is there. `follow` is ours, without the
command line, until it has caught up: it looks for tombstones, writes only what is newer, notes how far it is,
and reads each shard three times in vain before it ends, which takes about two seconds.\
"""

_ITEMS = 20_000
_CHANGES = 40_000
_PARTS = {"copy": _ITEMS, "read": _CHANGES}
"""The plain way of each part, and how many items or changes it has."""


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
    return _result(found, rounds)


def _result(found: dict[str, dict[str, list[dict[str, float]]]], rounds: int) -> Result:
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
    return Result("follow", ABOUT, tables, figures, {"rounds": rounds, "items": _ITEMS, "changes": _CHANGES})


def _cpu(run: dict[str, float], number: int) -> float:
    """Microseconds of each of so many."""
    return run["cpu"] / number * 1e6


def _rate(run: dict[str, float], number: int) -> float:
    """So many a second."""
    return number / run["seconds"]
