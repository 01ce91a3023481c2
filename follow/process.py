"""Puts `follow` together: for each table a lease, its copy and its stream; and the writer's loops for all.

Law: the stream is listed, and that is noted, before the copy begins. What is in memory when the process ends
is read again: positions say only what is durable.
"""

from __future__ import annotations

import asyncio
import functools
import uuid
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from follow.delivery import Delivery
from follow.queue import LaneQueue
from follow.reader.calls import Stream
from follow.reader.reader import StreamReader
from follow.state import LEASE_SECONDS, open_state
from ops.event_source_checks import stream_problem
from ops.migration.backfill.checkpoints import Checkpoints
from ops.migration.backfill.copier import Copier
from ops.migration.backfill.parts import table_parts
from ops.migration.backfill.resuming import first_or_next, sweep_since
from ops.migration.retry import Retry
from ops.migration.settings import open_session
from shared.errors import FatalError
from writer.context import Context
from writer.mongodb.sink import MongoSink
from writer.runtime import SystemClock
from writer.service import Service
from writer.side_tasks import sweep_until_stop
from writer.telemetry.health import Dependency, Health
from writer.telemetry.observer import Observer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from follow.state import Claim, State
    from ops.migration.backfill.checkpoints import Counts
    from ops.migration.settings import Session, Settings
    from writer.mapping.rules import Rules

_CONNECTIONS = 4
_LOOPS = 2 * _CONNECTIONS
_GRACE = 20.0  # seconds; as the writer's
_SEGMENTS = 4
_NOTE_SECONDS = 2.0  # between two notes; several of them may fail before a lease ends
_POLL_SECONDS = 0.1
_LAST_SECONDS = 5.0  # that the last note may take


@dataclass(frozen=True, slots=True)
class Work:
    """What is to be done.

    Attributes:
        tables: each with its settings; the target is the same for all.
        rules: of all tables.
        old_image_fields: as the Lambda's setting.
        once: end when everything is copied, and all changes until then are replicated.
    """

    tables: Sequence[Settings]
    rules: Rules
    old_image_fields: frozenset[str] = frozenset()
    once: bool = False


async def run(work: Work, say: Callable[[str], None], stop: asyncio.Event) -> None:
    """Follows tables until the stop comes.

    Args:
        work: what is to be done.
        say: prints a line.
        stop: ends it; what is in hand is finished.

    Raises:
        FatalError, ExceptionGroup: only a person can help.
    """
    clock = SystemClock()
    health = Health(clock)
    health.found(Dependency.SQS)  # there is none
    context = Context(clock, health, Observer(), stop)
    target = work.tables[0]
    databases = frozenset().union(*(each.databases for each in work.tables))
    sink = MongoSink.connect(target.uri, target.database, _CONNECTIONS, databases)
    try:
        async with open_state(target.uri, target.database, uuid.uuid4().hex) as state:
            await Retry(say).until_done(sink.open)
            health.found(Dependency.MONGODB)
            queue = LaneQueue(
                clock, lambda letters, limit: Retry(say).until_done(lambda: state.park(letters, limit))
            )
            tables = [TableFollower(each, work, state, queue, say) for each in work.tables]
            service = Service(context, queue, sink, work.rules)
            try:
                async with asyncio.TaskGroup() as group:
                    followers = [group.create_task(each.run()) for each in tables]
                    others = [
                        group.create_task(_cancel_at(stop, followers)),
                        group.create_task(sweep_until_stop(context, sink.sweep)),
                    ]
                    if work.once:
                        others.append(group.create_task(_stop_when_done(tables, queue, stop)))
                    await service.run(_LOOPS, _GRACE)
                    for task in others:
                        task.cancel()
            finally:
                for each in tables:
                    await each.end()
    finally:
        await sink.aclose()


async def _cancel_at(stop: asyncio.Event, tasks: Sequence[asyncio.Task[None]]) -> None:
    """Ends the reading when the stop comes; the writer's loops finish what they have."""
    await stop.wait()
    for task in tasks:
        task.cancel()


async def _stop_when_done(tables: Sequence[TableFollower], queue: LaneQueue, stop: asyncio.Event) -> None:
    for each in tables:
        await each.is_copied.wait()
    for each in tables:
        each.look_again()
    while queue.left or not all(each.is_caught_up for each in tables):  # noqa: ASYNC110 - the state of others
        await asyncio.sleep(_POLL_SECONDS)
    stop.set()


