"""`drain`: how fast a backlog reaches MongoDB, compared with the driver's maximum and the article's way."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.load import Load
from bench.measure import Series
from bench.report import Result, Table, shown, values
from bench.world import World, store
from local.paths import ROOT
from local.stack import Stack

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bench.world import Stored

ABOUT = """\
A backlog of changes, one for each key, in messages as the Lambda makes them of events of 1,000 records (64
lanes). One writer drains it into the embedded mongod: from a queue in memory, and from the emulator's queue.
Beside it in the same round:

- ceiling: PyMongo's `bulk_write` of the same guarded operations, ready made, 500 a bulk, a thread for each of
  the writer's connections. It reads no queue, plans nothing, and looks for no tombstones.
- raw ceiling: the same with the commands that the writer sends, in place of `bulk_write`.
- previous release: with `--against DIR`, the writer of the checkout there, its queue in memory. Ratios of CPU
  time are over it.
- PyMongo's client: the writer with `MONGODB_CLIENT=pymongo`, in place of Motor.
- large events: the same backlog in messages of events of 5,000 records, about the most that Lambda hands
  over. The emulator takes as long for a message of 78 changes as for one of 16.
- emulator alone: its queue is received and deleted, and nothing is done with what was in it. No writer can be
  faster, and mongod takes what the emulator then does not have.
- the article's way: invocations of 100 records, each with a client of its own that does one `update_one` with
  upsert per record; one invocation at a time, and four. On fewer changes, because it is slow.

