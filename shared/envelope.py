"""The wire format: one SQS message = one envelope = the changes of one lane, oldest first. Pure.

```json
{"v":1,"table":"mytable","stream":"2020-04-30T17:47:21.395","changes":[
  {"op":"put","key":{"id":3},"seq":"5123","at":1588166542000,"eid":"c086","doc":{"id":3,"Name":"John"}},
  {"op":"del","key":{"id":4},"seq":"5124","at":1588166542000,"eid":"9f12","ttl":true}]}
```

The time ``at`` is null if it is not known. Optional members of a change: ``ttl``, ``gone``, ``old``, ``tags``
(see `shared.change.Change`). A change that does not fit a message travels alone, its ``changes`` array as
base64(zlib(JSON)) under ``z``.

Law: what arrives is not trusted. Sizes are bounded, and what cannot be read is data (`Rejected`) or one
`PoisonError` for the whole message, never another exception.
"""

import base64
import binascii
import json
import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from shared.change import YEAR_5138, Change, Op
from shared.errors import PoisonError
from shared.exact_json import exact, exceeds_int64
from shared.keys import is_key_of
from shared.nesting import MAX_LEVELS, WRITABLE_LEVELS, is_deeper
from shared.version import check_version

VERSION = 1

_ITEM_BYTES = 400 * 1024  # the most that DynamoDB takes, as it counts

MAX_INFLATED_BYTES = 10 * 1024 * 1024
"""More than a legal change needs. As JSON an item is at most ten times its size, if it is a list of empty
binaries (`{"$b":""},` for one byte); old values may double that."""

MAX_STRUCTURE = 2 * 2 * _ITEM_BYTES + 10_000
"""Braces, brackets and commas outside of strings, each an object in memory; again more than a legal change
needs: two for each byte of that list, twice for old values, and some for the rest."""

MAX_CHANGES = 10_000
"""One Lambda invocation gets no more (AWS Lambda guide, `BatchSize`): a longer list is a bomb."""

MAX_NAME = 255
"""Characters of a table's name (DynamoDB developer guide, "Constraints") and of a stream's label, which is a
timestamp. A message holds them once, but each dead letter that is made of it holds them again."""

# SQS refuses U+FFFE and U+FFFF (API reference, SendMessage: allowed characters); orjson writes them raw.
# They can only stand inside JSON strings, so replacing the bytes is safe.
_NONCHARACTERS = ((b"\xef\xbf\xbe", b"\\ufffe"), (b"\xef\xbf\xbf", b"\\uffff"))
_PLAIN_FRAME = b',"changes":}'
_LEAD_BYTES = b"\xef\xbf"
_COMPRESSED = re.compile(  # what `seal` writes, and nothing else
    r'\{"v":1,"table":"(?:[^"\\]|\\.)++","stream":"(?:[^"\\]|\\.)++","z":"[A-Za-z0-9+/=]*+"\}'
)
_HEAD_OF_COMPRESSED = re.compile(_COMPRESSED.pattern.partition("[A-Za")[0])
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*+"')
_IDS_IN_A_LINE = 1_000
_USUAL = {"op", "key", "seq", "at", "eid", "doc"}


@dataclass(frozen=True, slots=True)
class Rejected:
    """One entry of an envelope that is not a change.

    Attributes:
        encoded: the entry as it came, ready for `seal`.
    """

    table: str
    stream: str
    encoded: bytes
    code: str
    reason: str


@dataclass(frozen=True, slots=True)
class Envelope:
    """A decoded message, oldest change first.

    Attributes:
        is_shallow: surely no key and no image in it has more than `MAX_LEVELS`.
    """

    table: str
    stream: str
    entries: Sequence[Change | Rejected]
    is_shallow: bool = field(default=False, compare=False)


def encode_change(change: Change) -> bytes:
    """Returns one change as a JSON object, safe for SQS.

    Raises:
        PoisonError: ``not-encodable``: a string is not valid Unicode (a lone surrogate).
    """
    fields: dict[str, Any] = {
        "op": "del" if change.op is Op.DELETE else "put",  # `value` is a property, written in Python
        "key": change.key,
        "seq": change.sequence,
        "at": change.at,
        "eid": change.event_id,
    }
    if change.image is not None:
        fields["doc"] = change.image
    if change.ttl:
        fields["ttl"] = True
    if change.gone:
        fields["gone"] = sorted(change.gone)
    if change.old is not None:
        fields["old"] = change.old
    if change.tagged:
        fields["tags"] = True
    return _dumps(fields)


