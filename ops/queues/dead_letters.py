"""A received message of either queue → what a person wants to know about it. Pure."""

from __future__ import annotations

import base64
import json
import re
import zlib
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from shared.change import Change
from shared.envelope import MAX_INFLATED_BYTES, Envelope, decode, encode_change, seal
from shared.errors import FatalError, PoisonError
from shared.stream_record import change_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from types_boto3_sqs.type_defs import MessageTypeDef

    from shared.envelope import Rejected

MOVED = "moved-by-sqs"
"""The code shown for a message that SQS itself moved to the dead-letter queue, because it has none."""

_NUMBER = re.compile("[0-9]{1,18}")
ATTRIBUTES = ("code", "reason", "table", "key", "sequence", "message_id", "group")
"""What a letter has beside its body (`shared.dead_letter`)."""

UNSAID = "not-said"
"""The code shown for a letter whose attributes did not fit beside its body."""


@dataclass(frozen=True, slots=True)
class Letter:
    """A message.

    Attributes:
        id: the SQS message id.
        body: the body as it is in the queue.
        group: its message group.
        lane: the message group to send it to.
        code: the reason's code.
        reason: why it is in the dead-letter queue, as a sentence.
        table: the DynamoDB table; empty: unknown.
        key: the item's key as JSON, that of the first change if there are several; empty: unknown.
        sequence: the sequence number of that change; empty: unknown.
        origin: the id of the message or stream record that it came from.
        sent_at: when it was sent, milliseconds since the epoch.
        receives: how often it was received, including this time.
        envelope: its decoded body; None: it cannot be decoded.
        is_record: the body is a stream record, which the Lambda parked as it came, and the envelope was made
            of it.
        unreadable: why it cannot be applied as it is; empty: all of it can be read.
        attributes: its message attributes, unchanged.
    """

    id: str
    body: str = field(repr=False)
    group: str
    lane: str
    code: str
    reason: str
    table: str
    key: str
    sequence: str
    origin: str
    sent_at: int
    receives: int
    envelope: Envelope | None = field(repr=False)
    unreadable: str
    attributes: Mapping[str, str] = field(repr=False)
    is_record: bool = False

    @property
    def changes(self) -> Sequence[Change | Rejected]:
        """Its changes, oldest first."""
        return self.envelope.entries if self.envelope else ()

    @property
    def text(self) -> str:
        """The original text of the body, before it was compressed to fit."""
        return _inflated(self.body) if self.envelope is None or self.is_record else self.body

    def body_to_send(self, limit: int) -> str:
        """What redriving it sends: the body, or the envelope of a stream record, in `limit` bytes."""
        if self.envelope is None or not self.is_record:
            return self.body
        changes = [encode_change(each) for each in self.changes if isinstance(each, Change)]
        return seal(self.envelope.table, self.envelope.stream, changes, limit)


def received_in(answer: Any) -> tuple[list[MessageTypeDef], int]:
    """The messages of an answer that are whole, and how many are not; an odd one stays in the queue.

    An answer of another form counts as one odd message.
    """
    if not isinstance(answer, dict):
        return [], 1
    entries = answer.get("Messages")
    if entries is None:  # there are none
        return [], 0
    if not isinstance(entries, list):
        return [], 1
    whole = [entry for entry in entries if _is_whole(entry)]
    return whole, len(entries) - len(whole)


def _is_whole(entry: Any) -> bool:
    if not isinstance(entry, dict):
        return False
    system, more = entry.get("Attributes"), entry.get("MessageAttributes", {})
    if not isinstance(system, dict) or not isinstance(more, dict):
        return False
    texts = [
        entry.get("MessageId"),
        entry.get("ReceiptHandle"),
        entry.get("Body"),
        system.get("MessageGroupId"),
    ]
    numbers = [system.get(name, "0") for name in ("ApproximateReceiveCount", "SentTimestamp")]
    return (
        all(isinstance(text, str) and text for text in texts)
        and all(isinstance(number, str) and _NUMBER.fullmatch(number) for number in numbers)
        and all(
            isinstance(each, dict) and isinstance(each.get("StringValue", ""), str) for each in more.values()
        )
    )


