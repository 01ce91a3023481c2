"""What the parts of a running writer share, and how they call the servers.

Law: no transient error ends the writer. A call is repeated until it succeeds, its caller gives up, or the
stop comes. A fatal error is not caught.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from shared.errors import TransientError
from writer.ports import Clock
from writer.runtime import Backoff, collect_now, done_before
from writer.telemetry.health import Dependency, Health
from writer.telemetry.observer import Call, Cause, Observer, Trouble

_Answer = TypeVar("_Answer")


@dataclass(frozen=True, slots=True)
class Context:
    """What the parts of a running writer share.

    Attributes:
        clock: the time.
        health: which dependencies are waited for.
        observer: notified of all that happens.
        stop: set when the writer is to stop.
    """

    clock: Clock
    health: Health
    observer: Observer
    stop: asyncio.Event

    async def timed(self, call: Call, answer: Awaitable[_Answer]) -> _Answer:
        """Awaits an answer, and reports how long it took. A call that fails is not reported."""
        started = self.clock.monotonic()
        found = await answer
        self.observer.called(call, self.clock.monotonic() - started)
        return found

    async def retry(
        self,
        action: Callable[[], Awaitable[None]],
        dependency: Dependency,
        give_up: Callable[[], bool] = lambda: False,
    ) -> bool:
        """Repeats an action after transient errors, with pauses, and keeps `health` up to date.

        Until this very action is done, `health` shows the wait, whoever else reaches the dependency.

        Returns:
            True: it is done. False: it failed, and after a pause the stop had come or `give_up` was true.
        """
        backoff, caller, watch = Backoff(), object(), self.watch(dependency)
        while True:
            try:
                await action()
            except TransientError as error:
                watch.lost(str(error), caller)
                collect_now()
            else:
                watch.found(caller)
                return True
            await done_before(self.stop, self.clock.sleep(backoff.next()))
            if self.stop.is_set() or give_up():
                watch.given_up(caller)
                return False

    def watch(self, dependency: Dependency) -> "Watch":
        """Who is told how the calls to a dependency go."""
        return Watch(self, dependency)

    def trouble(self, cause: Cause, words: str) -> None:
        """Reports that something went wrong; see `writer.telemetry.observer.Trouble`."""
        self.observer.trouble(Trouble(cause, words))


@dataclass(frozen=True, slots=True)
class Watch:
    """Tells health and observers how the calls to one dependency go; callers as in `Health`."""

    context: Context
    dependency: Dependency

    def lost(self, reason: str, caller: object) -> None:
        """A call failed, and is repeated."""
        self.context.health.lost(self.dependency, reason, caller)
        self.context.trouble(Cause(self.dependency.value), reason)

    def found(self, caller: object) -> None:
        """A call succeeded."""
        self.context.health.found(self.dependency, caller)

    def given_up(self, caller: object) -> None:
        """The caller does not try again."""
        self.context.health.given_up(self.dependency, caller)
