"""Which kinds of writes MongoDB takes, by what it said about a batch. Pure.

A refusal that is not about its record (`FailureKind.TRANSIENT`) may be about the whole collection, such as a
quota. Or it is about this one write, for a reason that we do not know. If its code does not say which, what
tells them apart is whether MongoDB took another write of the same kind.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from writer.planning.plan import Plan
from writer.ports import Message, Outcome
from writer.write import Place, Write

Work = tuple[Place, bool]
"""Puts (True) or deletions in one collection: a quota or a role refuses the ones and lets the others pass."""

Answer = tuple[Work, str]
"""A code that MongoDB answers to all writes of a kind."""


def work_of(write: Write) -> Work:
    return write.target[:2], write.document is not None


def accepted(plan: Plan, outcome: Outcome) -> frozenset[Work]:
    """The kinds of writes of which MongoDB took at least one.

    A put that changed nothing proves nothing: it is not known whether MongoDB would have written.
    """
    taken = Counter(
        work_of(write) for index, write in enumerate(plan.writes) if index not in outcome.failures
    )
    for place, changes in outcome.stale_at.items():
        taken[place, True] -= changes
    return frozenset(+taken)


def untried(plan: Plan, closed: Callable[[Write], bool]) -> Mapping[Place, Sequence[Message]]:
    """The messages that wait without a try, by place, because MongoDB takes no such writes now.

    What has a document in common with them waits, too: the changes of a document stay together.
    """
    places: dict[int, Place] = {}
    for write in plan.writes:
        if closed(write):
            for index in write.messages:
                places.setdefault(index, write.target[:2])
    grown = bool(places)
    while grown:
        grown = False
        for write in plan.writes:
            here = next((places[index] for index in write.messages if index in places), None)
            if here is not None and not write.messages <= places.keys():
                places.update({index: here for index in write.messages if index not in places})
                grown = True
    return by_place(plan, places)


def by_place(plan: Plan, places: Mapping[int, Place]) -> Mapping[Place, Sequence[Message]]:
    """Messages in their order; `places` is by their index."""
    found: dict[Place, list[Message]] = {}
    for index in sorted(places):
        found.setdefault(places[index], []).append(plan.messages[index])
    return found
