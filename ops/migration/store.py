"""MongoDB for a migration: the writer's own sink, and the reads and the state that only a migration needs.

Law: every document is written by the writer's own code. Deleted items stay deleted by the steps of
`writer.mongodb.apply`.
"""

from __future__ import annotations

from collections import defaultdict
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from bson.max_key import MaxKey
from bson.raw_bson import RawBSONDocument
from pymongo.errors import ConfigurationError, OperationFailure, PyMongoError

from ops.migration.elements import id_of
from shared.errors import FatalError, TransientError
from shared.version import BACKFILL
from writer.mongodb.apply import TombstonesRefusedError
from writer.mongodb.client import hosts_of, reach, translated_with_hosts
from writer.mongodb.driver_errors import concerns_server, translated_at_start
from writer.mongodb.error_codes import Meaning, meaning_of
from writer.mongodb.guard import tombstone_id
from writer.mongodb.sink import MongoSink
from writer.mongodb.stored import RAW
from writer.ports import FailureKind
from writer.write import hashable

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator, Mapping, Sequence

    from writer.mapping.rules import Table
    from writer.mongodb.apply import Tombstone
    from writer.ports import Outcome
    from writer.write import Target, Write

_FEW = 50
"""Up to so many tombstones of a collection are read at once; of more, each key is looked up."""

_MAX_KEY = 0x7F

Raw = RawBSONDocument


