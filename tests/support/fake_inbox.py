"""The writer's queue in memory. The contract suite runs against this and a real SQS API alike."""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tests.support.fake_faults import Faults
from writer.ports import Message

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shared.dead_letter import DeadLetter
    from tests.support.fake_clock import FakeClock

LONG_POLL = 5.0


@dataclass
class _Stored:
    message: Message
    visible_at: float
    received_at: float = 0.0


class FakeInbox:
    """A FIFO queue with group locks and a dead-letter queue."""

    def __init__(self, clock: FakeClock, visibility: float = 30.0, park_limit: int = 1024 * 1024) -> None:
        self.visibility = visibility
        self.received_visibility = visibility
        """For how long `receive` locks; `extend` locks for `visibility`."""
        self.longest_hold = 12 * 3600.0
        """From a receive to the end of its lock, however often it is extended. No emulator has this limit."""
        self.park_limit = park_limit
        self.max_receives = 1000
        """More than any test needs that does not set it. It moves nothing to the dead-letter queue itself."""
        self.most = 10
        """Messages that one receive hands out; SQS may always hand out fewer."""
        self.letters: list[DeadLetter] = []
        self.deleted: list[str] = []
        self.faults = Faults()
        self.clock = clock
        self._stored: list[_Stored] = []
        self._sent = 0
        self._arrival = asyncio.Event()
        self.most_receives = 0
        """The highest receive count that was handed out."""

    @property
    def bodies(self) -> list[str]:
        """Of all messages that are not deleted, oldest first."""
        return [stored.message.body for stored in self._stored]

    @property
    def in_flight(self) -> list[str]:
        """The bodies of the messages that somebody holds."""
        return [stored.message.body for stored in self._stored if self._held(stored)]

    @property
    def receipts(self) -> list[str]:
        """The receipts that are worth something: of the messages that somebody holds."""
        return [stored.message.receipt for stored in self._stored if self._held(stored)]

    def send(self, body: str, group: str = "lane") -> None:
        self._sent += 1
        message = Message(f"id-{self._sent}", "", body, group, 0, round(self.clock.now() * 1000))
        self._stored.append(_Stored(message, self.clock.time))
        self._arrival.set()

    async def receive(self) -> Sequence[Message]:
        await self.faults.before("receive")
        if not (taken := self._take()):
            await self._long_poll()
            taken = self._take()
        await self.faults.point("after receive")
        return taken

    def hurry(self) -> None:
        self.faults.calls.append("hurry")

    async def _long_poll(self) -> None:
        self._arrival.clear()
        waits = [
            asyncio.ensure_future(self.clock.sleep(LONG_POLL)),
            asyncio.ensure_future(self._arrival.wait()),
        ]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    def _take(self) -> list[Message]:
        blocked = {stored.message.group for stored in self._stored if self._held(stored)}
        taken: list[Message] = []
        for stored in self._stored:
            if stored.message.group not in blocked and len(taken) < self.most:
                receives = stored.message.receives + 1
                self.most_receives = max(self.most_receives, receives)
                receipt = f"{stored.message.id}/{receives}"
                stored.message = replace(stored.message, receives=receives, receipt=receipt)
                stored.received_at = self.clock.time
                stored.visible_at = self.clock.time + self.received_visibility
                taken.append(stored.message)
        return taken

    def lapse(self, messages: Sequence[Message]) -> None:
        """The visibility timeout of these messages ends, whoever holds them."""
        identities = {message.id for message in messages}
        for stored in self._stored:
            if stored.message.id in identities:
                stored.visible_at = self.clock.time

    @property
    def receivable(self) -> Sequence[str]:
        """The ids of the messages that a receive could hand out now."""
        blocked = {stored.message.group for stored in self._stored if self._held(stored)}
        return [s.message.id for s in self._stored if s.message.group not in blocked]

    def take_out(self, message_id: str) -> Message:
        """Removes a message, as SQS does when it moves one to the dead-letter queue."""
        (stored,) = [stored for stored in self._stored if stored.message.id == message_id]
        self._stored.remove(stored)
        return stored.message

    def lock_is_lost(self) -> None:
        """Somebody else receives what is in flight: the receipts that were handed out are worth nothing."""
        for stored in self._stored:
            stored.message = replace(stored.message, receipt="somebody else's")
            stored.visible_at = math.inf

    def _held(self, stored: _Stored) -> bool:
        return stored.visible_at > self.clock.time

    def _hold(self, message: Message) -> _Stored | None:
        for stored in self._stored:
            if stored.message.receipt == message.receipt and self._held(stored):
                return stored
        return None

    async def extend(self, messages: Sequence[Message]) -> Sequence[Message]:
        await self.faults.before("extend")
        lost = self._set_visible_at(messages, self.clock.time + self.visibility)
        await self.faults.point("after extend")
        return lost

    async def release(self, messages: Sequence[Message], delay: int) -> None:
        await self.faults.before("release")
        self._set_visible_at(messages, self.clock.time + delay)
        await self.faults.point("after release")

    def _set_visible_at(self, messages: Sequence[Message], moment: float) -> list[Message]:
        lost = []
        for message in messages:
            stored = self._hold(message)
            if stored is not None and moment <= stored.received_at + self.longest_hold:
                stored.visible_at = moment
            else:
                lost.append(message)
        return lost

    async def delete(self, messages: Sequence[Message]) -> None:
        await self.faults.before("delete")
        for message in messages:
            if (stored := self._hold(message)) is not None:
                self._stored.remove(stored)
                self.deleted.append(message.body)
        await self.faults.point("after delete")

    async def park(self, letters: Sequence[DeadLetter]) -> None:
        await self.faults.before("park")
        parked = {letter.entry("", self.park_limit)["MessageDeduplicationId"] for letter in self.letters}
        for letter in letters:
            identity = letter.entry("", self.park_limit)["MessageDeduplicationId"]
            if identity not in parked:
                parked.add(identity)
                self.letters.append(letter)
        await self.faults.point("after park")
