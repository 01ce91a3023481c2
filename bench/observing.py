"""`observing`: what it costs the writer to tell about its work."""

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
The backlog of `drain`, from a queue in memory into the embedded mongod, by one writer; new documents, and
changed ones. Observed: as it runs in production, with timed requests, the account of each batch, and its
observers (the figures of `/metrics`, the line for CloudWatch, the history of the status page). Unobserved:
none of these, and no account. Each drains in a process of its own; in each round both, in turn first.
Ratios are made round by round: of the rates, 1 is nothing lost; of the CPU time per change, 1 is nothing
added. In brackets: half of the rounds lie in there.\
"""

CHANGES = 100_000

_WAYS = {"unobserved": "writer, unobserved", "observed": "writer, observed"}


def run(rounds: int) -> Result:
    """Measures on a mongod of its own."""
    with Stack("embedded") as stack:
        return run_on(stack, rounds, CHANGES)


def run_on(stack: Stack, rounds: int, changes: int) -> Result:
    """Measures both ways in each round, in turn first."""
    found: dict[tuple[str, str], list[Mapping[str, float]]] = {}
    world = World(stack)
    with tempfile.TemporaryDirectory() as folder:
        inserts = store(Load(changes, changes), Path(folder))
        updates = store(Load(changes, changes, turn=1), Path(folder))
        for number in range(rounds):
            for name in _WAYS if number % 2 else reversed(_WAYS):
                with world.database() as database:
                    for kind, stored in (("new", inserts), ("changed", updates)):
                        took = world.run(_WAYS[name], stored, database)
                        world.check(database, stored)
                        found.setdefault((kind, name), []).append(took)
    series = {
        (*way, figure): Series([one[figure] for one in measured])
        for way, measured in found.items()
        for figure in ("rate", "cpu")
    }
    rows, figures = [], {}
    for kind in ("new", "changed"):
        rate = series[kind, "observed", "rate"].over(series[kind, "unobserved", "rate"])
        cpu = series[kind, "observed", "cpu"].over(series[kind, "unobserved", "cpu"])
        rows.append(
            [
                kind,
                *(shown(series[kind, name, "rate"], 0) for name in _WAYS),
                shown(rate, 3),
                *(shown(series[kind, name, "cpu"], 1) for name in _WAYS),
                shown(cpu, 3),
            ]
        )
        figures[kind] = {"rate, of the unobserved": values(rate), "CPU, of the unobserved": values(cpu)}
    columns = (
        "documents",
        "unobserved, changes/s",
        "observed, changes/s",
        "ratio",
        "unobserved, CPU µs",
        "observed, CPU µs",
        "ratio of CPU",
    )
    table = Table("With and without", columns, rows)
    return Result("observing", ABOUT, [table], figures, {"rounds": rounds, "changes": changes})
