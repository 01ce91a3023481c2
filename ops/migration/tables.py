"""Decides which tables a command works on: names and patterns → names. Knows nothing else about a table.

A name is taken as it is typed. A pattern stands for those of the *known* tables that it matches, and one that
matches none is a mistake, never "no tables".
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from ops.console.exit_status import CommandError
from ops.pipeline import Pipeline, find_pipeline, replicated_tables

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ops.aws import Aws

_SIGNS = frozenset("*?[")
"""What makes a pattern of a name; no table's name has one of these."""

_NEAR = 3


@dataclass(frozen=True, slots=True)
class Known:
    """The tables that patterns are matched against.

    Attributes:
        whose: what has them, as in ``that the stack s replicates``.
    """

    names: Sequence[str]
    whose: str


def choose(wanted: Sequence[str], known: Callable[[], Known]) -> list[str]:
    """The names that some names and patterns stand for, each once.

    Args:
        wanted: as they were typed; empty: all known ones.
        known: asks for the known tables; it is called only if that is needed.

    Raises:
        CommandError: a pattern matches nothing, or no table is known.
    """
    if wanted and not any(map(is_pattern, wanted)):
        return list(dict.fromkeys(wanted))
    all_known = known()
    if not all_known.names:
        raise CommandError(f"there is no table {all_known.whose}")
    names = wanted or all_known.names
    return list(dict.fromkeys(each for name in names for each in _matching(name, all_known)))


def is_pattern(name: str) -> bool:
    """Whether it stands for several tables."""
    return not _SIGNS.isdisjoint(name)


def _matching(name: str, known: Known) -> Sequence[str]:
    if not is_pattern(name):
        return [name]
    if found := [each for each in known.names if fnmatchcase(each, name)]:
        return found
    plain = "".join(character for character in name if character not in "*?[]")
    near = difflib.get_close_matches(plain, known.names, _NEAR, 0.4) or known.names[:_NEAR]
    more = f", and {len(known.names) - len(near):,} more" if len(known.names) > len(near) else ""
    names = ", ".join(map(repr, near))
    raise CommandError(f"no table {known.whose} matches {name!r}; there are {names}{more}")


def of_pipeline(aws: Aws, stack: str, function: str) -> Known:
    """The tables that a pipeline replicates.

    Args:
        aws: where it is.
        stack: its CloudFormation stack; empty: none.
        function: its Lambda, where no stack is given; empty: not known.

    Raises:
        CommandError: no pipeline is named, or its tables are not known.
    """
    if not stack and not function:  # that other Lambdas read a table's stream says nothing about ours
        raise CommandError(
            "which tables? A pattern or no name stands for the tables that a pipeline replicates: give "
            "--stack "
            "NAME (REPLICATOR_STACK) or --function NAME; or name the tables, such as orders"
        )
    name = find_pipeline(aws, stack, Pipeline(function=function)).function
    whose = f"that the stack {stack} replicates" if stack else f"that the Lambda {function} replicates"
    return Known(replicated_tables(aws, name), whose)
