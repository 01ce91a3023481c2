"""The items of `--sample`, and what the code that the writer runs makes of each. Pure."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from bson import CodecOptions, decode
from bson.codec_options import DatetimeConversion

from shared.attribute_values import encode_item
from shared.change import Change, Op
from shared.errors import PoisonError
from writer.mapping.document import image_of, locate
from writer.mapping.rules import Rules
from writer.mongodb.guard import document_filter

Item = dict[str, Any]
"""An item's AttributeValues, unchecked."""

VERSION = "<version>"
"""Stands for a document's version, which only the stream can give."""

_KINDS = frozenset({"S", "N", "B", "SS", "NS", "BS", "M", "L", "BOOL", "NULL"})
_OPTIONS = CodecOptions[dict[str, Any]](datetime_conversion=DatetimeConversion.DATETIME_AUTO)


class ItemError(Exception):
    """The text holds no item. The message says why, and what is expected."""


@dataclass(frozen=True, slots=True)
class Preview:
    """What becomes of one item.

    Attributes:
        database: the database of its document; empty: that of the writer's settings.
        collection: the collection of its document.
        document: the document; None: the item is parked, or not replicated.
        found_by: the filter that finds the document, if it needs more than `_id`.
        poison: why it is parked, if it is.
    """

    database: str = ""
    collection: str = ""
    document: Mapping[str, Any] | None = None
    found_by: Mapping[str, Any] | None = None
    poison: PoisonError | None = None


def read_items(text: str) -> list[Item]:
    """Reads what `get-item`, `query` or `scan` print, an item alone, or a list of either.

    Raises:
        ItemError: the text is not JSON, or holds no items.
    """
    try:
        items = _items(json.loads(text))
    except ValueError as error:
        empty = "it is empty, as `get-item` prints nothing where there is no item"
        raise ItemError(f"it is not JSON: {error}" if text.strip() else empty) from error
    except RecursionError:
        raise ItemError("it is nested too deep") from None
    if not items:
        raise ItemError("it holds no item")
    return items


def change_of(table: str, key: Iterable[str], item: Item) -> Change:
    """The change that the Lambda would send for an item.

    Raises:
        ItemError: DynamoDB cannot hold such an item.
    """
    try:
        image, tagged = encode_item(item)
    except PoisonError as error:
        raise ItemError(f'{error.reason} (an item is like {{"id": {{"N": "1"}}}})') from error
    if missing := [name for name in key if name not in image]:
        raise ItemError(f"the item has no attribute {missing[0]!r}, which is part of its key")
    return Change(
        table=table,
        stream="2000-01-01T00:00:00.000",
        sequence="0",
        op=Op.PUT,
        key={name: image[name] for name in key},
        at=0,
        event_id="",
        image=image,
        tagged=tagged,
    )


def preview(rules: Rules, change: Change) -> Preview:
    """What becomes of a put."""
    try:
        table = rules.table(change.table)
        target = locate(table, change)
        image = image_of(table, change, target)
    except PoisonError as error:
        return Preview(poison=error)
    if image is None:
        return Preview(target.database, target.collection)
    document = decode(image.document, _OPTIONS)
    document[target.metadata_field]["v"] = VERSION
    found_by = document_filter(target, image.shard) if image.shard else None
    return Preview(target.database, target.collection, document, found_by)


def _items(content: Any) -> list[Item]:
    if isinstance(content, list):
        return [item for element in content for item in _items(element)]
    if not isinstance(content, dict):
        raise ItemError('an item is expected, such as {"id": {"N": "1"}}')
    if isinstance(content.get("Items"), list):
        return _items(content["Items"])
    inner = content.get("Item")
    if isinstance(inner, dict) and not _is_value(inner):
        return [inner]
    return [content]


def _is_value(content: dict[str, Any]) -> bool:
    """Whether this is an AttributeValue, not an item whose only attribute has the name of a type."""
    if len(content) != 1:
        return False
    ((kind, value),) = content.items()
    return kind in _KINDS and not (isinstance(value, dict) and len(value) == 1 and value.keys() <= _KINDS)
