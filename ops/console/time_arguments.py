"""A time as people type it → milliseconds since the epoch. Pure."""

import re
from datetime import UTC, datetime

from ops.console.exit_status import CommandError

_DURATION = re.compile(r"(?:[0-9]+(?:\.[0-9]+)?[smhdw])+").fullmatch
_PART = re.compile(r"([0-9.]+)([smhdw])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


def parse_time(text: str, now: float) -> int:
    """Reads a duration before `now` (``90s``, ``15m``, ``1h30m``, ``2d``) or an ISO 8601 time.

    `now` is in seconds since the epoch, the result in milliseconds.

    Raises:
        CommandError: it is neither.
    """
    text = text.strip()
    if _DURATION(text):
        ago = sum(float(number) * _SECONDS[unit] for number, unit in _PART.findall(text))
        return max(0, round((now - ago) * 1000))
    try:
        time = datetime.fromisoformat(text)
        if time.tzinfo is None:
            time = time.replace(tzinfo=UTC)
        return max(0, round(time.timestamp() * 1000))
    except (ValueError, OverflowError) as error:
        raise CommandError(
            f"{text[:50]!r} is neither a duration, such as 90s, 15m, 4h or 2d, nor a time, such as "
            "2026-04-30T17:47 (UTC) or 2026-04-30T17:47+02:00"
        ) from error
