"""Motor: the only file that imports it. Performs single operations, tells MongoDB's errors apart once.

Law: decides nothing. In which order operations protect deleted documents is `writer.apply`; what they look
like is `writer.guard`; what an error code means is `writer.mongo_errors`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from bson.decimal128 import Decimal128
from bson.errors import InvalidDocument
from bson.raw_bson import RawBSONDocument
from motor.motor_asyncio import AsyncIOMotorClient
from pymongo import DeleteOne, ReadPreference, UpdateOne
from pymongo.errors import (
    BulkWriteError,
    ConfigurationError,
    DocumentTooLarge,
    InvalidURI,
    OperationFailure,
    PyMongoError,
)
from pymongo.write_concern import WriteConcern

from shared.errors import FatalError, TransientError
from writer.apply import Tombstone, Written, apply
from writer.guard import (
    TOMBSTONE_SECONDS,
    TOMBSTONES,
    document_filter,
    mark_stage,
    outranked_filter,
    outranked_pipeline,
    put_pipeline,
    removal_filter,
    tombstone_id,
    tombstone_pipeline,
)
from writer.mongo_errors import Meaning, meaning_of
from writer.ports import Failure, FailureKind
from writer.write import Mark, Target

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from motor.core import AgnosticClient, AgnosticCollection, AgnosticDatabase

    from writer.apply import Command
    from writer.ports import Outcome
    from writer.write import Write

_SELECTION_MS, _SOCKET_MS, _MAJORITY_MS = 5_000, 30_000, 20_000

_OTHER_INDEX = 85  # IndexOptionsConflict
_OTHER_CASE = 13297  # DatabaseDifferCase
_KEYS_PER_QUERY = 1_000  # keys have up to 3 KB, a query up to 16 MB

_Operation = UpdateOne | DeleteOne
_Indexed = tuple[int, _Operation]
_Identity = tuple[str, Hashable]
_Place = tuple[str, str]  # database and collection


@dataclass(slots=True)
class _Tally:
    """Sums over the bulk writes of one batch; indices are those of the commands.

    `unsure`: commands of a bulk that failed as a whole, perhaps after a part of it was done: what their
    repetition finds may have been inserted by us a moment ago.
    """

    failures: dict[int, Failure] = field(default_factory=dict)
    misplaced: set[int] = field(default_factory=set)
    unsure: set[int] = field(default_factory=set)
    inserted: set[int] = field(default_factory=set)
    modified: int = 0
    matched: int = 0
    deleted: int = 0


class MongoSink:
    """Writes through a small, fixed pool of connections."""

    def __init__(
        self, client: AgnosticClient[Any], database: str, databases: Iterable[str] = frozenset()
    ) -> None:
        """Wraps a client.

        Args:
            client: closed by `close`.
            database: the database of tables that name none.
            databases: the others that the mapping names.
        """
        self._client = client
        self._default = database
        self._names = {database, *databases}

    @classmethod
    def connect(
        cls, uri: str, database: str, pool_size: int, databases: Iterable[str] = frozenset()
    ) -> MongoSink:
        """Makes a sink; connects when it is first used.

        Args:
            uri: a MongoDB connection string.
            database: see `__init__`.
            pool_size: the number of connections that carry operations.
            databases: see `__init__`.

        Raises:
            FatalError: the URI cannot be used; the text does not repeat it.
        """
        try:
            client: AgnosticClient[Any] = AsyncIOMotorClient(
                uri,
                maxPoolSize=pool_size,
                serverSelectionTimeoutMS=_SELECTION_MS,
                connectTimeoutMS=_SELECTION_MS,
                socketTimeoutMS=_SOCKET_MS,
                appname="dynamodb-mongodb-replicator",
            )
        except (ConfigurationError, InvalidURI, ValueError) as error:
            # The driver's text can quote the URI, and with it the password.
            raise FatalError(
                f"MONGODB_URI is not a usable connection string ({type(error).__name__}): "
                "it looks like mongodb://user:password@host:27017/?replicaSet=rs0, and special characters "
                "in user and password are percent-encoded"
            ) from None
        return cls(client, database, databases)

    def close(self) -> None:
        """Closes the connections."""
        self._client.close()

    async def open(self) -> None:
        """Makes sure that MongoDB answers as a writable primary, and that our indexes exist.

        Raises:
            TransientError: it does not, yet.
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
            raise _translated(error) from error

    async def ping(self) -> None:
        """See `writer.ports.Sink.ping`; raises as `open`."""
        try:
            await self._database("").command("ping")
        except PyMongoError as error:
            raise _translated(error) from error

    async def apply(self, writes: Sequence[Write]) -> Outcome:
        """See `writer.ports.Sink.apply`.

        Raises:
            TransientError: nothing can be said about the batch; apply it again.
            FatalError: MongoDB refuses us.
        """
        try:
            return await apply(self, writes)
        except PyMongoError as error:
            raise _translated(error) from error

    async def write_tombstones(self, tombstones: Sequence[tuple[Write, Tombstone]]) -> None:
        """See `writer.apply.Store`."""
        by_database: defaultdict[str, list[UpdateOne]] = defaultdict(list)
        for write, tombstone in tombstones:
            pipeline = tombstone_pipeline(write.target, tombstone.removed, tombstone.mark)
            operation = UpdateOne({"_id": tombstone_id(write.target)}, pipeline, upsert=True)
            by_database[write.target.database].append(operation)
        for database, operations in by_database.items():
            await self._tombstones(database).bulk_write(operations, ordered=False)

    async def newer_tombstones(self, puts: Sequence[Write]) -> Mapping[int, Tombstone]:
        """See `writer.apply.Store`."""
        by_database: defaultdict[str, dict[_Identity, int]] = defaultdict(dict)
        for index, put in enumerate(puts):
            identity = put.target.collection, _hashable(put.target.document_id)
            by_database[put.target.database][identity] = index
        newer: dict[int, Tombstone] = {}
        for database, indices in by_database.items():
            wanted = [tombstone_id(puts[index].target) for index in indices.values()]
            for start in range(0, len(wanted), _KEYS_PER_QUERY):
                some = wanted[start : start + _KEYS_PER_QUERY]
                async for found in self._tombstones(database).find({"_id": {"$in": some}}):
                    index = indices[found["_id"]["c"], _hashable(found["_id"]["k"])]
                    tombstone = _tombstone(found, puts[index].version)
                    if tombstone != Tombstone():
                        newer[index] = tombstone
        return newer

    async def write(self, commands: Sequence[Command]) -> Written:
        """See `writer.apply.Store`: one unordered bulk write per collection."""
        by_place: defaultdict[_Place, list[_Indexed]] = defaultdict(list)
        for index, command in enumerate(commands):
            target = command.write.target
            by_place[target.database, target.collection].append((index, _operation(command)))
        tally = _Tally()
        for (database, collection), operations in by_place.items():
            await self._bulk(self._database(database)[collection], operations, tally)
        return Written(
            failures=tally.failures,
            misplaced=frozenset(tally.misplaced),
            inserted=frozenset(tally.inserted),
            suspects=frozenset(index for index in tally.unsure if commands[index].puts),
            modified=tally.modified,
            matched=tally.matched,
            deleted=tally.deleted,
        )

    async def sweep(self, window: float) -> int:
        """See `writer.sweep.Graveyard`."""
        since = datetime.now(UTC) - timedelta(seconds=window)
        try:
            return sum([await self._sweep(name, since) for name in self._names])
        except PyMongoError as error:
            raise _translated(error) from error

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
        # are read where they are written.
        majority = WriteConcern(w="majority", wtimeout=_MAJORITY_MS)
        return self._client.get_database(
            name or self._default, write_concern=majority, read_preference=ReadPreference.PRIMARY
        )

    def _tombstones(self, database: str) -> AgnosticCollection[Any]:
        return self._database(database)[TOMBSTONES]

    async def _bulk(
        self, collection: AgnosticCollection[Any], operations: Sequence[_Indexed], tally: _Tally
    ) -> None:
        """One unordered bulk write; split until the culprit stands alone if it fails as a whole."""
        try:
            result = await collection.bulk_write([operation for _, operation in operations], ordered=False)
        except BulkWriteError as error:
            _check_bulk_error(error.details)
            for problem in error.details["writeErrors"]:
                index, _ = operations[problem["index"]]
                tally.failures[index] = _failure(problem)
                if problem.get("keyPattern") == {"_id": 1}:
                    tally.misplaced.add(index)
            details = error.details
        except (OperationFailure, InvalidDocument, DocumentTooLarge) as error:
            if not _concerns_documents(error):
                raise
            if len(operations) == 1:
                tally.failures[operations[0][0]] = _failure_of_all(error)
                return
            tally.unsure.update(index for index, _ in operations)
            half = len(operations) // 2
            await self._bulk(collection, operations[:half], tally)
            await self._bulk(collection, operations[half:], tally)
            return
        else:
            details = result.bulk_api_result
        tally.inserted.update(operations[upserted["index"]][0] for upserted in details["upserted"])
        tally.matched += details["nMatched"]
        tally.modified += details["nModified"]
        tally.deleted += details["nRemoved"]


