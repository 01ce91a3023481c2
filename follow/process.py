"""Puts `follow` together: the tables, and the writer's loops for all of them."""

from __future__ import annotations

import asyncio
import uuid
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from follow.dead_letters import Redriver
from follow.queue import LaneQueue
from follow.state import State
from follow.table import TableFollower
from follow.watching import watching
from follow.work import Limits, Shared
from ops.migration.retry import Retry
from writer.mongodb.records import open_database
from writer.mongodb.sink import MongoSink
from writer.recording import status_urls
from writer.runtime import SystemClock, done_before
from writer.service import Service
from writer.side_tasks import sweep_until_stop, watch_backlog
from writer.telemetry.health import Dependency
from writer.telemetry.observer import Backlog

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping, Sequence

    from follow.work import Work

_CONNECTIONS = 4
_STATE_CONNECTIONS = 2
_LOOPS = _CONNECTIONS  # nobody waits for a queue in memory
_GRACE = 20.0  # seconds; as the writer's
_POLL_SECONDS = 0.1


async def run(
    work: Work,
    say: Callable[[str], None],
    stop: asyncio.Event,
    watch: Callable[[Sequence[TableFollower]], Coroutine[None, None, None]],
) -> None:
    """Follows tables until the stop comes.

    Args:
        work: what is to be done.
        say: prints a line.
        stop: ends it; what is in hand is finished.
        watch: shows the progress of the tables until it is cancelled.

    Raises:
        FatalError, ExceptionGroup: only a person can help.
    """
    clock = SystemClock()
    target = work.tables[0]
    databases = frozenset().union(*(each.databases for each in work.tables))
    sink = MongoSink.connect(target.uri, target.database, _CONNECTIONS, databases)
    tables: list[TableFollower] = []
    async with AsyncExitStack() as resources:
        resources.push_async_callback(sink.aclose)
        # On connections of its own: a lease is extended while writes are slow.
        database = resources.enter_context(open_database(target.uri, target.database, _STATE_CONNECTIONS))
        state = State(database, uuid.uuid4().hex)
        context, status = await resources.enter_async_context(
            watching(work.status, clock, (_CONNECTIONS, _LOOPS), stop, lambda: _behind(tables))
        )
        if status is not None:
            say(f"The status page is at {status_urls(*status, '', None)['local_url']}")
        mongodb = context.watch(Dependency.MONGODB)
        if not await done_before(stop, Retry(say, mongodb).until_done(sink.open)):
            return
        queue = LaneQueue(
            clock,
            lambda letters, limit: Retry(say, mongodb).until_done(lambda: state.letters.park(letters, limit)),
        )
        shared = Shared(work, context, state, queue, sink, status, Limits(len(work.tables)))
        tables += [TableFollower(each, shared, say) for each in work.tables]
        redriver = Redriver(
            state.letters,
            queue,
            Retry(say, mongodb),
            lambda: {each.name: each.copy_again for each in tables if each.session is not None},
        )
        service = Service(context, queue, sink, work.rules)

        async def backlog() -> Backlog:
            held = queue.in_hand
            return Backlog(queue.left - held, held, await state.letters.count())

        try:
            async with asyncio.TaskGroup() as group:
                followers = [group.create_task(each.run()) for each in tables]
                followers.append(group.create_task(redriver.run()))  # it uses their sessions
                others = [
                    group.create_task(_cancel_at(stop, followers)),
                    group.create_task(watch(tables)),
                    group.create_task(sweep_until_stop(context, sink.sweep)),
                ]
                if status is not None:
                    others.append(group.create_task(watch_backlog(context, backlog)))
                if work.once:
                    others.append(group.create_task(_stop_when_done(tables, queue, redriver, stop)))
                await service.run(_LOOPS, _GRACE)
                for task in others:
                    task.cancel()
        finally:
            for each in tables:
                await each.end()


def _behind(tables: Sequence[TableFollower]) -> Mapping[str, float]:
    """By table how far its stream is not read, seconds; those of which it is known."""
    found = {each.name: each.behind for each in tables}
    return {table: behind for table, behind in found.items() if behind is not None}


async def _cancel_at(stop: asyncio.Event, tasks: Sequence[asyncio.Task[None]]) -> None:
    """Ends the reading when the stop comes; the writer's loops finish what they have."""
    await stop.wait()
    for task in tasks:
        task.cancel()


async def _stop_when_done(
    tables: Sequence[TableFollower], queue: LaneQueue, redriver: Redriver, stop: asyncio.Event
) -> None:
    for each in tables:
        await each.is_copied.wait()
    for each in tables:
        each.look_again()
    redriver.look_again()
    while not redriver.is_idle or queue.left or not all(each.is_caught_up for each in tables):  # noqa: ASYNC110 - the state of others
        await asyncio.sleep(_POLL_SECONDS)
    stop.set()
