"""Compares a table with its collection, in both directions, with bounded memory.

Items are read page by page, and their documents looked up; documents are read in the order of `_id`, and
their items looked up. Keys that look wrong are checked again (`ops.migration.verify.recheck`), some hundreds
at a time; meanwhile a scan that finds more waits.
"""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ops.migration.elements import can_be_named, id_of, raw_id, value_of
from ops.migration.images import key_of_id, key_of_item
from ops.migration.verify.comparison import (
    IMPOSSIBLE,
    Kind,
    Stored,
    impossible,
    is_application_document,
    is_extra,
    is_marked,
    key_identity,
    mark_of,
    version_of,
)
from ops.migration.verify.lookup import Lookup
from ops.migration.verify.recheck import Verdict, recheck
from shared.version import is_repaired
from writer.write import hashable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from ops.migration.images import Item, Key
    from ops.migration.settings import Session
    from ops.migration.store import Raw

_TOGETHER = 500
"""Keys that are checked again together."""

_GROUPS = 8
"""Such groups at once."""

_DOCUMENTS = 1_000
_MOST_REPAIRED = 20
_ITEMS_PER_SEGMENT = 100  # of a sample: few enough that it comes from all over the table
_MOST_SEGMENTS = 1_000_000  # Amazon DynamoDB API reference, "Scan": TotalSegments


@dataclass(frozen=True, slots=True)
class Finding:
    """A difference that stays.

    Attributes:
        key: None: no item can have this document's `_id`.
        version: that of the document; None: it has none, or there is no document.
    """

    kind: Kind
    key: Key | None
    document_id: Any
    version: str | None
    reason: str


@dataclass(slots=True)
class Counts:
    """What was found.

    Attributes:
        items: those that were compared.
        documents: those that were looked at.
        repaired: documents that a repair wrote, and that no change has replaced since. A change from between
            the version that was repaired and that of the item wins over them if it is delivered late, such as
            a dead letter that is redriven.
        marked: documents of deleted items that stay, marked.
        theirs: documents written by applications.
        in_flight: keys whose sides kept changing.
    """

    items: int = 0
    documents: int = 0
    missing: int = 0
    different: int = 0
    extra: int = 0
    unmappable: int = 0
    impossible: int = 0
    repaired: int = 0
    marked: int = 0
    theirs: int = 0
    in_flight: int = 0

    @property
    def wrong(self) -> int:
        """The number of differences."""
        return self.missing + self.different + self.extra + self.unmappable + self.impossible


