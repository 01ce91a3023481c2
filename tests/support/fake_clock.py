"""A clock that a test moves, and the pause in which every task goes as far as it can."""

from __future__ import annotations

import asyncio

TURNS = 60  # more turns of the event loop than any chain of callbacks between two points in time


async def settled(turns: int = TURNS) -> None:
    """Lets every task go on until it waits for time or for somebody else."""
    for _ in range(turns):
        await asyncio.sleep(0)


class FakeClock:
    """Time that passes only when a test says so."""

    def __init__(self, turns: int = TURNS) -> None:
        """`turns`: of the event loop at each point in time; fewer where chains are known to be short."""
        self.time = 1000.0
        self._turns = turns
        self._sleepers: list[tuple[float, asyncio.Future[None]]] = []

    def monotonic(self) -> float:
        return self.time

    def now(self) -> float:
        return 1_600_000_000.0 + self.time

    async def sleep(self, seconds: float) -> None:
        wake: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._sleepers.append((self.time + seconds, wake))
        await wake

    async def advance(self, seconds: float) -> None:
        """Lets time pass; whoever sleeps wakes at the right moment, in order."""
        end = self.time + seconds
        await settled(self._turns)
        while due := [sleeper for sleeper in self._pending() if sleeper[0] <= end]:
            moment, wake = min(due, key=lambda sleeper: sleeper[0])
            self.time = max(self.time, moment)
            wake.set_result(None)
            await settled(self._turns)
        self.time = max(self.time, end)

    def _pending(self) -> list[tuple[float, asyncio.Future[None]]]:
        self._sleepers = [sleeper for sleeper in self._sleepers if not sleeper[1].done()]
        return self._sleepers
