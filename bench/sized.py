"""Stream events of items of a given size, with distinct keys or a hot one. They are the same in every run."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import orjson

from bench.items import event_of
from shared.attribute_values import encode_item

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.items import Item

EVENT_LIMIT = 6 * 1024 * 1024
"""Bytes of JSON that one invocation gets at most (AWS Lambda developer guide, "Lambda quotas")."""

_HOT = 0


def item_of(number: int, size: int) -> Item:
    """An item whose new image has `size` bytes in a message: a person, with a note as padding.

    Raises:
        ValueError: no item is so small.
    """
    item: Item = {
        "id": {"N": str(number)},
        "Name": {"S": f"John Doe the {number}th"},
        "email": {"S": f"john.doe.{number}@example.com"},
        "created_at": {"N": str(1588166528 + number)},
        "balance": {"N": f"{number}.25"},
        "active": {"BOOL": True},
        "tags": {"L": [{"S": "customer"}, {"S": "newsletter"}]},
        "note": {"S": ""},
    }
    missing = size - len(orjson.dumps(encode_item(item)[0]))
    if missing < 0:
        raise ValueError(f"an item has at least {size - missing} bytes, not {size}")
    return item | {"note": {"S": ("on the other hand, " * (missing // 19 + 1))[:missing]}}


def event(records: int, size: int, *, hot: bool = False, first: int = 1000) -> dict[str, Any]:
    """A stream event of modifications as Lambda passes it: parsed from JSON.

    Args:
        records: how many records.
        size: bytes of an item's new image in a message.
        hot: every second record is of the same item; otherwise all items are different.
        first: the number of the first item; other numbers have other lanes.
    """
    made: dict[str, Any] = json.loads(json.dumps(event_of(_items(records, size, first, hot=hot))))
    return made


def _items(records: int, size: int, first: int, *, hot: bool) -> Sequence[Item]:
    return [item_of(_HOT if hot and index % 2 else first + index, size) for index in range(records)]
