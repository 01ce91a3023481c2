"""Reads both sides of some keys: the document first, then the item, consistently. Compares them."""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bson.raw_bson import RawBSONDocument

from ops.migration.elements import id_of, raw_id, value_of
from ops.migration.images import copied, id_of_key, key_of_item, write_of
from ops.migration.json_lines import json_of
from ops.migration.verify.comparison import (
    IMPOSSIBLE,
    Difference,
    Kind,
    Stored,
    find_difference,
    impossible,
    key_identity,
    mark_of,
    version_of,
)
from shared.errors import PoisonError
from writer.mongodb.stored import key_of
from writer.write import hashable

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Sequence

    from ops.migration.images import Item, Key
    from ops.migration.settings import Session
    from ops.migration.store import Raw

_KEYS_AT_ONCE = 100  # Amazon DynamoDB API reference, "BatchGetItem"
_CALLS_AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class KeyState:
    """The item and the document of one key.

    Attributes:
        document_id: the `_id` that belongs to the key.
        item: None: there is none.
        found: the document's BSON; None: there is none.
        version: that of the document; None: it has none, or there is no document.
        mark: the version of the deletion that marked the document, if one did.
        difference: None: the document is as it should be.
    """

    key: Key
    document_id: Any
    item: Item | None
    found: bytes | None
    version: str | None
    mark: str | None
    difference: Difference | None

    @property
    def signature(self) -> str:
        """Changes when one of the sides does."""
        item = json.dumps(_sorted(json_of(self.item)), sort_keys=True)
        return hashlib.blake2b(item.encode() + b"\0" + (self.found or b""), digest_size=16).hexdigest()


@dataclass(frozen=True, slots=True)
class Expected:
    """What should be in the place of a key.

    Attributes:
        document_id: the `_id` that belongs to the key; None: it can have none.
        document: the document of its item; None: there is no item, or it can or shall have no document.
        problem: why the item cannot become a document.
    """

    document_id: Any
    document: bytes | None
    problem: Difference | None = None


class Lookup:
    """Reads one table and its collection by keys.

    Attributes:
        now: the time when documents were read last, seconds since the epoch; that of MongoDB if our clock is
            behind it. By a clock that is wrong, good versions would be of the future.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self.now = 0.0

    async def read(self, keys: Sequence[Key]) -> list[KeyState]:
        """Reads both sides of some keys, and compares them."""
        ids = {key_identity(key): self.id_of(key) for key in keys}
        documents = await self.documents(
            [document_id for document_id in ids.values() if document_id is not None]
        )
        items = await self.items(keys)
        states = []
        for key in keys:
            identity = key_identity(key)
            document_id = ids[identity]
            raw = None if document_id is None else documents.get(hashable(document_id))
            item = items.get(identity)
            states.append(self.state_of(key, self.expected(key, item), item, raw))
        return states

    def state_of(self, key: Key, expected: Expected, item: Item | None, raw: Raw | None) -> KeyState:
        """Compares both sides of one key."""
        table = self._session.table
        found = None if raw is None else Stored.of(table, bytes(raw.raw), expected.document)
        version = mark = None
        if found is not None:
            version, mark = version_of(found.metadata), mark_of(found.metadata)
        difference = expected.problem
        if difference is None:
            difference = find_difference(table, expected.document, found, item_exists=item is not None)
        if impossible(self.now, version, mark):
            difference = IMPOSSIBLE
        content = None if found is None else found.raw
        return KeyState(key, expected.document_id, item, content, version, mark, difference)

    def expected(self, key: Key, item: Item | None) -> Expected:
        """What should be in the place of a key."""
        session = self._session
        problem = None
        if item is not None:
            try:
                change = copied(session.table.name, session.source.key, item, round(time.time() * 1000))
                write = write_of(session.table, change)
                if write is not None:
                    return Expected(write.target.document_id, write.document)
            except PoisonError as error:
                problem = Difference(Kind.UNMAPPABLE, f"{error.code}: {error.reason}")
        return Expected(self.id_of(key), None, problem)

    def id_of(self, key: Key) -> Any:
        """The `_id` of a key; None: it can have none."""
        return id_of_key(self._session.table, self._session.source.key, key)

    async def documents(self, ids: Sequence[Any]) -> dict[Any, Raw]:
        """Documents by their `_id`s."""
        session = self._session
        await self.look_at_the_clock()
        found = await session.retry.until_done(lambda: session.store.documents(session.table, ids))
        return {_identity(raw): raw for raw in found}

    async def document_of(self, document_id: Any) -> Stored | None:
        """A document by any `_id`, as `ops.migration.elements.value_of` has it."""
        session = self._session
        await self.look_at_the_clock()
        wanted = raw_id(document_id)
        found = await session.retry.until_done(lambda: session.store.document(session.table, wanted))
        return None if found is None else Stored.of(session.table, bytes(found.raw))

    async def look_at_the_clock(self) -> None:
        """Learns what time it is."""
        self.now = max(time.time(), await self._session.retry.until_done(self._session.store.clock))

    async def items(self, keys: Sequence[Key], *, only_keys: bool = False) -> dict[Any, Item]:
        """Items by the identities of their keys (`key_identity`)."""
        gate, session = asyncio.Semaphore(_CALLS_AT_ONCE), self._session

        async def get(some: Sequence[Key]) -> list[Item]:
            async with gate:
                return await session.reader.get(some, attributes=session.source.key if only_keys else ())

        chunks = [keys[start : start + _KEYS_AT_ONCE] for start in range(0, len(keys), _KEYS_AT_ONCE)]
        found: Iterable[list[Item]] = await asyncio.gather(*map(get, chunks))
        return {key_identity(key_of_item(session.source.key, item)): item for some in found for item in some}


def _identity(raw: Raw) -> Hashable:
    """That of the `_id`, without decoding all of the document."""
    value = value_of(id_of(raw))
    return key_of(raw) if isinstance(value, RawBSONDocument) else hashable(value)


def _sorted(value: Any) -> Any:
    """Without the order of sets, which means nothing."""
    if isinstance(value, dict):
        return {
            name: sorted(part) if name in ("SS", "NS", "BS") and isinstance(part, list) else _sorted(part)
            for name, part in value.items()
        }
    return [_sorted(part) for part in value] if isinstance(value, list) else value
