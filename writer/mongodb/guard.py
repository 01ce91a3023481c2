"""The MongoDB expressions that keep a document from going back in time. Pure.

Every put is an update with a pipeline and an equality filter. If the document's version is lower, it is
replaced (or merged into), else it stays as it is. So a stale put matches and modifies nothing, and is no
error. What differs from document to document are constants beside the pipeline, in which field names with `$`
or dots are possible; the pipelines themselves are few, and encoded once. See
docs/decisions/0002-guard-by-pipeline.md and docs/decisions/0035-raw-commands.md.

The metadata field of a document has: `v`, the version of its image; `renamed`, attributes with another name;
`names`, the fields that replication wrote (in merge mode); `deleted` with `v` and `at`, if the item was
deleted and the document stays. `at` is null if the time of the deletion is not known.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, NamedTuple

from bson import encode
from bson.raw_bson import RawBSONDocument

from shared.version import BACKFILL
from writer.write import Mark, Merge, Removal, Shard, Target

TOMBSTONE_SECONDS = 30 * 24 * 3600
"""A message can live 14 days in the queue and 14 more in the dead-letter queue."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Pipeline = list[dict[str, Any]]


class Guarded(NamedTuple):
    """How the new document is made of the present one.

    Attributes:
        stages: a pipeline, encoded. It is the same for all documents of a kind.
        constants: what the pipeline has for this document: `d` the image, `v` its version; merging: `n` the
            names that it writes, `u` those to remove, `r` the deletion that it also stands for; `m` the
            version of a mark and `t` its time.
    """

    stages: Sequence[RawBSONDocument]
    constants: dict[str, Any]


def document_filter(target: Target, shard: Shard) -> dict[str, Any]:
    """Matches the document, whatever its version. Equalities only: an upsert may follow."""
    if not shard:  # nearly always
        return {"_id": target.document_id}
    # A value can be a map that looks like an operator.
    values = {path: {"$eq": value} if isinstance(value, dict) else value for path, value in shard.items()}
    return {"_id": target.document_id, **values}


def guarded_put(
    target: Target,
    version: str,
    document: Any,
    *,
    merge: Merge | None = None,
    keeps_marks: bool = False,
) -> Guarded:
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
    constants = {"v": version, "d": document}
    if merge is None and not keeps_marks and version != BACKFILL:  # nearly always
        return Guarded(_put_stages(target.metadata_field), constants)
    resets = False
    if merge is not None:
        constants |= {"n": list(merge.names), "u": list(merge.unset)}
        if resets := bool(merge.reset):
            constants["r"] = merge.reset
    stages = _put_stages(
        target.metadata_field,
        merges=merge is not None,
        resets=resets,
        keeps_marks=keeps_marks,
        is_copy=version == BACKFILL,
    )
    return Guarded(stages, constants)


def guarded_mark(target: Target, mark: Mark) -> Guarded:
    """Marks the document as deleted, unless it or its mark is newer."""
    return Guarded(_mark_stages(target.metadata_field), {"m": mark.version, "t": _date(mark.at)})


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


def guarded_tombstone(target: Target, removed: str, mark: Mark | None) -> Guarded:
    """Writes a tombstone; if there is one already, the higher versions stay.

    A tombstone has `v`, the version of the newest removal (a document that is not newer must not exist),
    `marked` with `v` and `at`, the newest deletion that marks the document, and `f`, the metadata field.
    `removed`: version of a removal; empty: none.
    """
    constants: dict[str, Any] = {"v": removed} if removed else {}
    if mark is not None:
        constants |= {"m": mark.version, "t": _date(mark.at)}
    stages = _tombstone_stages(target.metadata_field, removes=bool(removed), marks=mark is not None)
    return Guarded(stages, constants)


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


@cache
def _put_stages(
    field: str,
    *,
    merges: bool = False,
    resets: bool = False,
    keeps_marks: bool = False,
    is_copy: bool = False,
) -> Sequence[RawBSONDocument]:
    image: Any = "$$d"
    if merges:
        image = {"$mergeObjects": [_what_stays(field, resets=resets), image]}
    if keeps_marks:
        # The image has its own metadata, so the mark is read from the document before.
        is_later = {"$gt": [f"${field}.deleted.v", "$$v"]}
        kept = {"$cond": [is_later, {"deleted": f"${field}.deleted"}, {}]}
        metadata = {"$mergeObjects": [f"$$image.{field}", kept]}
        marked = {"$mergeObjects": ["$$image", {field: metadata}]}
        image = {"$let": {"vars": {"image": image}, "in": marked}}
    if is_copy:
        return _encoded(_replaced({"$ne": [{"$type": f"${field}.v"}, "string"]}, image))
    return _encoded(_replaced(_is_older(f"{field}.v", "$$v"), image))


@cache
def _mark_stages(field: str) -> Sequence[RawBSONDocument]:
    metadata = {"$mergeObjects": [f"${field}", {"deleted": {"v": "$$m", "at": "$$t"}}]}
    is_older = {"$and": [_is_older(f"{field}.v", "$$m"), _is_older(f"{field}.deleted.v", "$$m")]}
    return _encoded(_replaced(is_older, {"$mergeObjects": ["$$ROOT", {field: metadata}]}))


@cache
def _tombstone_stages(field: str, *, removes: bool, marks: bool) -> Sequence[RawBSONDocument]:
    common = {"at": "$$NOW", "f": field}
    stages = []
    if removes:
        removed = {"$mergeObjects": ["$$ROOT", {"v": "$$v", **common}]}
        stages.append(_replaced(_is_older("v", "$$v"), removed))
    if marks:
        marked = {"$mergeObjects": ["$$ROOT", {"marked": {"v": "$$m", "at": "$$t"}, **common}]}
        stages.append(_replaced(_is_older("marked.v", "$$m"), marked))
    return _encoded(*stages)


def _what_stays(field: str, *, resets: bool) -> dict[str, Any]:
    """The fields of the present document that replication did not write."""
    written = {"$ifNull": [f"${field}.names", []]}
    left: dict[str, Any] = {"$setDifference": [{"$concatArrays": [written, "$$u"]}, "$$n"]}
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
    return {"$cond": [_is_older(f"{field}.v", "$$r"), {}, kept]} if resets else kept


def _encoded(*stages: dict[str, Any]) -> Sequence[RawBSONDocument]:
    return [RawBSONDocument(encode(stage)) for stage in stages]


def _replaced(condition: dict[str, Any], replacement: Any) -> dict[str, Any]:
    return {"$replaceWith": {"$cond": [condition, replacement, "$$ROOT"]}}


def _is_older(path: str, version: str) -> dict[str, Any]:
    return {"$lt": [{"$ifNull": [f"${path}", ""]}, version]}


def _date(milliseconds: int | None) -> datetime | None:
    return None if milliseconds is None else _EPOCH + timedelta(milliseconds=milliseconds)
