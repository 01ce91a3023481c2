"""The errors that say what is wrong with a mapping: all of it at once. Pure."""

import itertools
from collections.abc import Iterable

from shared.errors import FatalError


class MappingError(FatalError):
    """A wrong mapping.

    Attributes:
        mistakes: all that is wrong; each names its place, and what is allowed there.
    """

    def __init__(self, mistakes: Iterable[str], source: str = "") -> None:
        self.mistakes = tuple(mistakes)
        super().__init__(f"{source}: {'; '.join(self.mistakes)}" if source else "; ".join(self.mistakes))


class Problems(ValueError):  # noqa: N818 - pydantic makes the error of it
    """Several mistakes that one check of the model found."""

    def __init__(self, texts: Iterable[str]) -> None:
        self.texts = list(texts)
        super().__init__("; ".join(self.texts))


def refuse(*problems: Iterable[str]) -> None:
    """Makes a check of the model fail if it found any problems."""
    if texts := [*itertools.chain(*problems)]:
        raise Problems(texts)
