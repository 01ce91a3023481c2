"""The real clock behind `writer.ports.Clock`."""

from __future__ import annotations

import asyncio
import time


class SystemClock:
    """The machine's time and asyncio's sleep."""

    def monotonic(self) -> float:
        """See `writer.ports.Clock`."""
        return time.monotonic()

    def now(self) -> float:
        """See `writer.ports.Clock`."""
        return time.time()

    async def sleep(self, seconds: float) -> None:
        """See `writer.ports.Clock`."""
        await asyncio.sleep(seconds)
