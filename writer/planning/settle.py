"""Plan + outcome → what to park, acknowledge, give back and hold. Pure.

Law: a message is acknowledged only if each of its changes is durable in MongoDB, stale, or to be parked
(parking comes first; if it fails, nothing is acknowledged). A message that stays does not keep others: all
changes of a document in a batch are one write, or writes that the guard lets come in any order, so what is
delivered again finds its document as new or newer. A code that is not about a document parks nothing by
itself: the last delivery but one is held, until SQS would move the whole message.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

from shared.dead_letter import DeadLetter
from shared.errors import PoisonError
from writer.planning.acceptance import Answer, Work, accepted, by_place, work_of
from writer.planning.fold import Refusals
from writer.planning.plan import Plan, letter_of_change
from writer.ports import Failure, FailureKind, Message, Outcome
from writer.write import Place, Write

HEAL_DELAY = 5
"""Seconds until a change is tried again that another item's change may heal."""

LONGEST_DELAY = 60
"""Seconds until a write is tried again at the latest that MongoDB refuses while it takes others: for so long
SQS delivers nothing of the message's lane."""


class Limits(NamedTuple):
    """What the queues allow.

    Attributes:
        park: bytes that a parked message may have.
        receives: deliveries of a message, after which SQS moves it to the dead-letter queue.
    """

    park: int
    receives: int


class Standing(NamedTuple):
    """What is known from before about the writes of a batch.

    Attributes:
        proven: what MongoDB has taken from others since it refused this batch for the last time.
        known: what it answers to all writes of a place now, so that they are not the documents' fault.
        alone: the messages were held because of one write each, not because of a place.
        overdue: they were held for as long as SQS lets a message be held.
    """

    proven: frozenset[Work] = frozenset()
    known: frozenset[Answer] = frozenset()
    alone: bool = False
    overdue: bool = False


NOTHING_KNOWN = Standing()


class Back(NamedTuple):
    """A message that is made visible again after `delay` seconds; `kind`: of the failure that keeps it."""

    message: Message
    kind: FailureKind
    delay: int


@dataclass(frozen=True, slots=True)
class Settlement:
    """How a batch ends.

    Attributes:
        park: letters for the dead-letter queue, before anything else.
        acknowledge: messages to delete.
        give_back: messages to make visible again, for a later try.
        hold: by place, messages that wait in our hands until MongoDB takes writes there.
        hold_alone: by place, messages that wait in our hands because of one write each: MongoDB takes others.
        parked: indices of the writes whose change is parked.
        refused: indices of the writes for which messages are in `hold`.
        refused_alone: indices of the writes for which messages are in `hold_alone`.
    """

    park: Sequence[DeadLetter]
    acknowledge: Sequence[Message]
    give_back: Sequence[Back] = ()
    hold: Mapping[Place, Sequence[Message]] = field(default_factory=dict)
    hold_alone: Mapping[Place, Sequence[Message]] = field(default_factory=dict)
    parked: frozenset[int] = frozenset()
    refused: frozenset[int] = frozenset()
    refused_alone: frozenset[int] = frozenset()

    @property
    def staying(self) -> Sequence[Message]:
        """All messages that are not done."""
        return [
            *(back.message for back in self.give_back),
            *(
                message
                for held in (self.hold, self.hold_alone)
                for messages in held.values()
                for message in messages
            ),
        ]


class _Fate(Enum):
    """What becomes of a write that MongoDB refused."""

    PARK = "park"
    AGAIN = "again"
    HOLD = "hold"
    HOLD_ALONE = "hold alone"


def refusals_to_plan_again(
    plan: Plan, outcome: Outcome, limits: Limits, standing: Standing = NOTHING_KNOWN
) -> Refusals:
    """Returns the changes to park that stood for others of the same document; empty if there are none.

    Of these only the refused change is parked: the batch is planned again without it, so that the newest
    change that MongoDB takes is applied. The arguments are those of `settle`.
    """
    return {
        (plan.writes[index].identity, plan.writes[index].version): _poison(plan.writes[index], failure)
        for index, (fate, failure) in _fates(plan, outcome, limits, standing).items()
        if fate is _Fate.PARK and plan.writes[index].changes > 1
    }


