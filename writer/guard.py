"""The MongoDB expressions that keep a document from going back in time. Pure.

Every put is an update with a pipeline and an equality filter on `_id`: if the document's version is lower,
the whole document is replaced, else it stays as it is. So a stale put is matched but not modified, never an
error, and field names with `$` or dots survive (`$literal`). See docs/decisions/0002-guard-by-pipeline.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datetime import datetime

METADATA_FIELD = "_ddb"
"""The field of each document that holds its version (`v`) and renamed attributes (`renamed`)."""

TOMBSTONES = "_replicator_tombstones"
"""Collection of the target database: what was deleted, and at which version."""

TOMBSTONE_SECONDS = 30 * 24 * 3600
"""A message can live 14 days in the queue and 14 more in the dead-letter queue."""


def put_pipeline(document: Any, version: str) -> list[dict[str, Any]]:
    """Replaces the document unless its version is the same or higher."""
    return [_replace_if_older(f"${METADATA_FIELD}.v", version, {"$literal": document})]


def delete_filter(document_id: Any, version: str) -> dict[str, Any]:
    """Matches the document unless its version is higher; one without a version (not ours) matches."""
    return {"_id": document_id, f"{METADATA_FIELD}.v": {"$not": {"$gt": version}}}


def tombstone_id(collection: str, document_id: Any) -> dict[str, Any]:
    """The `_id` of the tombstone of one document."""
    return {"c": collection, "k": document_id}


def tombstone_pipeline(identity: dict[str, Any], version: str) -> list[dict[str, Any]]:
    """Writes a tombstone unless there is one of the same or a higher version."""
    tombstone = {"_id": {"$literal": identity}, "v": version, "at": "$$NOW"}
    return [_replace_if_older("$v", version, tombstone)]


def outranked_pipeline(collection: str, since: datetime) -> list[dict[str, Any]]:
    """Finds the tombstones since a time whose document is there in an older version of ours.

    The join runs inside the database, on the index of `_id`; documents without a version are not ours.
    """
    version = f"${METADATA_FIELD}.v"
    is_ours = {"$eq": [{"$type": version}, "string"]}
    return [
        {"$match": {"at": {"$gte": since}, "_id.c": collection}},
        {
            "$lookup": {
                "from": collection,
                "localField": "_id.k",
                "foreignField": "_id",
                "let": {"v": "$v"},
                "pipeline": [
                    {"$match": {"$expr": {"$and": [is_ours, {"$lt": [version, "$$v"]}]}}},
                    {"$project": {"_id": 1}},
                ],
                "as": "outranked",
            }
        },
        {"$match": {"outranked": {"$ne": []}}},
        {"$project": {"v": 1}},
    ]


def outranked_filter(document_id: Any, version: str) -> dict[str, Any]:
    """Matches the document if it is ours and older."""
    return {"_id": document_id, f"{METADATA_FIELD}.v": {"$type": "string", "$lt": version}}


def _replace_if_older(path: str, version: str, replacement: Any) -> dict[str, Any]:
    is_older = {"$lt": [{"$ifNull": [path, ""]}, version]}
    return {"$replaceWith": {"$cond": [is_older, replacement, "$$ROOT"]}}
