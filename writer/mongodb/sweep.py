"""The sweep: removes documents that are older than their tombstone, and keeps the tombstones' expiry alive.

Law: it removes what a tombstone outranks, and nothing else. A collection that it may not sweep is left out
and reported; the others are swept.
"""

import logging
from collections.abc import AsyncIterator, Hashable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

from bson.errors import BSONError
from pymongo.errors import InvalidName, OperationFailure

from writer.mongodb.bulk import KEYS_PER_QUERY
from writer.mongodb.driver import Collection, Database, ready
from writer.mongodb.driver_errors import concerns_server
from writer.mongodb.guard import TOMBSTONE_SECONDS, Pipeline, outranked_filter, outranked_pipeline
from writer.mongodb.places import Places, full_name
from writer.names import TOMBSTONES
from writer.write import Target, hashable

log = logging.getLogger(__name__)

_CANNOT_BE_SHARDED = 28769
"""Before MongoDB 5.1 `$lookup` does not read a sharded collection. MongoDB manual, "$lookup"."""


async def make_expiry(database: Database) -> None:
    """Makes the index by which tombstones expire; it is gone after somebody dropped the database.

    Raises:
        PyMongoError: as the driver raises it.
    """
    await database[TOMBSTONES].create_index("at", expireAfterSeconds=TOMBSTONE_SECONDS)


async def sweep(database: Database, places: Places, since: datetime) -> int:
    """Removes documents that are older than their tombstones since a time; returns how many.

    Raises:
        PyMongoError: it concerns the server.
    """
    tombstones, removed = database[TOMBSTONES], 0
    async with _reported(full_name(tombstones)):
        await make_expiry(database)
    kinds = {"_id": {"c": "$_id.c", "f": "$f"}}
    since_then = {"$match": {"at": {"$gte": since}, "v": {"$exists": True}}}
    groups: list[dict[str, Any]] = [since_then, {"$group": kinds}]
    async with _reported(full_name(tombstones)):
        async for group in await ready(tombstones.aggregate(groups)):
            name, metadata_field = group["_id"].get("c"), group["_id"].get("f")
            if not isinstance(name, str) or not isinstance(metadata_field, str):
                log.warning(
                    "the sweep skipped a document that is not a tombstone",
                    extra={"collection": full_name(tombstones)},
                )
                continue
            async with _reported(f"{database.name}.{name}"):
                documents = database[name]
                if await places.problem(documents) is not None:
                    continue  # whoever writes there is told
                pipeline = outranked_pipeline(name, metadata_field, since)
                async for found in _outranked(tombstones, documents, metadata_field, pipeline):
                    target = Target(database.name, name, found["_id"]["k"], ("", "", b""), metadata_field)
                    outranked = outranked_filter(target, found["v"])
                    removed += (await documents.delete_one(outranked)).deleted_count
    return removed


async def _outranked(
    tombstones: Collection,
    documents: Collection,
    metadata_field: str,
    pipeline: Pipeline,
) -> AsyncIterator[Mapping[str, Any]]:
    """The tombstones whose document is older."""
    try:
        async for tombstone in await ready(tombstones.aggregate(pipeline)):
            yield tombstone
    except OperationFailure as error:
        if error.code != _CANNOT_BE_SHARDED:
            raise
    else:
        return
    wanted: dict[Hashable, Mapping[str, Any]] = {}
    async for tombstone in tombstones.find(pipeline[0]["$match"], {"v": 1}):
        wanted[hashable(tombstone["_id"]["k"])] = tombstone
        if len(wanted) == KEYS_PER_QUERY:
            async for found in _older(documents, metadata_field, wanted):
                yield found
            wanted.clear()
    async for found in _older(documents, metadata_field, wanted):
        yield found


async def _older(
    documents: Collection, metadata_field: str, tombstones: Mapping[Hashable, Mapping[str, Any]]
) -> AsyncIterator[Mapping[str, Any]]:
    """Those of some tombstones, by the `_id` of their documents, whose document is older."""
    version = f"{metadata_field}.v"
    keys = [tombstone["_id"]["k"] for tombstone in tombstones.values()]
    async for found in documents.find({"_id": {"$in": keys}, version: {"$type": "string"}}, {version: 1}):
        tombstone = tombstones.get(hashable(found["_id"]))
        if tombstone is not None and found[metadata_field]["v"] < tombstone["v"]:
            yield tombstone


@asynccontextmanager
async def _reported(place: str) -> AsyncIterator[None]:
    """Reports what MongoDB refuses about one collection, and goes on."""
    try:
        yield
    except OperationFailure as error:
        if concerns_server(error):
            raise
        log.warning("the sweep skipped a collection", extra={"collection": place, "code": error.code})
    except (BSONError, InvalidName, UnicodeError) as error:  # a tombstone of somebody else
        word = type(error).__name__
        log.warning("the sweep skipped a collection", extra={"collection": place, "code": word})
