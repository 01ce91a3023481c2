"""The ports with a stopwatch: an observer is told how long each request took, and how old messages are.

Law: changes nothing about a call. A request that fails is told by whoever tries it again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from writer.telemetry.observer import Call

if TYPE_CHECKING:
    from collections.abc import Awaitable, Sequence

    from shared.dead_letter import DeadLetter
    from writer.ports import Clock, Inbox, Message, Outcome, Sink
    from writer.telemetry.observer import Observer
    from writer.write import Write


_Answer = TypeVar("_Answer")


class TimedInbox:
    """An inbox whose calls are timed. `receive` can be several requests, and waits for messages."""

    def __init__(self, inbox: Inbox, observer: Observer, clock: Clock) -> None:
        self._inbox = inbox
        self._watch = _Stopwatch(observer, clock)
        self._observer = observer
        self._clock = clock

    @property
    def visibility(self) -> float:
        """See `writer.ports.Inbox`, here and below."""
        return self._inbox.visibility

    @property
    def park_limit(self) -> int:
        """Likewise."""
        return self._inbox.park_limit

    def hurry(self) -> None:
        """Likewise."""
        self._inbox.hurry()

    async def receive(self) -> Sequence[Message]:
        """Likewise."""
        messages = await self._watch.time(Call.RECEIVE, self._inbox.receive())
        if messages:
            oldest = min(message.sent_at for message in messages) / 1000
            self._observer.oldest_received(max(0.0, self._clock.now() - oldest))
        return messages

    async def extend(self, messages: Sequence[Message]) -> Sequence[Message]:
        """Likewise."""
        return await self._watch.time(Call.EXTEND, self._inbox.extend(messages))

    async def release(self, messages: Sequence[Message], delay: int) -> None:
        """Likewise."""
        await self._watch.time(Call.RELEASE, self._inbox.release(messages, delay))

    async def delete(self, messages: Sequence[Message]) -> None:
        """Likewise."""
        await self._watch.time(Call.DELETE, self._inbox.delete(messages))

    async def park(self, letters: Sequence[DeadLetter]) -> None:
        """Likewise."""
        await self._watch.time(Call.PARK, self._inbox.park(letters))


class TimedSink:
    """A sink whose `apply` is timed."""

    def __init__(self, sink: Sink, observer: Observer, clock: Clock) -> None:
        self._sink = sink
        self._watch = _Stopwatch(observer, clock)

    async def apply(self, writes: Sequence[Write]) -> Outcome:
        """See `writer.ports.Sink`, here and below."""
        return await self._watch.time(Call.BULK, self._sink.apply(writes))

    async def ping(self) -> None:
        """Likewise; not timed, it is no work."""
        await self._sink.ping()


class _Stopwatch:
    def __init__(self, observer: Observer, clock: Clock) -> None:
        self._observer = observer
        self._clock = clock

    async def time(self, call: Call, answer: Awaitable[_Answer]) -> _Answer:
        started = self._clock.monotonic()
        found = await answer
        self._observer.called(call, self._clock.monotonic() - started)
        return found