def _operation(command: Command) -> _Operation:
    write = command.write
    if command.removal is not None:
        return DeleteOne(removal_filter(write.target, command.removal))
    stages = []
    if command.puts and write.document is not None:
        image = RawBSONDocument(write.document)
        stages = put_pipeline(
            write.target, write.version, image, merge=write.merge, keeps_marks=write.keeps_marks
        )
    if command.mark is not None:
        stages.append(mark_stage(write.target, command.mark))
    return UpdateOne(document_filter(write.target, write.shard), stages, upsert=command.puts)


def _tombstone(found: Mapping[str, Any], version: str) -> Tombstone:
    """What of a tombstone is newer than a version."""
    removed, marked = found.get("v", ""), found.get("marked")
    mark = None
    if marked is not None and marked["v"] > version:
        at = round(marked["at"].replace(tzinfo=UTC).timestamp() * 1000)
        mark = Mark(marked["v"], at)
    return Tombstone(removed if removed > version else "", mark)


def _hashable(document_id: Any) -> Hashable:
    """Equal where MongoDB finds two `_id` equal: numbers by value, documents by the order of their fields."""
    if isinstance(document_id, dict):
        return tuple((name, _hashable(part)) for name, part in document_id.items())
    return document_id.to_decimal() if isinstance(document_id, Decimal128) else document_id


