"""Which writes that a unique index refused can be done together. Pure.

A write that wants another document's value can be done if a write that is in hand, too, takes that value away
in the same moment. Two items that exchange their values form a ring; an item that takes the value of one that
moves on, a chain.
"""

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet

Needs = Mapping[int, AbstractSet[int]]
"""Refused writes, each with those others whose documents have what it wants."""


def dependent(needs: Needs, on: Iterable[int]) -> set[int]:
    """Writes that cannot be done unless `on` are: those themselves, and all that need one of them."""
    found = set(on)
    more = True
    while more:
        new = {write for write, needed in needs.items() if write not in found and needed & found}
        found |= new
        more = bool(new)
    return found


def groups(
    needs: Needs, blocked: AbstractSet[int], unknown: AbstractSet[int] = frozenset()
) -> list[list[int]]:
    """Splits refused writes into groups; each group can be done by itself, as a whole.

    Args:
        needs: all refused writes.
        blocked: those that cannot be done, such as for a value of somebody else's document.
        unknown: those of which it is not known what they need: they are in one group.

    Returns:
        The groups, without what is blocked and what needs that.
    """
    out = dependent(needs, blocked)
    neighbours: dict[int, set[int]] = {write: set() for write in needs if write not in out}
    for write, beside in neighbours.items():
        beside.update(needs[write])
        for needed in needs[write]:
            neighbours[needed].add(write)
    strangers = sorted(unknown & neighbours.keys())
    for write in strangers[1:]:
        neighbours[write].add(strangers[0])
        neighbours[strangers[0]].add(write)
    found: list[list[int]] = []
    seen: set[int] = set()
    for start in neighbours:
        if start in seen:
            continue
        group, todo = {start}, [start]
        while todo:
            new = neighbours[todo.pop()] - group
            group |= new
            todo += new
        seen |= group
        found.append(sorted(group))
    return found