@dataclass(slots=True)
class Verifier:
    """One comparison.

    Attributes:
        segments: parts of the table that are read at once.
        settle: seconds that a difference has to stay.
        on_finding: gets each finding.
        on_progress: gets how many more items or documents are done.
    """

    session: Session
    segments: int
    settle: float
    on_finding: Callable[[Finding], None]
    on_progress: Callable[[int], None]
    counts: Counts = field(default_factory=Counts)
    repaired_ids: list[Any] = field(default_factory=list)
    """`_id`s of the first documents that `Counts.repaired` counts."""
    _lookup: Lookup = field(init=False)
    _gate: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_GROUPS))
    _pending: list[Key] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._lookup = Lookup(self.session)

    async def everything(self) -> Counts:
        """Compares everything.

        Raises:
            ExceptionGroup: an error that only a person can fix.
        """
        async with asyncio.TaskGroup() as group:
            scans = [group.create_task(self._scan(group, number)) for number in range(self.segments)]
            for scan in scans:
                await scan
            after: Raw | None = None
            while documents := await self._documents_after(after):
                await self._check_documents(group, documents)
                after = documents[-1]
            await self._flush(group)
        await self._check_tombstones()
        return self.counts

    async def sample(self, number: int) -> Counts:
        """Compares some items, and some documents, chosen at random; raises as `everything`."""
        async with asyncio.TaskGroup() as group:
            left = number
            async for items in self._random_items():
                await self._check_items(group, items[:left])
                left -= len(items)
                if left <= 0:
                    break
            session = self.session
            found = await session.retry.until_done(
                lambda: session.store.random_documents(session.table, number)
            )
            # `$sample` may repeat itself.
            documents = list({id_of(raw).value: raw for raw in found}.values())
            for start in range(0, len(documents), _DOCUMENTS):
                await self._check_documents(group, documents[start : start + _DOCUMENTS])
            await self._flush(group)
        return self.counts

    async def _scan(self, group: asyncio.TaskGroup, segment: int) -> None:
        async for items in self._items(segment, self.segments):
            await self._check_items(group, items)

    async def _items(self, segment: int, of: int, most: int = _DOCUMENTS) -> AsyncIterator[Sequence[Item]]:
        after: Key | None = None
        while True:
            page = await self.session.reader.page(segment, of, after, most=most)
            yield page.items
            after = page.after
            if after is None:
                return

    async def _random_items(self) -> AsyncIterator[Sequence[Item]]:
        """The beginnings of segments in random order: items are spread over segments by their hash."""
        segments = min(max(1, self.session.source.items // _ITEMS_PER_SEGMENT), _MOST_SEGMENTS)
        for segment in random.sample(range(segments), segments):
            async for items in self._items(segment, segments, _ITEMS_PER_SEGMENT):
                yield items

    async def _documents_after(self, after: Raw | None) -> list[Raw]:
        last = None if after is None else id_of(after)
        bound = None if last is None else raw_id(value_of(last))
        found = await self.session.retry.until_done(
            lambda: self.session.store.documents_after(self.session.table, bound, _DOCUMENTS + 1)
        )
        # Compared as bytes: NaN is not equal to itself, and null is an `_id` like any other.
        is_again = found and last is not None and id_of(found[0])[1:3] == last[1:3]
        return found[1:] if is_again else found

    async def _check_items(self, group: asyncio.TaskGroup, items: Sequence[Item]) -> None:
        for start in range(0, len(items), _DOCUMENTS):
            some = items[start : start + _DOCUMENTS]
            keys = [key_of_item(self.session.source.key, item) for item in some]
            expected = [self._lookup.expected(key, item) for key, item in zip(keys, some, strict=True)]
            ids = [each.document_id for each in expected if each.document_id is not None]
            documents = await self._lookup.documents(ids)
            for key, wanted, item in zip(keys, expected, some, strict=True):
                raw = None if wanted.document_id is None else documents.get(hashable(wanted.document_id))
                if self._lookup.state_of(key, wanted, item, raw).difference is not None:
                    await self._recheck_later(group, key)
            self.counts.items += len(some)
            self.on_progress(len(some))
            await asyncio.sleep(0)

    async def _check_documents(self, group: asyncio.TaskGroup, documents: Sequence[Raw]) -> None:
        table, source = self.session.table, self.session.source
        keys: list[Key] = []
        await self._lookup.look_at_the_clock()
        for raw in documents:
            metadata = Stored.of(table, bytes(raw.raw)).metadata
            version = version_of(metadata)
            is_good = not impossible(self._lookup.now, version, mark_of(metadata))
            document_id = value_of(id_of(raw))
            if version is not None and is_repaired(version):
                self._note_repaired(document_id)
            if is_application_document(table, metadata):
                self.counts.theirs += 1
            elif is_marked(table, metadata) and is_good:
                self.counts.marked += 1
            elif (key := key_of_id(table, source.key, document_id)) is not None:
                keys.append(key)
            elif not is_good:
                self._found(Finding(IMPOSSIBLE.kind, None, document_id, version, IMPOSSIBLE.reason))
            elif is_extra(table, metadata):
                reason = "no item of the table can have this _id"
                self._found(Finding(Kind.EXTRA, None, document_id, version, reason))
        items = await self._lookup.items(keys, only_keys=True)
        for key in keys:
            if key_identity(key) not in items:
                await self._recheck_later(group, key)
        self.counts.documents += len(documents)
        self.on_progress(len(documents))

    async def _check_tombstones(self) -> None:
        """Those that would bury their items for ever, whatever is done to them."""
        session = self.session
        table = session.table
        await self._lookup.look_at_the_clock()
        now = self._lookup.now
        found = await session.retry.until_done(lambda: session.store.tombstones_of_the_future(table, now))
        for document_id, version in found:
            # One that cannot be named buries no item.
            if impossible(now, version) and can_be_named(document_id):
                key = key_of_id(table, session.source.key, document_id)
                reason = "the version of its deletion is not a time, or is in the future: it stays deleted"
                self._found(Finding(Kind.IMPOSSIBLE, key, document_id, version, reason))

    async def _recheck_later(self, group: asyncio.TaskGroup, key: Key) -> None:
        self._pending.append(key)
        if len(self._pending) >= _TOGETHER:
            await self._flush(group)

    async def _flush(self, group: asyncio.TaskGroup) -> None:
        keys, self._pending = self._pending, []
        # The same key twice: a page was read again.
        different = list({key_identity(key): key for key in keys}.values())
        if different:
            await self._gate.acquire()
            group.create_task(self._recheck(different))

    async def _recheck(self, keys: Sequence[Key]) -> None:
        try:
            for verdict, state in await recheck(self._lookup, keys, self.settle):
                if verdict is Verdict.IN_FLIGHT:
                    self.counts.in_flight += 1
                elif verdict is Verdict.DIFFERENT and (difference := state.difference) is not None:
                    self._found(
                        Finding(
                            difference.kind, state.key, state.document_id, state.version, difference.reason
                        )
                    )
        finally:
            self._gate.release()

    def _note_repaired(self, document_id: Any) -> None:
        self.counts.repaired += 1
        if len(self.repaired_ids) < _MOST_REPAIRED:
            self.repaired_ids.append(document_id)

    def _found(self, finding: Finding) -> None:
        setattr(self.counts, finding.kind, getattr(self.counts, finding.kind) + 1)
        self.on_finding(finding)