Inserts: no document is there. Updates: each is there in an older version. Everything shares the machine's
cores: the emulator (a Python program) and mongod take theirs. CPU is that of the writer's or driver's process
alone, microseconds per change; mongod's stands beside it, with what the start of the child made it do. Each
way runs in a process of its own; rates count from the first batch to the last acknowledgement. Medians of the
rounds; in brackets: half of the rounds lie in there. Ratios are made round by round.\
"""

CHANGES = 100_000
LARGE_EVENT = 5_000
"""Records; about what fits into the 6 MB of the largest event."""

IN_MEMORY = "writer, queue in memory"
PREVIOUS = f"{IN_MEMORY}, previous release"

_OF_THE_ARTICLE = 2_000
_WAYS = (
    "ceiling",
    "raw ceiling",
    IN_MEMORY,
    "writer, queue in memory, PyMongo's client",
    "writer, emulator",
)


def run(rounds: int, against: Path | None = None) -> Result:
    """Measures on new servers; `against`: a checkout of another release."""
    with Stack("embedded") as stack:
        return run_on(stack, rounds, CHANGES, against)


def run_on(stack: Stack, rounds: int, changes: int, against: Path | None = None) -> Result:
    """Measures all ways in each round."""
    ways = _WAYS if against is None else (*_WAYS, PREVIOUS)
    found: dict[str, list[Mapping[str, float]]] = {}
    world = World(stack)
    with tempfile.TemporaryDirectory() as folder:
        inserts = store(Load(changes, changes), Path(folder))
        large = store(Load(changes, changes, records=LARGE_EVENT), Path(folder))
        updates = store(Load(changes, changes, turn=1), Path(folder))
        large_updates = store(Load(changes, changes, turn=1, records=LARGE_EVENT), Path(folder))
        for number in range(rounds):
            for way in ways if number % 2 else ways[::-1]:
                checkout = against if way == PREVIOUS and against is not None else ROOT
                child = IN_MEMORY if way == PREVIOUS else way
                for kind, load, before in (("inserts", inserts, None), ("updates", updates, inserts)):
                    took = _measure(world, child, load, before, checkout)
                    found.setdefault(f"{kind}: {way}", []).append(took)
            found.setdefault("updates: writer, emulator, large events", []).append(
                _measure(world, "writer, emulator", large_updates, inserts)
            )
            for way in ("writer, emulator", "emulator alone"):
                found.setdefault(f"inserts: {way}, large events", []).append(
                    _measure(world, way, large, None)
                )
            found.setdefault("inserts: emulator alone", []).append(
                _measure(world, "emulator alone", inserts, None)
            )
            for name, at_once in (("article, one at a time", 1), ("article, four at a time", 4)):
                some = min(changes, _OF_THE_ARTICLE)
                with world.database() as database:
                    took = world.run("article", inserts, database, changes=some, connections=at_once)
                    world.check(database, inserts, changes=some)
                found.setdefault(f"inserts: {name}", []).append(took)
    series = {
        name: {figure: Series([one[figure] for one in measured]) for figure in ("rate", "cpu", "mongod")}
        for name, measured in found.items()
    }
    return Result("drain", ABOUT, _tables(series), _figures(series), {"rounds": rounds, "changes": changes})


def _measure(
    world: World, way: str, stored: Stored, before: Stored | None, checkout: Path = ROOT
) -> Mapping[str, float]:
    with world.database() as database:
        if before is not None:
            world.run("ceiling", before, database)
        if way in ("writer, emulator", "emulator alone"):
            with world.queues(stored) as (url, dead):
                found = world.run(way, stored, database, queue_url=url, dead_letter_queue_url=dead)
        else:
            found = world.run(way, stored, database, checkout=checkout)
        if way != "emulator alone":
            world.check(database, stored)
    return found


def _figures(series: Mapping[str, Mapping[str, Series]]) -> Mapping[str, Any]:
    figures: dict[str, Any] = {}
    for name, found in series.items():
        kind = name.partition(":")[0]
        figures[name] = {
            "changes per second": values(found["rate"]),
            "of the ceiling": values(found["rate"].over(series[f"{kind}: ceiling"]["rate"])),
            "of the raw ceiling": values(found["rate"].over(series[f"{kind}: raw ceiling"]["rate"])),
            "CPU per change, microseconds": values(found["cpu"]),
            "mongod's CPU per change, microseconds": values(found["mongod"]),
        }
        if previous := series.get(f"{kind}: {PREVIOUS}"):
            figures[name] |= {
                "CPU of the previous release's": values(found["cpu"].over(previous["cpu"])),
                "mongod's CPU of the previous release's": values(found["mongod"].over(previous["mongod"])),
            }
        if new := series.get(name.replace("updates:", "inserts:")) if kind == "updates" else None:
            figures[name]["CPU of that of new documents"] = values(found["cpu"].over(new["cpu"]))
        article = series["inserts: article, one at a time"]["rate"]
        if kind == "inserts":
            figures[name]["of the article's way"] = values(found["rate"].over(article))
    return figures


def _tables(series: Mapping[str, Mapping[str, Series]]) -> Sequence[Table]:
    columns = [
        *("way", "changes/s", "of the ceiling", "of the raw ceiling", "of the article's way"),
        *("CPU, µs", "mongod, µs"),
    ]
    if any(name.endswith(PREVIOUS) for name in series):
        columns += ["CPU of the previous release's", "mongod's"]
    tables = []
    for kind in ("inserts", "updates"):
        rows = []
        for name, found in series.items():
            if not name.startswith(f"{kind}: "):
                continue
            article = series["inserts: article, one at a time"]["rate"]
            rows.append(
                [
                    name.removeprefix(f"{kind}: "),
                    shown(found["rate"], 0),
                    shown(found["rate"].over(series[f"{kind}: ceiling"]["rate"]), 3),
                    shown(found["rate"].over(series[f"{kind}: raw ceiling"]["rate"]), 3),
                    shown(found["rate"].over(article), 0) if kind == "inserts" else "",
                    shown(found["cpu"], 1),
                    shown(found["mongod"], 1),
                ]
            )
            if previous := series.get(f"{kind}: {PREVIOUS}"):
                rows[-1] += [shown(found[each].over(previous[each]), 2) for each in ("cpu", "mongod")]
        tables.append(Table(kind.capitalize(), columns, rows))
    return tables
