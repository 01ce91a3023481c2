"""What SQS's answer to a receive holds: the messages that are whole. Pure.

Law: an odd message costs its neighbours nothing. It is left alone, and SQS delivers it again.
"""

from __future__ import annotations

from typing import Any

from writer.ports import Message

ATTRIBUTES = ("MessageGroupId", "ApproximateReceiveCount", "SentTimestamp")
"""The system attributes that a message needs."""

_MOST_DIGITS = 18
_YEAR_2001 = 10**12
"""Milliseconds; an older time is in another unit, or none. Stream labels are judged by it."""


def messages_in(answer: object) -> tuple[list[Message], int]:
    """The messages of an answer, and the number of those that cannot be used."""
    entries = answer.get("Messages") if isinstance(answer, dict) else None
    if entries is None:
        return [], 0
    if not isinstance(entries, list):
        return [], 1
    messages = [message for message in map(_message, entries) if message is not None]
    return messages, len(entries) - len(messages)


def _message(entry: object) -> Message | None:
    if not isinstance(entry, dict):
        return None
    attributes = entry.get("Attributes")
    found: dict[str, Any] = {**entry, **attributes} if isinstance(attributes, dict) else {}
    texts = [found.get(name) for name in ("MessageId", "ReceiptHandle", "Body", *ATTRIBUTES)]
    match texts:
        case [str(id_), str(receipt), str(body), str(group), str(receives), str(sent_at)] if (
            id_ and receipt and body and group and _is_number(receives, 1) and _is_number(sent_at, _YEAR_2001)
        ):
            return Message(id_, receipt, body, group, int(receives), int(sent_at))
    return None


def _is_number(text: str, least: int) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS and int(text) >= least
