"""Whether the writer can do its work, and if not, what it waits for. State only; no I/O."""

from __future__ import annotations

import logging
from collections import deque
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from writer.ports import Clock

log = logging.getLogger(__name__)

STARTING = "starting"
"""The reason to wait for a part that was not asked yet."""

_MOST_OUTAGES = 50


class Dependency(StrEnum):
    """What the writer depends on."""

    SQS = "sqs"
    MONGODB = "mongodb"


@dataclass(frozen=True, slots=True)
class Wait:
    """Why and since when (seconds since the epoch) a part is waited for."""

    reason: str
    since: float


class Outage(NamedTuple):
    """A part was away: which, since and until when (seconds since the epoch)."""

    part: Dependency
    since: float
    until: float


class Health:
    """The state behind `/readyz`. Changes of state are logged, repetitions are not."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._waits = {part: Wait(STARTING, clock.now()) for part in Dependency}
        self.outages: deque[Outage] = deque(maxlen=_MOST_OUTAGES)
        """Those that have passed, the last ones."""

    @property
    def waits(self) -> Mapping[Dependency, Wait]:
        """The parts that are not there; empty when the writer is ready."""
        return self._waits

    def lost(self, part: Dependency, reason: str) -> None:
        """A call to the part failed; waiting helps."""
        if part in self._waits and self._waits[part].reason != STARTING:
            return
        self._waits[part] = Wait(reason, self._clock.now())
        log.warning("waiting for a part", extra={"part": part.value, "reason": reason})

    def found(self, part: Dependency) -> None:
        """A call to the part succeeded."""
        wait = self._waits.pop(part, None)
        if wait is not None:
            now = self._clock.now()
            if wait.reason != STARTING:
                self.outages.append(Outage(part, wait.since, now))
            seconds = round(now - wait.since, 3)
            log.info("a part is there", extra={"part": part.value, "waited_seconds": seconds})
