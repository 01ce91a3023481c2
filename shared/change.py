"""`Change`, the one noun of the system: what happened to one item, as both sides see it. Pure data.

Values in `key`, `image` and `old` are *wire values* (see `shared.attribute_values`): JSON's own types where
they are exact, tags elsewhere.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, NamedTuple

from shared.version import encode_version

WireValue = Any
"""A JSON value, as `orjson` reads and writes it."""


YEAR_5138 = 10**14
"""Milliseconds; no change's time is as large, a larger number is surely in another unit."""


class Op(StrEnum):
    """What a change does to the document; the values are those of the wire format."""

    PUT = "put"
    DELETE = "del"


class Change(NamedTuple):
    """The newest state of one item after one change (or after several that were coalesced).

    A tuple, like everything that is created once per change: a frozen dataclass takes three times as long.

    Attributes:
        table: name of the DynamoDB table.
        stream: the stream's label (a timestamp); first half of the version.
        sequence: the record's sequence number, decimal digits; second half of the version.
        op: put or delete.
        key: the item's key attributes.
        at: when DynamoDB made the change, in milliseconds since the epoch (whole seconds in stream events);
            None: not known. It orders nothing.
        event_id: the stream record's unique ``eventID``; ties log lines together. Empty: it has none.
        image: the whole new item for a put, None for a delete.
        ttl: the delete was a time-to-live expiry, not an application's.
        gone: names of top-level attributes that left the item with this change (or one it stands for).
        old: those attributes named by `OLD_IMAGE_FIELDS` that the item had before; None if the old image is
            not known (a new item, or a stream without old images).
        tagged: `key`, `image` or `old` hold at least one tag, so the reader has to walk through them.
    """

    table: str
    stream: str
    sequence: str
    op: Op
    key: Mapping[str, WireValue]
    at: int | None
    event_id: str
    image: Mapping[str, WireValue] | None = None
    ttl: bool = False
    gone: frozenset[str] = frozenset()
    old: Mapping[str, WireValue] | None = None
    tagged: bool = False

    @property
    def version(self) -> str:
        """The change's place in the total order of its item, as a string that sorts.

        Raises:
            PoisonError: the stream label or the sequence number is malformed.
        """
        return encode_version(self.stream, self.sequence)
