"""How long to wait before trying again: exponential, with full jitter, bounded. Pure but for the dice."""

from __future__ import annotations

import random

_FIRST, _LONGEST = 0.1, 5.0  # seconds


class Backoff:
    """The pauses of one series of tries. Jitter keeps writers from coming back all at once."""

    def __init__(self) -> None:
        self._ceiling = _FIRST

    def next(self) -> float:
        """Returns the next pause, seconds."""
        ceiling = self._ceiling
        self._ceiling = min(ceiling * 2, _LONGEST)
        return random.uniform(ceiling / 2, ceiling)  # noqa: S311 - jitter, not cryptography
