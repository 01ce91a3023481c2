"""The benchmark of draining, on a load that is nothing: it runs, and checks what it wrote."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bench.drain import run_on
from bench.load import Load
from bench.world import World, store
from local.paths import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from local.stack import Stack


def test_every_way_is_measured(stack: Stack) -> None:
    """Each writes the whole load, or the benchmark fails; the figures hang together."""
    result = run_on(stack, rounds=1, changes=120, against=ROOT)
    assert set(result.figures) == {
        "inserts: ceiling",
        "inserts: raw ceiling",
        "inserts: writer, queue in memory",
        "inserts: writer, queue in memory, PyMongo's client",
        "inserts: writer, emulator",
        "inserts: writer, emulator, large events",
        "inserts: emulator alone",
        "inserts: emulator alone, large events",
        "inserts: article, one at a time",
        "inserts: article, four at a time",
        "updates: ceiling",
        "updates: raw ceiling",
        "updates: writer, queue in memory",
        "updates: writer, queue in memory, PyMongo's client",
        "updates: writer, emulator",
        "updates: writer, emulator, large events",
        "inserts: writer, queue in memory, previous release",
        "updates: writer, queue in memory, previous release",
    }
    for name, found in result.figures.items():
        ceiling = result.figures[f"{name.partition(':')[0]}: ceiling"]["changes per second"]["median"]
        ratio = found["changes per second"]["median"] / ceiling
        assert found["of the ceiling"]["median"] == pytest.approx(ratio, abs=0.001)
    before = result.figures["updates: writer, queue in memory, previous release"]
    assert before["CPU of the previous release's"]["median"] == 1


def test_a_way_that_loses_changes_is_no_figure(stack: Stack, tmp_path: Path) -> None:
    """What is not in MongoDB was not fast."""
    world, stored = World(stack), store(Load(30, 30), tmp_path)
    with world.database() as database:
        world.run("ceiling", stored, database)
        world.check(database, stored)
        with pytest.raises(ValueError, match="30 documents are there, not 31"):
            world.check(database, store(Load(31, 31), tmp_path))
        with pytest.raises(ValueError, match="0 documents are there"):
            world.check(database, store(Load(30, 30, turn=1), tmp_path))


def test_a_way_that_fails_says_why(stack: Stack, tmp_path: Path) -> None:
    """With the end of its error output."""
    with pytest.raises(ValueError, match=r"(?s)article failed: .*InvalidName"):
        World(stack).run("article", store(Load(1, 1), tmp_path), "a/b")
