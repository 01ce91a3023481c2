"""A log line about the writer's state, once a minute. CloudWatch can make metrics of it.

Law: its memory is bounded, and counts start again with each line.
"""

import logging
from collections import Counter

from shared.emf import Unit, with_metrics
from writer.ports import Clock
from writer.telemetry.health import Health
from writer.telemetry.histogram import Histogram
from writer.telemetry.in_flight import InFlight
from writer.telemetry.observer import Batch, InHand, Observer, Result, Trouble

log = logging.getLogger(__name__)

UNITS = {
    "ready": Unit.COUNT,
    "tables_waiting": Unit.COUNT,
    "lag_p50_ms": Unit.MILLISECONDS,
    "lag_p99_ms": Unit.MILLISECONDS,
    "lag_max_ms": Unit.MILLISECONDS,
    "oldest_unapplied_ms": Unit.MILLISECONDS,
    "applied": Unit.COUNT,
    "stale": Unit.COUNT,
    "older_stream": Unit.COUNT,
    "coalesced": Unit.COUNT,
    "parked": Unit.COUNT,
    "retries": Unit.COUNT,
    "messages_in_flight": Unit.COUNT,
}
"""The fields that become CloudWatch metrics. The others are no metrics, because each of those costs."""

DIMENSION = "Queue"
"""The deployment templates set it to the queue's name: all writers of a queue are one series."""


class StateLog(Observer):
    """An observer that sums up until `write`. `name`: value of the dimension; None: no metrics."""

    def __init__(self, health: Health, clock: Clock, name: str | None) -> None:
        self._health = health
        self._clock = clock
        self._name = name
        self._in_flight = InFlight()
        self._lags = Histogram()
        self._results: Counter[Result] = Counter()
        self._retries = 0
        self._batches = 0
        self._sums = _sums(Batch(0, 0))

    def batch(self, batch: Batch) -> None:
        self._batches += 1
        for name, number in _sums(batch).items():
            self._sums[name] += number
        for counted in batch.counted:
            self._results[counted.result] += counted.changes
        for lag in batch.lags:
            self._lags.add(lag.seconds, lag.changes)

    def in_hand(self, loop: int, held: InHand | None) -> None:
        self._in_flight.hold(loop, held)

    def trouble(self, trouble: Trouble) -> None:  # noqa: ARG002 - all count alike
        self._retries += 1

    def write(self) -> None:
        """Writes the line, and starts counting again."""
        now = self._clock.now()
        fields = {
            "ready": int(self._health.ready),
            "tables_waiting": len(self._health.tables),
            "lag_p50_ms": _milliseconds(self._lags.quantile(0.5)),
            "lag_p99_ms": _milliseconds(self._lags.quantile(0.99)),
            "lag_max_ms": _milliseconds(self._lags.most if self._lags.changes else None),
            "oldest_unapplied_ms": _milliseconds(self._in_flight.oldest(now)),
            "applied": self._results[Result.APPLIED],
            "stale": self._results[Result.STALE],
            "older_stream": self._results[Result.OLDER_STREAM],
            "coalesced": self._results[Result.COALESCED],
            "parked": self._results[Result.PARKED],
            "retries": self._retries,
            "messages_in_flight": self._in_flight.messages,
            "batches": self._batches,
            **{name: round(number) for name, number in self._sums.items()},
        }
        self._lags.clear()
        self._results.clear()
        self._retries = 0
        self._batches = 0
        self._sums = _sums(Batch(0, 0))
        log.info("state", extra=with_metrics(fields, UNITS, DIMENSION, self._name, now))


def _milliseconds(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds * 1000)


def _sums(batch: Batch) -> dict[str, float]:
    """What is summed up of a batch, by the names of the line's fields."""
    return {
        "messages": batch.messages,
        "changes": batch.changes,
        "given_back": batch.given_back,
        "plan_ms": batch.plan * 1000,
        "apply_ms": batch.apply * 1000,
        "settle_ms": batch.settle * 1000,
    }
