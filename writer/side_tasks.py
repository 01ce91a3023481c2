"""The loops beside the drain loops: the sweep, the backlog of the queues, the log line about the state.

Law: nothing depends on what they find, and each ends when the writer stops. After a transient error the next
round tries again.
"""

import logging
import random
from collections.abc import Awaitable, Callable

from shared.errors import FatalError, TransientError
from writer.context import Context
from writer.runtime import done_before
from writer.telemetry.observer import Backlog, Cause
from writer.telemetry.state_log import StateLog

log = logging.getLogger(__name__)

SWEEP_INTERVAL = 60.0
"""Seconds between two sweeps."""

SWEEP_WINDOW = 3 * 3600.0
"""Tombstones younger than this (seconds) are swept. A writer that was frozen for longer is a new machine."""

BACKLOG_INTERVAL = 15.0
"""Seconds between two looks at the queues: for two queues 350,000 requests a month, which cost some cents."""

STATE_INTERVAL = 60.0
"""Seconds between two lines: CloudWatch keeps one figure a minute."""

_SHARE = 0.05  # of the time at most, so that a sweep over very many deletes does not load the database


async def sweep_until_stop(context: Context, sweep: Callable[[float], Awaitable[int]]) -> None:
    """Sweeps about once a minute: removes documents that are older than their tombstone.

    It is the last step of `writer.mongodb.apply`, and rarely finds anything: a writer must have been frozen
    for longer than the visibility timeout, woken, inserted an old image, and died before it looked at the
    tombstones once more, after another writer had finished the delete. The first sweep comes sooner: a writer
    that starts often takes the place of one that died.

    `sweep` takes the age of the oldest tombstones to look at (seconds), and returns the number of removals.

    Raises:
        FatalError: MongoDB refuses us.
    """
    pause = SWEEP_INTERVAL * random.uniform(0, 0.5)  # noqa: S311 - several writers need not sweep at once
    while await done_before(context.stop, context.clock.sleep(pause)):
        started = context.clock.monotonic()
        try:
            removed = await sweep(SWEEP_WINDOW)
        except TransientError as error:
            log.info("the sweep was postponed", extra={"reason": str(error)})
        else:
            if removed:
                log.warning("the sweep removed documents deleted before", extra={"documents": removed})
                words = f"the sweep removed {removed} documents that had been deleted before"
                context.trouble(Cause.SWEPT, words)
        pause = max(SWEEP_INTERVAL, (context.clock.monotonic() - started) / _SHARE)


async def watch_backlog(context: Context, ask: Callable[[], Awaitable[Backlog]]) -> None:
    """Reports the backlog of the queues four times a minute.

    No error ends it: the drain loops meet the same error, and know what to do about it.
    """
    while True:
        try:
            context.observer.backlog(await ask())
        except (TransientError, FatalError) as error:
            log.debug("the backlog is unknown", extra={"reason": str(error)})
        if not await done_before(context.stop, context.clock.sleep(BACKLOG_INTERVAL)):
            return


async def log_state(context: Context, state: StateLog) -> None:
    """Writes the line about the state once a minute. The caller writes the last one."""
    while await done_before(context.stop, context.clock.sleep(STATE_INTERVAL)):
        state.write()
