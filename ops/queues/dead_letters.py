"""Dead letters as they are received → what a person wants to know of them, and which are meant. Pure."""

from __future__ import annotations

import base64
import json
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from shared.change import Change
from shared.envelope import MAX_INFLATED_BYTES, decode
from shared.errors import PoisonError
from shared.keys import canonical_key

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from types_boto3_sqs.type_defs import MessageTypeDef

    from shared.envelope import Envelope, Rejected

MOVED = "moved-by-sqs"
"""Stands for the code of a message that SQS itself moved to the dead-letter queue: it has none."""

UNSAID = "not-said"
"""Stands for the code of a letter whose attributes did not fit beside its body."""


@dataclass(frozen=True, slots=True)
class Letter:
    """One message of a dead-letter queue.

    Attributes:
        id: the SQS message id.
        receipt: the receipt handle of this delivery.
        body: as it is in the queue.
        group: its message group in the dead-letter queue.
        lane: the message group that it is to be sent to.
        code: why it is there, in short.
        reason: why it is there, for a person.
        table: the DynamoDB table; empty: not known.
        key: the item's key as JSON, that of the first change where there are several; empty: not known.
        sequence: likewise, its sequence number.
        origin: id of the message or stream record that it came from.
        sent_at: when it was sent, milliseconds since the epoch.
        receives: how often it was received, this time included.
        envelope: what it carries, or None if it cannot be read.
        unreadable: why it cannot be applied as it is; empty: it can be read, all of it.
        attributes: its message attributes, as they came.
    """

    id: str
    receipt: str
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

    @property
    def changes(self) -> Sequence[Change | Rejected]:
        """What it carries, oldest first."""
        return self.envelope.entries if self.envelope else ()

    @property
    def text(self) -> str:
        """The body as it came, before it was compressed to fit."""
        return _inflated(self.body) if self.envelope is None else self.body


@dataclass(frozen=True, slots=True)
class Selection:
    """Which letters are meant: those that everything here holds for.

    Attributes:
        ids: message ids, or how they begin; any of them. Empty: any letter.
        table: name of the table.
        key: the key as a JSON object, or the value of one of its attributes.
        code: the reason's code.
    """

    ids: Sequence[str] = ()
    table: str | None = None
    key: str | None = None
    code: str | None = None

    @property
    def is_all(self) -> bool:
        """Whether nothing is asked of a letter."""
        return not self.ids and self.table is None and self.key is None and self.code is None

    @property
    def whole_ids(self) -> bool:
        """Whether letters are named by their whole ids, so that all of them can be found before the end."""
        return bool(self.ids) and all(len(each) == _ID_LENGTH for each in self.ids)

    def matches(self, letter: Letter) -> bool:
        """Whether this letter is meant."""
        if self.ids and not any(letter.id.startswith(each) for each in self.ids):
            return False
        if self.table is not None and letter.table != self.table:
            return False
        if self.code is not None and letter.code != self.code:
            return False
        return self.key is None or any(key_matches(self.key, key) for key in _keys(letter))


_ID_LENGTH = len("00000000-0000-0000-0000-000000000000")


def letter_of(message: MessageTypeDef) -> Letter:
    """Reads a received message, whatever it is."""
    system: Mapping[str, str] = {str(name): value for name, value in message.get("Attributes", {}).items()}
    texts = {
        name: value.get("StringValue", "") for name, value in message.get("MessageAttributes", {}).items()
    }
    receives = int(system.get("ApproximateReceiveCount", "1"))
    group = system.get("MessageGroupId", "")
    envelope, unreadable = _decoded(message["Body"])
    first = envelope.entries[0] if envelope and envelope.entries else None
    change = first if isinstance(first, Change) else None
    if "code" in texts:
        code, reason = texts["code"], texts.get("reason", "")
    elif "DeadLetterQueueSourceArn" in system:
        code, reason = MOVED, "SQS moved it here: it was received too often without being deleted"
    else:
        code, reason = UNSAID, "its reason did not fit beside its body"
    return Letter(
        id=message["MessageId"],
        receipt=message["ReceiptHandle"],
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
    )


def key_matches(wanted: str, key: Mapping[str, Any]) -> bool:
    """Whether a key is the one that somebody typed: as a JSON object, or one of its values.

    Args:
        wanted: such as ``{"id":3}``, ``3`` or ``customer#1``.
        key: wire values by attribute.
    """
    try:
        parsed = json.loads(wanted)
    except (ValueError, RecursionError):
        parsed = None
    if isinstance(parsed, dict):
        try:
            return canonical_key(parsed) == canonical_key(key)
        except PoisonError:
            return False
    if not isinstance(parsed, int | float) or isinstance(parsed, bool):
        return wanted in key.values()
    return any(value in (wanted, parsed) for value in key.values())


def _keys(letter: Letter) -> list[Mapping[str, Any]]:
    changes = [each.key for each in letter.changes if isinstance(each, Change)]
    if changes or not letter.key:
        return changes
    try:
        key = json.loads(letter.key)
    except (ValueError, RecursionError):  # cut off, because it was long
        return []
    return [key] if isinstance(key, dict) else []


def _decoded(body: str) -> tuple[Envelope | None, str]:
    try:
        envelope = decode(body)
    except PoisonError as error:
        return None, error.reason
    rejected = [each for each in envelope.entries if not isinstance(each, Change)]
    return envelope, rejected[0].reason if rejected else ""


def _json_of(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _inflated(body: str) -> str:
    """What `shared.dead_letter.as_it_came` compressed; other texts as they are."""
    try:
        packed = json.loads(body)
        if not (isinstance(packed, dict) and packed.keys() == {"zlib"}):
            return body
        stream = zlib.decompressobj()
        text = stream.decompress(base64.b64decode(packed["zlib"], validate=True), MAX_INFLATED_BYTES)
        return text.decode() if stream.eof else body
    except (ValueError, TypeError, zlib.error, RecursionError):
        return body
