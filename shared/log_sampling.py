"""A log handler that writes the same warning a few times a minute, and then says how many it kept back.

Law: INFO and DEBUG are never kept back. What was parked is in the dead-letter queue, however few
lines tell of it.
"""

import copy
import logging
import math
from dataclasses import dataclass
from typing import TextIO

MOST = 5
"""Lines of one logger, level and wording that are written in a minute."""

_MINUTE = 60.0
_MOST_KINDS = 1_000  # that are told apart; wordings are few, unless somebody formats them beforehand

_Kind = tuple[str, int, str]


@dataclass(slots=True)
class _Seen:
    since: float
    lines: int = 0
    last: logging.LogRecord | None = None


class SamplingHandler(logging.StreamHandler[TextIO]):
    """Writes to a stream. Time is that of the records."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self._seen: dict[_Kind, _Seen] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """Writes the record, or keeps it back; before it, what was kept back and whose minute is over."""
        if self._seen:
            self._settle(record.created)
        if record.levelno < logging.WARNING or self._is_written(record):
            super().emit(record)

    def close(self) -> None:
        """Writes what was kept back, at the end of the process."""
        self._settle(math.inf)
        super().close()

    def _is_written(self, record: logging.LogRecord) -> bool:
        kind = (record.name, record.levelno, str(record.msg))
        seen = self._seen.get(kind)
        if seen is None:
            if len(self._seen) >= _MOST_KINDS:
                return True
            seen = self._seen[kind] = _Seen(record.created)
        seen.lines += 1
        if seen.lines > MOST:
            seen.last = record
            return False
        return True

    def _settle(self, now: float) -> None:
        """The last of the lines that were kept back stands for all of them, in its field `repeated`."""
        for kind in [kind for kind, seen in self._seen.items() if now - seen.since >= _MINUTE]:
            seen = self._seen.pop(kind)
            if seen.last is not None:
                last = copy.copy(seen.last)
                last.repeated = seen.lines - MOST
                super().emit(last)
