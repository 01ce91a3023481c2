"""One batch, from its messages to their end: plan → apply → settle. Thin: decisions are `writer.planning`.

Law: a message is parked before it is acknowledged, and acknowledged only after MongoDB has its changes. A
batch whose lock may have lapsed is not written. What is not done here is delivered again, which is harmless.
"""

import asyncio
import functools
import itertools
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from enum import Enum
from types import MappingProxyType
from typing import NamedTuple, Protocol

from shared.errors import TransientError
from writer.context import Context
from writer.mapping.rules import Rules
from writer.planning.acceptance import untried
from writer.planning.fold import Refusals
from writer.planning.plan import Plan, make_plan
from writer.planning.settle import (
    NOTHING_KNOWN,
    Back,
    Limits,
    Settlement,
    Standing,
    growing_delay,
    refusals_to_plan_again,
    settle,
)
from writer.ports import FailureKind, Inbox, Message, Outcome, Sink
from writer.sqs.lease import Lease
from writer.telemetry.account import Seconds, account
from writer.telemetry.batch_log import log_batch
from writer.telemetry.health import Dependency
from writer.telemetry.observer import Call, Cause
from writer.troubles import Troubles
from writer.write import Place

log = logging.getLogger(__name__)

_CAUSES = MappingProxyType({FailureKind.HEALABLE: Cause.HEALABLE, FailureKind.TRANSIENT: Cause.REFUSED})


_NO_ROOM_FIRST, _NO_ROOM_LONGEST = 60, 900
"""Seconds until a message is delivered again for which there is no room: long, as each delivery counts."""


class Turn(NamedTuple):
    """What is known about messages that were held.

    Attributes:
        place: MongoDB takes no writes there as far as we know: these messages find out.
        standing: what is known about their writes.
    """

    place: Place | None = None
    standing: Standing = NOTHING_KNOWN


NO_TURN = Turn()


class Ending(Enum):
    """How a batch ended."""

    SETTLED = "settled"
    """Each of its messages is acknowledged, given back, or held by the keeper."""
    DELIVERED_AGAIN = "delivered again"
    """The lock may have lapsed: SQS delivers the messages again."""
    STOPPED = "stopped"
    """The stop came while MongoDB was away. The messages are still locked."""


class Result(NamedTuple):
    """How a batch ended; `staying`: the groups of the messages that are given back or held."""

    ending: Ending
    staying: frozenset[str] = frozenset()


class Keeper(Protocol):
    """Takes messages that wait until MongoDB takes writes of their table, or (`alone`) one write of each."""

    def take(
        self, place: Place, messages: Sequence[Message], lease: Lease, *, tried: bool, alone: bool
    ) -> Sequence[Message]:
        """Takes messages, and their lock from a lease; returns those for which there is no room."""

    def attends(self, place: Place, *, alone: bool) -> bool:
        """Whether it holds such messages of a place, and tries them again."""


