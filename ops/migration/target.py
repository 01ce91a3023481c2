"""What is said of a database or a collection that does not exist. Pure.

Law: a typing error is named at once, and not by as many "missing" documents as the table has items.
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from writer.names import OURS

if TYPE_CHECKING:
    from collections.abc import Iterable

_MOST = 10
_ALIKE = 0.6
_MONGODBS_OWN = {"admin", "config", "local"}


def no_database(name: str, where: str, setting: str, there: Iterable[str]) -> str:
    """The sentence about a database that does not exist.

    Args:
        name: its name.
        where: the servers.
        setting: what named it.
        there: the databases that can be seen.
    """
    others = sorted(set(there) - _MONGODBS_OWN)
    listed = f"; existing databases: {_listed(others)}" if others else ""
    return f"the database {name} does not exist on {where}: check {setting}{_meant(name, others)}{listed}"


def no_collection(name: str, database: str, there: Iterable[str]) -> str:
    """The sentence about a collection that does not exist; `there`: those of the database."""
    others = sorted(each for each in there if not each.startswith((OURS, "system.")))
    listed = f"; existing collections: {_listed(others)}" if others else ""
    return f"The collection {name} does not exist in the database {database}{_meant(name, others)}{listed}."


def _meant(name: str, others: list[str]) -> str:
    lower = {each.lower(): each for each in others}
    alike = difflib.get_close_matches(name.lower(), lower, n=1, cutoff=_ALIKE)
    return f" (did you mean {lower[alike[0]]}?)" if alike else ""


def _listed(names: list[str]) -> str:
    more = len(names) - _MOST
    return ", ".join(names[:_MOST]) + (f" and {more} more" if more > 0 else "")
