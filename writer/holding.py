"""Messages of tables that MongoDB takes no writes of, or not one write: held here, so that the loops go on.

Law: a held message keeps its lock, so its receive count does not grow. For each place one try at a time goes
to MongoDB, after growing pauses, each time with other messages; when it takes writes again, all are tried at
once. Messages that wait because of one write each, while MongoDB takes others, have a queue of their own
(`alone`). What is held is bounded in number and in memory. When the stop comes everything is given back.
"""

import asyncio
import itertools
import sys
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

from writer.context import Context
from writer.planning.acceptance import Work
from writer.planning.settle import Standing
from writer.ports import Inbox, Message
from writer.processor import BatchProcessor, Ending, Turn
from writer.runtime import done_before
from writer.sqs.lease import Lease
from writer.telemetry.observer import InHand
from writer.troubles import Trouble
from writer.write import Place

MOST_MESSAGES = 10_000
"""Messages that are held. Their locks cost 1,000 requests to SQS per quarter of the visibility timeout."""

MOST_BYTES = 64 * 1024 * 1024
"""Memory of the bodies that are held. Of more messages only the lock is kept; they are delivered again
afterwards. Where this is for one write each, more messages go back."""

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0
"""Seconds between two tries, after one that was refused."""

ALONE, LONGEST_ALONE = 60.0, 3600.0
"""Seconds for which a lone document is held: at its first delivery, and at most; with each delivery four
times as long. Then it goes back, to come again with those behind it: MongoDB may take them, and they must not
wait for it for ever."""

Try = Callable[[Sequence[Message], Lease, Turn], Awaitable[Ending]]
GiveBack = Callable[[Sequence[Lease]], Awaitable[None]]


@dataclass(eq=False, slots=True)
class _Held:
    """Some messages of one place.

    Attributes:
        extending: extends their lock.
        size: bytes of memory that their bodies take.
        since: when they were taken, monotonic.
        trouble: because of which they are held; None: because of one write each.
        tried: whether MongoDB refused them itself.
        bare: only the lock is held, not the content.
    """

    messages: Sequence[Message]
    lease: Lease
    extending: asyncio.Task[None]
    size: int
    since: float
    trouble: Trouble | None
    tried: bool
    bare: bool


class _Queue(deque[_Held]):
    """What is held for a place; `alone`: because of one write each."""

    def __init__(self, place: Place, *, alone: bool) -> None:
        super().__init__()
        self.place, self.alone = place, alone


