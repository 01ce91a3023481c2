"""What people type for a moment → milliseconds since the epoch. Pure."""

from __future__ import annotations

import re
from datetime import UTC, datetime

_DURATION = re.compile(r"(?:[0-9]+(?:\.[0-9]+)?[smhdw])+").fullmatch
_PART = re.compile(r"([0-9.]+)([smhdw])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


class MomentError(Exception):
    """A text that is no moment; the message says what is."""


def parse_time(text: str, now: float) -> int:
    """Reads a duration before now (``90s``, ``15m``, ``1h30m``, ``2d``) or an ISO 8601 time.

    Args:
        text: as typed.
        now: seconds since the epoch.

    Raises:
        MomentError: it is neither.
    """
    text = text.strip()
    if _DURATION(text):
        ago = sum(float(number) * _SECONDS[unit] for number, unit in _PART.findall(text))
        return max(0, round((now - ago) * 1000))
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return max(0, round(moment.timestamp() * 1000))
    except (ValueError, OverflowError) as error:
        raise MomentError(
            f"{text[:50]!r} is neither a duration, such as 90s, 15m, 4h or 2d, nor a time, such as "
            "2026-04-30T17:47 (UTC) or 2026-04-30T17:47+02:00"
        ) from error
