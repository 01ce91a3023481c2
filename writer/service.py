"""The drain loops: receive → plan → apply → settle → again. Thin: decisions are `plan` and `settle`.

Law: each loop holds at most one batch, so nothing is acknowledged early and back-pressure is free. "Stop
taking" (the stop event) and "stop working" (cancellation, after the grace time) are two signals. What is in
hand and not started when the stop comes is given back at once.
"""

from __future__ import annotations

import asyncio
import functools
import logging
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from typing import TYPE_CHECKING

from shared.errors import TransientError
from writer.backoff import Backoff
from writer.collector import collect_now
from writer.health import Part
from writer.lease import Lease
from writer.parts import inflates, parts
from writer.plan import make_plan
from writer.ports import Outcome
from writer.settle import refusals_to_plan_again, settle
from writer.stopping import done_before

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from shared.dead_letter import DeadLetter
    from writer.fold import Refusals
    from writer.health import Health
    from writer.plan import Plan
    from writer.ports import Clock, Inbox, Message, Sink
    from writer.rules import Rules
    from writer.settle import Settlement

log = logging.getLogger(__name__)

_HEAL_DELAY = 5
"""Seconds until a batch is tried again whose failure another item's change may heal."""

_LONGEST_POLL = 6.0
"""Seconds after which the polls that were under way when the stop came have surely ended."""


class Service:
    """Drains one inbox into one sink."""

    def __init__(self, inbox: Inbox, sink: Sink, rules: Rules, clock: Clock, health: Health) -> None:
        self._inbox = inbox
        self._sink = sink
        self._rules = rules
        self._clock = clock
        self._health = health
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
            drains = [group.create_task(self._loop(stop), name=f"drain-{n}") for n in range(loops)]
            await stop.wait()
            self._inbox.hurry()
            log.info("draining: no more messages are received")
            _, late = await asyncio.wait(drains, timeout=grace)
            if late:
                log.warning("work in hand did not end in time", extra={"loops": len(late), "grace": grace})
            for task in late:
                task.cancel()

    async def _loop(self, stop: asyncio.Event) -> None:
        """Drains; a task group takes a cancelled task for one that is done, so it is told from a death."""
        try:
            await self._drain(stop)
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is not None and not task.cancelling():
                raise RuntimeError("a loop was cancelled by nobody") from error
            raise

    async def _drain(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            if Part.MONGODB in self._health.waits:
                # Messages are better off in the queue than in our hands.
                await self._until_done(self._sink.ping, Part.MONGODB, stop.is_set, stop)
                continue
            messages, asked = await self._receive(stop)
            if messages:
                await self._handle(messages, asked, stop)

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

        await self._until_done(receive, Part.SQS, stop.is_set, stop)
        return messages, asked

    async def _handle(self, messages: Sequence[Message], asked: float, stop: asyncio.Event) -> None:
        lease = Lease(self._inbox, messages, self._clock, asked)
        await lease.confirm()
        async with asyncio.TaskGroup() as group:
            keeper = group.create_task(lease.keep(), name="lease")
            try:
                if stop.is_set():
                    await self._give_back_stopping(messages)
                else:
                    await self._in_parts(messages, lease, stop)
            finally:
                keeper.cancel()

    async def _in_parts(self, messages: Sequence[Message], lease: Lease, stop: asyncio.Event) -> None:
        for part, rest in parts(messages):
            async with self._inflating if inflates(part) else nullcontext():
                done = await self.process(part, lease, stop)
            if not rest:
                return
            if not done:  # of a message group nothing goes before what stays
                await self._give_back(rest, "earlier messages stay")
                return
            lease.let_go(part)

    async def process(self, messages: Sequence[Message], lease: Lease, stop: asyncio.Event) -> bool:
        """The way of one batch (or a part of it), from its messages to their end.

        Args:
            messages: received together; within a group oldest first.
            lease: the lock on them.
            stop: ends the waiting for parts that are away.

        Returns:
            Whether all of them are acknowledged.
        """
        started = self._clock.monotonic()
        plan = await self._plan(messages, {})
        planned = self._clock.monotonic()
        outcome = await self._apply(plan, lease, stop)
        refusals: Refusals = {}
        while outcome is not None and (found := refusals_to_plan_again(plan, outcome)):
            refusals = {**refusals, **found}
            plan = await self._plan(messages, refusals)
            outcome = await self._apply(plan, lease, stop)
        if outcome is None:
            if lease.lapsed:
                await self._give_back(messages, "the lock may have lapsed")
            else:
                await self._give_back_stopping(messages)
            return False
        applied = self._clock.monotonic()
        settlement = settle(plan, outcome, self._inbox.park_limit)
        done = await self._perform(settlement, lease, stop)
        settled = self._clock.monotonic()
        log.info(
            "batch applied",
            extra={
                "messages": len(messages),
                "changes": plan.changes,
                "coalesced": plan.coalesced,
                "inserted": outcome.inserted,
                "modified": outcome.modified,
                "deleted": outcome.deleted,
                "stale": outcome.stale,
                "parked": len(settlement.park),
                "given_back": len(settlement.give_back),
                "plan_ms": _milliseconds(planned - started),
                "apply_ms": _milliseconds(applied - planned),
                "settle_ms": _milliseconds(settled - applied),
                "lag_ms": self._lag_ms(plan),
            },
        )
        return done

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
        await self._until_done(apply, Part.MONGODB, lambda: lease.lapsed, stop)
        return outcome

    async def _perform(self, settlement: Settlement, lease: Lease, stop: asyncio.Event) -> bool:
        """Parks, then acknowledges, then gives back. What is not done here is delivered again, harmlessly."""
        if settlement.park:
            if not await self._until_done(
                lambda: self._inbox.park(settlement.park), Part.SQS, lambda: lease.lapsed, stop
            ):
                return False
            _log_parked(settlement.park)
        done = True
        if settlement.acknowledge:
            done = await self._until_done(
                lambda: self._inbox.delete(settlement.acknowledge), Part.SQS, lambda: lease.lapsed, stop
            )
        if settlement.give_back:
            await self._release(settlement.give_back, _HEAL_DELAY)
            log.warning("messages stay for a later try", extra={"messages": len(settlement.give_back)})
        return done and not settlement.give_back

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

    async def _until_done(
        self,
        action: Callable[[], Awaitable[None]],
        part: Part,
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
                collect_now()
            else:
                self._health.found(part)
                return True
            if not await done_before(stop, self._clock.sleep(backoff.next())) or give_up():
                return False

    def _lag_ms(self, plan: Plan) -> int | None:
        """Age of the oldest change that was written, now that it is acknowledged.

        Stream records tell creation times in whole seconds only.
        """
        oldest = min((write.change.at for write in plan.writes), default=None)
        return None if oldest is None else max(0, round(self._clock.now() * 1000) - oldest)


def _milliseconds(seconds: float) -> float:
    return round(seconds * 1000, 1)


def _log_parked(letters: Sequence[DeadLetter]) -> None:
    # Not the reason and not the key: they can quote the item. Both stand in the dead letter.
    for letter in letters:
        log.warning(
            "a record was parked",
            extra={
                "code": letter.code,
                "table": letter.table,
                "sequence": letter.sequence,
                "message_id": letter.message_id,
            },
        )
