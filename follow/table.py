"""One table that is followed: the lease of its stream, its copy, and the reading.

Law: the stream is listed, and that is noted, before the copy begins. Positions say only what is durable, so
what is in memory when the process ends is read again. What one table waits for holds up no other one; a gap
ends the process, because only a person can say what is right then.
"""

from __future__ import annotations

import asyncio
import functools
import uuid
from contextlib import AsyncExitStack, suppress
from typing import TYPE_CHECKING

from follow.delivery import Delivery
from follow.reader.calls import Stream
from follow.reader.reader import GapError, StreamReader
from follow.state import LEASE_SECONDS, Claim, LostError
from follow.table_copy import TableCopy
from ops.event_source_checks import stream_problem
from ops.migration.retry import Retry, Watches
from ops.migration.settings import open_session
from shared.errors import FatalError
from shared.release import VERSION
from writer.recording import Recording, describe_writer
from writer.telemetry.health import Dependency

if TYPE_CHECKING:
    from collections.abc import Callable

    from follow.work import Shared
    from ops.migration.backfill.copier import Reject
    from ops.migration.images import Key
    from ops.migration.settings import Session, Settings

_NOTE_SECONDS = 2.0  # between two notes; several of them may fail before a lease ends
_POLL_SECONDS = 0.1
_AGAIN = "run the same command again"
_LAST_SECONDS = 5.0  # that the last note may take


class TableFollower:
    """One table.

    Attributes:
        name: of the table.
        session: its two sides, from when the stream is ours.
        is_waiting: whether another process follows it.
        is_copied: set when the items that were there at the start are copied, and a gap is repaired.
        copy: of its items.
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
        self.copy = TableCopy(settings, shared.queue, self._say)

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
                self._say("another process follows it now")
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
            if self._work.resync and claim.listed_ago is None and await self.copy.was_begun(session):
                claim = await self._begin_gap(session.retry)  # of what changed before, nothing is known
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
                    await self.copy.run(session, is_new=claim.listed_ago is None and not claim.has_gap)
                    if claim.has_gap:
                        await self.copy.compare(session)
                        await session.retry.until_done(lambda: self._state.end_gap(self._stream))
            except (FatalError, ExceptionGroup):
                # Does another one copy by now?
                await session.retry.until_done(lambda: self._note(delivery))
                raise
            self.is_copied.set()

    def _forget_session(self) -> None:
        self.session = None

    async def copy_again(self, key: Key) -> Reject | None:
        """See `TableCopy.again`; only while there is a session."""
        if self.session is None:
            raise RuntimeError
        return await self.copy.again(self.session, key)

    def _recording_of(self, stream: str) -> Recording:
        shared = self._shared
        me = (uuid.uuid4().hex, stream, VERSION, shared.status, shared.sink.server)
        return Recording(
            shared.context, shared.sink.records, self._work.rules, lambda: describe_writer(*me), self.name
        )

    async def end(self) -> None:
        """Notes what is durable, and lets others take the stream. Best effort: a lease ends by itself."""
        if not self._stream:
            return
        with suppress(Exception):
            async with asyncio.timeout(_LAST_SECONDS):
                if self._delivery is not None:
                    await self._note(self._delivery)
                await self._state.release(self._stream)  # which leaves another one's lease alone
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
        self._stream = stream  # a claim that is cut off may have been taken all the same
        while (claim := await retry.until_done(lambda: self._state.claim(stream, table))) is None:
            if not self.is_waiting:
                self.is_waiting = True
                self._say("another process follows it; waiting until that one ends")
            health.leased(table, elsewhere=True)
            await asyncio.sleep(LEASE_SECONDS / 10)
        health.leased(table, elsewhere=False)
        self.is_waiting = False
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

    async def _begin_gap(self, retry: Retry) -> Claim:
        """Notes the gap, and then begins with the stream as if it were new."""
        self.is_copied.clear()
        await retry.until_done(lambda: self._state.begin_gap(self._stream))
        return Claim({}, None, has_gap=True)

    async def _note(self, delivery: Delivery) -> None:
        was_listed = delivery.was_listed
        await delivery.note(functools.partial(self._state.note, self._stream))
        if was_listed:
            self._listed.set()
