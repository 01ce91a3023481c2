"""How deep values are nested, measured instead of tried. Pure.

Nobody counts on `RecursionError`: at which depth Python raises it, if at all, depends on its version and on
what is being called.
"""

import re
from collections.abc import Mapping
from typing import Any

import orjson

MAX_LEVELS = 100
"""Levels of an item and of its document, itself included, that are replicated. MongoDB promises no more
(manual, "MongoDB limits and thresholds"); DynamoDB has 32 below the item (developer guide, "Constraints")."""

WRITABLE_LEVELS = 700
"""Levels that every Python's `json` writes and reads. (`orjson` reads 1,024 and writes 254, by itself.)"""

_SCALARS = frozenset({str, int, float, bool, type(None), bytes})
_CONTAINERS = (dict, list, tuple, Mapping)
_WIRE_CONTAINERS = frozenset({dict, list})
_STRING = re.compile(r'"(?:[^"\\]|\\.)*+"', re.DOTALL)
_BRACKET = re.compile(r"[\[\]{}]")


def is_deeper(value: Any, levels: int) -> bool:
    """Whether a map or a list has more levels than that, itself included.

    The walk ends at that level, so a value that contains itself is too deep as well.
    """
    pending = [(value, 1)]
    while pending:
        part, level = pending.pop()
        members = part.values() if isinstance(part, Mapping) else part
        if _SCALARS.issuperset(map(type, members)):  # nearly always, and without a loop in Python
            continue
        inner = [(member, level + 1) for member in members if isinstance(member, _CONTAINERS)]
        if inner and level >= levels:
            return True
        pending += inner
    return False


def is_deeper_wire(wire: Mapping[str, Any]) -> bool:
    """Whether a map of wire values has more than `MAX_LEVELS`; the same as `is_deeper`, and faster."""
    if _WIRE_CONTAINERS.isdisjoint(map(type, wire.values())):
        return False
    for value in wire.values():
        kind = type(value)
        if kind is dict:
            members = value.values()
        elif kind is list:
            members = value
        else:
            continue
        if not _WIRE_CONTAINERS.isdisjoint(map(type, members)):
            break
    else:
        return False  # nearly always
    try:
        orjson.dumps(_ENVELOPED, default=lambda _: wire)
    except TypeError:  # it is too deep, or no JSON for another reason
        return is_deeper(wire, MAX_LEVELS)
    return False


def _enveloped(levels: int) -> list[Any]:
    value: list[Any] = [object()]
    for _ in range(levels - 1):
        value = [value]
    return value


_ENVELOPED = _enveloped(254 - MAX_LEVELS)
"""With a map in the place of its innermost value, orjson writes it unless the map has more levels."""


def is_deeper_json(text: str, levels: int) -> bool:
    """Whether a JSON text has more levels than that, without reading it."""
    if text.count("[") + text.count("{") <= levels:
        return False
    depth = 0
    for bracket in _BRACKET.findall(_STRING.sub("", text)):
        depth += 1 if bracket in "[{" else -1
        if depth > levels:
            return True
    return False
