"""Whether the writer can do its work, and if not, what it waits for. State only; no I/O."""

import logging
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from writer.ports import Clock

log = logging.getLogger(__name__)

STARTING = "starting"
"""The reason to wait for a dependency that was not called yet."""

_MOST_OUTAGES = 50


class Dependency(StrEnum):
    """What the writer depends on."""

    SQS = "sqs"
    MONGODB = "mongodb"


@dataclass(frozen=True, slots=True)
class Wait:
    """Why and since when (seconds since the epoch) a dependency is waited for."""

    reason: str
    since: float


class Outage(NamedTuple):
    """A dependency did not answer: which one, since and until when (seconds since the epoch)."""

    dependency: Dependency
    since: float
    until: float


class Health:
    """The state behind `/readyz`. Changes of state are logged, repetitions are not."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._waits = {dependency: Wait(STARTING, clock.now()) for dependency in Dependency}
        self.outages: deque[Outage] = deque(maxlen=_MOST_OUTAGES)
        """The latest outages that have ended."""

    @property
    def waits(self) -> Mapping[Dependency, Wait]:
        """The dependencies that do not answer; empty when the writer is ready."""
        return self._waits

    def lost(self, dependency: Dependency, reason: str) -> None:
        """A call to the dependency failed; waiting helps."""
        if dependency in self._waits and self._waits[dependency].reason != STARTING:
            return
        self._waits[dependency] = Wait(reason, self._clock.now())
        log.warning("waiting for a part", extra={"part": dependency.value, "reason": reason})

    def found(self, dependency: Dependency) -> None:
        """A call to the dependency succeeded."""
        wait = self._waits.pop(dependency, None)
        if wait is not None:
            now = self._clock.now()
            if wait.reason != STARTING:
                self.outages.append(Outage(dependency, wait.since, now))
            seconds = round(now - wait.since, 3)
            log.info("a part is there", extra={"part": dependency.value, "waited_seconds": seconds})