def frame_size(table: str, stream: str) -> int:
    """The bytes of a plain envelope of this table and stream without any change."""
    return len(_head(table, stream)) + len(_PLAIN_FRAME) + len("[]")


def seal(table: str, stream: str, encoded: Sequence[bytes], limit: int) -> str:
    """Puts encoded changes of one table and stream, oldest first, into a message body.

    Plain JSON if that fits into `limit` bytes (the queue's `MaximumMessageSize`), compressed otherwise. The
    result may still be too large; the caller decides what to do then.
    """
    changes = b"[" + b",".join(encoded) + b"]"
    head = _head(table, stream)
    if len(head) + len(changes) + len(_PLAIN_FRAME) <= limit:
        return b"".join([head, _PLAIN_FRAME[:-1], changes, b"}"]).decode()
    return b"".join([head, b',"z":"', base64.b64encode(zlib.compress(changes)), b'"}']).decode()


def is_compressed(body: str) -> bool:
    """Whether a message is compressed, by how it begins: `decode` inflates no other."""
    return _HEAD_OF_COMPRESSED.match(body) is not None


def decode(body: str) -> Envelope:
    """Reads a message body.

    Raises:
        PoisonError: ``bad-envelope`` or ``unknown-version``: nothing of the message can be used.
    """
    try:
        text = body.encode(errors="surrogatepass")
        envelope, has_long_integers = exact(orjson.loads(text), text)
    except ValueError as error:  # orjson.JSONDecodeError is one
        raise PoisonError("bad-envelope", f"the message is not JSON: {error}") from error
    table, stream = _names_of(envelope)
    entries = envelope.get("changes")
    if "z" in envelope:
        entries, has_long_integers = _inflate(envelope["z"], body)
        text = b""
    if not isinstance(entries, list):
        raise PoisonError("bad-envelope", "the envelope has no list of changes")
    if len(entries) > MAX_CHANGES:
        raise PoisonError("bad-envelope", f"the envelope has {len(entries)} changes, more than {MAX_CHANGES}")
    decoded: list[Change | Rejected] = []
    changes = 0
    for entry in entries:
        try:
            if has_long_integers and exceeds_int64(entry):
                raise PoisonError("bad-value", "an integer beyond int64 has no tag")
            decoded.append(_decode_change(table, stream, entry))
            changes += 1
        except PoisonError as error:
            decoded.append(Rejected(table, stream, _as_it_came(entry), error.code, error.reason))
    # Each change has two brackets at least outside of its image: around itself, and around its key. With so
    # few in all, no image can be nested too deep.
    is_shallow = bool(text) and text.count(b"{") + text.count(b"[") <= MAX_LEVELS + 2 * changes
    return Envelope(table, stream, decoded, is_shallow)


def _names_of(envelope: Any) -> tuple[str, str]:
    """Table and stream of an envelope of our version; raises as `decode`."""
    if not isinstance(envelope, dict):
        raise PoisonError("bad-envelope", "the message is not an envelope")
    version = envelope.get("v")
    if type(version) is not int or version != VERSION:
        shown = version if isinstance(version, int | float) else f"a {type(version).__name__}"
        raise PoisonError("unknown-version", f"this writer reads envelopes of version 1, not {shown}")
    table, stream = envelope.get("table"), envelope.get("stream")
    if not (isinstance(table, str) and table and isinstance(stream, str) and stream):
        raise PoisonError("bad-envelope", "the envelope names no table or no stream")
    if len(table) > MAX_NAME or len(stream) > MAX_NAME:
        raise PoisonError("bad-envelope", f"a table or stream has a name of more than {MAX_NAME} characters")
    return table, stream


def event_ids(body: str) -> list[list[str]]:
    """The ids of the stream records in a message, for log lines that stay short; none if it is unreadable."""
    try:
        entries = decode(body).entries
    except PoisonError:
        return []
    ids = [entry.event_id for entry in entries if isinstance(entry, Change)]
    return [ids[start : start + _IDS_IN_A_LINE] for start in range(0, len(ids), _IDS_IN_A_LINE)]


