"""The errors that say what is wrong with a mapping: all of it at once, each with its place. Pure."""

from __future__ import annotations

import difflib
import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shared.errors import FatalError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Place = tuple[str, ...]
"""The names of settings that lead to one, such as ``("tables", "people", "key")``."""


@dataclass(frozen=True, slots=True)
class Mistake:
    """One thing that is wrong with a mapping, or that has no effect in it.

    Attributes:
        setting: the setting, its names joined by dots; empty: the file as a whole.
        text: what is wrong, and what is allowed there.
        line, column: where, both from 1; 0: not known.
    """

    setting: str
    text: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        return f"{self.setting}: {self.text}" if self.setting else self.text

    def located(self, source: str) -> str:
        """The mistake as one line, which begins with the file's name, its line and column."""
        where = f"{source}:{self.line}:{self.column}" if self.line else source
        return f"{where}: {self}" if where else str(self)


class MappingError(FatalError):
    """A wrong mapping.

    Attributes:
        mistakes: all that is wrong.
    """

    def __init__(self, mistakes: Iterable[Mistake], source: str = "") -> None:
        self.mistakes = tuple(mistakes)
        super().__init__("; ".join(mistake.located(source) for mistake in self.mistakes))


class Problems(ValueError):  # noqa: N818 - pydantic makes the error of it
    """Several problems that one check of the model found: each with its place below the model, and a text."""

    def __init__(self, found: Iterable[tuple[Place, str]]) -> None:
        self.found = list(found)
        super().__init__("; ".join(text for _, text in self.found))


def refuse(*problems: Iterable[tuple[Place, str]]) -> None:
    """Makes a check of the model fail if it found any problems."""
    if found := [*itertools.chain(*problems)]:
        raise Problems(found)


def did_you_mean(given: str, known: Sequence[str]) -> str:
    """` (did you mean …?)`, if one of the known words is close to what was given."""
    by_lower = {word.lower(): word for word in known}
    close = difflib.get_close_matches(given.lower(), by_lower, n=1)
    close = close or [word for word in by_lower if len(given) > 1 and word.startswith(given.lower())]
    return f" (did you mean {by_lower[close[0]]}?)" if close else ""
