"""The loops that drain the queue: receive → process → receive again, until the stop.

Law: each loop holds at most one batch, so nothing is acknowledged early, and a slow MongoDB slows the
receiving. What waits for one table is held beside the loops (`writer.holding`). "Stop receiving" (the stop
event) and "stop working" (cancellation, after the grace time) are two signals. A batch that was received but
not begun when the stop comes is given back at once.
"""

import asyncio
import functools
import logging
from collections.abc import Callable, Sequence
from contextlib import nullcontext

from writer.context import Context
from writer.holding import Holding
from writer.mapping.rules import Rules
from writer.planning.plan import Plan
from writer.planning.slices import inflates, slices
from writer.ports import Inbox, Message, Sink
from writer.processor import NO_TURN, BatchProcessor, Ending, Result, Turn
from writer.runtime import done_before
from writer.sqs.lease import Lease
from writer.telemetry.health import Dependency
from writer.telemetry.observer import Call, InHand

Report = Callable[[InHand | None], None]

log = logging.getLogger(__name__)

_LONGEST_POLL = 6.0
"""Seconds after which the polls that were under way when the stop came have surely ended."""


class Service:
    """Drains one inbox into one sink."""

    def __init__(self, context: Context, inbox: Inbox, sink: Sink, rules: Rules) -> None:
        self._context = context
        self._inbox = inbox
        self._sink = sink
        self._processor = BatchProcessor(context, inbox, sink, rules)
        self._holding = Holding(context, inbox, self._processor, self._again, self._give_back_stopping)
        self._processor.keeper = self._holding
        self._inflating = asyncio.Lock()
        self._polls = 0
        self._no_polls = asyncio.Event()
        self._no_polls.set()

    async def run(self, loops: int, grace: float) -> None:
        """Drains until the stop, and then finishes what was begun.

        Args:
            loops: number of batches in hand at once.
            grace: seconds that may take after the stop. Then it is cancelled, and SQS delivers the messages
                again.

        Raises:
            ExceptionGroup: a loop died; the others were cancelled.
        """
        async with asyncio.TaskGroup() as group:
            self._holding.run_in(group, loops)
            drains = [group.create_task(self._loop(n), name=f"drain-{n}") for n in range(loops)]
            await self._context.stop.wait()
            self._inbox.hurry()
            log.info("draining: no more messages are received")
            begun = self._context.clock.monotonic()
            _, late = await asyncio.wait(drains, timeout=grace)
            if tasks := self._holding.tasks:  # no loop holds anything more by now
                left = max(0.0, grace - (self._context.clock.monotonic() - begun))
                late |= (await asyncio.wait(tasks, timeout=left))[1]
            if late:
                log.warning("work in flight did not end in time", extra={"loops": len(late), "grace": grace})
            for task in late:
                task.cancel()

    async def _loop(self, loop: int) -> None:
        """Drains. To a task group a cancelled task looks like one that is done; this tells them apart."""
        try:
            await self._drain(loop)
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is not None and not task.cancelling():
                raise RuntimeError("a loop was cancelled unexpectedly") from error
            raise

    async def _drain(self, loop: int) -> None:
        context = self._context
        report = functools.partial(context.observer.in_hand, loop)
        while not context.stop.is_set():
            # During an outage messages are better off in the queue than in our hands.
            if Dependency.MONGODB in context.health.waits and not await context.retry(
                self._sink.ping, Dependency.MONGODB
            ):
                continue
            messages, asked = await self._receive()
            if messages:
                report(InHand(len(messages)))
                try:
                    await self._hold(messages, asked, report)
                finally:
                    report(None)

    async def _receive(self) -> tuple[Sequence[Message], float]:
        """Messages, and when they were asked for (monotonic)."""
        clock, observer = self._context.clock, self._context.observer
        messages: Sequence[Message] = ()
        asked = clock.monotonic()

        async def receive() -> None:
            nonlocal messages, asked
            asked = clock.monotonic()
            self._polls += 1
            self._no_polls.clear()
            try:
                messages = await self._context.timed(Call.RECEIVE, self._inbox.receive())
            finally:
                self._polls -= 1
                if self._polls == 0:
                    self._no_polls.set()

        await self._context.retry(receive, Dependency.SQS)
        if messages:
            oldest = min(message.sent_at for message in messages) / 1000
            observer.oldest_received(max(0.0, clock.now() - oldest))
        return messages, asked

    async def _hold(self, messages: Sequence[Message], asked: float, report: Report) -> None:
        """Keeps the lock on messages while they are processed."""
        lease = Lease(self._context, self._inbox, messages, asked)
        await lease.confirm()
        async with asyncio.TaskGroup() as group:
            keeper = group.create_task(lease.keep(), name="lease")
            try:
                if self._context.stop.is_set():
                    await self._give_back_stopping([lease])
                else:
                    await self._process(messages, lease, report)
            finally:
                keeper.cancel()

    async def _process(self, messages: Sequence[Message], lease: Lease, report: Report) -> None:
        """Processes a batch, nearly always in one go."""
        staying: frozenset[str] = frozenset()
        for whole, rest in slices(messages):
            # What the changes of a document need no order for is that they are planned together.
            part = [message for message in whole if message.group not in staying]
            if len(part) < len(whole):
                blocked = [message for message in whole if message.group in staying]
                await self._processor.give_back(
                    blocked, lease, "earlier messages of their group are unfinished"
                )
            if not part:
                continue
            on_plan = functools.partial(_report_plan, report, len(part) + len(rest))
            result = await self._carry_out(part, lease, on_plan)
            if result.ending is Ending.STOPPED:
                await self._give_back_stopping([lease])
                return
            if result.ending is Ending.DELIVERED_AGAIN:
                if rest:
                    await self._processor.give_back(rest, lease, "earlier messages are unfinished")
                return
            staying |= result.staying
            lease.let_go(part)

    async def _carry_out(
        self,
        part: Sequence[Message],
        lease: Lease,
        on_plan: Callable[[Plan], None] = lambda _: None,
        turn: Turn = NO_TURN,
    ) -> Result:
        async with self._inflating if inflates(part) else nullcontext():
            if self._context.stop.is_set():  # it came while this one waited for its turn
                return Result(Ending.STOPPED)
            return await self._processor.process(part, lease, on_plan, turn)

    async def _again(self, messages: Sequence[Message], lease: Lease, turn: Turn) -> Ending:
        """Processes messages that were held."""
        return (await self._carry_out(messages, lease, turn=turn)).ending

    async def _give_back_stopping(self, leases: Sequence[Lease]) -> None:
        # Not before the polls of our other loops have ended: they would receive the messages, give them
        # back, and raise their receive count each time.
        await done_before(self._no_polls, self._context.clock.sleep(_LONGEST_POLL))
        await self._processor.give_back_all(leases, "stopping")


def _report_plan(report: Report, messages: int, plan: Plan) -> None:
    """Reports what is in hand, now that a part of it has been read."""
    report(InHand(messages, plan.changes, None if plan.oldest is None else plan.oldest / 1000))
