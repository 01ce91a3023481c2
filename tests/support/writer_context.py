"""What the parts of a writer share, for tests: a context on a clock, and an observer that remembers."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from writer.context import Context
from writer.telemetry.health import Health
from writer.telemetry.observer import Observer

if TYPE_CHECKING:
    from writer.ports import Clock
    from writer.telemetry.observer import Backlog, Batch, Call, InHand, Trouble


def context_on(clock: Clock, observer: Observer | None = None) -> Context:
    """What the parts of a writer share, on a clock; nothing has been asked of the servers yet."""
    return Context(clock, Health(clock), observer or Observer(), asyncio.Event())


class Told(Observer):
    """An observer that remembers what it is told."""

    def __init__(self) -> None:
        self.batches: list[Batch] = []
        self.hands: list[tuple[int, InHand | None]] = []
        self.calls: list[tuple[Call, float]] = []
        self.backlogs: list[Backlog] = []
        self.ages: list[float] = []
        self.troubles: list[Trouble] = []

    def batch(self, batch: Batch) -> None:
        self.batches.append(batch)

    def in_hand(self, loop: int, held: InHand | None) -> None:
        self.hands.append((loop, held))

    def called(self, call: Call, seconds: float) -> None:
        self.calls.append((call, seconds))

    def backlog(self, backlog: Backlog) -> None:
        self.backlogs.append(backlog)

    def oldest_received(self, age: float) -> None:
        self.ages.append(age)

    def trouble(self, trouble: Trouble) -> None:
        self.troubles.append(trouble)
