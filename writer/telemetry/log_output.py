"""Where the log goes: standard output, written by a thread of its own.

Whoever reads it may stop, and a pipe holds 64 KB: then a write waits, and with it would the event loop, and
replication. So lines wait here, up to a bound; when it is reached they are dropped, and a line says how many.

Law: `write` neither waits nor raises. Memory is bounded.
"""

import logging
import os
import select
import threading
from collections import deque
from typing import NamedTuple

MOST = 1 << 20
"""Bytes of lines that wait, about 4,000 lines."""


class _Lines(NamedTuple):
    data: bytes
    lost: int = 1
    """Lines that nobody sees if these bytes cannot be written."""
    is_note: bool = False


class LogOutput:
    """A stream for a log handler, on a file descriptor."""

    def __init__(self, descriptor: int, formatter: logging.Formatter, most: int = MOST) -> None:
        self._descriptor = descriptor
        self._formatter = formatter
        self._most = most
        self._waiting: deque[_Lines] = deque()
        self._size = 0
        self._missing = 0  # lines that were lost, and not told of yet
        self._changed = threading.Condition()
        self._is_closed = False
        self.dropped = 0
        """Lines that were lost since the start."""
        # A daemon: it may hang in a write for ever, and the process has to end nevertheless.
        self._thread = threading.Thread(target=self._write_all, name="log", daemon=True)
        self._thread.start()

    def write(self, text: str) -> None:
        """Takes lines, and returns at once."""
        lines = _Lines(text.encode(errors="backslashreplace"))
        with self._changed:
            # Once full, it fills again when there is room for some: or every second line would be a note.
            if self._size + len(lines.data) > (self._most // 2 if self._missing else self._most):
                self._missing += 1
                self.dropped += 1
                return
            self._note_missing()
            self._add(lines)

    def close(self, seconds: float) -> None:
        """Waits until all is written, for so long at most."""
        with self._changed:
            self._is_closed = True
            self._changed.notify()
        self._thread.join(seconds)

    def _add(self, lines: _Lines) -> None:
        self._waiting.append(lines)
        self._size += len(lines.data)
        self._changed.notify()

    def _note_missing(self) -> None:
        """Adds a line that says how many are missing here."""
        if self._missing:
            told = {"name": __name__, "levelname": "WARNING", "msg": "log lines were dropped"}
            record = logging.makeLogRecord({**told, "lines": self._missing})
            self._add(_Lines((self._formatter.format(record) + "\n").encode(), self._missing, is_note=True))
            self._missing = 0

    def _write_all(self) -> None:
        is_read = True
        while (lines := self._next(is_read=is_read)) is not None:
            try:
                self._write(lines.data)
                is_read = True
            except OSError:  # the reader has gone, or the disk is full: there is nobody to tell
                is_read = False
                with self._changed:
                    self._missing += lines.lost
                    self.dropped += not lines.is_note

    def _next(self, *, is_read: bool) -> _Lines | None:
        """The next lines to write; None: there are none, and none will come."""
        with self._changed:
            if is_read and not self._waiting:
                self._note_missing()
            self._changed.wait_for(lambda: self._waiting or self._is_closed)
            if not self._waiting:
                return None
            lines = self._waiting.popleft()
            self._size -= len(lines.data)
            return lines

    def _write(self, data: bytes) -> None:
        while data:
            try:
                data = data[os.write(self._descriptor, data) :]
            except BlockingIOError:  # another process made the pipe we share one that does not wait
                select.select([], [self._descriptor], [])