def letter_of(message: MessageTypeDef) -> Letter:
    """Reads any received message."""
    system: Mapping[str, str] = {str(name): value for name, value in message.get("Attributes", {}).items()}
    texts = {
        name: value.get("StringValue", "") for name, value in message.get("MessageAttributes", {}).items()
    }
    receives = int(system.get("ApproximateReceiveCount", "1"))
    group = system.get("MessageGroupId", "")
    envelope, unreadable = _decoded(message["Body"])
    record = _record_in(message["Body"]) if envelope is None else None
    if record is not None:
        envelope, unreadable = _envelope_of(record)
    first = envelope.entries[0] if envelope and envelope.entries else None
    change = first if isinstance(first, Change) else None
    if "code" in texts:
        code, reason = texts["code"], texts.get("reason", "")
    elif "DeadLetterQueueSourceArn" in system:
        code, reason = MOVED, "SQS moved it here after too many receives"
    else:
        code, reason = UNSAID, "its reason did not fit beside its body"
    return Letter(
        id=message["MessageId"],
        body=message["Body"],
        group=group,
        lane=texts.get("group") or group,
        code=code,
        reason=reason,
        table=envelope.table if envelope else texts.get("table", ""),
        key=_json_of(change.key) if change else texts.get("key", ""),
        sequence=change.sequence if change else texts.get("sequence", ""),
        origin=texts.get("message_id", ""),
        sent_at=int(system.get("SentTimestamp", "0")),
        receives=receives,
        envelope=envelope,
        unreadable=unreadable,
        attributes=texts,
        is_record=record is not None,
    )


def stored_letter(stored: Mapping[str, Any]) -> Letter | None:
    """Reads a letter that `follow` has parked in MongoDB; None: somebody else has put something there."""
    identity, body, parked = (stored.get(name) for name in ("_id", "body", "parked"))
    if not (isinstance(identity, str) and isinstance(body, str) and body and isinstance(parked, datetime)):
        return None
    letter = letter_of(
        {
            "MessageId": identity,
            "Body": body,
            "Attributes": {
                "MessageGroupId": identity,
                "SentTimestamp": str(round(parked.replace(tzinfo=UTC).timestamp() * 1000)),
            },
            "MessageAttributes": {
                name: {"DataType": "String", "StringValue": text}
                for name, text in stored.items()
                if name in ATTRIBUTES and isinstance(text, str)
            },
        }
    )
    return replace(letter, unreadable="") if copied_in(body) is not None else letter


def copied_in(body: str) -> dict[str, Any] | None:
    """The key of the item that `follow` could not copy, as AttributeValues; None: it is another body."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return None
    is_copied = isinstance(found, dict) and found.keys() == {"copied", "table"}
    return found["copied"] if is_copied and _is_key(found["copied"]) else None


def _is_key(value: Any) -> bool:
    return isinstance(value, dict) and all(
        isinstance(each, dict)
        and len(each) == 1
        and all(kind in ("S", "N", "B") and isinstance(text, str) for kind, text in each.items())
        for each in value.values()
    )


def _decoded(body: str) -> tuple[Envelope | None, str]:
    try:
        envelope = decode(body)
    except PoisonError as error:
        return None, error.reason
    rejected = [each for each in envelope.entries if not isinstance(each, Change)]
    return envelope, rejected[0].reason if rejected else ""


def _record_in(body: str) -> dict[str, Any] | None:
    """The stream record that a letter of the Lambda holds; None: it holds another thing."""
    try:
        record = json.loads(_inflated(body))
    except (ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) and "eventSourceARN" in record else None


def _envelope_of(record: dict[str, Any]) -> tuple[Envelope | None, str]:
    """The envelope that today's Lambda makes of a record, without old values; or why it makes none."""
    try:
        change = change_of(record)
        encode_change(change)
    except (PoisonError, FatalError) as error:
        return None, str(error)
    return Envelope(change.table, change.stream, [change]), ""


def _json_of(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _inflated(body: str) -> str:
    """What `shared.dead_letter.as_it_came` compressed; any other text unchanged."""
    try:
        packed = json.loads(body)
        if not (isinstance(packed, dict) and packed.keys() == {"zlib"}):
            return body
        stream = zlib.decompressobj()
        text = stream.decompress(base64.b64decode(packed["zlib"], validate=True), MAX_INFLATED_BYTES)
        return text.decode() if stream.eof else body
    except (ValueError, TypeError, zlib.error, RecursionError):
        return body
