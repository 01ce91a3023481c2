"""The items of a smoke test, and the documents that the writers make of them. Pure.

Law: an item is ours only if key and mark both say so. All else is somebody's, and is left alone.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

KEY = "id"
"""The table's only key attribute, a text."""

MARK = "replicator_smoke_test"
"""The attribute that every item of ours has: until when its run may use it, seconds since the epoch."""

_PREFIX = "replicator-smoke-test/"
_TIME = re.compile("[0-9]{1,12}").fullmatch
_ITEMS = 3

Item = dict[str, Any]
"""An item in DynamoDB's own notation: attribute name → AttributeValue."""


class Step(StrEnum):
    """What is done to each item, in this order."""

    PUT = "put"
    CHANGE = "change"
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class Run:
    """A run of the test.

    Attributes:
        id: a word that no other run has; it is in the keys of its items.
        until: after this time its items are left over; seconds since the epoch.
    """

    id: str
    until: int

    @property
    def keys(self) -> list[str]:
        """The keys of its items, which are also the `_id`s of their documents."""
        return [f"{_PREFIX}{self.id}/{number}" for number in range(_ITEMS)]

    def item(self, key: str, step: Step) -> Item:
        """An item as it is after a step that is not its deletion."""
        changed = (
            {"added": {"S": "by the change"}} if step is Step.CHANGE else {"taken": {"S": "by the change"}}
        )
        return {
            KEY: {"S": key},
            MARK: {"N": str(self.until)},
            "step": {"S": step.value},
            "whole": {"N": "123456789012345678"},
            "fraction": {"N": "1.5"},
            "truth": {"BOOL": step is Step.CHANGE},
            "nothing": {"NULL": True},
            "bytes": {"B": b"\x00\xff"},
            "list": {"L": [{"N": "1"}, {"S": "two"}, {"L": []}]},
            "map": {"M": {"deep": {"M": {"er": {"N": "3"}}}}},
            "texts": {"SS": ["a", "b"]},
            "numbers": {"NS": ["1", "2"]},
            **changed,
        }

    def document(self, key: str, step: Step) -> dict[str, Any] | None:
        """The document after a step, without the metadata; None: there is none. As docs/types.md says."""
        if step is Step.DELETE:
            return None
        changed = {"added": "by the change"} if step is Step.CHANGE else {"taken": "by the change"}
        return {
            "_id": key,
            KEY: key,
            MARK: self.until,
            "step": step.value,
            "whole": 123456789012345678,
            "fraction": 1.5,
            "truth": step is Step.CHANGE,
            "nothing": None,
            "bytes": b"\x00\xff",
            "list": [1, "two", []],
            "map": {"deep": {"er": 3}},
            "texts": ["a", "b"],
            "numbers": [1, 2],
            **changed,
        }


def until_of(item: Mapping[str, Any]) -> int | None:
    """Until when the run of an item may use it; None: the item is not of a smoke test."""
    match item:
        case {"id": {"S": str(key)}, "replicator_smoke_test": {"N": str(time)}}:
            return int(time) if key.startswith(_PREFIX) and _TIME(time) else None
    return None


def differing_fields(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    """The names of the fields that a document has otherwise than it should, in alphabetical order."""
    absent = object()
    return sorted(
        name for name in found.keys() | wanted.keys() if found.get(name, absent) != wanted.get(name, absent)
    )
