"""Tries again while a server is away or throttles."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

from shared.errors import TransientError
from writer.runtime import Backoff

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

T = TypeVar("T")


class Retry:
    """Repeats what fails for the moment, and says so once for each time of waiting.

    `say` gets one line of text.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._waits: set[str] = set()

    async def until_done(self, action: Callable[[], Awaitable[T]]) -> T:
        """Repeats the action until it succeeds.

        Raises:
            FatalError: only a person can help.
        """
        backoff, reason = Backoff(), ""
        while True:
            try:
                result = await action()
            except TransientError as error:
                reason = str(error)
                if reason not in self._waits:
                    self._waits.add(reason)
                    self._say(f"waiting: {reason}")
                await asyncio.sleep(backoff.next())
            else:
                if reason in self._waits:
                    self._waits.discard(reason)
                    self._say("going on")
                return result
