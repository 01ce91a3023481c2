"""The loops beside the drain loops: the sweep, the backlog of the queues, the log line about the state.

Law: nothing depends on what they find, and each ends when the writer stops. A transient error is left to the
next round.
"""

from __future__ import annotations

import logging
import random
from typing import TYPE_CHECKING, Protocol

from shared.errors import FatalError, TransientError
from writer.runtime import done_before
from writer.telemetry.observer import Backlog, Cause, Trouble

if TYPE_CHECKING:
    import asyncio

    from writer.ports import Clock
    from writer.telemetry.observer import Observer
    from writer.telemetry.state_log import StateLog

log = logging.getLogger(__name__)

SWEEP_INTERVAL = 60.0
"""Seconds between two sweeps."""

SWEEP_WINDOW = 3 * 3600.0
"""Tombstones younger than this (seconds) are swept. A writer that was frozen for longer is a new machine."""

BACKLOG_INTERVAL = 15.0
"""Seconds between two looks at the queues: of two queues 350,000 requests a month, which cost some cents."""

STATE_INTERVAL = 60.0
"""Seconds between two lines: CloudWatch keeps one figure a minute."""

_SHARE = 0.05  # of the time at most, so that a sweep over very many deletes does not load the database


class Sweeper(Protocol):
    """What the sweep needs of the database."""

    async def sweep(self, window: float) -> int:
        """Removes documents older than their tombstones of the last `window` seconds; returns how many.

        Raises:
            TransientError: the database does not answer.
            FatalError: it refuses us.
        """
        ...


class Queues(Protocol):
    """What the backlog is asked of."""

    async def backlog(self) -> Backlog:
        """How much waits in the queue and in its dead-letter queue.

        Raises:
            TransientError: SQS does not answer.
            FatalError: it refuses us.
        """
        ...


async def sweep_until(stop: asyncio.Event, sweeper: Sweeper, clock: Clock, observer: Observer) -> None:
    """Sweeps about once a minute: removes documents that a tombstone outranks.

    It is the last step of `writer.mongodb.apply`. What it finds is rare: a writer that was frozen for longer
    than the visibility timeout, woke, inserted an old image, and died before it looked at the tombstones once
    more, after another writer had finished the delete. The first sweep comes sooner: a writer that starts
    often takes the place of one that died.
    """
    pause = SWEEP_INTERVAL * random.uniform(0, 0.5)  # noqa: S311 - several writers need not sweep at once
    while await done_before(stop, clock.sleep(pause)):
        started = clock.monotonic()
        try:
            removed = await sweeper.sweep(SWEEP_WINDOW)
        except TransientError as error:
            log.info("the sweep was put off", extra={"reason": str(error)})
        else:
            if removed:
                log.warning("the sweep removed documents deleted before", extra={"documents": removed})
                words = f"the sweep removed {removed} documents that had been deleted before"
                observer.trouble(Trouble(Cause.SWEPT, words))
        pause = max(SWEEP_INTERVAL, (clock.monotonic() - started) / _SHARE)


async def watch_backlog(stop: asyncio.Event, queues: Queues, observer: Observer, clock: Clock) -> None:
    """Reports the backlog of the queues four times a minute.

    Errors end nothing: whoever drains the queue meets them, too, and knows what to do.
    """
    while True:
        try:
            observer.backlog(await queues.backlog())
        except (TransientError, FatalError, KeyError, ValueError) as error:  # an odd answer is none
            log.debug("the backlog is not known", extra={"reason": str(error)})
        if not await done_before(stop, clock.sleep(BACKLOG_INTERVAL)):
            return


async def log_state(stop: asyncio.Event, state: StateLog, clock: Clock) -> None:
    """Writes the state's line once a minute; the last one is the caller's."""
    while await done_before(stop, clock.sleep(STATE_INTERVAL)):
        state.write()
