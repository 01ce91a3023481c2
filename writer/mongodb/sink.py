"""MongoDB: the client, tombstones and where each write goes.

Law: decides nothing. `writer.mongodb.apply` decides the order of operations that protects deleted documents,
`writer.mongodb.guard` what they look like, `writer.mongodb.verdicts` what a refusal means. The writes of
a batch are `writer.mongodb.bulk`, the start `writer.mongodb.opening`, the sweep `writer.mongodb.sweep`.
"""

import logging
from collections import defaultdict
from collections.abc import AsyncIterator, Hashable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Any, Self

from bson.errors import BSONError
from pymongo.errors import OperationFailure, PyMongoError

from shared.errors import FatalError, TransientError
from writer.mongodb.apply import Command, Tombstone, TombstonesRefusedError, Written, apply
from writer.mongodb.bulk import KEYS_PER_QUERY, perform
from writer.mongodb.client import database_of, make_client, translated_with_hosts
from writer.mongodb.driver import Client, Collection, Database, ready
from writer.mongodb.driver_errors import concerns_server, refusal_of, translated_at_start
from writer.mongodb.error_codes import Meaning
from writer.mongodb.exchange import exchange
from writer.mongodb.guard import guarded_tombstone, tombstone_id
from writer.mongodb.older_streams import tell_older_streams
from writer.mongodb.opening import check_server, try_writes
from writer.mongodb.places import Places, full_name
from writer.mongodb.records import Records
from writer.mongodb.refused import Memory, key_of, refused_puts
from writer.mongodb.sending import MOST_OPERATIONS, send, update
from writer.mongodb.stored import is_tombstone, tombstone_of
from writer.mongodb.sweep import make_expiry, sweep
from writer.mongodb.verdicts import Refusal, waits_for_a_code
from writer.names import TOMBSTONES, Library
from writer.ports import Failure, Outcome
from writer.write import Place, Write, hashable

log = logging.getLogger(__name__)

_TELLING_MS = 2_000  # for what is only told

_Identity = tuple[str, str, Hashable]


