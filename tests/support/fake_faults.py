"""The faults that a test schedules for a fake."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


@dataclass
class Faults:
    """What a fake does beside its work: it raises what is scheduled, and stops at named points.

    `raises`: by operation, the errors of its next calls. `down`: the error of every call. `at_point`: is
    awaited before and after the effect of each operation, where a real adapter awaits the network.
    """

    raises: defaultdict[str, list[Exception]] = field(default_factory=lambda: defaultdict(list))
    down: Exception | None = None
    at_point: Callable[[str], Awaitable[None]] | None = None
    calls: list[str] = field(default_factory=list)

    async def before(self, operation: str) -> None:
        self.calls.append(operation)
        await self.point(f"before {operation}")
        if self.raises[operation]:
            raise self.raises[operation].pop(0)
        if self.down is not None:
            raise self.down

    async def point(self, name: str) -> None:
        await asyncio.sleep(0)
        if self.at_point is not None:
            await self.at_point(name)
