"""The queue between the reader and the writer's loops: lanes in memory, dead letters in MongoDB."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from follow.memory_inbox import MemoryInbox

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from producer_lambda.packing import Message
    from shared.dead_letter import DeadLetter
    from writer.ports import Clock


class LaneQueue(MemoryInbox):
    """A `writer.ports.Inbox` whose messages come from streams, and tell them when they are acknowledged."""

    def __init__(self, clock: Clock, park: Callable[[Sequence[DeadLetter], int], Awaitable[None]]) -> None:
        """`park` keeps letters of at most so many bytes, and returns when they are durable."""
        super().__init__(clock)
        self._park = park
        self._waiting_for: dict[str, Callable[[], None]] = {}
        self._origins: dict[str, str] = {}

    def put(self, message: Message, acknowledged: Callable[[], None]) -> None:
        """Adds a message at the end of its lane.

        Args:
            message: as the Lambda would send it.
            acknowledged: called once, when the message is done with.
        """
        self._waiting_for[self.send(message.body, message.group)] = acknowledged

    def put_again(self, origin: str, body: str, group: str, acknowledged: Callable[[], None]) -> None:
        """Adds what a dead letter holds; what is parked of it names that letter, `origin`, by its id."""
        message_id = self.send(body, group)
        self._waiting_for[message_id], self._origins[message_id] = acknowledged, origin

    @property
    def in_hand(self) -> int:
        """Messages that loops hold."""
        return sum(map(len, self._held.values()))

    def acknowledged(self, message_id: str) -> None:
        """See `MemoryInbox`."""
        self._origins.pop(message_id, None)
        self._waiting_for.pop(message_id)()

    async def park(self, letters: Sequence[DeadLetter]) -> None:
        """See `writer.ports.Inbox`."""
        # Our ids mean nothing after this process, and what is parked again after a kill has to be the same.
        named = [
            replace(each, message_id=self._origins.get(each.message_id, ""))
            if each.message_id in self._waiting_for
            else each
            for each in letters
        ]
        await self._park(named, self.park_limit)
