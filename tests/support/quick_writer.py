"""The writer with shorter waits: its long polls, which a stop lets go to their end, take one second.

`python -m tests.support.quick_writer package.module.NAME=VALUE …` is otherwise `python -m writer`. What else
a test names is set first, too.
"""

from __future__ import annotations

import json
import pkgutil
import runpy
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_LONG_POLL = "writer.sqs.inbox.WAIT_SECONDS=1"


def quick_writer(*assignments: str) -> Sequence[str]:
    """The arguments of Python that run it. An assignment's value is JSON."""
    return ("-m", "tests.support.quick_writer", *assignments)


def _assign(assignment: str) -> None:
    place, _, value = assignment.partition("=")
    owner, _, name = place.rpartition(".")
    found = pkgutil.resolve_name(owner)
    if not hasattr(found, name):
        raise AttributeError(place)
    setattr(found, name, json.loads(value))


if __name__ == "__main__":
    for each in (_LONG_POLL, *sys.argv[1:]):
        _assign(each)
    del sys.argv[1:]
    runpy.run_module("writer", run_name="__main__")
