"""Reading settings from an environment that is passed in: one message names every mistake. Pure."""

import re
from collections.abc import Mapping, Sequence

from shared.errors import FatalError

LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")

_WHOLE_NUMBER = re.compile(r"[+-]?[0-9]{1,18}").fullmatch  # `int` takes 1_000 and other scripts' digits too


class Reader:
    """Reads named settings, and collects mistakes until `finish`."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self._problems: list[str] = []

    def text(self, name: str, meaning: str, default: str | None = None) -> str:
        """A text that is not empty; without a default it must be set. `meaning` completes "it is …"."""
        value = self.optional(name) or default
        if value is None:
            self._problems.append(f"{name} is missing: it is {meaning}")
        return value or ""

    def optional(self, name: str) -> str | None:
        """A text that may be absent."""
        return self._environment.get(name, "").strip() or None

    def integer(self, name: str, default: int, minimum: int, maximum: int) -> int:
        """A whole number within bounds, both included."""
        text = self.optional(name)
        if text is None:
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
        value = (self.optional(name) or default).upper()
        if value not in allowed:
            self._problems.append(f"{name}={value!r} is not one of {', '.join(allowed)}")
            return default
        return value

    def problem(self, text: str) -> None:
        """Adds a mistake that only the caller can see, such as a wrong relation between two settings."""
        self._problems.append(text)

    def finish(self) -> None:
        """Raises `FatalError` if there were mistakes; its text names them all."""
        if self._problems:
            raise FatalError("settings: " + "; ".join(self._problems))
