"""The total order of the changes to one item.

A version is (stream label, sequence number). Within a stream, the sequence numbers of an item grow. They are
strings of 21 to 40 digits (more on emulators), so they are compared as integers, never as strings. When a
table is re-created or its stream re-enabled, numbers start anew, but under a later label: the timestamp at
the end of the stream's ARN.

A label that cannot be one of a stream (no timestamp, or one of the future) would win over every real change
for ever; so it is refused.

Sources: Amazon DynamoDB API reference, ``StreamRecord`` (SequenceNumber: 21 to 40 characters) and the
example of ``DescribeStream``, whose parent and child shards have numbers of 23, 24 and 25 digits.
"""

import re
from datetime import UTC, datetime
from functools import lru_cache

from shared.errors import PoisonError

BACKFILL = ""
"""The version of an image that came from a scan: lower than that of any change."""

_JUST_AFTER = "+"  # sorts before every digit, with which a change's version begins
_MAX_DIGITS = 99
_SEPARATOR = " "  # sorts before every character a label can hold, so a label sorts before its extensions
_LENGTHS = tuple(f"{_SEPARATOR}{length:02d}{_SEPARATOR}" for length in range(_MAX_DIGITS + 1))
_FUTURE = 24 * 3600  # seconds that a label may be ahead of our clock
# AWS and the emulators write milliseconds and no zone; MiniStack's CloudFormation adds a Z.
_LABEL = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?Z?", re.ASCII).fullmatch


def encode_version(stream: str, sequence_number: str) -> str:
    """Returns the version as one string; strings sort (by code point) in the order of the changes.

    Args:
        stream: the stream label, such as ``2020-04-30T17:47:21.395``.
        sequence_number: the digits of the record's ``SequenceNumber``.

    Raises:
        PoisonError: as `check_version`.
    """
    check_version(stream, sequence_number)
    digits = sequence_number.lstrip("0") or "0"
    return stream + _LENGTHS[len(digits)] + digits


def check_version(stream: str, sequence_number: str) -> None:
    """Checks that a change with this label and number can be ordered.

    Raises:
        PoisonError: ``bad-version``: the sequence number is not 1 to 99 decimal digits, or the label is not a
            timestamp of the form that DynamoDB gives.
    """
    if not (sequence_number.isascii() and sequence_number.isdigit()):
        raise PoisonError("bad-version", f"the sequence number {sequence_number[:50]!r} is not a number")
    if len(sequence_number) > _MAX_DIGITS and len(digits := sequence_number.lstrip("0")) > _MAX_DIGITS:
        raise PoisonError("bad-version", f"the sequence number has {len(digits)} digits, more than 99")
    if _time_of(stream) is None:
        raise PoisonError("bad-version", f"the stream label {stream[:50]!r} is not a stream label")


def check_time(stream: str, now: float) -> None:
    """Checks that a stream with this label can exist by now (seconds since the epoch).

    Raises:
        PoisonError: ``bad-version``: the label is later than a day from now, or no label at all.
    """
    time = _time_of(stream)
    if time is None or time > now + _FUTURE:
        raise PoisonError("bad-version", f"the stream label {stream[:50]!r} is a time in the future")


def just_after(version: str) -> str:
    """Returns a version above this one, and below that of every later change.

    For a repair, which has no change of its own: it wins over what was seen, and loses to what follows.
    """
    return version + _JUST_AFTER


def is_repaired(version: str) -> bool:
    """Whether a repair wrote a stored version (`just_after`), and no change has come since."""
    return version.endswith(_JUST_AFTER)


def is_possible(version: str, now: float) -> bool:
    """Whether a stored version can be one of ours by now (seconds since the epoch).

    It is that of a change, that of a copied image, or one just after either of them. What is not possible
    came from a message that no current writer applies, and may win over every real change.
    """
    version = version.rstrip(_JUST_AFTER)
    if version == BACKFILL:
        return True
    stream, _, rest = version.partition(_SEPARATOR)
    try:
        check_time(stream, now)
        return encode_version(stream, rest.partition(_SEPARATOR)[2]) == version
    except PoisonError:
        return False


@lru_cache(maxsize=64)  # the changes of an event or a message are of one stream
def _time_of(stream: str) -> float | None:
    """The time of a label, in seconds since the epoch; None: it is none."""
    if not _LABEL(stream):
        return None
    try:
        return datetime.fromisoformat(stream.removesuffix("Z")).replace(tzinfo=UTC).timestamp()
    except ValueError:  # a thirteenth month
        return None