def settle(plan: Plan, outcome: Outcome, limits: Limits, standing: Standing = NOTHING_KNOWN) -> Settlement:
    """Decides about every message of the plan.

    Args:
        plan: the batch.
        outcome: what became of it.
        limits: what the queues allow.
        standing: what is known from before.
    """
    fates = _fates(plan, outcome, limits, standing)
    held: dict[int, Place] = {}
    alone: dict[int, Place] = {}
    again: dict[int, FailureKind] = {}
    for index, (fate, failure) in fates.items():
        write = plan.writes[index]
        for message in write.messages:
            if fate is _Fate.HOLD:
                held.setdefault(message, write.target[:2])
            elif fate is _Fate.HOLD_ALONE:
                alone.setdefault(message, write.target[:2])
            elif fate is _Fate.AGAIN and again.get(message) is not FailureKind.TRANSIENT:
                again[message] = failure.kind
    alone = {message: place for message, place in alone.items() if message not in held}
    staying = held.keys() | alone.keys() | again.keys()
    # A letter is written with the end of its message: what is tried again may find another answer.
    letters = [poison.letter for poison in plan.poison if poison.message not in staying]
    parked: set[int] = set()
    for index, (fate, failure) in fates.items():
        write = plan.writes[index]
        if fate is _Fate.PARK and write.message not in staying:
            parked.add(index)
            poison = _poison(write, failure)
            letters.append(letter_of_change(plan.messages[write.message], write.change, poison, limits.park))
    return Settlement(
        park=list(dict.fromkeys(letters)),
        acknowledge=[each for index, each in enumerate(plan.messages) if index not in staying],
        give_back=[
            Back(each, kind, _delay(each, kind))
            for index, each in enumerate(plan.messages)
            if (kind := again.get(index)) is not None and index not in held and index not in alone
        ],
        hold=by_place(plan, held),
        hold_alone=by_place(plan, alone),
        parked=frozenset(parked),
        refused=_with(fates, _Fate.HOLD),
        refused_alone=_with(fates, _Fate.HOLD_ALONE),
    )


def _with(fates: Mapping[int, tuple[_Fate, Failure]], wanted: _Fate) -> frozenset[int]:
    return frozenset(index for index, (fate, _) in fates.items() if fate is wanted)


def _delay(message: Message, kind: FailureKind) -> int:
    return HEAL_DELAY if kind is FailureKind.HEALABLE else growing_delay(message, HEAL_DELAY, LONGEST_DELAY)


def growing_delay(message: Message, first: int, longest: int) -> int:
    """Seconds until a message is delivered again that goes back for a reason that may last."""
    return min(longest, first << min(message.receives - 1, 10))


def _fates(
    plan: Plan, outcome: Outcome, limits: Limits, standing: Standing
) -> Mapping[int, tuple[_Fate, Failure]]:
    if not outcome.failures:
        return {}
    taken = standing.proven | accepted(plan, outcome)

    def fate(write: Write, failure: Failure) -> _Fate:
        work = work_of(write)
        receives = max(plan.messages[index].receives for index in write.messages)
        if failure.kind is FailureKind.PERMANENT:
            is_known = (work, failure.code) in standing.known and work not in taken
            return _Fate.HOLD if is_known else _Fate.PARK
        if failure.kind is FailureKind.TRANSIENT and (
            failure.of_place or not (work in taken or standing.alone)
        ):
            return _Fate.HOLD
        if failure.kind is FailureKind.HEALABLE or (failure.of_document and work in taken):
            # SQS would move the whole message, and its neighbours with it, instead of delivering it again.
            return _Fate.PARK if receives >= limits.receives else _Fate.AGAIN
        if receives < limits.receives - 1:
            return _Fate.AGAIN
        return _Fate.PARK if standing.overdue and work in taken else _Fate.HOLD_ALONE

    return {
        index: (fate(plan.writes[index], failure), failure) for index, failure in outcome.failures.items()
    }


def _poison(write: Write, failure: Failure) -> PoisonError:
    reason = failure.reason
    if failure.kind is FailureKind.HEALABLE:
        index = f" ({failure.index})" if failure.index else ""
        reason = (
            f"table {write.change.table}: another document has this value in a unique index{index} of the "
            f"collection {write.target.collection}. Free the value, or drop the index, then redrive this"
        )
    elif failure.kind is FailureKind.TRANSIENT:
        how_long = "at every delivery" if failure.of_document else "for as long as SQS keeps a message"
        reason = (
            f"{failure.reason}. MongoDB took other writes of table {write.change.table}, but refused this "
            f"one {how_long}. Look up the code, fix its cause, then redrive this"
        )
    return PoisonError(f"mongodb-{failure.code}", reason)
