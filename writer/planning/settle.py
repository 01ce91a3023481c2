"""Plan + outcome → what to park, acknowledge and give back. Pure.

Law: a message is acknowledged only if each of its changes is durable in MongoDB, stale, or to be parked
(parking comes first; if it fails, nothing is acknowledged). Within a message group, no message is
acknowledged before an earlier one.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from shared.dead_letter import DeadLetter
from shared.errors import PoisonError
from writer.planning.fold import Refusals
from writer.planning.plan import Plan, letter_of_change
from writer.ports import Failure, FailureKind, Message, Outcome


@dataclass(frozen=True, slots=True)
class Settlement:
    """How a batch ends.

    Attributes:
        park: letters for the dead-letter queue, before anything else.
        acknowledge: messages to delete.
        give_back: messages to make visible again, for a later try.
    """

    park: Sequence[DeadLetter]
    acknowledge: Sequence[Message]
    give_back: Sequence[Message]


def refusals_to_plan_again(plan: Plan, outcome: Outcome) -> Refusals:
    """Returns the refused changes that stood for others of the same document; empty if there are none.

    Of these only the refused change is parked: the batch is planned again without it, so that the newest
    change that MongoDB takes is applied.
    """
    return {
        (plan.writes[index].identity, plan.writes[index].version): _poison(failure)
        for index, failure in outcome.failures.items()
        if failure.kind is FailureKind.PERMANENT and plan.writes[index].changes > 1
    }


def settle(plan: Plan, outcome: Outcome, park_limit: int) -> Settlement:
    """Decides about every message of the plan; a parked message may have `park_limit` bytes."""
    letters = [poison.letter for poison in plan.poison]
    unsettled: set[int] = set()
    for index, failure in outcome.failures.items():
        write = plan.writes[index]
        if failure.kind is not FailureKind.PERMANENT:
            unsettled |= write.messages
        else:
            message = plan.messages[write.message]
            letters.append(letter_of_change(message, write.change, _poison(failure), park_limit))
    acknowledge: list[Message] = []
    give_back: list[Message] = []
    blocked: set[str] = set()
    for index, message in enumerate(plan.messages):
        if index in unsettled or message.group in blocked:
            blocked.add(message.group)
            give_back.append(message)
        else:
            acknowledge.append(message)
    return Settlement(list(dict.fromkeys(letters)), acknowledge, give_back)


def _poison(failure: Failure) -> PoisonError:
    return PoisonError(f"mongodb-{failure.code}", failure.reason)
