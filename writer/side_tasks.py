"""The sweep: removes documents that a tombstone outranks. Last step of `writer.mongodb.apply`, a side task.

What it finds is rare: a writer that was frozen for longer than the visibility timeout, woke, inserted an old
image, and died before it looked at the tombstones once more, after another writer had finished the delete.
"""

from __future__ import annotations

import logging
import random
from typing import TYPE_CHECKING, Protocol

from shared.errors import TransientError
from writer.stopping import done_before
from writer.telemetry.observer import Cause, Trouble

if TYPE_CHECKING:
    import asyncio

    from writer.ports import Clock
    from writer.telemetry.observer import Observer

log = logging.getLogger(__name__)

INTERVAL = 60.0
"""Seconds between two sweeps."""

WINDOW = 3 * 3600.0
"""Tombstones younger than this (seconds) are looked at. A writer that slept longer is a new machine."""

_SHARE = 0.05  # of the time at most, so that a sweep over very many deletes does not load the database


class Graveyard(Protocol):
    """What the sweep needs of the database."""

    async def sweep(self, window: float) -> int:
        """Removes documents older than their tombstones of the last `window` seconds; returns how many.

        Raises:
            TransientError: the database does not answer.
            FatalError: it refuses us.
        """
        ...


async def sweep_until(stop: asyncio.Event, graveyard: Graveyard, clock: Clock, observer: Observer) -> None:
    """Sweeps about once a minute until the stop comes. Errors that pass are left to the next sweep.

    The first time sooner: a writer that starts often takes the place of one that died.
    """
    pause = INTERVAL * random.uniform(0, 0.5)  # noqa: S311 - several writers need not sweep at once
    while await done_before(stop, clock.sleep(pause)):
        started = clock.monotonic()
        try:
            removed = await graveyard.sweep(WINDOW)
        except TransientError as error:
            log.info("the sweep was put off", extra={"reason": str(error)})
        else:
            if removed:
                log.warning("the sweep removed documents deleted before", extra={"documents": removed})
                words = f"the sweep removed {removed} documents that had been deleted before"
                observer.trouble(Trouble(Cause.SWEPT, words))
        pause = max(INTERVAL, (clock.monotonic() - started) / _SHARE)
