"""Integers in JSON that are larger than int64: found, instead of rounded. Pure.

orjson makes a double of an integer beyond 64 bits. Hardly any text has one, so a cheap look tells which texts
may have some.
"""

import json
import re
from typing import Any

from shared.attribute_values import INT64_MAX, INT64_MIN
from shared.nesting import WRITABLE_LEVELS, is_deeper

# Digits become 0, and all that can stand before them becomes a colon. The same may stand in a string: then a
# text is only read more slowly.
_SHAPES = bytes.maketrans(b"0123456789-:[, \t\n\r", b"0" * 10 + b":" * 8)
_LONG_INTEGER = b":" + b"0" * 19
_LARGE_INTEGER = re.compile(rb"[-:\[,\s](?:9[0-9]{18}|[0-9]{20})")
_ROUNDED = re.compile(rb"-9[0-9]{18}|[-:\[,\s][0-9]{20}")  # by orjson, if it is no int64
_MOST_DIGITS = 4_000  # Python by itself reads 4,300


def exact(value: Any, text: bytes) -> tuple[Any, bool]:
    """Returns the value of a JSON text without rounding, and whether an integer in it may be beyond int64.

    Args:
        value: what orjson made of it.
        text: the text.

    Raises:
        ValueError: it has integers beyond 64 bits, and some of thousands of digits, or hundreds of levels.
    """
    shapes = text.translate(_SHAPES)
    if _LONG_INTEGER not in shapes or not _LARGE_INTEGER.search(text):
        return value, False
    if not _ROUNDED.search(text):
        return value, True
    del shapes
    if isinstance(value, dict | list) and is_deeper(value, WRITABLE_LEVELS):
        raise ValueError("it is nested too deep")
    del value
    return json.loads(text, parse_int=_integer), True


def exceeds_int64(value: Any) -> bool:
    """Whether an integer in a JSON value is beyond int64."""
    pending = [value]
    while pending:
        part = pending.pop()
        if type(part) is int and not INT64_MIN <= part <= INT64_MAX:
            return True
        if isinstance(part, dict | list):
            pending += part.values() if isinstance(part, dict) else part
    return False


def _integer(text: str) -> int:
    if len(text) > _MOST_DIGITS:
        raise ValueError(f"an integer has more than {_MOST_DIGITS} digits")
    return int(text)
