"""What all loops of the writer use: the clock, backoff, waiting that a stop ends, garbage collection."""

import asyncio
import gc
import random
import time
from collections.abc import Coroutine


class SystemClock:
    """The `writer.ports.Clock` of the machine and of asyncio."""

    def monotonic(self) -> float:
        return time.monotonic()

    def now(self) -> float:
        return time.time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


_FIRST, _LONGEST = 0.1, 5.0  # seconds


class Backoff:
    """The pauses between tries. Jitter keeps writers from returning all at once."""

    def __init__(self) -> None:
        self._ceiling = _FIRST

    def next(self) -> float:
        """Returns the next pause, seconds."""
        ceiling = self._ceiling
        self._ceiling = min(ceiling * 2, _LONGEST)
        return random.uniform(ceiling / 2, ceiling)  # noqa: S311 - jitter, not cryptography


async def done_before(stop: asyncio.Event, work: Coroutine[None, None, None]) -> bool:
    """Runs `work` to its end, or cancels it when the stop comes; returns whether it ended."""
    working = asyncio.create_task(work)
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait((working, stopping), return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            return False
        await working
        return True
    finally:
        working.cancel()
        stopping.cancel()


_OBJECTS = 20_000
"""Objects made and not freed that start a collection. Python's default is 700, less than a batch has."""


def collect_now() -> None:
    """Collects garbage now: a failed call leaves cycles behind, which keep its batch in memory."""
    gc.collect()


def spare_the_collector() -> None:
    """Makes collections rarer: batches are thousands of objects without cycles. For the start of a process.

    See docs/decisions/0012-where-the-writers-time-goes.md.
    """
    gc.collect()
    gc.freeze()  # what was imported stays, and need not be searched each time
    gc.set_threshold(_OBJECTS)
