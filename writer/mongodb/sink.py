"""MongoDB through Motor: the client, tombstones and the sweep; bulk writes are `writer.mongodb.bulk`.

Law: decides nothing. `writer.mongodb.apply` decides the order of operations that protects deleted documents,
`writer.mongodb.guard` what they look like, `writer.mongodb.driver_errors` what an error means.
"""

import warnings
from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Self

from motor.core import AgnosticClient, AgnosticCollection, AgnosticDatabase
from motor.motor_asyncio import AsyncIOMotorClient
from pymongo import ReadPreference, UpdateOne
from pymongo.errors import ConfigurationError, InvalidURI, OperationFailure, PyMongoError
from pymongo.write_concern import WriteConcern

from shared.errors import FatalError
from writer.mongodb.apply import Command, Tombstone, Written, apply
from writer.mongodb.bulk import KEYS_PER_QUERY, perform
from writer.mongodb.driver_errors import translated
from writer.mongodb.guard import (
    TOMBSTONE_SECONDS,
    outranked_filter,
    outranked_pipeline,
    tombstone_id,
    tombstone_pipeline,
)
from writer.names import TOMBSTONES
from writer.ports import Outcome
from writer.write import Mark, Place, Target, Write, hashable

_SELECTION_MS, _SOCKET_MS, _MAJORITY_MS = 5_000, 30_000, 20_000

_OTHER_INDEX = 85  # IndexOptionsConflict
_OTHER_CASE = 13297  # DatabaseDifferCase
_Identity = tuple[str, str, Hashable]