def decode_change(table: str, stream: str, encoded: bytes) -> Change:
    """Reads what `encode_change` made."""
    return _decode_change(table, stream, orjson.loads(encoded))


def _as_it_came(entry: Any) -> bytes:
    try:
        return _dumps(entry)
    except PoisonError:  # orjson reads 1024 levels and writes 254
        if isinstance(entry, dict | list) and is_deeper(entry, WRITABLE_LEVELS):
            raise PoisonError("bad-envelope", "a change is nested too deep to be kept apart") from None
        return json.dumps(entry, separators=(",", ":")).encode()


def _decode_change(table: str, stream: str, entry: Any) -> Change:
    if not isinstance(entry, dict):
        raise PoisonError("bad-change", "a change is not an object")
    get = entry.get
    op, sequence, at = get("op"), get("seq"), get("at")
    event_id, image = get("eid"), get("doc")
    if op == "put":
        if not isinstance(image, dict):
            raise PoisonError("bad-change", "a put has no document")
        op = Op.PUT
    elif op == "del" and image is None:
        op = Op.DELETE
    else:
        raise PoisonError("bad-change", "a change is neither a put nor a del")
    key = _checked_key(get("key"), image)
    if not (isinstance(sequence, str) and isinstance(event_id, str)):
        raise PoisonError("bad-change", "a change has no sequence number or event id")
    if not (at is None or (type(at) is int and 0 <= at < YEAR_5138)):
        raise PoisonError("bad-change", "a change has an invalid time")
    check_version(stream, sequence)  # refuses what could not be ordered
    change = Change(table, stream, sequence, op, key, at, event_id, image)
    if entry.keys() <= _USUAL:
        return change
    gone, old = get("gone", ()), get("old")
    if not (
        isinstance(old, dict | None)
        and isinstance(gone, list | tuple)
        and all(isinstance(name, str) for name in gone)
    ):
        raise PoisonError("bad-change", "a change has malformed members 'gone' or 'old'")
    return change._replace(ttl=get("ttl") is True, gone=frozenset(gone), old=old, tagged=get("tags") is True)


def _checked_key(key: Any, image: Any) -> Mapping[str, Any]:
    if not (isinstance(key, dict) and key):
        raise PoisonError("bad-change", "a change has no key")
    if image is not None and not is_key_of(key, image):
        raise PoisonError("bad-change", "the key of a change is not that of its document")
    return key


def _inflate(packed: Any, body: str) -> tuple[Any, bool]:
    if not _COMPRESSED.fullmatch(body):
        # One that `is_compressed` does not recognise would take memory that nobody reserved.
        raise PoisonError("bad-envelope", "the compressed changes are not in an envelope")
    try:
        stream = zlib.decompressobj()
        inflated = stream.decompress(base64.b64decode(packed, validate=True), MAX_INFLATED_BYTES)
        if not stream.eof:
            raise PoisonError("bad-envelope", "the compressed changes are cut off or larger than 10 MiB")
        if _structure(inflated) > MAX_STRUCTURE and _structure(_STRING.sub(b"", inflated)) > MAX_STRUCTURE:
            raise PoisonError(
                "bad-envelope", "the compressed changes have more values than two items can have"
            )
        entries = orjson.loads(inflated)
        orjson.dumps(entries)  # refuses more than 254 levels: later, they would cost the writer more
        return exact(entries, inflated)
    except (TypeError, ValueError, binascii.Error, zlib.error) as error:
        raise PoisonError("bad-envelope", f"the compressed changes cannot be read: {error}") from error


def _structure(text: bytes) -> int:
    return text.count(b"{") + text.count(b"[") + text.count(b",")


def _head(table: str, stream: str) -> bytes:
    return b'{"v":1,"table":' + _dumps(table) + b',"stream":' + _dumps(stream)


def _dumps(value: Any) -> bytes:
    try:
        # A copy: as long as a result of orjson lives, it keeps the 4 KB that it was written into.
        encoded = b"%b" % orjson.dumps(value)
    except TypeError as error:  # orjson.JSONEncodeError is a TypeError
        raise PoisonError("not-encodable", f"a value cannot be written as JSON: {error}") from error
    if not encoded.isascii() and _LEAD_BYTES in encoded:
        for raw, escaped in _NONCHARACTERS:
            encoded = encoded.replace(raw, escaped)
    return encoded
