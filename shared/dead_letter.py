"""The messages in the dead-letter queue: what is parked, and how. Pure.

A parked change is a valid envelope with that one change, so redriving it means sending its body again with a
fresh deduplication id. What cannot be decoded is parked as it came. Message attributes say why: `code`,
`reason`, `table`, `key`, `sequence`, `message_id`, and in `group` the lane that it came from. In the
dead-letter queue each message has a group of its own: SQS hands out ten messages of a group, and no more
until those are gone, so in their lanes not all of them could be received.
"""

import base64
import hashlib
import json
import zlib
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

_MAX_TEXT = 1000
_MAX_GROUP = 128
_ROOM_FOR_ATTRIBUTES = 8 * 1024


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One parked message.

    Attributes:
        body: an envelope with one change, or what could not be decoded, as it came.
        group: the message group that it came from, and is sent to again.
        code: short stable identifier of the reason, to filter by.
        reason: a sentence for a person.
        table: the DynamoDB table, if known.
        key: the item's key, as JSON, if known.
        sequence: the change's sequence number, if known.
        message_id: the SQS message (or the stream record) it came from.
        event_id: the stream record's id, if known; for logs.
    """

    body: str
    group: str
    code: str
    reason: str
    table: str = ""
    key: str = ""
    sequence: str = ""
    message_id: str = ""
    event_id: str = ""

    def entry(self, entry_id: str, limit: int) -> dict[str, Any]:
        """Returns the entry for `SendMessageBatch`.

        The deduplication id is a hash of the content: what is parked twice within five minutes, after a crash
        or a lost response, is there once. Attributes count towards the size of a message; if they do not fit
        beside a very large body, the body alone is parked.

        Args:
            entry_id: the id of the entry within the batch call.
            limit: the dead-letter queue's `MaximumMessageSize`, bytes.
        """
        texts = {
            "code": self.code,
            "reason": self.reason,
            "table": self.table,
            "key": self.key,
            "sequence": self.sequence,
            "message_id": self.message_id,
            "group": self.group[:_MAX_GROUP],
        }
        attributes = {
            name: {"DataType": "String", "StringValue": _printable(text)}
            for name, text in texts.items()
            if text
        }
        text = f"{self.message_id}\n{self.key}\n{self.sequence}\n{self.body}"
        identity = hashlib.sha256(text.encode(errors="backslashreplace")).hexdigest()
        entry: dict[str, Any] = {
            "Id": entry_id,
            "MessageBody": self.body,
            "MessageGroupId": identity,  # one group each; where SQS deduplicates per group, it still does
            "MessageDeduplicationId": identity,
            "MessageAttributes": attributes,
        }
        if entry_size(entry) > limit:
            entry["MessageAttributes"] = {}
        return entry


@lru_cache(maxsize=1)  # one message can make many letters
def as_it_came(text: str, limit: int) -> str:
    """Returns the body for something that is not an envelope: the text itself, or compressed if too long.

    Args:
        text: without characters that SQS refuses, but for lone surrogates, which stand escaped in the body.
        limit: the dead-letter queue's `MaximumMessageSize`, bytes.
    """
    octets = text.encode(errors="backslashreplace")
    if len(octets) + _ROOM_FOR_ATTRIBUTES <= limit:
        return octets.decode()
    packed = json.dumps({"zlib": base64.b64encode(zlib.compress(octets)).decode()})
    # If it does not shrink: it came from a queue with this limit, so it fits without attributes.
    return packed if len(packed) < len(octets) else octets.decode()


def entry_size(entry: dict[str, Any]) -> int:
    """The bytes of an entry as SQS counts them: body, and names, types and values of attributes."""
    attributes: dict[str, dict[str, str]] = entry.get("MessageAttributes", {})
    return len(entry["MessageBody"].encode()) + sum(
        len(name) + len(value["DataType"]) + len(value["StringValue"]) for name, value in attributes.items()
    )


def _printable(text: str) -> str:
    """ASCII without control characters: SQS refuses some characters, and a log line is one line."""
    return json.dumps(text[:_MAX_TEXT])[1:-1].replace('\\"', '"')[:_MAX_TEXT]
