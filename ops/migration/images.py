"""Items that were read from a table, not from its stream → the writes that the writer makes of them. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from bson.decimal128 import Decimal128

from shared.attribute_values import encode_item
from shared.change import Change, Op
from shared.errors import PoisonError
from shared.version import BACKFILL
from writer.mapping.document import locate
from writer.mapping.reverse import item_of
from writer.planning.fold import Candidates, fold
from writer.write import hashable

if TYPE_CHECKING:
    from writer.mapping.rules import Table
    from writer.write import Write

_MOST_KEY_BYTES = (2048, 1024)
"""Of a partition and a sort key (Amazon DynamoDB developer guide, "Constraints")."""

Item = dict[str, Any]
"""An item in DynamoDB's own notation: attribute name → AttributeValue."""

Key = dict[str, Any]
"""The key attributes of an item, in the same notation."""


class CopiedItem(Change):
    """An item as it was when it was read. It has no position in a stream: `sequence` is its whole version.

    A backfill takes the lowest version there is, so that every change wins, whatever the order.
    """

    __slots__ = ()

    @property
    def version(self) -> str:
        """The version of its document."""
        return self.sequence


def copied(
    table: str, key: Mapping[str, str], item: Mapping[str, Any], at: int, version: str = BACKFILL
) -> CopiedItem:
    """An item as a change.

    Args:
        table: name of the DynamoDB table.
        key: its key attributes and their types.
        item: all of its attributes.
        at: when it was read, milliseconds since the epoch.
        version: of its document.

    Raises:
        PoisonError: it is not an item, or not one of this table.
    """
    image, tagged = encode_item(item)
    for name, kind in key.items():
        if name not in item:
            raise PoisonError("bad-key", f"the item has no attribute {name!r}, which is of the table's key")
        if kind not in item[name]:
            raise PoisonError("bad-key", f"the item's key attribute {name!r} is not of type {kind}")
    return CopiedItem(
        table=table,
        stream="",
        sequence=version,
        op=Op.PUT,
        key={name: image[name] for name in key},
        at=at,
        event_id="",
        image=image,
        tagged=tagged,
    )


def write_of(table: Table, change: CopiedItem) -> Write | None:
    """The guarded write of a copied item, by the rules of its table; None: the hook does not want it.

    Raises:
        PoisonError: it cannot become a document.
    """
    write, unfit = fold(Candidates(table, locate(table, change), [(change, 0)]), {})
    for _, _, error in unfit:
        raise error
    return None if write is None or write.document is None else write


def id_of_key(table: Table, key: Mapping[str, str], values: Key) -> Any:
    """The `_id` of the document of a key; None: it can have none."""
    try:
        return locate(table, copied(table.name, key, values, 0)).document_id
    except PoisonError:
        return None


def key_of_item(key: Mapping[str, str], item: Mapping[str, Any]) -> Key:
    """The key attributes that an item has."""
    return {name: item[name] for name in key if name in item}


def key_of_id(table: Table, key: Mapping[str, str], document_id: Any) -> Key | None:
    """The key of a document's item, found by the document's `_id`.

    Args:
        table: the rules of the table.
        key: its key attributes and their types.
        document_id: the document's `_id`, as PyMongo reads it.

    Returns:
        None if no item of the table can have this `_id`.
    """
    names = table.rule.key or tuple(sorted(key))
    if type(document_id) is int and len(names) == 1 and key.get(names[0]) == "N":
        return {names[0]: {"N": str(document_id)}}  # the commonest kind, for which the rest says the same
    values: list[Any] = [document_id]
    if len(names) > 1:
        if not isinstance(document_id, dict) or len(document_id) != len(names):
            return None
        values = list(document_id.values())
    found: Key = {}
    longest = dict(zip(key, _MOST_KEY_BYTES, strict=False))
    for name, value in zip(names, values, strict=True):
        if name not in key:
            return None
        attribute_value = _attribute_value(key[name], value, longest[name])
        if attribute_value is None:
            return None
        found[name] = attribute_value
    back = id_of_key(table, key, found)
    return found if back is not None and _same_place(back, document_id) else None


def _attribute_value(kind: str, value: Any, longest: int) -> dict[str, Any] | None:
    if isinstance(value, Mapping | list):
        return None
    try:
        found = item_of({"": value})[""]
        if kind == "N" and "S" in found:  # a number of 35 to 38 digits is text in MongoDB
            found = {"N": found["S"]}
        part = found.get(kind, b"")
        length = len(part.encode() if isinstance(part, str) else part)
    except ValueError:
        return None
    # No item has another key, and DynamoDB refuses a request that asks for one.
    return found if 0 < length <= longest else None


def _same_place(one: Any, other: Any) -> bool:
    """Whether two `_id`s are the same to MongoDB: numbers by value, all else by value and type."""
    if isinstance(one, dict) and isinstance(other, dict):
        return list(one) == list(other) and all(map(_same_place, one.values(), other.values()))
    if _is_number(one) and _is_number(other):
        return hashable(one) == hashable(other)
    return type(one) is type(other) and bool(one == other)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | Decimal128) and not isinstance(value, bool)
