"""A log handler that writes the same warning a few times a minute, then says how many it held back.

Law: INFO and DEBUG are never held back. What was parked is in the dead-letter queue, however few lines
mention it.
"""

import copy
import logging
import math
from dataclasses import dataclass
from typing import Protocol

MOST = 5
"""Lines a minute of one logger, level and wording."""

_MINUTE = 60.0
_MOST_KINDS = 1_000  # that are counted; there are few, unless somebody formats a message beforehand

_Kind = tuple[str, int, str]


@dataclass(slots=True)
class _Seen:
    since: float
    lines: int = 0
    last: logging.LogRecord | None = None


class Output(Protocol):
    """What lines are written to, such as a text file."""

    def write(self, text: str, /) -> object:
        """Writes lines."""


class SamplingHandler(logging.StreamHandler[Output]):
    """Writes to a stream. Its clock is the time of the records."""

    def __init__(self, stream: Output) -> None:
        super().__init__(stream)
        self._seen: dict[_Kind, _Seen] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """Writes the record, or holds it back; first come the summaries of minutes that are over."""
        if self._seen:
            self._summarise(record.created)
        if record.levelno < logging.WARNING or self._is_written(record):
            super().emit(record)

    def close(self) -> None:
        """Writes the last summaries, at the end of the process."""
        self._summarise(math.inf)
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
        return seen.lines <= MOST

    def _summarise(self, now: float) -> None:
        """Writes the last of the lines held back, with their number in its field `repeated`."""
        for kind in [kind for kind, seen in self._seen.items() if now - seen.since >= _MINUTE]:
            seen = self._seen.pop(kind)
            if seen.last is not None:
                last = copy.copy(seen.last)
                last.repeated = seen.lines - MOST
                super().emit(last)
