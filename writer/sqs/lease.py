"""The lock on a batch of messages: kept by extending it, and known to have lapsed when it may have.

Law: our own monotonic clock judges, on the safe side. Another writer may hold the messages as soon as the
visibility timeout ends, so a batch whose lock may have lapsed must not be written.
"""

import logging
from collections.abc import Sequence

from shared.errors import TransientError
from writer.context import Context
from writer.ports import Inbox, Message
from writer.telemetry.observer import Call

log = logging.getLogger(__name__)

_SAFE_PART = 0.8  # of the visibility timeout; the rest covers clocks and the time the answer takes
_BEATS = 4  # extensions per visibility timeout, so that one or two may fail

_LONGEST = 12 * 3600.0
"""Seconds from a receive to the end of its lock at the latest, however often it is extended.

Source: Amazon SQS developer guide, "Amazon SQS visibility timeout".
"""
_LAST_MINUTES = 900.0  # before that end; what is held has its turn within them


class Lease:
    """Holds the messages of one batch."""

    def __init__(self, context: Context, inbox: Inbox, messages: Sequence[Message], asked: float) -> None:
        """Holds messages by the lock that came with them.

        `asked`: monotonic time when they were requested. They were locked at some time since then.
        """
        self._context = context
        self._clock = context.clock
        self._inbox = inbox
        self._messages = messages
        self._received = asked
        self._asked = asked
        self._until = asked + inbox.visibility * _SAFE_PART

    @property
    def lapsed(self) -> bool:
        """Whether another writer may hold the messages by now."""
        return self._clock.monotonic() >= self._until

    @property
    def nearly_over(self) -> bool:
        """Whether SQS soon extends the lock no longer, because the messages were received hours ago."""
        held = self._clock.monotonic() - self._received
        return held >= _LONGEST - 2 * self._inbox.visibility - _LAST_MINUTES

    @property
    def messages(self) -> Sequence[Message]:
        """What it holds: all that it was made for, but for what it let go."""
        return self._messages

    def let_go(self, messages: Sequence[Message]) -> None:
        """Holds these no longer: they are acknowledged, so SQS would report their lock as lost."""
        done = {message.receipt for message in messages}
        self._messages = [message for message in self._messages if message.receipt not in done]

    def part(self, messages: Sequence[Message]) -> "Lease":
        """A lease of its own for some of the messages, which this one lets go."""
        self.let_go(messages)
        lease = Lease(self._context, self._inbox, messages, self._asked)
        lease._received, lease._until = self._received, self._until
        return lease

    async def keep(self) -> None:
        """Extends the lock again and again until it is cancelled or lost. Run it as a task."""
        beat = self._inbox.visibility / _BEATS
        # A part goes on with the beat of the whole: it may be a part of a part of a part.
        await self._clock.sleep(max(0.0, self._asked + beat - self._clock.monotonic()))
        while await self._extend():
            await self._clock.sleep(beat)

    async def confirm(self) -> None:
        """Extends the lock first if the messages came late: the machine may have been frozen."""
        if self._clock.monotonic() - self._asked > self._inbox.visibility / _BEATS:
            await self._extend()

    async def _extend(self) -> bool:
        """Extends the lock once; False if it is lost. A call that fails changes nothing."""
        asked = self._clock.monotonic()
        try:
            lost = await self._context.timed(Call.EXTEND, self._inbox.extend(self._messages))
        except TransientError as error:
            log.warning("the lock could not be extended", extra={"reason": str(error)})
            return True
        # Messages that were let go while we waited for the answer are acknowledged, so their lock is gone.
        held = {message.receipt for message in self._messages}
        lost = [message for message in lost if message.receipt in held]
        if lost:
            self._until = asked
            log.warning("the lock was lost", extra={"messages": len(lost)})
            return False
        self._asked, self._until = asked, asked + self._inbox.visibility * _SAFE_PART
        return True
