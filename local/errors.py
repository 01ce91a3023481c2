"""The one error that a person at the terminal is meant to read."""

from pathlib import Path
from typing import Final

TAIL_LINES: Final = 20


class StackError(Exception):
    """Something on this machine keeps the stack from working.

    The message is a sentence that says what happened and, where there is something to do about it, what.
    """

    log: Path | None
    """The log that shows why."""
    log_tail: str
    """Its last lines, read at once: the file may be gone when the error is shown."""

    def __init__(self, message: str, *, log: Path | None = None) -> None:
        """Make an error.

        Args:
            message: What happened and what to do about it.
            log: The file whose last lines show why.
        """
        super().__init__(message)
        self.log = log
        self.log_tail = "\n".join(_lines(log)[-TAIL_LINES:])


def _lines(log: Path | None) -> list[str]:
    return log.read_text(errors="replace").splitlines() if log and log.exists() else []
