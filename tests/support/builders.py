"""Short ways to write down changes, messages and writes in the writer's tests."""

from __future__ import annotations

from typing import Any

import bson

from shared.attribute_values import encode_item
from shared.change import Change, Op
from shared.envelope import encode_change, seal
from writer.names import METADATA_FIELD
from writer.ports import Message
from writer.write import Removal, Target, Write

TABLE, LABEL = "mytable", "2020-04-30T17:47:21.395"
SENT = 1609459200000
"""When messages were sent, in milliseconds: some months after the stream was made."""
MIB = 1024 * 1024


def put(sequence: int, key: Any = 1, *, table: str = TABLE, stream: str = LABEL, **image: Any) -> Change:
    """A put of wire values; `key` is the value of the key attribute `id`, or a dict of all key attributes."""
    keys = key if isinstance(key, dict) else {"id": key}
    return Change(
        table=table,
        stream=stream,
        sequence=str(sequence),
        op=Op.PUT,
        key=keys,
        at=1588166542000,
        event_id=f"event-{sequence}",
        image={**keys, **image},
        tagged=True,
    )


def delete(sequence: int, key: Any = 1, *, table: str = TABLE, stream: str = LABEL) -> Change:
    """A deletion; `key` as for `put`."""
    return Change(
        table=table,
        stream=stream,
        sequence=str(sequence),
        op=Op.DELETE,
        key=key if isinstance(key, dict) else {"id": key},
        at=1588166542000,
        event_id=f"event-{sequence}",
        tagged=True,
    )


def put_item(sequence: int, item: dict[str, dict[str, Any]], *key: str, table: str = TABLE) -> Change:
    """A put of DynamoDB AttributeValues, encoded as the producer does; `key` names the key attributes."""
    image, tagged = encode_item(item)
    keys = {name: image[name] for name in key or ("id",)}
    return Change(
        table=table,
        stream=LABEL,
        sequence=str(sequence),
        op=Op.PUT,
        key=keys,
        at=1588166542000,
        event_id=f"event-{sequence}",
        image=image,
        tagged=tagged,
    )


def body_of(*changes: Change) -> str:
    """An envelope of changes of one table and stream."""
    return seal(changes[0].table, changes[0].stream, [encode_change(change) for change in changes], MIB)


def message(*changes: Change, body: str | None = None, number: int = 0, group: str = "lane") -> Message:
    """A received message with these changes, or with any body."""
    text = body if body is not None else body_of(*changes)
    return Message(f"message-{number}", f"receipt-{number}", text, group, 1, SENT)


def target(document_id: Any, collection: str = "items", database: str = "") -> Target:
    """The document with that `_id`."""
    identity = (database, collection, bson.encode({"": document_id}))
    return Target(database, collection, document_id, identity, METADATA_FIELD)


def write(change: Change, document_id: Any = None, collection: str = "items", **other: Any) -> Write:
    """The guarded write of a change, with the image as it is; by default `_id` is the key attribute `id`.

    `other` are further members of the write.
    """
    identity = change.key["id"] if document_id is None else document_id
    document, removals = None, []
    if change.image is not None:
        document = bson.encode({"_id": identity, **change.image, METADATA_FIELD: {"v": change.version}})
    else:
        removals = [Removal({}, change.version)]
    found = target(identity, collection, other.pop("database", ""))
    members = {"removals": removals, "document": document, **other}
    return Write(found, change, change.version, 0, frozenset({0}), 1, **members)
