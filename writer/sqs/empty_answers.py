"""Empty answers that come at once, and not at the end of the long poll: what to do about them. Pure.

SQS keeps an empty answer back until the poll ends. Something else that answers in its place does not, and its
nonsense often reads like an empty answer; without a pause it would be asked thousands of times a second.
"""

from __future__ import annotations

import math

from writer.runtime import Backoff

_MOST = 5
"""Pauses, each about twice as long as the one before; then it is nonsense."""


class EmptyAnswers:
    """Counts them for all loops together: those that come during a pause count as one."""

    def __init__(self) -> None:
        self.well()

    def well(self) -> None:
        """There were messages, or a poll of full length."""
        self._backoff = Backoff()
        self._pauses = 0
        self._pause = 0.0
        self._until = -math.inf

    def pause(self, now: float) -> float | None:
        """An empty answer came at once: seconds to wait before the next request; None: it is nonsense."""
        if now >= self._until:
            self._pauses += 1
            self._pause = self._backoff.next()
            self._until = now + self._pause
        return self._pause if self._pauses <= _MOST else None
