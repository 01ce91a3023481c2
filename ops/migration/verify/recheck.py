"""Decides whether a difference counts: only one that stays does. Changes in flight get time to arrive.

Each look reads both sides again, the item consistently. Once they are equal, there is no difference. If
neither side has changed for some time, there is one. If they keep changing, nobody can know.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING

from ops.migration.verify.comparison import key_identity

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ops.migration.images import Key
    from ops.migration.verify.lookup import KeyState, Lookup

_LOOKS = 4  # per settle time
_SHORTEST_PAUSE = 0.05
_MOST_SETTLE_TIMES = 6
"""Settle times after which a key that keeps changing counts as in flight."""


class Verdict(Enum):
    """What is known about a key that looked wrong."""

    EQUAL = auto()
    DIFFERENT = auto()
    IN_FLIGHT = auto()


@dataclass(slots=True)
class PendingKey:
    """A key that looked wrong.

    Attributes:
        since: the time of the first look.
        signature: that of both sides at the last look.
        unchanged_since: the time of the first look with this signature.
    """

    key: Key
    since: float
    signature: str = ""
    unchanged_since: float = 0.0

    def verdict_of(self, signature: str, now: float, settle: float, *, is_equal: bool) -> Verdict | None:
        """Decides after one more look; None: look again.

        Args:
            signature: that of both sides now.
            now: seconds on a monotonic clock.
            settle: seconds that both sides have to stay the same.
            is_equal: whether they are equal.
        """
        if is_equal:
            return Verdict.EQUAL
        if signature != self.signature:
            self.signature, self.unchanged_since = signature, now
        if now - self.unchanged_since >= settle:
            return Verdict.DIFFERENT
        return Verdict.IN_FLIGHT if now - self.since >= _MOST_SETTLE_TIMES * settle else None


async def recheck(lookup: Lookup, keys: Sequence[Key], settle: float) -> list[tuple[Verdict, KeyState]]:
    """Looks at keys until there is a verdict on each.

    Args:
        lookup: reads both sides.
        keys: those that looked wrong, no key twice.
        settle: seconds that a difference has to stay.
    """
    started = time.monotonic()
    pending = {key_identity(key): PendingKey(key, started) for key in keys}
    known: list[tuple[Verdict, KeyState]] = []
    pause = max(settle / _LOOKS, _SHORTEST_PAUSE)
    while pending:
        for state in await lookup.read([key.key for key in pending.values()]):
            identity = key_identity(state.key)
            verdict = pending[identity].verdict_of(
                state.signature, time.monotonic(), settle, is_equal=state.difference is None
            )
            if verdict is not None:
                known.append((verdict, state))
                del pending[identity]
        if pending:
            await asyncio.sleep(pause)
    return known