class Store(MongoSink):
    """The writer's sink for one table at a time."""

    async def reach(self) -> None:
        """Makes the first contact.

        Raises:
            FatalError: no server of the URI answers, or it refuses us.
            TransientError: it has no primary now.
        """
        with self._errors():
            await reach(self._client)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Translates what the driver raises.

        Raises:
            TransientError: trying again helps.
            FatalError: only a person can help.
        """
        try:
            yield
        except OperationFailure as error:
            if not concerns_server(error) or meaning_of(error.code) is Meaning.LOGIN:
                reason = str((error.details or {}).get("errmsg", ""))[:300]
                raise FatalError(
                    f"MongoDB refused an operation (code {error.code}): check the user of MONGODB_URI, which "
                    f"needs the role readWrite on every database that is named: {reason}"
                ) from error
            raise TransientError(f"MongoDB answered {error.code}") from error
        except ConfigurationError as error:
            raise translated_at_start(error, "the database") from error
        except PyMongoError as error:
            raise translated_with_hosts(error, self._client) from error

    @property
    def hosts(self) -> str:
        """Host and port of the servers."""
        return hosts_of(self._client)

    async def databases(self) -> frozenset[str]:
        """The databases that can be seen; none if we may not look."""
        with self._errors():
            try:
                return frozenset(await self._client.list_database_names())
            except OperationFailure as error:
                if concerns_server(error):
                    raise
                return frozenset()

    async def collections(self, database: str) -> frozenset[str] | None:
        """The collections of a database, which does not exist if there are none; None: we may not look."""
        with self._errors():
            try:
                return frozenset(await self._database(database).list_collection_names())
            except OperationFailure as error:
                if concerns_server(error):
                    raise
                return None

    async def apply(self, writes: Sequence[Write]) -> Outcome:
        """See `MongoSink.apply`. What is not about a record is raised: nobody comes back to it later."""
        outcome = await super().apply(writes)
        for failure in outcome.failures.values():
            if failure.kind is FailureKind.TRANSIENT:
                raise TransientError(failure.reason)
        return outcome

    async def newer_tombstones(self, puts: Sequence[Write]) -> Mapping[int, Tombstone]:
        """See `writer.mongodb.apply.Store`. Looks up each key only if there are many tombstones.

        To see whether a collection has any costs a twentieth of looking up a thousand keys.
        """
        by_place: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
        for index, put in enumerate(puts):
            by_place[put.target.database, put.target.collection].append(index)
        newer: dict[int, Tombstone] = {}
        for (database, collection), indices in by_place.items():
            wanted = indices
            if len(indices) > _FEW:
                deleted = await self._few_tombstones(database, collection)
                if deleted is not None:
                    wanted = [n for n in indices if hashable(puts[n].target.document_id) in deleted]
            if wanted:
                found = await super().newer_tombstones([puts[n] for n in wanted])
                newer.update({wanted[position]: tombstone for position, tombstone in found.items()})
        return newer

    async def _few_tombstones(self, database: str, collection: str) -> set[Hashable] | None:
        """The `_id`s of all documents of a collection that have a tombstone; None: there are too many."""
        # `{c, k}` sorts behind `{c}` alone, and before `{c}` with the next longer text.
        bounds = {"_id": {"$gt": {"c": collection}, "$lt": {"c": f"{collection}\0"}}}
        found = self._tombstones(database).find(bounds, {"_id": 1}).limit(_FEW + 1)
        ids = {hashable(each["_id"]["k"]) for each in await found.to_list(None)}
        return ids if len(ids) <= _FEW else None

    async def clock(self) -> float:
        """The time by MongoDB's clock, seconds since the epoch; raises as `documents`."""
        with self._errors():
            answer = await self._database("").command("hello")
        return float(answer["localTime"].replace(tzinfo=UTC).timestamp())

    async def tombstones_of_the_future(self, table: Table, after: float) -> list[tuple[Any, str]]:
        """Tombstones whose version is above all versions of a time: `_id` of the document, and that version.

        Args:
            table: whose collection.
            after: seconds since the epoch.
        """
        highest = datetime.fromtimestamp(after, UTC).replace(tzinfo=None).isoformat()
        bounds = {"_id": {"$gt": {"c": table.collection}, "$lt": {"c": f"{table.collection}\0"}}}
        late = [{path: {"$type": "string", "$gt": highest}} for path in ("v", "marked.v")]
        with self._errors():
            cursor = self._tombstones(table.database).find({**bounds, "$or": late}, {"v": 1, "marked.v": 1})
            return [
                (each["_id"]["k"], max(versions))
                async for each in cursor
                if "k" in each["_id"] and (versions := _versions_of(each))
            ]

    async def bring_down(
        self, target: Target, version: str | None, mark: str | None, tombstone: Tombstone
    ) -> None:
        """Takes back versions that no change can have, each only as long as it is still exactly that.

        The document gets the lowest version, that of a copy, so every change wins; the tombstone gets none.

        Args:
            target: the document.
            version: that of the document; None: leave it.
            mark: that of the deletion that marked it; None: leave it.
            tombstone: versions of its tombstone; what is empty is left.
        """
        documents = self._database(target.database)[target.collection]
        tombstones, field = self._tombstones(target.database), target.metadata_field
        with self._errors():
            for path, value in ((f"{field}.v", version), (f"{field}.deleted.v", mark)):
                if value:
                    where = {"_id": {"$eq": target.document_id}, path: value}
                    await documents.update_one(where, {"$set": {path: BACKFILL}})
            marked = tombstone.mark.version if tombstone.mark else ""
            for path, value in (("v", tombstone.removed), ("marked.v", marked)):
                if value:
                    where = {"_id": tombstone_id(target), path: value}
                    await tombstones.update_one(where, {"$unset": {path.split(".")[0]: ""}})

    # For comparing

    async def documents(self, table: Table, ids: Sequence[Any]) -> list[Raw]:
        """The documents of some `_id`s.

        Raises:
            TransientError, FatalError: as `_errors`; so do all methods below.
        """
        with self._errors():
            found: list[Raw] = await self._raw(table).find({"_id": {"$in": list(ids)}}).to_list(None)
            return found

    async def document(self, table: Table, document_id: RawBSONDocument) -> Raw | None:
        """`_id` and metadata of the document whose `_id` is that of `{_id: …}`, of any type."""
        found = await self.documents_after(table, document_id, 1)
        # Equal to MongoDB or not: what is asked for is this one, to the bit.
        return found[0] if found and id_of(found[0])[1:3] == id_of(document_id)[1:3] else None

    async def documents_after(self, table: Table, after: RawBSONDocument | None, most: int) -> list[Raw]:
        """`_id` and metadata of documents in the order of `_id`.

        Args:
            table: whose collection.
            after: begin at the `_id` of this document, whatever its type; None: at the first.
            most: the most documents.
        """
        command: dict[str, Any] = {
            "find": table.collection,
            "projection": _fields(table),
            "sort": {"_id": 1},
            "hint": {"_id": 1},
            "limit": most,
        }
        if after is not None:
            # A filter compares within one type only; the bounds of an index do not. And the driver's own
            # `find` takes no raw bounds, but not every `_id` can be read and written again.
            command["min"] = after
        found: list[Raw] = []
        with self._errors():
            if after is None or id_of(after).kind != _MAX_KEY:
                database = self._database(table.database).with_options(codec_options=RAW)
                cursor = await database.cursor_command(command, codec_options=RAW)
                found += await cursor.to_list(None)
            if (
                after is not None and len(found) < most
            ):  # such bounds end before MaxKey, and cannot begin there
                found += await self._raw(table).find({"_id": MaxKey()}, _fields(table)).to_list(None)
            return found

    async def random_documents(self, table: Table, number: int) -> list[Raw]:
        """`_id` and metadata of documents that are chosen at random."""
        stages = [{"$sample": {"size": number}}, {"$project": _fields(table)}]
        with self._errors():
            found: list[Raw] = await self._raw(table).aggregate(stages).to_list(None)
            return found

    async def count(self, table: Table) -> int:
        """How many documents there are, roughly."""
        with self._errors():
            return int(await self._raw(table).estimated_document_count())

    async def tombstones_of(self, writes: Sequence[Write]) -> Mapping[int, Tombstone]:
        """The deletions that are known, by the index of the write."""
        with self._errors():
            try:
                return await self.newer_tombstones(writes)
            except TombstonesRefusedError as refused:
                raise FatalError(refused.failure.reason) from refused

    def _raw(self, table: Table) -> Any:
        return self._database(table.database).get_collection(table.collection, codec_options=RAW)

    # For the state of migrations: one document per table and collection, in the target database

    async def load_state(self, collection: str, identity: str) -> dict[str, Any] | None:
        """A state by its `_id`."""
        with self._errors():
            found: dict[str, Any] | None = await self._database("")[collection].find_one({"_id": identity})
            return found

    async def save_state(self, collection: str, state: Mapping[str, Any]) -> None:
        """Writes a state in place of the one with the same `_id`; on a majority when it returns."""
        with self._errors():
            where = {"_id": state["_id"]}
            await self._database("")[collection].replace_one(where, dict(state), upsert=True)

    async def update_state(
        self, collection: str, where: Mapping[str, Any], changes: Mapping[str, Any]
    ) -> bool:
        """Sets fields of a state; on a majority when it returns. False: there is no such state."""
        with self._errors():
            result = await self._database("")[collection].update_one(where, {"$set": changes})
            return bool(result.matched_count)


def _versions_of(tombstone: Mapping[str, Any]) -> list[str]:
    """Those that a tombstone has; anybody may have written it."""
    marked = tombstone.get("marked")
    found = [tombstone.get("v"), marked.get("v") if isinstance(marked, dict) else None]
    return [version for version in found if isinstance(version, str)]


def _fields(table: Table) -> dict[str, int]:
    return {"_id": 1, table.rule.metadata_field: 1}
