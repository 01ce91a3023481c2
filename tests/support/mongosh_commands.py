"""Reads the `createIndex` commands that `replicator init` prints, as mongosh does."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_COMMAND = re.compile(
    r'db(?:\.getSiblingDB\((?P<database>"[^"]*")\))?'
    r'\.getCollection\((?P<collection>"[^"]*")\)\.createIndex\((?P<arguments>.*)\);'
)


@dataclass(frozen=True)
class CreateIndex:
    """One command; an empty database is the one that mongosh uses."""

    database: str
    collection: str
    keys: list[tuple[str, int]]
    options: dict[str, Any]


def read_commands(lines: Iterable[str]) -> Iterator[CreateIndex]:
    """The commands; any other line has to be a comment."""
    for line in lines:
        if line.startswith("//"):
            continue
        found = _COMMAND.fullmatch(line)
        assert found, line
        decoder = json.JSONDecoder()
        text = found["arguments"]
        keys, end = json.JSONDecoder(object_pairs_hook=list).raw_decode(text)
        options = decoder.decode(text[end:].removeprefix(", ")) if text[end:] else {}
        yield CreateIndex(
            json.loads(found["database"] or '""'),
            json.loads(found["collection"]),
            _as_javascript(keys),
            options,
        )


def _as_javascript(keys: list[tuple[str, int]]) -> list[tuple[str, int]]:
    """The properties of an object literal in the order that JavaScript gives them."""
    keys = [tuple(each) for each in keys]  # type: ignore[misc]
    numbers = [each for each in keys if _is_array_index(each[0])]
    others = [each for each in keys if each not in numbers and each[0] != "__proto__"]
    return sorted(numbers, key=lambda each: int(each[0])) + others


def _is_array_index(name: str) -> bool:
    """ECMAScript, "Array index": an integer below 2^32 - 1 in its shortest form."""
    is_integer = name.isascii() and name.isdigit() and str(int(name)) == name
    return is_integer and int(name) < 2**32 - 1
