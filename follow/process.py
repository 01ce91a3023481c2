"""Puts `follow` together: for each table a lease, its copy and its stream; and the writer's loops for all.

Law: the stream is listed, and that is noted, before the copy begins. What is in memory when the process ends
is read again: positions say only what is durable. What one table waits for holds up no other one; a gap ends
the process, because only a person can say what is right then.
"""

from __future__ import annotations

import asyncio
import functools
import uuid
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from follow.dead_letters import Redriver, letter_of_reject
from follow.delivery import ROOM, TURNS, Delivery
from follow.queue import LaneQueue
from follow.reader.calls import Stream
from follow.reader.reader import GapError, StreamReader
from follow.state import LEASE_SECONDS, Claim, LostError, open_state
from follow.watching import watching
from ops.console.exit_status import WELL
from ops.event_source_checks import stream_problem
from ops.migration.backfill.checkpoints import Checkpoints
from ops.migration.backfill.copier import Copier, write_items
from ops.migration.backfill.parts import table_parts
from ops.migration.backfill.resuming import first_or_next, sweep_since
from ops.migration.resync.resync import resync
from ops.migration.retry import Retry, Watches
from ops.migration.settings import open_session
from shared.errors import FatalError
from shared.release import VERSION
from writer.mongodb.sink import MongoSink
from writer.recording import Recording, describe_writer, status_urls
from writer.runtime import SystemClock, done_before
from writer.service import Service
from writer.side_tasks import sweep_until_stop, watch_backlog
from writer.telemetry.health import Dependency
from writer.telemetry.observer import Backlog

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping, Sequence

    from follow.state import State
    from ops.migration.backfill.checkpoints import Counts
    from ops.migration.backfill.copier import Reject
    from ops.migration.images import Key
    from ops.migration.settings import Session, Settings
    from writer.context import Context
    from writer.mapping.rules import Rules

_CONNECTIONS = 4
_LOOPS = _CONNECTIONS  # nobody waits for a queue in memory
_GRACE = 20.0  # seconds; as the writer's
_SEGMENTS = 4
_SEGMENTS_AT_ONCE = 2  # each has two pages in memory
_SETTLE = 10.0  # seconds; as replicator resync
_NOTE_SECONDS = 2.0  # between two notes; several of them may fail before a lease ends
_POLL_SECONDS = 0.1
_AGAIN = "run the same command again"
_LAST_SECONDS = 5.0  # that the last note may take


@dataclass(frozen=True, slots=True)
class Work:
    """What is to be done.

    Attributes:
        tables: each with its settings; the target is the same for all.
        rules: of all tables.
        once: end when everything is copied, and all changes until then are replicated.
        status: address and port of the status page; None: there is none.
        resync: after a gap compare and repair the table, and go on; else a gap ends the process.
    """

    tables: Sequence[Settings]
    rules: Rules
    once: bool = False
    status: tuple[str, int] | None = None
    resync: bool = False


class Limits:
    """What all tables share, which bounds memory."""

    def __init__(self, tables: int) -> None:
        self.turns = asyncio.Semaphore(TURNS)
        self.room = ROOM // tables
        self.copying = asyncio.Lock()
        """One table is copied at a time; all streams are read meanwhile."""