def _check_bulk_error(details: Mapping[str, Any]) -> None:
    """Raises if one of the errors concerns more than its own write, or passes if the batch is repeated."""
    if details["writeConcernErrors"]:
        raise TransientError("MongoDB did not confirm the write on a majority of its members")
    for problem in details["writeErrors"]:
        match meaning_of(problem["code"]):
            case Meaning.TRANSIENT:
                raise TransientError(f"MongoDB answered {problem['code']} to a write")
            case Meaning.FATAL:
                raise FatalError(_refusal(problem["code"]))
            case Meaning.HEALABLE if problem.get("keyPattern") == {"_id": 1} and _is_by_id(problem):
                # Two writers inserted the same document at once: now it is there, and the guard decides.
                # With a shard key in the filter it may also be there under another value of that key.
                raise TransientError("another writer inserted the same document at the same time")
            case _:
                pass


def _is_by_id(problem: Mapping[str, Any]) -> bool:
    return len(problem.get("op", {}).get("q", ())) <= 1


def _failure(problem: Mapping[str, Any]) -> Failure:
    code = problem["code"]
    healable = meaning_of(code) is Meaning.HEALABLE
    kind = FailureKind.HEALABLE if healable else FailureKind.PERMANENT
    return Failure(kind, str(code), str(problem.get("errmsg", "")))


def _failure_of_all(error: Exception) -> Failure:
    code = error.code if isinstance(error, OperationFailure) else type(error).__name__
    return Failure(FailureKind.PERMANENT, str(code), str(error))


def _translated(error: PyMongoError) -> TransientError | FatalError:
    """The error of ours that a driver's error means, told apart by type and code.

    An error that is neither is a bug of ours or a server newer than our table: it is transient, so that
    nothing is lost and `/readyz` tells of it.
    """
    if isinstance(error, OperationFailure) and meaning_of(error.code) is Meaning.FATAL:
        return FatalError(_refusal(error.code))
    if isinstance(error, ConfigurationError):
        return FatalError(f"MongoDB cannot be used with these settings: {error}")
    code = f" {error.code}" if isinstance(error, OperationFailure) else ""
    return TransientError(f"MongoDB: {type(error).__name__}{code}")


def _concerns_documents(error: Exception) -> bool:
    """Whether a bulk write that failed as a whole failed for one of its documents."""
    if isinstance(error, OperationFailure):
        return meaning_of(error.code) is Meaning.PERMANENT and not error.has_error_label(
            "RetryableWriteError"
        )
    return isinstance(error, InvalidDocument | DocumentTooLarge)


def _refusal(code: int | None) -> str:
    return (
        f"MongoDB refuses the writer (code {code}): check user, password and authSource in MONGODB_URI; "
        "the user needs the role readWrite on MONGODB_DATABASE"
    )