class TableFollower:
    """One table.

    Attributes:
        is_copied: set when the items that were there at the start are copied.
        copied: items that were read for that.
        changes: of the stream, that were put into the queue.
    """

    def __init__(
        self, settings: Settings, work: Work, state: State, queue: LaneQueue, say: Callable[[str], None]
    ) -> None:
        self._settings = settings
        self._work = work
        self._state = state
        self._queue = queue
        self._print = say
        self._stream = ""
        self._delivery: Delivery | None = None
        self._reader: StreamReader | None = None
        self._listed = asyncio.Event()
        self.is_copied = asyncio.Event()
        self.copied = 0

    @property
    def changes(self) -> int:
        return self._delivery.changes if self._delivery is not None else 0

    @property
    def is_caught_up(self) -> bool:
        """See `StreamReader`."""
        return self._reader is not None and self._reader.is_caught_up

    def look_again(self) -> None:
        """See `StreamReader`."""
        if self._reader is not None:
            self._reader.look_again()

    async def run(self) -> None:
        """Waits for the stream's lease, then copies and follows until it is cancelled.

        Raises:
            FatalError, ExceptionGroup: only a person can help.
        """
        settings = self._settings
        async with AsyncExitStack() as resources:
            session = await resources.enter_async_context(open_session(settings, self._say, may_create=True))
            name, stream = settings.table.name, session.source.stream
            if problem := stream_problem(name, session.source.view if stream else ""):
                raise FatalError(problem.said)
            claim = await self._claim(session.retry, stream, name)
            client = await resources.enter_async_context(settings.aws.open_client("dynamodbstreams"))
            self._delivery = delivery = Delivery(
                stream, self._queue, claim.positions, self._queue.park, self._work.old_image_fields
            )
            self._reader = StreamReader(
                Stream(client, stream),
                claim.positions,
                delivery,
                lambda: Retry(self._say),
                listed_ago=claim.listed_ago,
            )
            async with asyncio.TaskGroup() as group:
                group.create_task(self._reader.run())
                group.create_task(self._keep(session.retry, delivery))
                await self._listed.wait()
                await self._copy(session, is_new=claim.listed_ago is None)
                self.is_copied.set()

    async def end(self) -> None:
        """Notes what is durable, and lets others take the stream. Best effort: a lease ends by itself."""
        if self._delivery is None:
            return
        with suppress(Exception):
            async with asyncio.timeout(_LAST_SECONDS):
                await self._note(self._delivery)
                await self._state.release(self._stream)

    def _say(self, line: str) -> None:
        self._print(f"{self._settings.table.name}: {line}")

    async def _claim(self, retry: Retry, stream: str, table: str) -> Claim:
        is_waiting = False
        while (claim := await retry.until_done(lambda: self._state.claim(stream, table))) is None:
            if not is_waiting:
                is_waiting = True
                self._say("another process follows it; waiting until that one ends")
            await asyncio.sleep(LEASE_SECONDS / 10)
        self._stream = stream
        return claim

    async def _keep(self, retry: Retry, delivery: Delivery) -> None:
        """Notes positions, and keeps the lease.

        Raises:
            LostError: another process has it.
            FatalError: the stream is switched off, and all of it is replicated.
        """
        while True:
            has_ended = self._reader is not None and self._reader.has_ended and delivery.is_settled
            await retry.until_done(lambda: self._note(delivery))
            if has_ended and self.is_copied.is_set():
                name = self._settings.table.name
                raise FatalError(
                    f"the stream of {name} was switched off: what it had is replicated, what comes now is not"
                )
            await asyncio.sleep(_NOTE_SECONDS if self._listed.is_set() else _POLL_SECONDS)

    async def _note(self, delivery: Delivery) -> None:
        was_listed = delivery.was_listed
        await delivery.note(functools.partial(self._state.note, self._stream))
        if was_listed:
            self._listed.set()

    async def _copy(self, session: Session, *, is_new: bool) -> None:
        """Copies what is not copied, yet."""
        await session.retry.until_done(session.store.open)
        parts = table_parts(session, _SEGMENTS, consistent=False, page_size=0)
        checkpoints = Checkpoints(session.store, session.retry)
        checkpoint = await first_or_next(checkpoints, self._settings, parts, self._say, restart=False)
        if checkpoint.finished is not None:
            if is_new:
                self._say(
                    f"it was copied before, at {checkpoint.finished:%Y-%m-%d %H:%M} UTC. If changes since "
                    f"then were not replicated, run replicator resync {checkpoint.table}"
                )
            return
        self.copied = checkpoint.counts.read
        await Copier(parts, session, checkpoints, None, self._on_page).run(checkpoint)
        await sweep_since(session, checkpoint)
        counts = checkpoint.counts
        rejected = f", {counts.rejected:,} rejected (see verify)" if counts.rejected else ""
        self._say(f"copied: {counts.read:,} items read, {counts.copied:,} written{rejected}")

    def _on_page(self, counts: Counts) -> None:
        self.copied += counts.read