@dataclass(frozen=True, slots=True)
class Shared:
    """What the tables of a process share.

    Attributes:
        work: what is to be done.
        context: of the writer's parts.
        state: what is kept in MongoDB.
        queue: where messages go.
        sink: the writer's.
        status: address and port at which the process can be asked; None: it cannot.
        limits: which bound memory.
    """

    work: Work
    context: Context
    state: State
    queue: LaneQueue
    sink: MongoSink
    status: tuple[str, int] | None
    limits: Limits


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
    try:
        async with (
            watching(work.status, clock, (_CONNECTIONS, _LOOPS), stop, lambda: _behind(tables)) as (
                context,
                status,
            ),
            open_state(target.uri, target.database, uuid.uuid4().hex) as state,
        ):
            if status is not None:
                say(f"The status page is at {status_urls(*status, '', None)['local_url']}")
            mongodb = context.watch(Dependency.MONGODB)
            if not await done_before(stop, Retry(say, mongodb).until_done(sink.open)):
                return
            queue = LaneQueue(
                clock,
                lambda letters, limit: Retry(say, mongodb).until_done(
                    lambda: state.letters.park(letters, limit)
                ),
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
    finally:
        await sink.aclose()


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


class TableFollower:
    """One table.

    Attributes:
        name: of the table.
        session: its two sides, from when the stream is ours.
        is_waiting: whether another process follows it.
        is_copied: set when the items that were there at the start are copied, and a gap is repaired.
        items: about how many there are; 0: not known yet.
        before: how many of them earlier runs had copied.
        copied: items that were read up to now, those included.
        changes: of the stream, that were put into the queue.
    """

    def __init__(self, settings: Settings, shared: Shared, say: Callable[[str], None]) -> None:
        self.session: Session | None = None
        self._settings = settings
        self._limits = shared.limits
        self._work = shared.work
        self._state = shared.state
        self._queue = shared.queue
        self._shared = shared
        self._print = say
        self._watches = Watches(*map(shared.context.watch, (Dependency.DYNAMODB, Dependency.MONGODB)))
        self._stream = ""
        self._delivery: Delivery | None = None
        self._reader: StreamReader | None = None
        self._recording: Recording | None = None
        self._listed = asyncio.Event()
        self._changes = 0  # of deliveries that are over
        self.is_copied = asyncio.Event()
        self.name = settings.table.name
        self.is_waiting = False
        self.items = self.before = self.copied = 0

    @property
    def changes(self) -> int:
        return self._changes + (self._delivery.changes if self._delivery is not None else 0)

    @property
    def behind(self) -> float | None:
        """See `StreamReader`."""
        return self._reader.behind if self._reader is not None else None

    @property
    def delivery(self) -> Delivery | None:
        """What the stream brought; None: it is not read yet."""
        return self._delivery

    @property
    def is_caught_up(self) -> bool:
        """See `StreamReader`; a gap that was found meanwhile is repaired."""
        return self.is_copied.is_set() and self._reader is not None and self._reader.is_caught_up

    def look_again(self) -> None:
        """See `StreamReader`."""
        if self._reader is not None:
            self._reader.look_again()

    async def run(self) -> None:
        """Copies and follows whenever the stream's lease is ours, until it is cancelled.

        Raises:
            FatalError, ExceptionGroup: only a person can help; of a gap a `GapError`.
        """
        while True:
            try:
                await self._own()
            except* LostError:  # it was frozen, or cut off for long; what is in its queue harms nobody
                self._say("another process follows it by now")
                await self._let_go()

    async def _own(self) -> None:
        """Waits for the stream's lease, then copies and follows.

        Raises:
            FatalError, ExceptionGroup: only a person can help; of a lost lease a `LostError`.
        """
        settings, name = self._settings, self.name
        async with AsyncExitStack() as resources:
            session = await resources.enter_async_context(
                open_session(settings, self._say, may_create=True, follower=self._watches)
            )
            stream = session.source.stream
            if problem := stream_problem(name, session.source.view if stream else "", _AGAIN):
                raise FatalError(str(problem))
            claim = await self._claim(session.retry, stream, name)
            client = await resources.enter_async_context(settings.aws.open_client("dynamodbstreams"))
            calls = Stream(client, stream)
            await session.retry.until_done(session.store.open)
            self.session = session
            resources.callback(self._forget_session)
            if claim.has_gap and not self._work.resync:
                raise FatalError(
                    f"the stream {stream} had a gap, and the resync of {name} after it has not ended: "
                    "follow with --on-gap resync"
                )
            if self._work.resync and await self._was_copied_before(session, claim):
                claim = await self._begin_gap(session.retry)
            while True:
                try:
                    await self._follow(session, calls, claim)
                except BaseExceptionGroup as errors:
                    gaps, others = errors.split(GapError)
                    if gaps is None or others is not None or not self._work.resync:
                        raise
                    self._say(
                        "its stream has a gap: comparing the table, and going on from the oldest record"
                    )
                    await self._let_go()
                    claim = await self._begin_gap(session.retry)

    async def _follow(self, session: Session, calls: Stream, claim: Claim) -> None:
        """Copies and follows until it is cancelled, or a gap is found."""
        self._listed.clear()
        self._delivery = delivery = Delivery(
            self._stream,
            self._queue,
            claim.positions,
            self._queue.park,
            self._settings.table.old_attributes,
            turns=self._limits.turns,
            room=self._limits.room,
        )
        self._reader = reader = StreamReader(
            calls,
            claim.positions,
            delivery,
            lambda: Retry(self._say, self._watches.dynamodb),
            listed_ago=claim.listed_ago,
        )
        self._recording = recording = self._recording_of(self._stream)
        async with asyncio.TaskGroup() as group:
            group.create_task(reader.run())
            group.create_task(self._keep(session.retry, delivery))
            await self._listed.wait()
            await recording.round()  # before the copy: whoever mends it goes by the same mapping
            group.create_task(recording.run())
            try:
                async with self._limits.copying:
                    await self._copy(session, is_new=claim.listed_ago is None and not claim.has_gap)
                    if claim.has_gap:
                        await self._resync(session)
            except (FatalError, ExceptionGroup):
                # Does another one copy by now?
                await session.retry.until_done(lambda: self._note(delivery))
                raise
            self.is_copied.set()

    def _forget_session(self) -> None:
        self.session = None

    async def copy_again(self, key: Key) -> Reject | None:
        """Copies an item that could not be copied, as it is now; returns why it still cannot be.

        Raises:
            FatalError: only a person can help.
        """
        if self.session is None:
            raise RuntimeError
        _, rejects = await write_items(self.session, await self.session.reader.get([key]))
        return rejects[0] if rejects else None

    def _recording_of(self, stream: str) -> Recording:
        shared = self._shared
        me = (uuid.uuid4().hex, stream, VERSION, shared.status, shared.sink.server)
        return Recording(
            shared.context, shared.sink.records, self._work.rules, lambda: describe_writer(*me), self.name
        )

    async def end(self) -> None:
        """Notes what is durable, and lets others take the stream. Best effort: a lease ends by itself."""
        if self._delivery is None:
            return
        with suppress(Exception):
            async with asyncio.timeout(_LAST_SECONDS):
                await self._note(self._delivery)
                await self._state.release(self._stream)
        await self._let_go()

    async def _let_go(self) -> None:
        """Forgets the stream: it is not ours any more."""
        self._changes = self.changes
        recording, self._recording, self._delivery, self._reader = self._recording, None, None, None
        if recording is not None:
            await recording.end()

    def _say(self, line: str) -> None:
        self._print(f"{self.name}: {line}")

    async def _claim(self, retry: Retry, stream: str, table: str) -> Claim:
        health = self._shared.context.health
        while (claim := await retry.until_done(lambda: self._state.claim(stream, table))) is None:
            if not self.is_waiting:
                self.is_waiting = True
                self._say("another process follows it; waiting until that one ends")
            health.leased(table, elsewhere=True)
            await asyncio.sleep(LEASE_SECONDS / 10)
        health.leased(table, elsewhere=False)
        self._stream, self.is_waiting = stream, False
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
                raise FatalError(
                    f"the stream of {self.name} was switched off: what it had is replicated, "
                    "what comes now is not"
                )
            await asyncio.sleep(_NOTE_SECONDS if self._listed.is_set() else _POLL_SECONDS)

    async def _was_copied_before(self, session: Session, claim: Claim) -> bool:
        """Whether the table was copied, but this stream of it is new: what changed in between is unknown."""
        checkpoints = Checkpoints(session.store, session.retry)
        return claim.listed_ago is None and await checkpoints.load(self.name) is not None

    async def _begin_gap(self, retry: Retry) -> Claim:
        """Notes the gap, and then begins with the stream as if it were new."""
        self.is_copied.clear()
        await retry.until_done(lambda: self._state.begin_gap(self._stream))
        return Claim({}, None, has_gap=True)

    async def _resync(self, session: Session) -> None:
        """Repairs what the gap left; the gap is known until that has ended."""
        done = await resync(
            self._settings, session, segments=_SEGMENTS, settle=_SETTLE, dry_run=False, yes=True, quiet=True
        )
        await session.retry.until_done(lambda: self._state.end_gap(self._stream))
        advice = "" if done.status == WELL else f". Run replicator verify {self.name} when it has caught up"
        self._say(f"compared after the gap: {done.found}{advice}")

    async def _keep_rejects(self, rejects: Sequence[Reject]) -> None:
        await self._queue.park([letter_of_reject(self.name, each) for each in rejects])

    async def _note(self, delivery: Delivery) -> None:
        was_listed = delivery.was_listed
        await delivery.note(functools.partial(self._state.note, self._stream))
        if was_listed:
            self._listed.set()

    async def _copy(self, session: Session, *, is_new: bool) -> None:
        """Copies what is not copied, yet."""
        parts = table_parts(session, _SEGMENTS, consistent=False, page_size=0)
        parts = replace(parts, at_once=_SEGMENTS_AT_ONCE)
        checkpoints = Checkpoints(session.store, session.retry)
        before = await checkpoints.load(self.name)
        if before is not None and before.finished is not None and before.rules != self._settings.digest:
            self._say(
                "it was copied by another mapping: changes follow the new one from now on. To update the "
                f"documents that were copied, run replicator resync {before.table}"
            )
            return
        checkpoint = await first_or_next(checkpoints, self._settings, parts, self._say, restart=False)
        if checkpoint.finished is not None:
            if is_new:
                self._say(
                    f"it was copied before, at {checkpoint.finished:%Y-%m-%d %H:%M} UTC. If changes since "
                    f"then were not replicated, run replicator resync {checkpoint.table}"
                )
            return
        self.items = parts.items
        self.before = self.copied = checkpoint.counts.read
        await Copier(parts, session, checkpoints, self._keep_rejects, self._on_page).run(checkpoint)
        await sweep_since(session, checkpoint)
        counts = checkpoint.counts
        rejected = (
            f", {counts.rejected:,} rejected (see replicator dlq list --mongodb)" if counts.rejected else ""
        )
        self._say(f"copied: {counts.read:,} items read, {counts.copied:,} written{rejected}")

    def _on_page(self, counts: Counts) -> None:
        self.copied += counts.read
