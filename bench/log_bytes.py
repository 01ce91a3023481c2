"""How many bytes the Lambda and a writer log at LOG_LEVEL=INFO. Counted by writing their lines; not timed."""

from __future__ import annotations

import io
import logging
from typing import TYPE_CHECKING

from producer_lambda import invocation_log
from shared import logs
from writer.telemetry import state_log
from writer.telemetry.health import Dependency, Health
from writer.telemetry.observer import Batch, Counted, Lag, Operation, Result

if TYPE_CHECKING:
    from collections.abc import Callable

OVERHEAD = 26
"""Bytes that CloudWatch Logs adds to each event.

Source: Amazon CloudWatch Logs API Reference, "PutLogEvents".
"""

MINUTES_PER_MONTH = 30 * 24 * 60

_NOW = 1_790_000_000.0
_NAME = "replicator-producer-0123456789ab"


class _Clock:
    def now(self) -> float:
        return _NOW

    def monotonic(self) -> float:
        return 0.0

    async def sleep(self, seconds: float) -> None:
        raise NotImplementedError


def invocation(records: int) -> int:
    """The bytes of what the Lambda logs in an invocation with so many records, all of them forwarded."""
    fields = {
        "records": records,
        "changes": records,
        "coalesced": 0,
        "messages": min(64, records),
        "bytes": 300 * records,
        "parked": 0,
        "failed": 0,
    }
    oldest = round(_NOW * 1000) - 1_234
    return _bytes_of(
        invocation_log.log, lambda: invocation_log.log_forwarded(fields, oldest, "orders", _NAME, _NOW)
    )


def minute(changes: int) -> int:
    """The bytes of what a writer logs in a minute in which it does so many changes, and nothing unusual."""
    health = Health(_Clock())
    for dependency in Dependency:
        health.found(dependency)
    state = state_log.StateLog(health, _Clock(), _NAME)
    counted = [Counted("orders", Operation.PUT, Result.APPLIED, changes)]
    for _ in range(max(1, changes // 500)):
        state.batch(Batch(10, 500, counted, [Lag("orders", 1.234, 500)], plan=0.01, apply=0.05, settle=0.01))
    return _bytes_of(state_log.log, state.write)


def _bytes_of(log: logging.Logger, write: Callable[[], None]) -> int:
    """What a logger writes as `shared.logs` formats it, with the overhead of each line."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logs.formatter())
    before = log.level, log.propagate
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    log.propagate = False
    try:
        write()
    finally:
        log.removeHandler(handler)
        log.level, log.propagate = before
    return sum(len(line.encode()) + OVERHEAD for line in stream.getvalue().splitlines())
