"""Reading settings from an environment: every mistake is found and named in one message. Pure.

The environment is handed in; nothing is read at import time.
"""

import re
from collections.abc import Mapping, Sequence

from shared.errors import FatalError

LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")

_WHOLE_NUMBER = re.compile(r"[+-]?[0-9]{1,18}").fullmatch  # `int` reads 1_000 and other scripts' digits too


class Reader:
    """Reads named settings, collects what is wrong with them, and says it all at once in `finish`."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self._problems: list[str] = []

    def text(self, name: str, meaning: str, default: str | None = None) -> str:
        """A text that must not be empty; without a default it must be given. `meaning` completes "is …"."""
        value = self._environment.get(name, "").strip() or default
        if value is None:
            self._problems.append(f"{name} is missing: it is {meaning}")
        return value or ""

    def optional(self, name: str) -> str | None:
        """A text that may be absent."""
        return self._environment.get(name, "").strip() or None

    def integer(self, name: str, default: int, minimum: int, maximum: int) -> int:
        """A whole number within bounds, both included."""
        text = self._environment.get(name, "").strip()
        if not text:
            return default
        if not _WHOLE_NUMBER(text):
            self._problems.append(f"{name}={text[:50]!r} is not a whole number")
            return default
        value = int(text)
        if not minimum <= value <= maximum:
            self._problems.append(f"{name}={value} is not between {minimum} and {maximum}")
            return default
        return value

    def choice(self, name: str, default: str, allowed: Sequence[str]) -> str:
        """One of several words, in any case."""
        value = (self._environment.get(name, "").strip() or default).upper()
        if value not in allowed:
            self._problems.append(f"{name}={value!r} is none of {', '.join(allowed)}")
            return default
        return value

    def problem(self, text: str) -> None:
        """Adds a mistake that only the caller can see, such as a wrong relation between two settings."""
        self._problems.append(text)

    def finish(self) -> None:
        """Ends the reading.

        Raises:
            FatalError: something was wrong; the text names every mistake.
        """
        if self._problems:
            raise FatalError("settings: " + "; ".join(self._problems))
