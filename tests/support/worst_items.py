# ruff: noqa: S311 - repeatable, not secret
"""Items of nearly 400 KB, the largest that DynamoDB takes, of what messages and databases bear worst.

What is random in them comes from the global dice, which each test throws anew by its name and the run's seed.

Source: Amazon DynamoDB developer guide, "DynamoDB item sizes and formats" and "Constraints" (names have up to
64 KB).
"""

from __future__ import annotations

import random
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING

from tests.support.strategies import DEEPEST, AttributeValue, Item, nested

if TYPE_CHECKING:
    from collections.abc import Callable

MOST_ITEM_BYTES = 400 * 1024
_LIST_BYTES = 3  # of a list or a map, beside what is in it


def size_of_item(item: Item) -> int:
    """Bytes as DynamoDB counts them."""
    return sum(len(name.encode()) + size_of(value) for name, value in item.items())


def size_of(value: AttributeValue) -> int:
    """Bytes of a value as DynamoDB counts them."""
    ((kind, content),) = value.items()
    match kind:
        case "S" | "N" | "B":
            return _size_of_scalar(kind, content)
        case "SS" | "NS" | "BS":
            return sum(_size_of_scalar(kind[0], element) for element in content)
        case "L":
            return _LIST_BYTES + sum(1 + size_of(element) for element in content)
        case "M":
            return _LIST_BYTES + len(content) + size_of_item(content)
        case _:
            return 1


def _size_of_scalar(kind: str, content: str | bytes) -> int:
    if isinstance(content, bytes):
        return len(content)
    if kind == "S":
        return len(content.encode())
    number = Decimal(content)
    return (len(number.as_tuple().digits) + 1) // 2 + 1 + number.is_signed()


def characters(alphabet: str, count: int) -> str:
    """That many of these characters, in no order."""
    return "".join(random.choices(alphabet, k=count))


def _span(first: int, end: int) -> str:
    return "".join(map(chr, range(first, end)))


def _number() -> str:
    return f"{random.choice(['-', ''])}{random.randrange(10, 100)}E{random.randrange(-128, 124)}"


def _long_number() -> str:
    return f"1{random.randrange(10**37):037}"


def _full_of(element: Callable[[], AttributeValue], bytes_each: int) -> AttributeValue:
    return {"L": [element() for _ in range((MOST_ITEM_BYTES - 100) // bytes_each)]}


CONTROLS = _span(0, 0x20)
WORST_VALUES: dict[str, Callable[[], AttributeValue]] = {
    "random binary": lambda: {"B": random.randbytes(409_000)},
    "control characters": lambda: {"S": characters(CONTROLS, 409_000)},
    "control characters and text": lambda: {"S": characters(CONTROLS * 2 + _span(0x20, 0x7F), 409_000)},
    "nul": lambda: {"S": "\0" * 409_000},
    "non-characters": lambda: {"S": characters("\ufffe\uffff", 136_000)},
    "random text": lambda: {"S": characters(_span(0x20, 0x800), 209_000)},
    "astral characters": lambda: {"S": characters(_span(0x10000, 0x20000), 102_000)},
    "quotes": lambda: {"S": characters('"\\', 409_000)},
    "empty strings": lambda: {"L": [{"S": ""}] * 390_000},
    "empty binaries": lambda: {"L": [{"B": b""}] * 400_000},
    "empty of two kinds": lambda: _full_of(lambda: random.choice([{"S": ""}, {"B": b""}]), 1),
    "one-byte binaries": lambda: _full_of(lambda: {"B": random.randbytes(1)}, 2),
    "four-byte binaries": lambda: _full_of(lambda: {"B": random.randbytes(4)}, 5),
    "binary set": lambda: {"BS": [index.to_bytes(3) + random.randbytes(1) for index in range(102_000)]},
    "one-digit numbers": lambda: _full_of(lambda: {"N": str(random.randrange(10))}, 3),
    "short numbers": lambda: _full_of(lambda: {"N": _number()}, 4),
    "long numbers": lambda: _full_of(lambda: {"N": _long_number()}, 21),
    "set of long numbers": lambda: {"NS": list({_long_number() for _ in range(20_400)})},
    "set of short numbers": lambda: {"NS": [str(number) for number in range(10_000, 112_000)]},
    "nulls and booleans": lambda: _full_of(lambda: random.choice([{"NULL": True}, {"BOOL": True}]), 2),
    "empty maps and lists": lambda: _full_of(lambda: random.choice([{"M": {}}, {"L": []}]), 4),
    "tag-like maps": lambda: _full_of(lambda: {"M": {"$m": {"B": random.randbytes(1)}}}, 8),
    "short names": lambda: {"M": {characters(_span(1, 0x20), 4): {"B": b""} for _ in range(68_000)}},
    "long names": lambda: {"M": {characters(_span(1, 0x80), 60_000): {"B": b""} for _ in range(6)}},
    "deep nesting": lambda: {
        "L": [
            {"L": [nested(DEEPEST - 2, random.choice("LM"))]} for _ in range((MOST_ITEM_BYTES - 100) // 200)
        ]
    },
}
"""By its name, what makes the value of one attribute; another one at each call."""


def _in_one_attribute(make: Callable[[], AttributeValue]) -> Item:
    return {"a": make()}


WORST_ITEMS: dict[str, Callable[[], Item]] = {
    **{kind: partial(_in_one_attribute, make) for kind, make in WORST_VALUES.items()},
    "many tiny attributes": lambda: {characters(_span(1, 0x80), 4): {"NULL": True} for _ in range(80_000)},
    "attributes with long names": lambda: {
        characters(_span(0x20, 0x7F), 60_000): {"B": b""} for _ in range(6)
    },
}
"""All of them; all but the last two in one attribute, `a`."""
