"""The drain loops: receive → plan → apply → settle → again. Thin: decisions are `plan` and `settle`.

Law: each loop holds at most one batch, so nothing is acknowledged early and back-pressure is free. "Stop
taking" (the stop event) and "stop working" (cancellation, after the grace time) are two signals. What is in
hand and not started when the stop comes is given back at once.
"""

from __future__ import annotations

import asyncio
import functools
import itertools
import logging
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from typing import TYPE_CHECKING

from shared.errors import TransientError
from writer.planning.plan import make_plan
from writer.planning.settle import refusals_to_plan_again, settle
from writer.planning.slices import inflates, slices
from writer.ports import Outcome
from writer.runtime import Backoff, collect_now, done_before
from writer.sqs.lease import Lease
from writer.telemetry.account import Seconds, account
from writer.telemetry.batch_log import log_batch
from writer.telemetry.health import Dependency
from writer.telemetry.observer import Cause, InHand, Trouble

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from writer.mapping.rules import Rules
    from writer.planning.fold import Refusals
    from writer.planning.plan import Plan
    from writer.planning.settle import Settlement
    from writer.ports import Clock, Inbox, Message, Sink
    from writer.telemetry.health import Health
    from writer.telemetry.observer import Observer

    Tell = Callable[[InHand | None], None]

log = logging.getLogger(__name__)

_HEAL_DELAY = 5
"""Seconds until a batch is tried again whose failure another item's change may heal."""

_LONGEST_POLL = 6.0
"""Seconds after which the polls that were under way when the stop came have surely ended."""

_CAUSES = {Dependency.MONGODB: Cause.MONGODB, Dependency.SQS: Cause.SQS}


