"""Items as the AWS command line prints them → AttributeValues by attribute name. Pure."""

from __future__ import annotations

import json
from typing import Any

Item = dict[str, Any]
"""An item's AttributeValues, unchecked."""

_KINDS = frozenset({"S", "N", "B", "SS", "NS", "BS", "M", "L", "BOOL", "NULL"})


class ItemError(Exception):
    """The text holds no item. The message says why, and what is expected."""


def read_items(text: str) -> list[Item]:
    """Reads what `get-item`, `query` or `scan` print, an item alone, or a list of either.

    Raises:
        ItemError: the text is not JSON, or holds no items.
    """
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        empty = "it is empty, as `get-item` prints nothing where there is no item"
        raise ItemError(f"it is not JSON: {error}" if text.strip() else empty) from error
    try:
        items = _items(content)
    except RecursionError:
        raise ItemError("it is nested too deep") from None
    if not items:
        raise ItemError("it holds no item")
    return items


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
