"""The writers' notes in MongoDB (`writer.records`): written by writers, read by commands.

Law: the writer that started last decides about a table's rules, by MongoDB's clock; what it noted is never
overwritten by one that started before, as during a rolling deployment.
"""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from typing import Any

from bson.errors import BSONError
from pymongo import ReturnDocument
from pymongo.errors import OperationFailure, PyMongoError

from shared.errors import FatalError, TransientError
from writer.mongodb.client import database_of, make_client, translated_with_hosts
from writer.mongodb.driver import Collection, Database
from writer.mongodb.driver_errors import text_of, translated
from writer.mongodb.error_codes import Meaning, meaning_of
from writer.mongodb.places import full_name
from writer.mongodb.verdicts import lacks_right
from writer.names import MAPPINGS, WRITERS
from writer.records import (
    WRITER_SECONDS,
    Fingerprint,
    Found,
    MappingRecord,
    WriterRecord,
    mappings_in,
    writers_in,
)

_MOST = 10_000
"""Records that are read at most: far more than the tables and writers there can be."""

_AHEAD_MS = 60_000
"""A start later than in a minute is that of a clock that was wrong, and decides nothing."""


class Records:
    """The two collections in the default database.

    All methods raise `TransientError` if it could not be done now, and `FatalError` if a right is missing.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._mappings: Collection = database[MAPPINGS]
        self._writers: Collection = database[WRITERS]

    async def now(self) -> datetime:
        """The time by MongoDB's clock."""
        with record_errors(self._writers):
            answer = await self._database.command("hello")
        found = answer.get("localTime")
        if not isinstance(found, datetime):
            raise TransientError("MongoDB does not tell its time")
        return found.replace(tzinfo=UTC)

    async def note_mapping(self, table: str, fingerprint: Fingerprint, writer: WriterRecord) -> bool:
        """Notes the rules of a table; False: a writer that started later has noted its own.

        `since` changes with the hash only.
        """
        same = {"$and": [{"$eq": ["$hash", fingerprint.hash]}, {"$eq": [{"$type": "$since"}, "date"]}]}
        later = [
            {"$eq": [{"$type": "$started"}, "date"]},
            {"$gt": ["$started", writer.started]},
            {"$lt": ["$started", {"$add": ["$$NOW", _AHEAD_MS]}]},
        ]
        identity = {"queue": writer.queue, "table": table}
        record = {
            "_id": {"$literal": identity},
            "hash": fingerprint.hash,
            "rules": {"$literal": fingerprint.rules},
            "version": {"$literal": writer.version},
            "since": {"$cond": [same, "$since", "$$NOW"]},
            "started": writer.started,
            "writer": writer.id,
        }
        with record_errors(self._mappings):
            stored = await self._mappings.find_one_and_update(
                {"_id": identity},
                [{"$replaceWith": {"$cond": [{"$and": later}, "$$ROOT", record]}}],
                {"writer": 1},
                upsert=True,
                return_document=ReturnDocument.AFTER,
            )
        return bool(stored.get("writer") == writer.id)

    async def mappings(self, *, queue: str = "", table: str = "") -> Found[MappingRecord]:
        """Reads the rules that were noted, of a queue or of a table; empty: of all."""
        wanted = {"_id.queue": queue, "_id.table": table}
        return mappings_in(await self._read(self._mappings, {k: v for k, v in wanted.items() if v}))

    async def note_writer(self, writer: WriterRecord) -> None:
        """Notes that a writer runs."""
        stage = {
            "queue": {"$literal": writer.queue},
            "host": {"$literal": writer.host},
            "status_url": {"$literal": writer.status_url},
            "local_url": {"$literal": writer.local_url},
            "version": {"$literal": writer.version},
            "started": writer.started,
            "seen": "$$NOW",
        }
        with record_errors(self._writers):
            await self._writers.update_one({"_id": writer.id}, [{"$set": stage}], upsert=True)
            await self._writers.create_index("seen", expireAfterSeconds=WRITER_SECONDS)

    async def remove_writer(self, identity: str) -> None:
        """Removes the record of a writer that ends."""
        with record_errors(self._writers):
            await self._writers.delete_one({"_id": identity})

    async def writers(self) -> Found[WriterRecord]:
        """Reads which writers run; how old `seen` may be is for the caller to say."""
        return writers_in(await self._read(self._writers, {}))

    @staticmethod
    async def _read(collection: Collection, where: dict[str, Any]) -> list[Any]:
        with record_errors(collection):
            found: list[Any] = await collection.find(where).limit(_MOST).to_list(None)
            return found


@contextmanager
def record_errors(collection: Collection) -> Iterator[None]:
    """Translates what calls on a collection of ours raise.

    Raises:
        TransientError: it could not be done now.
        FatalError: a right is missing.
    """
    try:
        yield
    except OperationFailure as error:
        if meaning_of(error.code, text_of(error)) is Meaning.RIGHT:
            raise FatalError(lacks_right(full_name(collection), error.code)) from error
        raise translated(error) from error
    except UnicodeError as error:  # a name that BSON does not hold
        raise TransientError(f"{full_name(collection)}: {type(error).__name__}") from error
    except (PyMongoError, BSONError) as error:
        client: Any = collection.database.client
        raise translated_with_hosts(error, client) from error


@contextmanager
def open_database(uri: str, name: str, connections: int = 1) -> Iterator[Database]:
    """A database on connections of its own, which are closed at the end.

    Raises:
        FatalError: the URI cannot be used.
    """
    with closing(make_client(uri, connections)) as client:
        yield database_of(client, name)
