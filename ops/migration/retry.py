"""Tries again while a server is away or throttles."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeVar

from shared.errors import TransientError
from writer.runtime import Backoff

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

T = TypeVar("T")


class Watch(Protocol):
    """Is told how calls to a server go. `caller` stands for an action until it is done."""

    def lost(self, reason: str, caller: object) -> None: ...
    def found(self, caller: object) -> None: ...
    def given_up(self, caller: object) -> None: ...


class Watches(NamedTuple):
    """Those of both sides."""

    dynamodb: Watch
    mongodb: Watch


class Retry:
    """Repeats what fails for the moment, and says so once for each time of waiting."""

    def __init__(self, say: Callable[[str], None], watch: Watch | None = None) -> None:
        """Waits for nothing yet.

        Args:
            say: gets one line of text.
            watch: of the server that all actions call; None: nobody looks.
        """
        self._say = say
        self._watch = watch
        self._waits: set[str] = set()

    async def until_done(self, action: Callable[[], Awaitable[T]]) -> T:
        """Repeats the action until it succeeds.

        Raises:
            FatalError: only a person can help.
        """
        caller = object()
        try:
            result = await self._until_done(action, caller)
        except BaseException:
            if self._watch is not None:
                self._watch.given_up(caller)
            raise
        if self._watch is not None:
            self._watch.found(caller)
        return result

    async def _until_done(self, action: Callable[[], Awaitable[T]], caller: object) -> T:
        backoff, reason = Backoff(), ""
        while True:
            try:
                result = await action()
            except TransientError as error:
                reason = str(error)
                if self._watch is not None:
                    self._watch.lost(reason, caller)
                if reason not in self._waits:
                    self._waits.add(reason)
                    self._say(f"waiting: {reason}")
                await asyncio.sleep(backoff.next())
            else:
                if reason in self._waits:
                    self._waits.discard(reason)
                    self._say("going on")
                return result
