"""Measuring CPU time of this process per unit of work: many short turns, all variants in each round.

The machine may be shared. CPU time excludes other processes, but they affect caches and clock rates, for all
that runs at about the same time. So variants are interleaved, and ratios are computed round by round.
"""

from __future__ import annotations

import gc
import resource
import time
from dataclasses import dataclass
from statistics import median, quantiles
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

TURN = 0.015
"""Seconds that one variant runs in each round, or one call if that takes longer."""

_MICROSECONDS = 1e6


@dataclass(frozen=True, slots=True)
class Variant:
    """One thing to measure.

    Attributes:
        name: unique in the run.
        call: the work.
        units: how many units, such as records, a call processes; results are per unit.
    """

    name: str
    call: Callable[[], object]
    units: int = 1


@dataclass(frozen=True, slots=True)
class Series:
    """One figure per round."""

    values: Sequence[float]

    @property
    def median(self) -> float:
        """The median of the rounds."""
        return median(self.values)

    @property
    def quartiles(self) -> tuple[float, float]:
        """The quartiles: half of the rounds are between them."""
        if len(self.values) == 1:
            return self.values[0], self.values[0]
        low, _, high = quantiles(self.values, n=4, method="inclusive")
        return low, high

    def over(self, other: Series) -> Series:
        """The ratio in each round."""
        return Series([mine / its for mine, its in zip(self.values, other.values, strict=True)])


def measure(
    variants: Iterable[Variant],
    rounds: int,
    turn: float = TURN,
    clock: Callable[[], float] = time.process_time,
) -> Mapping[str, Series]:
    """Measures variants against each other.

    Args:
        variants: the variants.
        rounds: number of rounds; in each, every variant has one turn.
        turn: seconds of one turn.
        clock: seconds of CPU time.

    Returns:
        Microseconds per unit, by the names of the variants.
    """
    calls = {variant: _calls(variant, turn, clock) for variant in variants}
    values: dict[str, list[float]] = {variant.name: [] for variant in calls}
    order = list(calls)
    gc.collect()
    # The collector stays on, as in production, but does not traverse the input repeatedly.
    gc.freeze()
    try:
        for _ in range(rounds):
            for variant in order:
                seconds = _seconds(variant, calls[variant], clock)
                values[variant.name].append(seconds / calls[variant] / variant.units * _MICROSECONDS)
            order.reverse()  # so that no variant always follows the same one
    finally:
        gc.unfreeze()
    return {name: Series(figures) for name, figures in values.items()}


def _calls(variant: Variant, turn: float, clock: Callable[[], float]) -> int:
    """How many calls fill a turn. The calibration warms the code up."""
    calls = 1
    while (seconds := _seconds(variant, calls, clock)) < turn / 2:
        calls *= 2
    return max(1, round(calls * turn / seconds))


def _seconds(variant: Variant, calls: int, clock: Callable[[], float]) -> float:
    call = variant.call
    start = clock()
    for _ in range(calls):
        call()
    return clock() - start


def process_cost(run: Callable[[], None]) -> dict[str, float]:
    """What one call costs: `cpu` and `seconds`; and `mib`, the peak of this process's memory."""
    started, began = time.process_time(), time.perf_counter()
    run()
    return {
        "cpu": time.process_time() - started,
        "seconds": time.perf_counter() - began,
        "mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
