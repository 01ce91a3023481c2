"""A difference counts only if it stays: what is still under way is waited for. Decisions are pure.

Each look reads the item consistently and the document anew. Once both sides are equal, all is well. If
neither side has changed for a time, the difference is one. If they keep changing, it cannot be told.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING

from ops.migration.verify.comparison import key_identity

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ops.migration.images import Key
    from ops.migration.verify.lookup import KeyState, Lookup

_LOOKS = 4  # per time of settling
_SHORTEST_PAUSE = 0.05
_PATIENCE = 6
"""Times of settling after which a key that keeps changing is left alone."""


class Verdict(Enum):
    """What is known about a key that looked wrong."""

    EQUAL = auto()
    DIFFERENT = auto()
    IN_FLIGHT = auto()


@dataclass(slots=True)
class PendingKey:
    """A key that looked wrong.

    Attributes:
        since: when it was first looked at.
        signature: how both sides were at the last look.
        unchanged_since: since when they have been like that.
    """

    key: Key
    since: float
    signature: str = ""
    unchanged_since: float = 0.0

    def verdict_of(self, signature: str, now: float, settle: float, *, is_equal: bool) -> Verdict | None:
        """Takes one more look; None: look again.

        Args:
            signature: how both sides are now.
            now: seconds on a clock that never goes back.
            settle: seconds that they have to stay the same.
            is_equal: whether they are equal.
        """
        if is_equal:
            return Verdict.EQUAL
        if signature != self.signature:
            self.signature, self.unchanged_since = signature, now
        if now - self.unchanged_since >= settle:
            return Verdict.DIFFERENT
        return Verdict.IN_FLIGHT if now - self.since >= _PATIENCE * settle else None


async def recheck(
    lookup: Lookup,
    keys: Sequence[Key],
    seconds: float,
    now: Callable[[], float] = time.monotonic,
) -> list[tuple[Verdict, KeyState]]:
    """Looks at keys until something is known about each of them.

    Args:
        lookup: reads both sides.
        keys: different ones that looked wrong.
        seconds: that a difference has to stay.
        now: seconds on a clock that never goes back.
    """
    pending = {key_identity(key): PendingKey(key, now()) for key in keys}
    known: list[tuple[Verdict, KeyState]] = []
    pause = max(seconds / _LOOKS, _SHORTEST_PAUSE)
    while pending:
        for state in await lookup.read([key.key for key in pending.values()]):
            identity = key_identity(state.key)
            verdict = pending[identity].verdict_of(
                state.signature, now(), seconds, is_equal=state.difference is None
            )
            if verdict is not None:
                known.append((verdict, state))
                del pending[identity]
        if pending:
            await asyncio.sleep(pause)
    return known
