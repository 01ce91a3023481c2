"""Where MongoDB takes no writes now, although it takes others. State only; no I/O.

A place is in trouble from the first batch of which MongoDB refused all writes of a kind there, for a reason
that is not about the records, until it takes one of that kind. Of single writes that wait, while others are
taken, it is known when the others were.
"""

import asyncio
from collections.abc import Collection
from dataclasses import dataclass, field

from writer.planning.acceptance import Answer, Work, accepted, work_of
from writer.planning.plan import Plan
from writer.planning.settle import Settlement
from writer.ports import Clock, Failure, FailureKind, Outcome
from writer.telemetry.health import Health, TableWait
from writer.write import Identity, Place, Write


@dataclass(eq=False, slots=True)
class Trouble:
    """MongoDB takes no writes of some kind in a place.

    Attributes:
        began: on the monotonic clock.
        refused: the kinds of writes, and the codes with which they were refused.
        accepted: those that it took since it refused one of that kind for the last time.
        documents: that were refused; two at most, which is enough to know that it is not one document.
        over: set when it is over.
    """

    began: float
    refused: dict[Work, set[str]] = field(default_factory=dict)
    accepted: set[Work] = field(default_factory=set)
    documents: set[Identity] = field(default_factory=set)
    over: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def is_sure(self) -> bool:
        """Whether more than one document was refused: one alone may be at fault itself."""
        return len(self.documents) > 1


class Troubles:
    """The places in trouble; `/readyz` shows them."""

    def __init__(self, clock: Clock, health: Health) -> None:
        self._clock = clock
        self._health = health
        self._at: dict[Place, Trouble] = {}
        self._taken: dict[Place, dict[Work, float]] = {}  # where single writes wait; monotonic

    def __bool__(self) -> bool:
        """Whether there are any."""
        return bool(self._at)

    def at(self, place: Place) -> Trouble | None:
        return self._at.get(place)

    def closed(self, write: Write) -> bool:
        """Whether it is known that MongoDB takes no such write now."""
        trouble = self._at.get(write.target[:2])
        return trouble is not None and trouble.is_sure and work_of(write) in trouble.refused

    @property
    def answers(self) -> frozenset[Answer]:
        """What MongoDB is known to answer to all documents."""
        return frozenset(
            (work, code)
            for trouble in self._at.values()
            if trouble.is_sure
            for work, codes in trouble.refused.items()
            for code in codes
        )

    def note(self, plan: Plan, outcome: Outcome, settlement: Settlement, started: float) -> None:
        """Takes notice of what MongoDB said about a batch that was sent at `started` (monotonic)."""
        if self._at or self._taken:
            refused = {work_of(plan.writes[index]) for index in settlement.refused}
            for work in accepted(plan, outcome) - refused:
                self._accept(work, started)
        if settlement.hold:
            self._refuse(plan, outcome, settlement.refused)
        for index in settlement.refused_alone:
            self._refuse_alone(plan.writes[index], outcome.failures[index])

    def _accept(self, work: Work, started: float) -> None:
        place, _ = work
        if (taken := self._taken.get(place)) is not None:
            taken[work] = max(started, taken.get(work, started))
        trouble = self._at.get(place)
        if trouble is None or started < trouble.began:  # an answer that says nothing about the time since
            return
        trouble.accepted.add(work)
        trouble.refused.pop(work, None)
        if not trouble.refused:
            self.forget(place)

    def _refuse(self, plan: Plan, outcome: Outcome, refused: Collection[int]) -> None:
        for index in refused:
            write, failure = plan.writes[index], outcome.failures[index]
            place = write.target[:2]
            trouble = self._at.setdefault(place, Trouble(self._clock.monotonic()))
            trouble.refused.setdefault(work_of(write), set()).add(failure.code)
            trouble.accepted.discard(work_of(write))
            if not trouble.is_sure:
                trouble.documents.add(write.identity)
            if failure.kind is FailureKind.PERMANENT:  # the server's words about one document
                continue
            table = write.change.table
            self._health.refused(place, TableWait(table, failure.code, failure.reason, self._clock.now()))

    def _refuse_alone(self, write: Write, failure: Failure) -> None:
        place = write.target[:2]
        self._taken.setdefault(place, {})
        reason = f"{failure.reason}; MongoDB accepts other writes there"
        wait = TableWait(write.change.table, failure.code, reason, self._clock.now())
        self._health.refused(place, wait, alone=True)

    def taken_since(self, place: Place, moment: float) -> frozenset[Work]:
        """What MongoDB took there since (monotonic), where single writes wait, and does not refuse by now."""
        trouble = self._at.get(place)
        taken = {work for work, at in self._taken.get(place, {}).items() if at >= moment}
        return frozenset(taken - trouble.refused.keys() if trouble is not None else taken)

    def forget_alone(self, place: Place) -> None:
        """No single writes wait there any more."""
        self._taken.pop(place, None)
        self._health.relieved(place, alone=True)

    def forget(self, place: Place) -> None:
        """The trouble is over, or nobody waits for its end any more."""
        trouble = self._at.pop(place, None)
        if trouble is not None:
            trouble.over.set()
            self._health.relieved(place)
