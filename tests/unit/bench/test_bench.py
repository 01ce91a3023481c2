"""Measuring and reporting of the benchmarks, with a manual clock."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from bench.__main__ import main
from bench.items import KINDS
from bench.measure import Series, Variant, measure
from bench.report import Result, Table, as_json, as_markdown, machine, write
from bench.types_cost import check_exact

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

AT = datetime(2020, 4, 30, 12, tzinfo=UTC)
RESULT = Result(
    "speed", "How fast.", [Table("All", ("what", "µs"), [("slow", "10.0"), ("fast", "1.0")])], {"slow": 10}
)


class Work:
    """Work that takes a given time, and is recorded."""

    def __init__(self) -> None:
        self.now = 0.0
        self.done: list[str] = []

    def lasting(self, name: str, seconds: float) -> Callable[[], None]:
        def call() -> None:
            self.now += seconds
            self.done.append(name)

        return call

    def clock(self) -> float:
        return self.now


def test_time_per_unit() -> None:
    """The time of each variant is in microseconds per unit, in every round."""
    work = Work()
    variants = [
        Variant("slow", work.lasting("slow", 0.5), units=1000),
        Variant("fast", work.lasting("fast", 0.001)),
    ]
    found = measure(variants, rounds=3, turn=0.25, clock=work.clock)
    assert found["slow"].values == pytest.approx([500.0] * 3)
    assert found["fast"].values == pytest.approx([1000.0] * 3)


def test_rounds_interleave() -> None:
    """All variants have a turn in each round, and not always in the same order."""
    work = Work()
    variants = [Variant(name, work.lasting(name, 1.0)) for name in "ab"]
    measure(variants, rounds=3, turn=0.5, clock=work.clock)
    assert work.done == ["a", "b", *"ab", *"ba", *"ab"]  # the first two calibrate how many calls fill a turn


def test_turns_are_of_one_length() -> None:
    """Short work is repeated until it fills the turn."""
    work = Work()
    measure([Variant("short", work.lasting("short", 0.01))], rounds=1, turn=1.0, clock=work.clock)
    assert work.done.count("short") == 127 + 100  # calibration: 1, 2, 4, … 64


def test_series() -> None:
    """Median and quartiles; ratios are made round by round, so that what slows both cancels out."""
    one, other = Series([2.0, 20.0, 4.0]), Series([1.0, 10.0, 2.0])
    assert one.median == 4.0
    assert Series([1.0, 2.0, 3.0, 4.0, 5.0]).quartiles == (2.0, 4.0)
    assert Series([1.0]).quartiles == (1.0, 1.0)
    assert one.over(other).values == [2.0, 2.0, 2.0]


def test_report(tmp_path: Path) -> None:
    """The JSON and the page have date, machine and figures, and are in the same folder."""
    facts = {"processor": "Z80"}
    read = json.loads(as_json(RESULT, facts, AT))
    assert read["at"] == "2020-04-30T12:00:00+00:00"
    assert (read["machine"], read["figures"]) == (facts, {"slow": 10})
    page = as_markdown(RESULT, facts, AT)
    assert "| what |   µs |\n| ---- | ---: |\n| slow | 10.0 |\n| fast |  1.0 |\n" in page
    assert "2020-04-30" in page
    assert "processor Z80" in page
    write(RESULT, facts, AT, tmp_path / "new" / "speed.json")
    assert (tmp_path / "new" / "speed.md").read_text() == page


def test_machine_is_known() -> None:
    """A figure means little without its machine."""
    assert all(machine().values())


def test_items_are_exact_and_repeat() -> None:
    """What is measured is exact, and the same in every run."""
    for kind in KINDS:
        items = kind.items()
        assert items == kind.items()
        check_exact(items[0])


def test_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A name that is no benchmark is refused; one round of a benchmark leaves its files."""
    with pytest.raises(SystemExit):
        main(["nothing"])
    assert "no benchmark nothing" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["planning", "--against", str(tmp_path)])
    assert "--against is for drain" in capsys.readouterr().err
    assert main(["types", "--rounds", "1", "--json", str(tmp_path / "types.json")]) == 0
    assert json.loads((tmp_path / "types.json").read_text())["figures"]["small"]["ratio"]["median"] > 0
    assert main(["planning", "--rounds", "1", "--json", str(tmp_path / "planning.json")]) == 0
    planning = json.loads((tmp_path / "planning.json").read_text())["figures"]
    assert planning["merge"]["of the plain way"]["median"] > 0
    assert planning["plain"]["of the plain way"]["median"] == 1
