"""Whether the writer can do its work, and if not, what it waits for. State only; no I/O."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from writer.ports import Clock

log = logging.getLogger(__name__)


class Part(StrEnum):
    """What the writer depends on."""

    SQS = "sqs"
    MONGODB = "mongodb"


@dataclass(frozen=True, slots=True)
class Wait:
    """Why and since when (seconds since the epoch) a part is waited for."""

    reason: str
    since: float


class Health:
    """The state behind `/readyz`. Changes of state are logged, repetitions are not."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._waits = {part: Wait("starting", clock.now()) for part in Part}

    @property
    def waits(self) -> Mapping[Part, Wait]:
        """The parts that are not there; empty when the writer is ready."""
        return self._waits

    def lost(self, part: Part, reason: str) -> None:
        """A call to the part failed; waiting helps."""
        if part in self._waits and self._waits[part].reason != "starting":
            return
        self._waits[part] = Wait(reason, self._clock.now())
        log.warning("waiting for a part", extra={"part": part.value, "reason": reason})

    def found(self, part: Part) -> None:
        """A call to the part succeeded."""
        wait = self._waits.pop(part, None)
        if wait is not None:
            seconds = round(self._clock.now() - wait.since, 3)
            log.info("a part is there", extra={"part": part.value, "waited_seconds": seconds})
