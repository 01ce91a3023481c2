"""Reads all shards of a stream, each after its parent, and hands their pages over in order.

Law: a shard ends if its iterator ends, and a listing calls it closed or does not have it any more. Whatever
else happens is waited for, and said. A page is asked for when the receiver has room and a turn, and is not
kept after it: a receiver that takes its time slows the reading.

Source: Amazon DynamoDB API reference, ``GetRecords`` (a page may be empty although there are more records)
and "Service, account, and table quotas" (five reads a second of each shard, ten listings a second).
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from follow.reader.calls import GoneError, IteratorExpiredError, TrimmedError
from follow.reader.lineage import Lineage, Position
from shared.errors import FatalError, TransientError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from follow.reader.calls import Page, Stream
    from ops.migration.retry import Retry

_LONGEST_SILENCE = 23 * 3600.0
"""Seconds between two listings. After more, a shard that is new may have lost its first records: a stream
keeps them for 24 hours. No answer of AWS would tell."""

_EMPTY_ENOUGH = 3
"""Empty pages in a row after which a shard is taken for read up to now: one alone does not say so."""


class GapError(FatalError):
    """Records are trimmed that were not read. The text says of which stream."""


class Receiver(Protocol):
    """Takes what is read. Its errors end the reading; it raises no `TransientError`."""

    @property
    def turns(self) -> asyncio.Semaphore:
        """A page is asked for and handed over in a turn."""

    async def room(self) -> None:
        """Returns when there is room for another page."""

    async def page(self, shard: str, records: Sequence[dict[str, Any]], last: str) -> None:
        """Takes the next page of a shard, which is not empty."""

    def end(self, shard: str) -> None:
        """There are no more pages of a shard."""

    def listed(self, forgotten: Sequence[str]) -> None:
        """The stream was listed; some shards that had ended are not there any more."""


@dataclass(frozen=True, slots=True)
class Pauses:
    """Seconds between two calls.

    Attributes:
        full: after a page with records; five reads a second are allowed.
        empty: after one without.
        listing: between two listings, if nothing asks for one earlier.
    """

    full: float = 0.21
    empty: float = 0.5
    listing: float = 20.0


class StreamReader:
    """Reads one stream."""

    def __init__(  # noqa: PLR0913 - what it is wired to, and where it begins
        self,
        stream: Stream,
        positions: Mapping[str, Position],
        receiver: Receiver,
        retry: Callable[[], Retry],
        pauses: Pauses = Pauses(),
        *,
        listed_ago: float | None = None,
    ) -> None:
        """Reads nothing yet.

        Args:
            stream: its calls.
            positions: where to go on; a shard that is not among them is read from its oldest record.
            receiver: gets the pages.
            retry: makes what repeats calls, and says what is waited for; one for each shard.
            pauses: between calls.
            listed_ago: seconds since somebody who noted those positions listed the stream; None: nobody did.
        """
        self._stream = stream
        self._positions = dict(positions)
        self._receiver = receiver
        self._retry = retry
        self._pauses = pauses
        self._lineage = Lineage(positions)
        # Not by a monotonic clock: it stands still while a machine sleeps.
        self._listed = None if listed_ago is None else time.time() - listed_ago
        self._list_now = asyncio.Event()
        self._asked = 0  # listings that were found to be needed
        self._answered = -1  # the last of them that was made
        self._empty: dict[str, int] = {}
        self._read_to: dict[str, float] = {}

    @property
    def behind(self) -> float | None:
        """Seconds since the moment up to which all changes were handed over; None: it is not known, yet.

        That moment is when a shard was seen to have nothing more, or when its last record was made.
        """
        moments = [self._read_to.get(shard) for shard in self._lineage.reading]
        known = [each for each in moments if each is not None]
        return max(0.0, time.time() - min(known)) if known and len(known) == len(moments) else None

    @property
    def is_caught_up(self) -> bool:
        """Whether all that the stream had at the last `look_again` is handed over, as far as AWS says."""
        return (
            self._answered == self._asked
            and not self._lineage.waiting
            and all(self._empty.get(shard, 0) >= _EMPTY_ENOUGH for shard in self._lineage.reading)
        )

    @property
    def has_ended(self) -> bool:
        """Whether the stream is switched off, and all of it is handed over."""
        return self._stream.is_off and self.is_caught_up and not self._lineage.reading

    def look_again(self) -> None:
        """From now on `is_caught_up` is about all that the stream has now."""
        self._empty.clear()
        self._ask_for_listing()

    async def run(self) -> None:
        """Reads until it is cancelled.

        Raises:
            ExceptionGroup: of a `GapError`, or what the receiver raised.
        """
        retry = self._retry()
        async with asyncio.TaskGroup() as group:
            while True:
                await retry.until_done(self._list)
                self._begin(group)
                await self._pause_before_listing()

    async def _list(self) -> None:
        self._list_now.clear()
        asked = self._asked
        try:
            shards = await self._stream.shards()
        except GoneError as error:
            raise TransientError("AWS says that the stream is not there") from error
        found, before, self._listed = self._lineage.listing(shards), self._listed, time.time()
        if found.lost:
            raise GapError(self._gap("some of its shards disappeared before they were read to the end"))
        if found.new and before is not None and self._listed - before > _LONGEST_SILENCE:
            raise GapError(self._gap("it was not read for more than 23 hours, and has new shards"))
        self._answered = asked
        self._receiver.listed(found.forgotten)
        if self._lineage.is_stuck:
            raise TransientError("the shards of the stream are each other's parents, which is impossible")

    def _ask_for_listing(self) -> None:
        self._asked += 1
        self._list_now.set()

    async def _pause_before_listing(self) -> None:
        try:
            async with asyncio.timeout(self._pauses.listing):
                await self._list_now.wait()
        except TimeoutError:
            return
        await asyncio.sleep(self._pauses.full)  # several shards may end at once

    def _begin(self, group: asyncio.TaskGroup) -> None:
        for shard in self._lineage.begin():
            after = self._positions.pop(shard, Position()).after
            group.create_task(self._read(group, shard, after), name=f"shard {shard}")

    async def _read(self, group: asyncio.TaskGroup, shard: str, after: str) -> None:
        """Reads a shard to its end."""
        retry = self._retry()
        iterator: str | None = None

        async def step() -> Page:
            """Brings a page, and keeps the turn that it came in."""
            nonlocal iterator
            at, iterator = iterator, None  # whatever fails: another one goes on from the same place
            await self._receiver.turns.acquire()
            try:
                return await self._page(shard, after, at)
            except BaseException:
                self._receiver.turns.release()
                raise

        while True:
            # Neither of the receiver's steps is in `step`: if it has no room, the stream has no trouble.
            await self._receiver.room()
            page = await retry.until_done(step)
            try:
                if page.records:
                    await self._receiver.page(shard, page.records, page.last)
            finally:
                self._receiver.turns.release()
            iterator, after = page.next, page.last or after
            self._note_time(shard, page)
            is_full = bool(page.records)
            del page  # a pause is no reason to keep it
            if iterator is None:
                if self._lineage.may_end(shard):
                    break
                self._ask_for_listing()
            await asyncio.sleep(self._pauses.full if is_full else self._pauses.empty)
        self._lineage.end(shard)
        self._empty.pop(shard)
        self._read_to.pop(shard, None)
        self._receiver.end(shard)
        self._ask_for_listing()  # its children may be new
        self._begin(group)

    def _note_time(self, shard: str, page: Page) -> None:
        """Notes up to when a shard is read."""
        self._empty[shard] = 0 if page.records else self._empty.get(shard, 0) + 1
        if page.made is not None:
            self._read_to[shard] = page.made
        elif self._empty[shard] >= _EMPTY_ENOUGH:
            self._read_to[shard] = time.time()

    async def _page(self, shard: str, after: str, iterator: str | None) -> Page:
        """The next page.

        Raises:
            GapError: what comes next is trimmed.
            TransientError: trying again may help.
        """
        try:
            if iterator is not None:
                with suppress(IteratorExpiredError):
                    return await self._stream.page(iterator)
            return await self._stream.page(await self._stream.iterator(shard, after))
        except IteratorExpiredError as error:
            raise TransientError("a new shard iterator has already expired") from error
        except GoneError as error:
            if not self._lineage.is_listed(shard):
                raise GapError(self._gap("a shard disappeared before it was read to the end")) from error
            self._ask_for_listing()
            raise TransientError("AWS says that a shard of the stream is not there") from error
        except TrimmedError as error:
            if after:
                raise GapError(self._gap("the next records of a shard are trimmed")) from error
            raise TransientError("the oldest records of a shard have been trimmed just now") from error

    def _gap(self, what: str) -> str:
        advice = "Changes may be lost. With --on-gap resync, follow repairs the table and continues"
        return f"the stream {self._stream.arn} has a gap: {what}. {advice}"
