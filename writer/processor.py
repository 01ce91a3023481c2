"""One batch, from its messages to their end: plan → apply → settle. Thin: decisions are `writer.planning`.

Law: a message is parked before it is acknowledged, and acknowledged only after MongoDB has its changes. A
batch whose lock may have lapsed is not written. What is not done here is delivered again, which is harmless.
"""

import asyncio
import functools
import itertools
import logging
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from enum import Enum

from shared.errors import TransientError
from writer.context import Context
from writer.mapping.rules import Rules
from writer.planning.fold import Refusals
from writer.planning.plan import Plan, make_plan
from writer.planning.settle import Settlement, refusals_to_plan_again, settle
from writer.ports import Inbox, Message, Outcome, Sink
from writer.sqs.lease import Lease
from writer.telemetry.account import Seconds, account
from writer.telemetry.batch_log import log_batch
from writer.telemetry.health import Dependency
from writer.telemetry.observer import Call, Cause

log = logging.getLogger(__name__)

_HEAL_DELAY = 5
"""Seconds until a batch is tried again whose failure another item's change may heal."""


class Ending(Enum):
    """How a batch ended."""

    ACKNOWLEDGED = "acknowledged"
    """All its messages are deleted from the queue."""
    DELIVERED_AGAIN = "delivered again"
    """SQS delivers at least some of its messages again."""
    STOPPED = "stopped"
    """The stop came while MongoDB was away. The messages are still locked."""


class BatchProcessor:
    """Carries out batches, several at a time."""

    def __init__(self, context: Context, inbox: Inbox, sink: Sink, rules: Rules) -> None:
        self._context = context
        self._inbox = inbox
        self._sink = sink
        self._rules = rules
        self._numbers = itertools.count(1)
        self._hook_thread = ThreadPoolExecutor(1, "hooks")

    async def process(
        self, messages: Sequence[Message], lease: Lease, on_plan: Callable[[Plan], None] = lambda _: None
    ) -> Ending:
        """Carries out a batch, or a part of one.

        Args:
            messages: received together; within a group oldest first.
            lease: the lock on them.
            on_plan: called with the plan as soon as it is made.
        """
        time = self._context.clock.monotonic
        started = time()
        plan = await self._plan(messages, {})
        on_plan(plan)
        planned = time()
        written = await self._write(plan, lease)
        if written is None:
            return await self._not_written(messages, lease)
        plan, outcome = written
        applied = time()
        settlement = settle(plan, outcome, self._inbox.park_limit)
        if not await self._settle(settlement, lease):
            log.warning("applied, not acknowledged", extra={"messages": len(messages)})
            return Ending.DELIVERED_AGAIN
        took = Seconds(planned - started, applied - planned, time() - applied)
        batch = account(plan, outcome, settlement, self._context.clock.now(), took)
        self._context.observer.batch(batch)
        log_batch(next(self._numbers), batch, plan, outcome, settlement)
        return Ending.DELIVERED_AGAIN if settlement.give_back else Ending.ACKNOWLEDGED

    async def _plan(self, messages: Sequence[Message], refusals: Refusals) -> Plan:
        limit = self._inbox.park_limit
        if not self._rules.have_hooks:
            return make_plan(messages, self._rules, limit, refusals)
        # A hook can take long. Meanwhile locks have to be extended, and probes answered. There is one thread,
        # so hooks need not be thread-safe.
        planning = functools.partial(make_plan, messages, self._rules, limit, refusals)
        return await asyncio.get_running_loop().run_in_executor(self._hook_thread, planning)

    async def _write(self, plan: Plan, lease: Lease) -> tuple[Plan, Outcome] | None:
        """Applies a plan. Changes that MongoDB refuses are planned again as poison, and the rest is applied.

        Returns:
            The last plan and its outcome; None: not written, because the lock lapsed or the stop came.
        """
        refusals: Refusals = {}
        while (outcome := await self._apply(plan, lease)) is not None:
            found = refusals_to_plan_again(plan, outcome)
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
        self._context.trouble(Cause.LOCK_LOST, "the lock on a batch may have lapsed: it goes back")
        await self.give_back(messages, "the lock may have lapsed")
        return Ending.DELIVERED_AGAIN

    async def _settle(self, settlement: Settlement, lease: Lease) -> bool:
        """Parks, then acknowledges, then gives back.

        Returns:
            Whether all that was to be parked and acknowledged is.
        """
        park, acknowledge, back = settlement.park, settlement.acknowledge, settlement.give_back
        if park and not await self._ask(Call.PARK, lambda: self._inbox.park(park), lease):
            return False
        done = not acknowledge or await self._ask(Call.DELETE, lambda: self._inbox.delete(acknowledge), lease)
        if back:
            await self._release(back, _HEAL_DELAY)
            log.warning("messages stay for a later try", extra={"messages": len(back)})
            self._context.trouble(Cause.HEALABLE, f"{len(back)} messages stay for a later try")
        return done

    async def _ask(self, call: Call, request: Callable[[], Awaitable[None]], lease: Lease) -> bool:
        """Repeats a request to SQS until it succeeds, or the lock may have lapsed."""
        context = self._context
        return await context.retry(
            lambda: context.timed(call, request()), Dependency.SQS, lambda: lease.lapsed
        )

    async def give_back(self, messages: Sequence[Message], reason: str) -> None:
        """Makes messages visible to all writers at once."""
        await self._release(messages, 0)
        log.info("messages given back", extra={"messages": len(messages), "reason": reason})

    async def _release(self, messages: Sequence[Message], delay: int) -> None:
        try:
            await self._context.timed(Call.RELEASE, self._inbox.release(messages, delay))
        except TransientError as error:  # they become visible by themselves when the lock ends
            log.warning("messages could not be released", extra={"reason": str(error)})
            self._context.trouble(Cause.SQS, str(error))