class MongoSink:
    """A `writer.ports.Sink` and a `writer.mongodb.apply.Store` on a small, fixed pool of connections."""

    def __init__(self, client: Client, database: str, databases: Iterable[str] = frozenset()) -> None:
        """Wraps a client. `database`: that of tables that name none; `databases`: those the mapping names."""
        self._client = client
        self._default = database
        self._names = {database, *databases}
        self._places = Places()
        self._refused_puts = Memory()

    @classmethod
    def connect(
        cls,
        uri: str,
        database: str,
        pool_size: int,
        databases: Iterable[str] = frozenset(),
        library: Library = "motor",
    ) -> Self:
        """Makes a sink that connects when it is first used; see `__init__`.

        Raises:
            FatalError: the URI cannot be used; the text does not repeat it.
        """
        return cls(make_client(uri, pool_size, library), database, databases)

    def close(self) -> None:
        """Closes the connections of Motor, which needs no event loop for it."""
        self._client.close()

    async def aclose(self) -> None:
        """Closes the connections."""
        client: Any = self._client
        await ready(client.close())

    @property
    def records(self) -> Records:
        """What writers note about themselves."""
        return Records(self._database(""))

    @property
    def server(self) -> tuple[str, int] | None:
        """Host and port of a member, the primary if it is known; None: none is known now."""
        known: Any = self._client
        found: dict[str, tuple[str, int]] = {
            each.server_type_name: each.address for each in known.topology_description.known_servers
        }
        return found.get("RSPrimary") or next(iter(found.values()), None)

    async def open(self) -> None:
        """Makes sure that MongoDB has a primary that can do what we need, and that our indexes exist.

        Raises:
            TransientError: it has none, yet.
            FatalError: it refuses us, or cannot do it.
        """
        place = "admin"
        try:
            await check_server(self._client)
            for name in sorted(self._names):
                tombstones = self._tombstones(name)
                place = full_name(tombstones)
                if (problem := await self._places.problem(tombstones)) is not None:
                    raise FatalError(problem.reason)
                await make_expiry(self._database(name))
                await try_writes(tombstones)
        except PyMongoError as error:
            known = translated_at_start(error, place)
            raise known if isinstance(known, FatalError) else self._translated(error) from error

    async def ping(self) -> None:
        """Returns if the database accepts writes.

        Raises:
            TransientError: it does not.
        """
        try:
            await self._database("").command("ping")
        except PyMongoError as error:
            raise self._translated(error) from error

    async def apply(self, writes: Sequence[Write]) -> Outcome:
        """Applies writes, guarded (`writer.mongodb.apply`).

        Raises:
            TransientError: nothing can be said about the batch; apply it again.
        """
        self._refused_puts.expire(monotonic())
        try:
            outcome = await apply(self, writes)
        except (PyMongoError, BSONError) as error:
            raise self._translated(error) from error
        try:
            return await tell_older_streams(self, writes, outcome)
        except (PyMongoError, BSONError, TransientError, TombstonesRefusedError):
            return outcome  # what is written is written, and this is only told

    async def stored_versions(self, puts: Sequence[Write]) -> Mapping[int, object]:
        by_place: defaultdict[Place, dict[Hashable, int]] = defaultdict(dict)
        for index, put in enumerate(puts):
            by_place[put.target[:2]][hashable(put.target.document_id)] = index
        found: dict[int, object] = {}
        for (database, name), indices in by_place.items():
            some = [puts[index].target for index in indices.values()]
            field = some[0].metadata_field  # the same for all that goes to a collection
            for start in range(0, len(some), KEYS_PER_QUERY):
                keys = [target.document_id for target in some[start : start + KEYS_PER_QUERY]]
                cursor = self._database(database)[name].find(
                    {"_id": {"$in": keys}}, {f"{field}.v": 1}, max_time_ms=_TELLING_MS
                )
                async for document in cursor:
                    metadata = document.get(field)
                    version = metadata.get("v") if isinstance(metadata, dict) else None
                    if (place := indices.get(hashable(document["_id"]))) is not None:
                        found[place] = version
        return found

    async def write_tombstones(self, tombstones: Sequence[tuple[Write, Tombstone]]) -> Mapping[int, Failure]:
        operations = [
            update(
                {"_id": tombstone_id(write.target)},
                guarded_tombstone(write.target, tombstone.removed, tombstone.mark),
                upsert=True,
            )
            for write, tombstone in tombstones
        ]
        collection = self._tombstones(tombstones[0][0].target.database)
        refusals: dict[int, Refusal] = {}
        try:
            for start in range(0, len(operations), MOST_OPERATIONS):
                answer = await send(collection, "update", operations[start : start + MOST_OPERATIONS])
                refusals |= {start + position: each for position, each in answer.refusals.items()}
        except OperationFailure as error:
            raise self._refused(collection, error) from error
        if any(refusal.meaning is Meaning.DUPLICATE for refusal in refusals.values()):
            raise TransientError("another writer deleted the same document at the same time")
        # The record is in the collection of its document; its tombstone cannot be its fault.
        return {i: waits_for_a_code(full_name(collection), refusal) for i, refusal in refusals.items()}

    async def newer_tombstones(self, puts: Sequence[Write]) -> Mapping[int, Tombstone]:
        by_database: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
        for put in puts:
            by_database[put.target.database].append(tombstone_id(put.target))
        found: dict[_Identity, Mapping[str, Any]] = {}
        for database, wanted in by_database.items():
            async for document in self._tombstones_of(database, wanted):
                found[database, document["_id"]["c"], hashable(document["_id"]["k"])] = document
        if not found:  # nearly always
            return {}
        newer: dict[int, Tombstone] = {}
        for index, put in enumerate(puts):
            target = put.target
            there = found.get((target.database, target.collection, hashable(target.document_id)))
            if there and (tombstone := tombstone_of(there, put.version)) != Tombstone():
                newer[index] = tombstone
        return newer

    async def _tombstones_of(
        self, database: str, wanted: Sequence[dict[str, Any]]
    ) -> AsyncIterator[Mapping[str, Any]]:
        tombstones = self._tombstones(database)
        try:
            for start in range(0, len(wanted), KEYS_PER_QUERY):
                async for found in tombstones.find({"_id": {"$in": wanted[start : start + KEYS_PER_QUERY]}}):
                    if not is_tombstone(found):
                        where = {"collection": full_name(tombstones)}
                        log.warning("a tombstone has an unexpected shape", extra=where)
                    yield found
        except OperationFailure as error:
            raise self._refused(tombstones, error) from error

    async def write(self, commands: Sequence[Command]) -> Written:
        written = Written()
        for place, some in _by_place(commands).items():
            collection = self._collection(place)
            if (failure := await self._places.problem(collection)) is not None:
                written.failures |= dict.fromkeys(some, failure)
                continue
            try:
                await perform(collection, place, some, written)
            except Exception:
                self._places.forget(collection)
                raise
            if not written.failures.keys().isdisjoint(some):
                self._places.forget(collection)
        return written

    async def exchange(self, commands: Sequence[Command], written: Written) -> None:
        puts = self._refused_puts
        for place, some in _by_place(commands).items():
            if written.conflicts.keys().isdisjoint(some):
                continue
            earlier = list(puts.of(place, monotonic()))
            buried = await self.newer_tombstones([each.command.write for each in earlier])
            unburied = [each for index, each in enumerate(earlier) if index not in buried]
            for index in buried:
                puts.forget(place, key_of(earlier[index].command))
            collection = self._collection(place)
            await exchange(
                collection, place, some, written, unburied, lambda done: puts.help(done, monotonic())
            )
            puts.remember(place, list(refused_puts(some, written).values()), monotonic())

    def helped(self, databases: AbstractSet[str]) -> Sequence[Write]:
        return self._refused_puts.helped(databases)

    def looked_at(self, helped: Sequence[Write]) -> None:
        self._refused_puts.looked_at(helped)

    async def sweep(self, window: float) -> int:
        """Removes documents older than their tombstones of the last `window` seconds; returns how many.

        Raises:
            TransientError: it could not be done.
        """
        self._refused_puts.expire(monotonic())
        since = datetime.now(UTC) - timedelta(seconds=window)
        try:
            return sum([await sweep(self._database(name), self._places, since) for name in self._names])
        except (PyMongoError, BSONError) as error:
            raise self._translated(error) from error

    def _translated(self, error: PyMongoError | BSONError) -> TransientError:
        return translated_with_hosts(error, self._client)

    def _refused(
        self, tombstones: Collection, error: OperationFailure
    ) -> TombstonesRefusedError | OperationFailure:
        if concerns_server(error):
            return error
        return TombstonesRefusedError(waits_for_a_code(full_name(tombstones), refusal_of(error)))

    def _database(self, name: str) -> Database:
        return database_of(self._client, name or self._default)

    def _collection(self, place: Place) -> Collection:
        database, name = place
        return self._database(database)[name]

    def _tombstones(self, database: str) -> Collection:
        return self._database(database)[TOMBSTONES]


def _by_place(commands: Sequence[Command]) -> Mapping[Place, Mapping[int, Command]]:
    by_place: defaultdict[Place, dict[int, Command]] = defaultdict(dict)
    for index, command in enumerate(commands):
        target = command.write.target
        by_place[target.database, target.collection][index] = command
    return by_place