class Service:
    """Drains one inbox into one sink."""

    def __init__(  # noqa: PLR0913 - what it is wired to
        self, inbox: Inbox, sink: Sink, rules: Rules, clock: Clock, health: Health, *, observer: Observer
    ) -> None:
        self._inbox = inbox
        self._sink = sink
        self._rules = rules
        self._clock = clock
        self._health = health
        self._observer = observer
        self._batches = itertools.count(1)
        self._hook_thread = ThreadPoolExecutor(1, "hooks")
        self._inflating = asyncio.Lock()
        self._polls = 0
        self._no_polls = asyncio.Event()
        self._no_polls.set()

    async def run(self, loops: int, stop: asyncio.Event, grace: float) -> None:
        """Drains until `stop` is set and the work in hand is done.

        Args:
            loops: number of batches in hand at once.
            stop: set it to stop receiving.
            grace: seconds that work in hand may take after that; then it is cancelled, and SQS delivers the
                messages again.

        Raises:
            ExceptionGroup: a loop died; the others were cancelled.
        """
        async with asyncio.TaskGroup() as group:
            drains = [group.create_task(self._loop(n, stop), name=f"drain-{n}") for n in range(loops)]
            await stop.wait()
            self._inbox.hurry()
            log.info("draining: no more messages are received")
            _, late = await asyncio.wait(drains, timeout=grace)
            if late:
                log.warning("work in hand did not end in time", extra={"loops": len(late), "grace": grace})
            for task in late:
                task.cancel()

    async def _loop(self, loop: int, stop: asyncio.Event) -> None:
        """Drains; a task group takes a cancelled task for one that is done, so it is told from a death."""
        try:
            await self._drain(loop, stop)
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is not None and not task.cancelling():
                raise RuntimeError("a loop was cancelled by nobody") from error
            raise

    async def _drain(self, loop: int, stop: asyncio.Event) -> None:
        tell = functools.partial(self._observer.in_hand, loop)
        while not stop.is_set():
            if Dependency.MONGODB in self._health.waits:
                # Messages are better off in the queue than in our hands.
                await self._until_done(self._sink.ping, Dependency.MONGODB, stop.is_set, stop)
                continue
            messages, asked = await self._receive(stop)
            if messages:
                tell(InHand(len(messages)))
                try:
                    await self._handle(messages, asked, stop, tell)
                finally:
                    tell(None)

    async def _receive(self, stop: asyncio.Event) -> tuple[Sequence[Message], float]:
        """Messages, and when they were asked for."""
        messages: Sequence[Message] = ()
        asked = self._clock.monotonic()

        async def receive() -> None:
            nonlocal messages, asked
            asked = self._clock.monotonic()
            self._polls += 1
            self._no_polls.clear()
            try:
                messages = await self._inbox.receive()
            finally:
                self._polls -= 1
                if self._polls == 0:
                    self._no_polls.set()

        await self._until_done(receive, Dependency.SQS, stop.is_set, stop)
        return messages, asked

    async def _handle(
        self, messages: Sequence[Message], asked: float, stop: asyncio.Event, tell: Tell
    ) -> None:
        lease = Lease(self._inbox, messages, self._clock, asked)
        await lease.confirm()
        async with asyncio.TaskGroup() as group:
            keeper = group.create_task(lease.keep(), name="lease")
            try:
                if stop.is_set():
                    await self._give_back_stopping(messages)
                else:
                    await self._in_slices(messages, lease, stop, tell)
            finally:
                keeper.cancel()

    async def _in_slices(
        self, messages: Sequence[Message], lease: Lease, stop: asyncio.Event, tell: Tell
    ) -> None:
        for part, rest in slices(messages):
            planned = functools.partial(_tell_planned, tell, len(part) + len(rest))
            async with self._inflating if inflates(part) else nullcontext():
                if stop.is_set():  # it came while this one waited for its turn
                    await self._give_back_stopping([*part, *rest])
                    return
                done = await self.process(part, lease, stop, planned)
            if not rest:
                return
            if not done:  # of a message group nothing goes before what stays
                await self._give_back(rest, "earlier messages stay")
                return
            lease.let_go(part)

    async def process(
        self,
        messages: Sequence[Message],
        lease: Lease,
        stop: asyncio.Event,
        planned: Callable[[Plan], None] = lambda _: None,
    ) -> bool:
        """The way of one batch (or a part of it), from its messages to their end.

        Args:
            messages: received together; within a group oldest first.
            lease: the lock on them.
            stop: ends the waiting for parts that are away.
            planned: is told the plan.

        Returns:
            Whether all of them are acknowledged.
        """
        started = self._clock.monotonic()
        plan = await self._plan(messages, {})
        planned(plan)
        began = self._clock.monotonic()
        outcome = await self._apply(plan, lease, stop)
        refusals: Refusals = {}
        while outcome is not None and (found := refusals_to_plan_again(plan, outcome)):
            refusals = {**refusals, **found}
            plan = await self._plan(messages, refusals)
            outcome = await self._apply(plan, lease, stop)
        if outcome is None:
            if lease.lapsed:
                self._trouble(Cause.LOCK_LOST, "the lock on a batch may have lapsed: it goes back")
                await self._give_back(messages, "the lock may have lapsed")
            else:
                await self._give_back_stopping(messages)
            return False
        applied = self._clock.monotonic()
        settlement = settle(plan, outcome, self._inbox.park_limit)
        if not await self._perform(settlement, lease, stop):
            log.warning("applied, not acknowledged", extra={"messages": len(messages)})
            return False
        took = Seconds(began - started, applied - began, self._clock.monotonic() - applied)
        batch = account(plan, outcome, settlement, self._clock.now(), took)
        self._observer.batch(batch)
        log_batch(next(self._batches), batch, plan, outcome, settlement)
        return not settlement.give_back

    async def _plan(self, messages: Sequence[Message], refusals: Refusals) -> Plan:
        limit = self._inbox.park_limit
        if not self._rules.have_hooks:
            return make_plan(messages, self._rules, limit, refusals)
        # A hook takes as long as it takes: meanwhile locks are to be extended, and probes answered. One
        # thread, so that hooks need not be safe for several.
        planning = functools.partial(make_plan, messages, self._rules, limit, refusals)
        return await asyncio.get_running_loop().run_in_executor(self._hook_thread, planning)

    async def _apply(self, plan: Plan, lease: Lease, stop: asyncio.Event) -> Outcome | None:
        """Repeats the same writes until they are applied; None if that must not or shall not go on."""
        outcome: Outcome | None = None

        async def apply() -> None:
            nonlocal outcome
            outcome = await self._sink.apply(plan.writes)

        if not plan.writes:
            return Outcome()
        if lease.lapsed:
            return None
        await self._until_done(apply, Dependency.MONGODB, lambda: lease.lapsed, stop)
        return outcome

    async def _perform(self, settlement: Settlement, lease: Lease, stop: asyncio.Event) -> bool:
        """Parks, then acknowledges, then gives back. What is not done here is delivered again, harmlessly.

        Returns:
            Whether what was to be parked and acknowledged is.
        """
        to_park, to_acknowledge = settlement.park, settlement.acknowledge
        if to_park and not await self._settled(lambda: self._inbox.park(to_park), lease, stop):
            return False
        done = not to_acknowledge or await self._settled(
            lambda: self._inbox.delete(to_acknowledge), lease, stop
        )
        if settlement.give_back:
            await self._release(settlement.give_back, _HEAL_DELAY)
            log.warning("messages stay for a later try", extra={"messages": len(settlement.give_back)})
            self._trouble(Cause.HEALABLE, f"{len(settlement.give_back)} messages stay for a later try")
        return done

    async def _settled(
        self, action: Callable[[], Awaitable[None]], lease: Lease, stop: asyncio.Event
    ) -> bool:
        return await self._until_done(action, Dependency.SQS, lambda: lease.lapsed, stop)

    async def _give_back_stopping(self, messages: Sequence[Message]) -> None:
        # Not before the polls of our other loops have ended: they would receive the messages, give them
        # back, and raise their receive count each time.
        await done_before(self._no_polls, self._clock.sleep(_LONGEST_POLL))
        await self._give_back(messages, "stopping")

    async def _give_back(self, messages: Sequence[Message], why: str) -> None:
        await self._release(messages, 0)
        log.info("messages given back", extra={"messages": len(messages), "reason": why})

    async def _release(self, messages: Sequence[Message], delay: int) -> None:
        try:
            await self._inbox.release(messages, delay)
        except TransientError as error:  # they become visible by themselves when the lock ends
            log.warning("messages could not be released", extra={"reason": str(error)})
            self._trouble(Cause.SQS, str(error))

    async def _until_done(
        self,
        action: Callable[[], Awaitable[None]],
        part: Dependency,
        give_up: Callable[[], bool],
        stop: asyncio.Event,
    ) -> bool:
        """Tries again after transient errors, with backoff, and keeps `health` up to date.

        Returns:
            True when done; False when, after a failure and a pause, `give_up` said so or the stop had come.
        """
        backoff = Backoff()
        while True:
            try:
                await action()
            except TransientError as error:
                self._health.lost(part, str(error))
                self._trouble(_CAUSES[part], str(error))
                collect_now()
            else:
                self._health.found(part)
                return True
            if not await done_before(stop, self._clock.sleep(backoff.next())) or give_up():
                return False

    def _trouble(self, cause: Cause, words: str) -> None:
        self._observer.trouble(Trouble(cause, words))


def _tell_planned(tell: Tell, messages: int, plan: Plan) -> None:
    """What is in hand, now that a part of it has been read."""
    oldest = None if plan.oldest is None else plan.oldest / 1000
    tell(InHand(messages, plan.changes, oldest))
