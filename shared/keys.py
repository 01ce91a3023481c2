"""Item keys: their canonical form, and the lane (SQS message group) that keeps their order. Pure.

All changes of a key travel in one lane, so SQS delivers them in order. If the number of lanes changes while
messages are in the queue, a key can be in two lanes for a while; then the version guard decides.
"""

import hashlib
import zlib
from collections.abc import Mapping
from typing import Any

import orjson

from shared.errors import PoisonError

_MAX_GROUP_NAME = 100  # of the 128 characters that SQS allows in a MessageGroupId
_DIGEST_BYTES = 16
_ABSENT = object()


def canonical_key(key: Mapping[str, Any]) -> bytes:
    """Returns the key's wire values as JSON with sorted names: equal keys, equal bytes.

    Raises:
        PoisonError: ``not-encodable``: a string is not valid Unicode (a lone surrogate).
    """
    try:
        # A copy: as long as a result of orjson lives, it keeps the 4 KB that it was written into.
        return b"%b" % orjson.dumps(key, option=orjson.OPT_SORT_KEYS)
    except TypeError as error:  # orjson.JSONEncodeError is a TypeError
        raise PoisonError("not-encodable", f"a key cannot be written as JSON: {error}") from error


def is_key_of(key: Mapping[str, Any], image: Mapping[str, Any]) -> bool:
    """Whether an image has the attributes of a key, with the same values (true is not 1)."""
    for name, value in key.items():
        other = image.get(name, _ABSENT)
        if type(other) is not type(value) or other != value:
            return False
    return True


def lane_of(table: str, canonical: bytes, lanes: int) -> str:
    """Returns the MessageGroupId of a key.

    At most 128 alphanumeric or punctuation characters, as SQS demands (API reference, ``SendMessage``); a
    table's name may be longer, so a long one is cut and made unique by a digest.

    Args:
        table: the table's name.
        canonical: the result of `canonical_key`.
        lanes: the number of lanes; 0: each key has a lane of its own.
    """
    name = table
    if len(name) > _MAX_GROUP_NAME - 2 * _DIGEST_BYTES:
        name = f"{name[:40]}~{hashlib.blake2b(table.encode(), digest_size=_DIGEST_BYTES).hexdigest()}"
    if lanes == 0:
        return f"{name}/{hashlib.blake2b(canonical, digest_size=_DIGEST_BYTES).hexdigest()}"
    return f"{name}/{zlib.crc32(canonical) % lanes}"
