"""The queue between the reader and the writer's loops: lanes in memory, dead letters in MongoDB."""

from __future__ import annotations

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

    def put(self, message: Message, acknowledged: Callable[[], None]) -> None:
        """Adds a message at the end of its lane.

        Args:
            message: as the Lambda would send it.
            acknowledged: called once, when the message is done with.
        """
        self._waiting_for[self.send(message.body, message.group)] = acknowledged

    @property
    def in_hand(self) -> int:
        """Messages that loops hold."""
        return sum(map(len, self._held.values()))

    def acknowledged(self, message_id: str) -> None:
        """See `MemoryInbox`."""
        self._waiting_for.pop(message_id)()

    async def park(self, letters: Sequence[DeadLetter]) -> None:
        """See `writer.ports.Inbox`."""
        await self._park(letters, self.park_limit)
