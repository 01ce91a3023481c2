"""A queue in memory behind `writer.ports.Inbox`, as fast as possible.

It passes the contract suite of the real inbox: locks, receipts and the order of groups are as in SQS FIFO.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from shared.batches import MAX_ENTRIES
from shared.envelope import is_compressed
from writer.ports import Message
from writer.sqs.inbox import ENOUGH_BYTES, ENOUGH_MESSAGES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shared.dead_letter import DeadLetter
    from writer.ports import Clock


@dataclass(slots=True)
class _Held:
    """A message in flight."""

    message: Message
    until: float


class MemoryInbox:
    """Messages of many groups, in memory."""

    def __init__(self, clock: Clock, *, visibility: float = 30.0, long_poll: float = 1.0) -> None:
        """Makes an empty queue.

        Args:
            clock: the clock for locks.
            visibility: seconds for which `receive` and `extend` lock messages.
            long_poll: seconds that `receive` waits for messages.
        """
        self.visibility = visibility
        self.received_visibility = visibility
        """For how long `receive` locks; `extend` locks for `visibility`."""
        self.park_limit = 1024 * 1024
        self.max_receives = 1000
        self.letters: list[DeadLetter] = []
        self.receives = 0
        """Requests that a real queue would have answered with messages."""
        self._clock = clock
        self._long_poll = long_poll
        self._waiting: dict[str, deque[Message]] = {}
        self._ready: deque[str] = deque()
        self._held: dict[str, dict[str, _Held]] = {}
        self._sent = self._left = 0
        self._hurries = False
        self._parked: set[str] = set()
        self._changed = asyncio.Event()

    @property
    def left(self) -> int:
        """Messages that are not deleted."""
        return self._left

    def send(self, body: str, group: str = "lane") -> str:
        """Puts a message at the end of its group; returns its id."""
        self._sent += 1
        self._left += 1
        message = Message(f"id-{self._sent}", "", body, group, 0, round(self._clock.now() * 1000))
        if group not in self._waiting:
            self._waiting[group] = deque()
        self._waiting[group].append(message)
        if group not in self._held and len(self._waiting[group]) == 1:
            self._ready.append(group)
        self._changed.set()
        return message.id

    async def receive(self) -> Sequence[Message]:
        """See `writer.ports.Inbox`; takes as much as the real one."""
        if not (taken := self.take(enough=ENOUGH_BYTES)):
            self._changed.clear()
            sleeper = asyncio.ensure_future(self._clock.sleep(self._long_poll))
            arrival = asyncio.ensure_future(self._changed.wait())
            try:
                await asyncio.wait({sleeper, arrival}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                sleeper.cancel()
                arrival.cancel()
            taken = self.take(enough=ENOUGH_BYTES)
        latest = taken
        while (
            len(latest) == MAX_ENTRIES
            and not self._hurries
            and len(taken) < ENOUGH_MESSAGES
            and sum(len(message.body) for message in taken) < ENOUGH_BYTES
        ):
            latest = self.take(enough=ENOUGH_BYTES)
            taken = [*taken, *latest]
        return taken

    def hurry(self) -> None:
        """See `writer.ports.Inbox`."""
        self._hurries = True

    async def extend(self, messages: Sequence[Message]) -> Sequence[Message]:
        """See `writer.ports.Inbox`."""
        return self._hold(messages, self._clock.monotonic() + self.visibility)

    async def release(self, messages: Sequence[Message], delay: int) -> None:
        """See `writer.ports.Inbox`."""
        self._hold(messages, self._clock.monotonic() + delay)

    async def delete(self, messages: Sequence[Message]) -> None:
        """See `writer.ports.Inbox`."""
        for message in messages:
            held = self._held.get(message.group, {})
            if self._is_held(held.get(message.id), message):
                del held[message.id]
                self._left -= 1
                self.acknowledged(message.id)
                if not held:
                    self._unlock(message.group)

    def acknowledged(self, message_id: str) -> None:
        """Called when a message has been deleted; for subclasses."""

    async def park(self, letters: Sequence[DeadLetter]) -> None:
        """See `writer.ports.Inbox`."""
        for letter in letters:
            identity = letter.entry("", self.park_limit)["MessageDeduplicationId"]
            if identity not in self._parked:
                self._parked.add(identity)
                self.letters.append(letter)

    def take(self, number: int = MAX_ENTRIES, enough: float = math.inf) -> Sequence[Message]:
        """What one request brings: of one group as many as it has.

        Args:
            number: the most messages.
            enough: characters after which there are no more; SQS knows no such bound.
        """
        self._free_the_lapsed()
        taken: list[Message] = []
        size = 0
        until = self._clock.monotonic() + self.received_visibility
        while self._ready and len(taken) < number and size < enough:
            group = self._ready.popleft()
            waiting, held = self._waiting[group], self._held.setdefault(group, {})
            while waiting and len(taken) < number and size < enough:
                message = waiting.popleft()
                receives = message.receives + 1
                message = replace(message, receives=receives, receipt=f"{message.id}/{receives}")
                held[message.id] = _Held(message, until)
                taken.append(message)
                size += ENOUGH_BYTES if is_compressed(message.body) else len(message.body)
        self.receives += bool(taken)
        return taken

    def _hold(self, messages: Sequence[Message], until: float) -> Sequence[Message]:
        lost = []
        for message in messages:
            held = self._held.get(message.group, {}).get(message.id)
            if held is not None and self._is_held(held, message):
                held.until = until
            else:
                lost.append(message)
        self._changed.set()
        return lost

    def _is_held(self, held: _Held | None, message: Message) -> bool:
        return (
            held is not None
            and held.message.receipt == message.receipt
            and held.until > self._clock.monotonic()
        )

    def _free_the_lapsed(self) -> None:
        """Puts messages whose lock ended back to the front of their groups, in their order."""
        now = self._clock.monotonic()
        for group, held in list(self._held.items()):
            if any(one.until <= now for one in held.values()):
                lapsed = [one.message for one in held.values() if one.until <= now]
                self._waiting[group].extendleft(reversed(lapsed))
                for message in lapsed:
                    del held[message.id]
                if not held:
                    self._unlock(group)

    def _unlock(self, group: str) -> None:
        del self._held[group]
        if self._waiting[group]:
            self._ready.append(group)
            self._changed.set()
