"""`observing`: what metrics and logs cost the writer."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from bench.load import Load
from bench.measure import Series
from bench.report import Result, Table, shown, values
from bench.world import World, store
from local.stack import Stack

if TYPE_CHECKING:
    from collections.abc import Mapping

ABOUT = """\
The backlog of `drain`, from a queue in memory into the embedded mongod, by one writer as it runs in
production; new documents, and changed ones. A stopwatch is wound around the account of each batch and
around all that observers are told (the figures of `/metrics`, the line for CloudWatch, the history of the
status page), and adds up their CPU time. The share is that of the writer's whole CPU time, found within one
run, so neither the clock rate nor the neighbours of the moment matter. (Two runs, one with and one without,
differ by 5 % for no reason on this machine: too much to see this in.) In brackets: half of the rounds lie
in there.\
"""

CHANGES = 100_000


def run(rounds: int) -> Result:
    """Measures on a new mongod."""
    with Stack("embedded") as stack:
        return run_on(stack, rounds, CHANGES)


def run_on(stack: Stack, rounds: int, changes: int) -> Result:
    """Drains both loads in each round."""
    found: dict[str, list[Mapping[str, float]]] = {"new": [], "changed": []}
    world = World(stack)
    with tempfile.TemporaryDirectory() as folder:
        inserts = store(Load(changes, changes), Path(folder))
        updates = store(Load(changes, changes, turn=1), Path(folder))
        for _ in range(rounds):
            with world.database() as database:
                for kind, stored in (("new", inserts), ("changed", updates)):
                    found[kind].append(world.run("writer, queue in memory", stored, database))
                    world.check(database, stored)
    rows, figures = [], {}
    for kind, measured in found.items():
        share = Series([one["observing"] * 100 for one in measured])
        cpu = Series([one["cpu"] for one in measured])
        rows.append([kind, shown(cpu, 1), shown(share, 2)])
        figures[kind] = {"share of the writer's CPU time, %": values(share)}
    columns = ("documents", "CPU time per change, µs", "of it observing, %")
    table = Table("What observing takes", columns, rows)
    return Result("observing", ABOUT, [table], figures, {"rounds": rounds, "changes": changes})
