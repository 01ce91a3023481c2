"""MongoDB for copying and comparing: the writer's own sink, and what else a migration asks.

Law: what is written goes the writer's way. Deleted items stay deleted by the steps of `writer.mongodb.apply`.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument
from pymongo.errors import (
    ConfigurationError,
    OperationFailure,
    PyMongoError,
)

from shared.errors import FatalError, TransientError
from writer.mongodb.error_codes import Meaning, meaning_of
from writer.mongodb.sink import MongoSink
from writer.write import hashable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence

    from writer.mapping.rules import Table
    from writer.mongodb.apply import Tombstone
    from writer.write import Write

_FEW = 50
"""Tombstones that are read instead of asked for one by one."""

_RAW = CodecOptions(document_class=RawBSONDocument)

Raw = RawBSONDocument


class Store(MongoSink):
    """The writer's sink for one table at a time."""

    async def newer_tombstones(self, puts: Sequence[Write]) -> Mapping[int, Tombstone]:
        """See `writer.mongodb.apply.Store`. Asks for each key only if there are several tombstones.

        Looking whether a collection has any costs a twentieth of asking for a thousand keys.
        """
        by_place: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
        for index, put in enumerate(puts):
            by_place[put.target.database, put.target.collection].append(index)
        newer: dict[int, Tombstone] = {}
        for (database, collection), indices in by_place.items():
            asked = indices
            if len(indices) > _FEW:
                buried = await self._few_tombstones(database, collection)
                if not buried:
                    asked = indices if buried is None else []
                else:
                    asked = [n for n in indices if hashable(puts[n].target.document_id) in buried]
            if asked:
                found = await super().newer_tombstones([puts[n] for n in asked])
                newer.update({asked[position]: tombstone for position, tombstone in found.items()})
        return newer

    async def _few_tombstones(self, database: str, collection: str) -> set[Hashable] | None:
        """The `_id`s of all documents of a collection that have a tombstone; None: there are too many."""
        # `{c, k}` sorts behind `{c}` alone, and before `{c}` with the next longer text.
        bounds = {"_id": {"$gt": {"c": collection}, "$lt": {"c": f"{collection}\0"}}}
        found = self._tombstones(database).find(bounds, {"_id": 1}).limit(_FEW + 1)
        ids = {hashable(each["_id"]["k"]) for each in await found.to_list(None)}
        return ids if len(ids) <= _FEW else None

    # What comparing needs

    async def documents(self, table: Table, ids: Sequence[Any]) -> list[Raw]:
        """The documents of some `_id`s.

        Raises:
            TransientError, FatalError: as `writer.mongodb.sink`.
        """
        found = self._database(table.database).get_collection(table.collection, codec_options=_RAW)
        documents: list[Raw] = await told(lambda: found.find({"_id": {"$in": list(ids)}}).to_list(None))
        return documents

    async def some_documents(self, table: Table, after: Any, most: int) -> list[Raw]:
        """`_id` and metadata of documents in the order of `_id`.

        Args:
            table: whose collection.
            after: begin at this `_id`, whatever its type; None: at the first.
            most: how many at the most.

        Raises:
            TransientError, FatalError: as `writer.mongodb.sink`.
        """
        found = self._database(table.database).get_collection(table.collection, codec_options=_RAW)
        fields = {"_id": 1, table.rule.metadata_field: 1}

        async def read() -> list[Raw]:
            cursor = found.find({}, fields).sort("_id", 1).hint([("_id", 1)]).limit(most)
            if after is not None:
                # A filter compares within one type only; the bounds of an index do not.
                cursor = cursor.min([("_id", after)])
            some: list[Raw] = await cursor.to_list(None)
            return some

        documents: list[Raw] = await told(read)
        return documents

    async def random_documents(self, table: Table, number: int) -> list[Raw]:
        """`_id` and metadata of documents that are chosen at random."""
        found = self._database(table.database).get_collection(table.collection, codec_options=_RAW)
        stages = [{"$sample": {"size": number}}, {"$project": {"_id": 1, table.rule.metadata_field: 1}}]
        documents: list[Raw] = await told(lambda: found.aggregate(stages).to_list(None))
        return documents

    async def count(self, table: Table) -> int:
        """How many documents there are, roughly."""
        found = self._database(table.database)[table.collection]
        return int(await told(found.estimated_document_count))

    async def tombstones_of(self, writes: Sequence[Write]) -> Mapping[int, Tombstone]:
        """What is known to have been deleted, by the index of the write."""
        tombstones: Mapping[int, Tombstone] = await told(lambda: self.newer_tombstones(writes))
        return tombstones

    # What is kept about migrations

    async def note(self, collection: str, identity: str) -> dict[str, Any] | None:
        """A note of ours in the target database, by its `_id`."""
        found: dict[str, Any] | None = await told(
            lambda: self._database("")[collection].find_one({"_id": identity})
        )
        return found

    async def keep(self, collection: str, note: Mapping[str, Any]) -> None:
        """Writes a note in place of the one of the same `_id`; on a majority when it returns."""
        where = {"_id": note["_id"]}
        await told(lambda: self._database("")[collection].replace_one(where, dict(note), upsert=True))

    async def amend(self, collection: str, where: Mapping[str, Any], changes: Mapping[str, Any]) -> bool:
        """Sets fields of a note; on a majority when it returns. False: there is no such note."""
        result = await told(lambda: self._database("")[collection].update_one(where, {"$set": changes}))
        return bool(result.matched_count)


async def told(action: Callable[[], Awaitable[Any]]) -> Any:
    """Awaits an operation on MongoDB.

    Raises:
        TransientError: trying again helps.
        FatalError: only a person can help.
    """
    try:
        return await action()
    except OperationFailure as error:
        meaning = meaning_of(error.code)
        if meaning in (Meaning.FATAL, Meaning.PERMANENT) and not error.has_error_label("RetryableWriteError"):
            raise FatalError(
                f"MongoDB refused an operation (code {error.code}): check the user of MONGODB_URI, who needs "
                f"the role readWrite on every database that is named: {_text(error)}"
            ) from error
        raise TransientError(f"MongoDB answered {error.code}") from error
    except ConfigurationError as error:
        raise FatalError(f"MongoDB cannot be used with these settings: {error}") from error
    except PyMongoError as error:
        raise TransientError(f"MongoDB: {type(error).__name__}") from error


def _text(error: OperationFailure) -> str:
    return str((error.details or {}).get("errmsg", ""))[:300]