class BatchProcessor:
    """Carries out batches, several at a time."""

    def __init__(
        self, context: Context, inbox: Inbox, sink: Sink, rules: Rules, keeper: Keeper | None = None
    ) -> None:
        """`keeper`: takes what waits for MongoDB; without one it is given back."""
        self._context = context
        self._inbox = inbox
        self._sink = sink
        self._rules = rules
        self.keeper = keeper
        self.troubles = Troubles(context.clock, context.health)
        self._numbers = itertools.count(1)
        self._hook_thread = ThreadPoolExecutor(1, "hooks")

    async def process(
        self,
        messages: Sequence[Message],
        lease: Lease,
        on_plan: Callable[[Plan], None] = lambda _: None,
        turn: Turn = NO_TURN,
    ) -> Result:
        """Carries out a batch, or a part of one.

        Args:
            messages: received together; within a group oldest first.
            lease: the lock on them.
            on_plan: called with the plan as soon as it is made.
            turn: of messages that were held.
        """
        time = self._context.clock.monotonic
        started = time()
        plan = await self._plan(messages, {})
        on_plan(plan)
        waiting = self._untried(plan, turn)
        if waiting:
            await self._hold(waiting, lease, tried=False)
            held = {each.receipt for some in waiting.values() for each in some}
            messages = [message for message in messages if message.receipt not in held]
            if not messages:
                return Result(Ending.SETTLED, _groups(waiting))
            plan = await self._plan(messages, {})
        planned = time()
        written = await self._write(plan, lease, turn)
        if written is None:
            return Result(await self._not_written(messages, lease))
        plan, outcome = written
        applied = time()
        settlement = settle(plan, outcome, self._limits, self._standing(turn))
        self.troubles.note(plan, outcome, settlement, planned)
        done = await self._settle(settlement, lease)
        self._forget_unattended(settlement)
        if not done:
            log.warning("applied, not acknowledged", extra={"messages": len(messages)})
            return Result(Ending.DELIVERED_AGAIN)
        took = Seconds(planned - started, applied - planned, time() - applied)
        batch = account(plan, outcome, settlement, self._context.clock.now(), took)
        self._context.observer.batch(batch)
        log_batch(next(self._numbers), batch, plan, outcome, settlement)
        staying = frozenset(message.group for message in settlement.staying)
        return Result(Ending.SETTLED, staying | _groups(waiting))

    def _untried(self, plan: Plan, turn: Turn) -> Mapping[Place, Sequence[Message]]:
        if not self.troubles:
            return {}
        return untried(plan, lambda write: self.troubles.closed(write) and write.target[:2] != turn.place)

    def _standing(self, turn: Turn) -> Standing:
        return turn.standing._replace(known=self.troubles.answers)

    @property
    def _limits(self) -> Limits:
        return Limits(self._inbox.park_limit, self._inbox.max_receives)

    async def _plan(self, messages: Sequence[Message], refusals: Refusals) -> Plan:
        limit = self._inbox.park_limit
        if not self._rules.have_hooks:
            return make_plan(messages, self._rules, limit, refusals)
        # A hook can take long. Meanwhile locks have to be extended, and probes answered. There is one thread,
        # so hooks need not be thread-safe.
        planning = functools.partial(make_plan, messages, self._rules, limit, refusals)
        return await asyncio.get_running_loop().run_in_executor(self._hook_thread, planning)

    async def _write(self, plan: Plan, lease: Lease, turn: Turn) -> tuple[Plan, Outcome] | None:
        """Applies a plan. Changes that MongoDB refuses are planned again as poison, and the rest is applied.

        Returns:
            The last plan and its outcome; None: not written, because the lock lapsed or the stop came.
        """
        refusals: Refusals = {}
        while (outcome := await self._apply(plan, lease)) is not None:
            found = refusals_to_plan_again(plan, outcome, self._limits, self._standing(turn))
            if not found:
                return plan, outcome
            refusals = {**refusals, **found}
            plan = await self._plan(plan.messages, refusals)
        return None

    async def _apply(self, plan: Plan, lease: Lease) -> Outcome | None:
        """Repeats the same writes until they are applied; None: the lock lapsed, or the stop came."""
        outcome: Outcome | None = None

        async def apply() -> None:
            nonlocal outcome
            with self._context.health.writing():
                outcome = await self._context.timed(Call.BULK, self._sink.apply(plan.writes))

        if not plan.writes:
            return Outcome()
        if lease.lapsed:
            return None
        await self._context.retry(apply, Dependency.MONGODB, lambda: lease.lapsed)
        return outcome

    async def _not_written(self, messages: Sequence[Message], lease: Lease) -> Ending:
        if not lease.lapsed:
            return Ending.STOPPED
        self._context.trouble(
            Cause.LOCK_LOST, "the lock on a batch may have lapsed: the batch goes back to the queue"
        )
        await self.give_back(messages, lease, "the lock may have lapsed")
        return Ending.DELIVERED_AGAIN

    async def _settle(self, settlement: Settlement, lease: Lease) -> bool:
        """Parks, then acknowledges, then gives back and holds.

        Returns:
            Whether all that was to be parked and acknowledged is.
        """
        park, acknowledge = settlement.park, settlement.acknowledge
        if park and not await self._ask(Call.PARK, lambda: self._inbox.park(park), lease):
            return False
        done = not acknowledge or await self._ask(Call.DELETE, lambda: self._inbox.delete(acknowledge), lease)
        await self._give_back_later(settlement.give_back, lease)
        if done:  # else the lock may have lapsed, or the stop came
            await self._hold(settlement.hold, lease, tried=True)
            await self._hold(settlement.hold_alone, lease, tried=True, alone=True)
        return done

    async def _give_back_later(self, backs: Sequence[Back], lease: Lease) -> None:
        """Gives messages back that stay because of some of their changes."""
        for kind, cause in _CAUSES.items():
            messages = [back.message for back in backs if back.kind is kind]
            if messages:
                log.warning(
                    "messages wait for a retry", extra={"messages": len(messages), "cause": cause.value}
                )
                self._context.trouble(cause, f"{len(messages)} messages wait for a retry")
        for delay in sorted({back.delay for back in backs}):
            messages = [back.message for back in backs if back.delay == delay]
            lease.let_go(messages)  # or it would lock them again
            await self._release(messages, delay)

    async def _hold(
        self,
        waiting: Mapping[Place, Sequence[Message]],
        lease: Lease,
        *,
        tried: bool,
        alone: bool = False,
    ) -> None:
        """Hands messages over that wait for MongoDB; gives those back for which there is no room."""
        for place, messages in waiting.items():
            wait = self._context.health.tables.get(place)
            if tried and wait is not None:
                self._context.trouble(Cause.REFUSED, wait.reason)
            left = messages
            if self.keeper is not None:
                left = self.keeper.take(place, messages, lease, tried=tried, alone=alone)
            backs = [
                Back(message, FailureKind.TRANSIENT, growing_delay(message, _NO_ROOM_FIRST, _NO_ROOM_LONGEST))
                for message in left
            ]
            await self._give_back_later(backs, lease)

    def _forget_unattended(self, settlement: Settlement) -> None:
        """Nobody here would find out when MongoDB takes writes there again: whatever comes next is tried."""
        keeper = self.keeper
        for place in settlement.hold:
            if keeper is None or not keeper.attends(place, alone=False):
                self.troubles.forget(place)
        for place in settlement.hold_alone:
            if keeper is None or not keeper.attends(place, alone=True):
                self.troubles.forget_alone(place)

    async def _ask(self, call: Call, request: Callable[[], Awaitable[None]], lease: Lease) -> bool:
        """Repeats a request to SQS until it succeeds, or the lock may have lapsed."""
        context = self._context
        return await context.retry(
            lambda: context.timed(call, request()), Dependency.SQS, lambda: lease.lapsed
        )

    async def give_back(self, messages: Sequence[Message], lease: Lease, reason: str) -> None:
        """Makes messages visible to all writers at once."""
        lease.let_go(messages)  # or it would lock them again
        await self._release_at_once(messages, reason)

    async def give_back_all(self, leases: Sequence[Lease], reason: str) -> None:
        """Does so with all messages of some leases, and asks SQS as few times as possible."""
        messages = [message for lease in leases for message in lease.messages]
        for lease in leases:
            lease.let_go(lease.messages)
        await self._release_at_once(messages, reason)

    async def _release_at_once(self, messages: Sequence[Message], reason: str) -> None:
        await self._release(messages, 0)
        log.info("messages given back", extra={"messages": len(messages), "reason": reason})

    async def _release(self, messages: Sequence[Message], delay: int) -> None:
        try:
            await self._context.timed(Call.RELEASE, self._inbox.release(messages, delay))
        except TransientError as error:  # they become visible by themselves when the lock ends
            log.warning("messages could not be released", extra={"reason": str(error)})
            self._context.trouble(Cause.SQS, str(error))


def _groups(waiting: Mapping[Place, Sequence[Message]]) -> frozenset[str]:
    return frozenset(message.group for messages in waiting.values() for message in messages)
