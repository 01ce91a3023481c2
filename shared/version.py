"""The total order of the changes to one item.

A version is (stream label, sequence number). Within a stream, the sequence numbers of an item grow. They are
strings of 21 to 40 digits (more on emulators), so they are compared as integers, never as strings. When a
table is re-created or its stream re-enabled, numbers start anew, but under a later label: the timestamp at
the end of the stream's ARN.

Sources: Amazon DynamoDB API reference, ``StreamRecord`` (SequenceNumber: 21 to 40 characters) and the
example of ``DescribeStream``, whose parent and child shards have numbers of 23, 24 and 25 digits.
"""

from functools import lru_cache

from shared.errors import PoisonError

BACKFILL = ""
"""The version of an image that came from a scan: lower than that of any change."""

_JUST_AFTER = "+"  # sorts before every digit, with which a change's version begins
_MAX_DIGITS = 99
_SEPARATOR = " "  # sorts before every character a label can hold, so a label sorts before its extensions


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
    return f"{stream}{_SEPARATOR}{len(digits):02d}{_SEPARATOR}{digits}"


def check_version(stream: str, sequence_number: str) -> None:
    """Checks that a change with this label and number can be ordered.

    Raises:
        PoisonError: the sequence number is not 1 to 99 decimal digits, or the label does not begin like a
            timestamp or holds a character that would break the order.
    """
    if not (sequence_number.isascii() and sequence_number.isdigit()):
        raise PoisonError("bad-version", f"the sequence number {sequence_number[:50]!r} is not a number")
    if len(sequence_number) > _MAX_DIGITS and len(digits := sequence_number.lstrip("0")) > _MAX_DIGITS:
        raise PoisonError("bad-version", f"the sequence number has {len(digits)} digits, more than 99")
    if not _is_label(stream):
        raise PoisonError("bad-version", f"the stream label {stream[:50]!r} is not a stream label")


def just_after(version: str) -> str:
    """Returns a version above this one, and below that of every later change.

    For a repair, which has no change of its own: it wins over what was seen, and loses to what follows.
    """
    return version + _JUST_AFTER


@lru_cache(maxsize=64)  # the changes of an event or a message are of one stream
def _is_label(stream: str) -> bool:
    """Whether it begins like a timestamp (so never a "$path" to MongoDB), and sorts."""
    return stream[:1].isdigit() and min(stream) > _SEPARATOR