class MongoSink:
    """A `writer.ports.Sink` and a `writer.mongodb.apply.Store` on a small, fixed pool of connections."""

    def __init__(
        self, client: AgnosticClient[Any], database: str, databases: Iterable[str] = frozenset()
    ) -> None:
        """Wraps a client. `database`: that of tables that name none; `databases`: those the mapping names."""
        self._client = client
        self._default = database
        self._names = {database, *databases}

    @classmethod
    def connect(cls, uri: str, database: str, pool_size: int, databases: Iterable[str] = frozenset()) -> Self:
        """Makes a sink that connects when it is first used; see `__init__`.

        Raises:
            FatalError: the URI cannot be used; the text does not repeat it.
        """
        try:
            with warnings.catch_warnings():
                # The driver only warns about unknown options, and goes on without them, even without TLS.
                warnings.simplefilter("error", UserWarning)
                client: AgnosticClient[Any] = AsyncIOMotorClient(
                    uri,
                    maxPoolSize=pool_size,
                    serverSelectionTimeoutMS=_SELECTION_MS,
                    connectTimeoutMS=_SELECTION_MS,
                    socketTimeoutMS=_SOCKET_MS,
                    appname="dynamodb-mongodb-replicator",
                )
        except OSError as error:  # ssl.SSLError is one
            raise FatalError(
                f"a file that MONGODB_URI names cannot be read ({type(error).__name__}): tlsCAFile and "
                "tlsCertificateKeyFile are PEM files"
            ) from None
        except (ConfigurationError, InvalidURI, ValueError, UserWarning) as error:
            # The driver's text can quote the URI, and with it the password.
            raise FatalError(
                f"MONGODB_URI is not a usable connection string ({type(error).__name__}): "
                "it looks like mongodb://user:password@host:27017/?replicaSet=rs0, and special characters "
                "in user and password are percent-encoded, and options those that PyMongo knows"
            ) from None
        return cls(client, database, databases)

    def close(self) -> None:
        """Closes the connections."""
        self._client.close()

    async def open(self) -> None:
        """Makes sure that MongoDB has a writable primary, and that our indexes exist.

        Raises:
            TransientError: it has none, yet.
            FatalError: it refuses us.
        """
        try:
            for name in self._names:
                await self._tombstones(name).create_index("at", expireAfterSeconds=TOMBSTONE_SECONDS)
        except PyMongoError as error:
            if isinstance(error, OperationFailure) and error.code == _OTHER_INDEX:
                raise FatalError(
                    f"the collection {TOMBSTONES} has an index on 'at' with other options than ours: drop it"
                ) from error
            if isinstance(error, OperationFailure) and error.code == _OTHER_CASE:
                raise FatalError(
                    "MONGODB_DATABASE or the mapping names a database that differs only in case from one "
                    f"that is there: named are {', '.join(sorted(self._names))}: use that one's name"
                ) from error
            raise translated(error) from error

    async def ping(self) -> None:
        """Raises what `open` raises."""
        try:
            await self._database("").command("ping")
        except PyMongoError as error:
            raise translated(error) from error

    async def apply(self, writes: Sequence[Write]) -> Outcome:
        """Applies writes, guarded (`writer.mongodb.apply`).

        Raises:
            TransientError: nothing can be said about the batch; apply it again.
            FatalError: MongoDB refuses us.
        """
        try:
            return await apply(self, writes)
        except PyMongoError as error:
            raise translated(error) from error

    async def write_tombstones(self, tombstones: Sequence[tuple[Write, Tombstone]]) -> None:
        by_database: defaultdict[str, list[UpdateOne]] = defaultdict(list)
        for write, tombstone in tombstones:
            pipeline = tombstone_pipeline(write.target, tombstone.removed, tombstone.mark)
            operation = UpdateOne({"_id": tombstone_id(write.target)}, pipeline, upsert=True)
            by_database[write.target.database].append(operation)
        for database, operations in by_database.items():
            await self._tombstones(database).bulk_write(operations, ordered=False)

    async def newer_tombstones(self, puts: Sequence[Write]) -> Mapping[int, Tombstone]:
        by_database: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
        for put in puts:
            by_database[put.target.database].append(tombstone_id(put.target))
        found: dict[_Identity, Mapping[str, Any]] = {}
        for database, wanted in by_database.items():
            for start in range(0, len(wanted), KEYS_PER_QUERY):
                some = wanted[start : start + KEYS_PER_QUERY]
                async for document in self._tombstones(database).find({"_id": {"$in": some}}):
                    found[database, document["_id"]["c"], hashable(document["_id"]["k"])] = document
        if not found:  # nearly always
            return {}
        newer: dict[int, Tombstone] = {}
        for index, put in enumerate(puts):
            target = put.target
            document = found.get((target.database, target.collection, hashable(target.document_id)))
            if document and (tombstone := _tombstone(document, put.version)) != Tombstone():
                newer[index] = tombstone
        return newer

    async def write(self, commands: Sequence[Command]) -> Written:
        by_place: defaultdict[Place, dict[int, Command]] = defaultdict(dict)
        for index, command in enumerate(commands):
            target = command.write.target
            by_place[target.database, target.collection][index] = command
        written = Written()
        for place, some in by_place.items():
            database, collection = place
            await perform(self._database(database)[collection], place, some, written)
        return written

    async def sweep(self, window: float) -> int:
        """Removes documents older than their tombstones of the last `window` seconds; returns how many.

        Raises what `open` raises.
        """
        since = datetime.now(UTC) - timedelta(seconds=window)
        try:
            return sum([await self._sweep(name, since) for name in self._names])
        except PyMongoError as error:
            raise translated(error) from error

    async def _sweep(self, database: str, since: datetime) -> int:
        tombstones, removed = self._tombstones(database), 0
        kinds = {"_id": {"c": "$_id.c", "f": "$f"}}
        groups: list[dict[str, Any]] = [{"$match": {"at": {"$gte": since}}}, {"$group": kinds}]
        async for group in tombstones.aggregate(groups):
            collection, metadata_field = group["_id"]["c"], group["_id"]["f"]
            documents = self._database(database)[collection]
            pipeline = outranked_pipeline(collection, metadata_field, since)
            async for found in tombstones.aggregate(pipeline):
                target = Target(database, collection, found["_id"]["k"], ("", "", b""), metadata_field)
                removed += (await documents.delete_one(outranked_filter(target, found["v"]))).deleted_count
        return removed

    def _database(self, name: str) -> AgnosticDatabase[Any]:
        # Whatever the URI says: a change is acknowledged only after a majority has it (P3), and tombstones
        # are read from the member that writes them.
        majority = WriteConcern(w="majority", wtimeout=_MAJORITY_MS)
        return self._client.get_database(
            name or self._default, write_concern=majority, read_preference=ReadPreference.PRIMARY
        )

    def _tombstones(self, database: str) -> AgnosticCollection[Any]:
        return self._database(database)[TOMBSTONES]


def _tombstone(found: Mapping[str, Any], version: str) -> Tombstone:
    """The part of a tombstone that is newer than a version."""
    removed, marked = found.get("v", ""), found.get("marked")
    mark = None
    if marked is not None and marked["v"] > version:
        at = round(marked["at"].replace(tzinfo=UTC).timestamp() * 1000)
        mark = Mark(marked["v"], at)
    return Tombstone(removed if removed > version else "", mark)
