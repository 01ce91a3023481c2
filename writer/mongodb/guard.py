"""The MongoDB expressions that keep a document from going back in time. Pure.

Every put is an update with a pipeline and an equality filter. If the document's version is lower, it is
replaced (or merged into), else it stays as it is. So a stale put matches and modifies nothing, and is no
error. Field names with `$` or dots are possible (`$literal`). See docs/decisions/0002-guard-by-pipeline.md.

The metadata field of a document has: `v`, the version of its image; `renamed`, attributes with another name;
`names`, the fields that replication wrote (in merge mode); `deleted` with `v` and `at`, if the item was
deleted and the document stays. `at` is null if the time of the deletion is not known.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from shared.version import BACKFILL
from writer.write import Mark, Merge, Removal, Shard, Target

TOMBSTONE_SECONDS = 30 * 24 * 3600
"""A message can live 14 days in the queue and 14 more in the dead-letter queue."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Pipeline = list[dict[str, Any]]


def document_filter(target: Target, shard: Shard) -> dict[str, Any]:
    """Matches the document, whatever its version. Equalities only: an upsert may follow."""
    # A value can be a map that looks like an operator.
    values = {path: {"$eq": value} if isinstance(value, dict) else value for path, value in shard.items()}
    return {"_id": target.document_id, **values}


def put_pipeline(
    target: Target,
    version: str,
    document: Any,
    *,
    merge: Merge | None = None,
    keeps_marks: bool = False,
) -> Pipeline:
    """Replaces the document, or merges into it, unless its version is the same or higher.

    A copied image has the lowest version (`shared.version.BACKFILL`): it replaces only a document without a
    version.

    Args:
        target: the document.
        version: that of the image.
        document: the image as a document, including metadata.
        merge: None: replace the document as a whole.
        keeps_marks: keep the mark of a deletion that is newer than the image.
    """
    image: Any = {"$literal": document}
    if merge is not None:
        image = {"$mergeObjects": [_what_stays(target, merge), image]}
    if keeps_marks:
        # The image has its own metadata, so the mark is read from the document before.
        mark = {"deleted": f"${target.metadata_field}.deleted"}
        is_later = {"$gt": [f"${target.metadata_field}.deleted.v", version]}
        kept = {"$cond": [is_later, mark, {}]}
        metadata = {"$mergeObjects": ["$$image." + target.metadata_field, kept]}
        marked = {"$mergeObjects": ["$$image", {target.metadata_field: metadata}]}
        image = {"$let": {"vars": {"image": image}, "in": marked}}
    if version == BACKFILL:
        return [_replaced({"$ne": [{"$type": f"${target.metadata_field}.v"}, "string"]}, image)]
    return [_if_older(f"{target.metadata_field}.v", version, image)]


def mark_stage(target: Target, mark: Mark) -> dict[str, Any]:
    """Marks the document as deleted, unless it or its mark is newer."""
    field = target.metadata_field
    metadata = {"$mergeObjects": [f"${field}", {"deleted": {"v": mark.version, "at": _date(mark.at)}}]}
    is_older = {
        "$and": [_is_older(f"{field}.v", mark.version), _is_older(f"{field}.deleted.v", mark.version)]
    }
    return {"$replaceWith": {"$cond": [is_older, {"$mergeObjects": ["$$ROOT", {field: metadata}]}, "$$ROOT"]}}


def removal_filter(target: Target, removal: Removal) -> dict[str, Any]:
    """Matches the document unless its version is higher; one without a version (not ours) matches."""
    is_to_stay = {"$gt" if removal.same else "$gte": removal.version}
    return {
        **document_filter(target, removal.shard),
        f"{target.metadata_field}.v": {"$not": is_to_stay},
    }


def tombstone_id(target: Target) -> dict[str, Any]:
    """The `_id` of the tombstone of one document."""
    return {"c": target.collection, "k": target.document_id}


def tombstone_pipeline(target: Target, removed: str, mark: Mark | None) -> Pipeline:
    """Writes a tombstone; if there is one already, the higher versions stay.

    A tombstone has `v`, the version of the newest removal (a document that is not newer must not exist),
    `marked` with `v` and `at`, the newest deletion that marks the document, and `f`, the metadata field.
    `removed`: version of a removal; empty: none.
    """
    stages = []
    if removed:
        stages.append(_tombstone_stage("v", removed, {"v": removed}, target))
    if mark is not None:
        marked = {"marked": {"v": mark.version, "at": _date(mark.at)}}
        stages.append(_tombstone_stage("marked.v", mark.version, marked, target))
    return stages


def outranked_pipeline(collection: str, metadata_field: str, since: datetime) -> Pipeline:
    """Finds the tombstones since a time whose document exists in an older version of ours.

    The join runs inside the database, on the index of `_id`; documents without a version are not ours.
    """
    version = f"${metadata_field}.v"
    is_ours = {"$eq": [{"$type": version}, "string"]}
    return [
        {
            "$match": {
                "at": {"$gte": since},
                "_id.c": collection,
                "_id.k": {"$exists": True},
                "f": metadata_field,
                "v": {"$type": "string"},
            }
        },
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


def outranked_filter(target: Target, version: str) -> dict[str, Any]:
    """Matches the document if it is ours and older."""
    return {"_id": target.document_id, f"{target.metadata_field}.v": {"$type": "string", "$lt": version}}


def _what_stays(target: Target, merge: Merge) -> dict[str, Any]:
    """The fields of the present document that replication did not write."""
    written = {"$ifNull": [f"${target.metadata_field}.names", []]}
    unset, names = {"$literal": list(merge.unset)}, {"$literal": list(merge.names)}
    left: dict[str, Any] = {"$setDifference": [{"$concatArrays": [written, unset]}, names]}
    # Names are removed as pairs of name and null, which the document gets first: that is linear. To look up
    # each field's name in an array of names is quadratic, and runs for minutes.
    gone = {"$map": {"input": "$$left", "as": "name", "in": {"k": "$$name", "v": None}}}
    nulled = {"$mergeObjects": ["$$ROOT", {"$arrayToObject": "$$gone"}]}
    rest = {"$arrayToObject": {"$setDifference": [{"$objectToArray": nulled}, "$$gone"]}}
    others = {"$let": {"vars": {"gone": gone}, "in": rest}}
    # Nearly always there is nothing to remove: then the document need not be taken apart.
    kept: dict[str, Any] = {
        "$let": {"vars": {"left": left}, "in": {"$cond": [{"$eq": ["$$left", []]}, "$$ROOT", others]}}
    }
    if merge.reset:
        return {"$cond": [_is_older(f"{target.metadata_field}.v", merge.reset), {}, kept]}
    return kept


def _tombstone_stage(path: str, version: str, news: dict[str, Any], target: Target) -> dict[str, Any]:
    return _if_older(
        path, version, {"$mergeObjects": ["$$ROOT", {**news, "at": "$$NOW", "f": target.metadata_field}]}
    )


def _if_older(path: str, version: str, replacement: Any) -> dict[str, Any]:
    return _replaced(_is_older(path, version), replacement)


def _replaced(condition: dict[str, Any], replacement: Any) -> dict[str, Any]:
    return {"$replaceWith": {"$cond": [condition, replacement, "$$ROOT"]}}


def _is_older(path: str, version: str) -> dict[str, Any]:
    return {"$lt": [{"$ifNull": [f"${path}", ""]}, version]}


def _date(milliseconds: int | None) -> datetime | None:
    return None if milliseconds is None else _EPOCH + timedelta(milliseconds=milliseconds)
