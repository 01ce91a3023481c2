"""The benchmarks' loads and reports are as they describe themselves."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING

import pytest

from bench.load import Load, body_of_one, read
from bench.measure import Series
from bench.report import Plot, Result, as_markdown, shown, values, write
from shared.change import Change
from shared.envelope import decode
from tests.unit.bench.test_bench import AT
from writer.runtime import spare_the_collector

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def changes_of(load: Load, path: Path) -> list[Change]:
    load.write(path)
    return [change for _, body in read(path) for change in decode(body).entries if isinstance(change, Change)]


def test_a_load_has_what_it_says(tmp_path: Path) -> None:
    """So many changes, of so many items, in messages of one lane each."""
    load = Load(2500, 2500, records=1000, lanes=16)
    assert load.write(tmp_path / "load") == 16 * 3  # two full events, and a half one
    assert len({group for group, _ in read(tmp_path / "load")}) == 16
    changes = changes_of(load, tmp_path / "load")
    assert sorted(change.key["id"] for change in changes) == list(range(2500))


def test_a_later_turn_is_newer(tmp_path: Path) -> None:
    """Each document is replaced, and has the new turn."""
    first = {c.key["id"]: c for c in changes_of(Load(300, 300), tmp_path / "first")}
    second = {c.key["id"]: c for c in changes_of(Load(300, 300, turn=1), tmp_path / "second")}
    assert first.keys() == second.keys()
    assert all(second[key].version > first[key].version for key in first)
    assert {change.image["turn"] for change in second.values() if change.image} == {1}


def test_a_hot_key_is_coalesced_by_the_event(tmp_path: Path) -> None:
    """One change of each event is left, the newest."""
    changes = changes_of(Load(500, 1, records=100), tmp_path / "hot")
    assert len(changes) == 5
    assert changes == sorted(changes, key=lambda change: change.version)


@pytest.mark.parametrize("more", [0, 9_750])
def test_the_size_of_items(tmp_path: Path, more: int) -> None:
    """About 250 bytes, and what is added."""
    load = Load(50, 50, padding=more)
    load.write(tmp_path / "load")
    size = sum(len(body) for _, body in read(tmp_path / "load")) / 50
    assert 300 <= size - more <= 480  # with the rest of a message


def test_one_message() -> None:
    """For another table than that of the load."""
    group, body = body_of_one("people", 7)
    (change,) = decode(body).entries
    assert isinstance(change, Change)
    assert (change.table, change.key, group.split("/")[0]) == ("people", {"id": 7}, "people")


def test_series_in_a_report() -> None:
    """The median, and the quartiles."""
    series = Series([1000.0, 2000.0, 3000.0, 4000.0, 5000.0])
    assert shown(series, 0) == "3,000 (2,000 to 4,000)"
    assert values(series) == {"median": 3000.0, "low": 2000.0, "high": 4000.0}


def test_a_plot_lies_beside_its_page(tmp_path: Path) -> None:
    """The page shows the plot, and the same points make the same file."""
    result = Result("speed", "How fast.", [], {}, plots=[Plot("all", "lanes", "changes/s", {"1": 5, "2": 9})])
    assert "![changes/s by lanes](speed-all.svg)" in as_markdown(result, {}, AT)
    write(result, {}, AT, tmp_path / "speed.json")
    drawn = (tmp_path / "speed-all.svg").read_text()
    assert "<svg" in drawn
    write(result, {}, AT, tmp_path / "speed.json")
    assert (tmp_path / "speed-all.svg").read_text() == drawn


@pytest.fixture
def _collector() -> Iterator[None]:
    thresholds = gc.get_threshold()
    yield
    gc.set_threshold(*thresholds)
    gc.unfreeze()


@pytest.mark.usefixtures("_collector")
def test_the_collector_is_spared_not_stopped() -> None:
    """Cycles are still found, only later; older objects are not examined."""
    spare_the_collector()
    assert gc.isenabled()
    assert gc.get_threshold()[0] == 20_000
    assert gc.get_freeze_count() > 0
