"""The lock on a batch of messages: kept by extending it, and known to have lapsed when it may have.

Law: judged by our own monotonic clock, on the safe side. Another writer may hold the messages as soon as the
visibility timeout ends, so a batch whose lock may have lapsed must not be written.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from shared.errors import TransientError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from writer.ports import Clock, Inbox, Message

log = logging.getLogger(__name__)

_SAFE_PART = 0.8  # of the visibility timeout: the rest is for clocks and for the way of the answer
_BEATS = 4  # extensions per visibility timeout, so that one or two may fail


class Lease:
    """Holds the messages of one batch."""

    def __init__(self, inbox: Inbox, messages: Sequence[Message], clock: Clock, asked: float) -> None:
        """Begins with the lock that came with the messages.

        Args:
            inbox: where they came from.
            messages: the batch.
            clock: by which the lock is judged.
            asked: its time when the messages were asked for. They were locked at some time since then.
        """
        self._inbox = inbox
        self._messages = messages
        self._clock = clock
        self._asked = asked
        self._until = asked + inbox.visibility * _SAFE_PART

    @property
    def lapsed(self) -> bool:
        """Whether another writer may hold the messages by now."""
        return self._clock.monotonic() >= self._until

    def let_go(self, messages: Sequence[Message]) -> None:
        """Holds these no longer: they are acknowledged, and SQS would say that their lock is lost."""
        done = {message.receipt for message in messages}
        self._messages = [message for message in self._messages if message.receipt not in done]

    async def keep(self) -> None:
        """Extends the lock again and again until it is cancelled or lost. Run it as a task.

        Raises:
            FatalError: SQS refuses us.
        """
        while True:
            await self._clock.sleep(self._inbox.visibility / _BEATS)
            if not await self._extend():
                return

    async def confirm(self) -> None:
        """Extends the lock before anything else if the messages came late: we, or they, may have been frozen.

        Raises:
            FatalError: SQS refuses us.
        """
        if self._clock.monotonic() - self._asked > self._inbox.visibility / _BEATS:
            await self._extend()

    async def _extend(self) -> bool:
        """Extends the lock once; False if it is lost. A call that fails changes nothing."""
        asked = self._clock.monotonic()
        try:
            lost = await self._inbox.extend(self._messages)
        except TransientError as error:
            log.warning("the lock could not be extended", extra={"reason": str(error)})
            return True
        # What was let go while we waited for the answer is acknowledged, and so its lock is gone.
        held = {message.receipt for message in self._messages}
        lost = [message for message in lost if message.receipt in held]
        if lost:
            self._until = asked
            log.warning("the lock was lost", extra={"messages": len(lost)})
            return False
        self._until = asked + self._inbox.visibility * _SAFE_PART
        return True