class Holding:
    """Holds messages, and tries them again. A `writer.processor.Keeper`."""

    def __init__(
        self,
        context: Context,
        inbox: Inbox,
        processor: BatchProcessor,
        attempt: Try,
        give_back_stopping: GiveBack,
    ) -> None:
        """Holds nothing yet.

        Args:
            context: that of the loops.
            inbox: the same.
            processor: the same.
            attempt: processes messages.
            give_back_stopping: gives all messages of some leases back because of the stop.
        """
        self._context = context
        self._inbox = inbox
        self._processor = processor
        self._attempt = attempt
        self._give_back_stopping = give_back_stopping
        self._numbers = itertools.count()
        self._group: asyncio.TaskGroup | None = None
        self._queues: dict[tuple[Place, bool], _Queue] = {}
        self.tasks: set[asyncio.Task[None]] = set()

    def run_in(self, group: asyncio.TaskGroup, first: int) -> None:
        """From now on its tasks run in this group, and report like loops, with numbers from `first` on."""
        self._group = group
        self._numbers = itertools.count(first)

    def take(
        self, place: Place, messages: Sequence[Message], lease: Lease, *, tried: bool, alone: bool
    ) -> Sequence[Message]:
        """Takes messages, and their lock from a lease; returns those for which there is no room."""
        if self._group is None:
            return messages
        others = [held for queue in self._queues.values() for held in queue]
        room = MOST_MESSAGES - sum(len(held.messages) for held in others)
        taken, left = messages[: max(0, room)], messages[max(0, room) :]
        size = _bytes(taken)
        too_large = sum(held.size for held in others) + size > MOST_BYTES
        if alone and too_large:
            return messages
        if not taken:
            return left
        queue = self._queues.get((place, alone))
        if queue is None:
            queue = self._begin(place, self._group, alone=alone)
        # One of them at least has its content, to be tried.
        bare = too_large and any(not held.bare for held in queue)
        if bare:
            taken = [replace(message, body="") for message in taken]
            size = _bytes(taken)
        own = lease.part(taken)
        extending = self._group.create_task(own.keep(), name="lease of held messages")
        trouble = None if alone else self._processor.troubles.at(place)
        now = self._context.clock.monotonic()
        queue.append(_Held(taken, own, extending, size, now, trouble, tried, bare))
        return left

    def attends(self, place: Place, *, alone: bool) -> bool:
        """Whether such messages of a place are held."""
        return (place, alone) in self._queues

    def _begin(self, place: Place, group: asyncio.TaskGroup, *, alone: bool) -> _Queue:
        queue = self._queues[place, alone] = _Queue(place, alone=alone)
        task = group.create_task(self._attend(queue, next(self._numbers)), name="held messages")
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return queue

    async def _attend(self, queue: _Queue, number: int) -> None:
        """Tries what a queue holds, until it holds nothing."""
        context, pause = self._context, FIRST_PAUSE
        try:
            while queue:
                context.observer.in_hand(number, _in_hand(queue))
                trouble = self._trouble(queue)
                if trouble is None and not queue.alone:
                    pause = 0.0
                elif pause:
                    await done_before(context.stop, self._pause(trouble, pause))
                waiting = len(queue)
                if context.stop.is_set():
                    await self._let_go(queue)
                else:
                    await self._next(queue)
                # What MongoDB takes is a reason to go on: the others may be of the same kind.
                refused = len(queue) >= waiting
                pause = min(max(2 * pause, FIRST_PAUSE), LONGEST_PAUSE) if refused else 0.0
        finally:
            for held in queue:
                held.extending.cancel()
            del self._queues[queue.place, queue.alone]
            troubles = self._processor.troubles
            (troubles.forget_alone if queue.alone else troubles.forget)(queue.place)
            context.observer.in_hand(number, None)

    def _trouble(self, queue: _Queue) -> Trouble | None:
        """What the queue waits for the end of; None: nothing, or each message for itself."""
        return None if queue.alone else self._processor.troubles.at(queue.place)

    async def _pause(self, trouble: Trouble | None, seconds: float) -> None:
        pause = self._context.clock.sleep(seconds)
        await (pause if trouble is None else done_before(trouble.over, pause))

    async def _let_go(self, queue: _Queue) -> None:
        while queue:  # a loop that ends now can put something into it meanwhile
            some = list(queue)
            queue.clear()
            try:
                await self._give_back_stopping([held.lease for held in some])
            finally:
                for held in some:
                    held.extending.cancel()

    async def _next(self, queue: _Queue) -> None:
        """The next one's turn; what MongoDB refuses again has been appended to the queue afterwards."""
        trouble = self._trouble(queue)
        if trouble is not None:  # with the content of a message
            _bring_forward(queue, lambda held: not held.bare)
        elif queue.alone:
            _bring_forward(queue, lambda held: held.lease.nearly_over and bool(self._proven(queue, held)))
        held = queue.popleft()
        try:
            if held.bare:
                await self._processor.give_back(held.messages, held.lease, "their bodies were not kept")
            elif trouble is not None and self._goes_back(trouble, held):
                await self._processor.give_back(
                    held.messages, held.lease, "MongoDB refuses only this document"
                )
            else:
                await self._try(queue, held)
        finally:
            held.extending.cancel()

    def _goes_back(self, trouble: Trouble, held: _Held) -> bool:
        """Whether the messages go back: there is one refused document, and it may be at fault, or the place.

        The last delivery but one is kept: it waits here for as long as it takes.
        """
        receives = max(message.receives for message in held.messages)
        if trouble.is_sure or receives >= self._inbox.max_receives - 1:
            return False
        seconds = min(ALONE * 4.0 ** (receives - 1), LONGEST_ALONE)
        return self._context.clock.monotonic() - trouble.began >= seconds

    async def _try(self, queue: _Queue, held: _Held) -> None:
        overdue = queue.alone and held.lease.nearly_over
        standing = Standing(self._proven(queue, held), alone=queue.alone, overdue=overdue)
        ending = await self._attempt(held.messages, held.lease, Turn(queue.place, standing))
        if ending is Ending.STOPPED:
            await self._give_back_stopping([held.lease])

    def _proven(self, queue: _Queue, held: _Held) -> frozenset[Work]:
        """What MongoDB has taken there since it refused the held messages, and not refused again by now."""
        troubles = self._processor.troubles
        if queue.alone:
            return troubles.taken_since(queue.place, held.since)
        if held.trouble is None or not held.tried:
            return frozenset()
        now = troubles.at(queue.place)
        return frozenset(
            held.trouble.accepted - now.refused.keys() if now is not None else held.trouble.accepted
        )


def _bring_forward(queue: _Queue, wanted: Callable[[_Held], bool]) -> None:
    queue.rotate(-next((index for index, held in enumerate(queue) if wanted(held)), 0))


def _bytes(messages: Sequence[Message]) -> int:
    """Not the number of characters: a text takes one, two or four bytes for each."""
    return sum(sys.getsizeof(message.body) for message in messages)


def _in_hand(queue: Sequence[_Held]) -> InHand:
    messages = [message for held in queue for message in held.messages]
    return InHand(len(messages), oldest=min(message.sent_at for message in messages) / 1000)
