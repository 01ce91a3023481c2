"""The error whose message is for the person at the terminal."""

from pathlib import Path
from typing import Final

TAIL_LINES: Final = 20


class StackError(Exception):
    """Something on this machine keeps the stack from working.

    The message says what happened and, if the person can do something about it, what.

    Attributes:
        log: The file that shows the reason.
        log_tail: Its last lines, read at once: the file may be gone when the error is shown.
    """

    def __init__(self, message: str, *, log: Path | None = None) -> None:
        super().__init__(message)
        self.log = log
        lines = log.read_text(errors="replace").splitlines() if log and log.exists() else []
        self.log_tail = "\n".join(lines[-TAIL_LINES:])
