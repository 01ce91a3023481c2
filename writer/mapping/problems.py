"""Mistakes in `replication.yaml`, told all at once and in words of the file. Pure."""

import difflib
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from shared.errors import FatalError


class MappingError(FatalError):
    """A wrong mapping.

    Attributes:
        mistakes: all that is wrong; each names its place, and what is allowed there.
    """

    def __init__(self, mistakes: Iterable[str], source: str = "") -> None:
        self.mistakes = tuple(mistakes)
        super().__init__(f"{source}: {'; '.join(self.mistakes)}" if source else "; ".join(self.mistakes))


class _Problems(ValueError):  # noqa: N818 - pydantic makes the error of it
    """Several mistakes that one check found."""

    def __init__(self, texts: Iterable[str]) -> None:
        self.texts = list(texts)
        super().__init__("; ".join(self.texts))


def refuse(*problems: Iterable[str]) -> None:
    """Makes a check of a model fail for all problems that it found, if there are any."""
    if texts := [*itertools.chain(*problems)]:
        raise _Problems(texts)


def told(error: ValidationError, settings_at: Callable[[int], Sequence[str]]) -> Iterator[str]:
    """What a model's error says, mistake by mistake, in words of the file.

    Args:
        error: the error.
        settings_at: the names of the settings at a depth of the file.
    """
    for problem in error.errors(include_url=False):
        yield from _told(problem, settings_at)


def _told(problem: ErrorDetails, settings_at: Callable[[int], Sequence[str]]) -> Iterator[str]:
    place = [str(part) for part in problem["loc"] if part != "[key]"]
    message = problem["msg"]
    match problem["type"]:
        case "value_error" if isinstance(several := problem["ctx"]["error"], _Problems):
            for text in several.texts:
                yield f"{'.'.join(place) or 'tables'}: {text}"
            return
        case "value_error":
            message = str(problem["ctx"]["error"])
        case "extra_forbidden":
            known = settings_at(len(place))
            close = difflib.get_close_matches(place[-1], known, n=1)
            guess = f" (did you mean {close[0]}?)" if close else ""
            message = f"there is no such setting{guess}; there are {', '.join(known)}"
        case "string_pattern_mismatch":  # only hooks have a pattern
            message = "a hook is written as module:function"
        case other if other in _EXPECTED:
            message = _EXPECTED[other]
    yield f"{'.'.join(place) or 'the file'}: {message}"


_EXPECTED = {
    "bool_type": "only true or false can stand here",
    "dict_type": "settings, each as `name: value`, are expected here; write {} for none",
    "model_type": "settings, each as `name: value`, are expected here; write {} for none",
    "string_too_short": "it is empty",
    "string_type": "a text is expected here; YAML takes words such as on, yes, null or 12 for something else "
    "unless they are in quotes",
    "too_long": "at most two key attributes can stand here",  # only the key has a limit
    "tuple_type": "a list is expected here, such as [id]",
}
"""For what pydantic says in terms of Python."""
