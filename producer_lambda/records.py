"""Lambda event → changes. Pure: a record that cannot be parsed is data (`Malformed`), not an exception.

Source: Amazon DynamoDB API reference, ``Record`` and ``StreamRecord``; AWS Lambda developer guide, "Using
AWS Lambda with Amazon DynamoDB" (the event, and base64 for binary values).
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

from shared.attribute_values import encode_item
from shared.change import Change, Op
from shared.errors import FatalError, PoisonError
from shared.keys import canonical_key
from shared.version import check_version

_TTL_PRINCIPAL = "dynamodb.amazonaws.com"
_NUMBERS = (int, float)  # as JSON has them: not bool
_YEAR_5138 = 10**11  # seconds; a larger number is surely in another unit
_WITHOUT_NEW_IMAGE = ("KEYS_ONLY", "OLD_IMAGE")
# Source: Amazon DynamoDB developer guide, "Naming rules". SQS is strict about group ids.
_STREAM_RESOURCE = re.compile(r"table/([A-Za-z0-9_.-]{1,255})/stream/([!-.0-~]{1,100})").fullmatch


class Parsed(NamedTuple):
    """One record's change.

    Attributes:
        position: the record's index in the event.
        key: the item's canonical key.
    """

    position: int
    change: Change
    key: bytes


@dataclass(frozen=True, slots=True)
class Malformed:
    """A record that cannot become a change, to be parked as it came.

    Attributes:
        record: the record as ASCII JSON.
    """

    position: int
    code: str
    reason: str
    record: str
    table: str
    sequence: str


class Records:
    """The changes of a stream event, in order; each record is parsed when its change is asked for.

    Attributes:
        malformed: the records so far that are not changes.
        oldest: creation time of the first change, milliseconds since the epoch: a stream hands out older
            records first; None: there was no change yet.
    """

    def __init__(self, event: Any, old_image_fields: frozenset[str] = frozenset()) -> None:
        """Checks the event, and none of its records yet.

        Args:
            event: what Lambda hands to the handler.
            old_image_fields: attributes whose old values travel with the change.

        Raises:
            FatalError: not a DynamoDB stream event.
        """
        records = event.get("Records") if isinstance(event, dict) else None
        if not isinstance(records, Sequence) or isinstance(records, str):
            raise FatalError("the event is not one of a DynamoDB stream: it has no list of Records")
        self._records = records
        self._old_image_fields = old_image_fields
        self.malformed: list[Malformed] = []
        self.oldest: int | None = None

    def __iter__(self) -> Iterator[Parsed]:
        """Parses the records.

        Raises:
            FatalError: the stream's view type has no new image: nothing can be replicated, and skipping the
                record would hide that.
        """
        for position, record in enumerate(self._records):
            try:
                parsed = _parse(position, record, self._old_image_fields)
            except PoisonError as error:
                self.malformed.append(_malformed(position, record, error))
                continue
            if self.oldest is None:
                self.oldest = parsed.change.at
            yield parsed


def _malformed(position: int, record: Any, error: PoisonError) -> Malformed:
    table, sequence = _table_and_sequence(record)
    try:
        text = json.dumps(record, default=repr)
    except RecursionError:  # JSON cannot hold the record; its table and number still say which one it was
        text = json.dumps({"table": table, "sequence": sequence, "record": "nested too deep to be written"})
    return Malformed(position, error.code, error.reason, text, table, sequence)


def _table_and_sequence(record: Any) -> tuple[str, str]:
    """What a malformed record still says about itself; empty where it says nothing."""
    if not isinstance(record, dict):
        return "", ""
    try:
        table, _ = _stream_of(record.get("eventSourceARN"))
    except PoisonError:
        table = ""
    body = record.get("dynamodb")
    sequence = body.get("SequenceNumber") if isinstance(body, dict) else None
    return table, sequence if isinstance(sequence, str) else ""


def _parse(position: int, record: Any, old_image_fields: frozenset[str]) -> Parsed:
    if not isinstance(record, dict):
        raise PoisonError("bad-record", "a record is not an object")
    event, body = record.get("eventName"), record.get("dynamodb")
    if event not in ("INSERT", "MODIFY", "REMOVE") or not isinstance(body, dict):
        raise PoisonError("bad-record", "a record is not an INSERT, MODIFY or REMOVE of a DynamoDB stream")
    table, stream = _stream_of(record.get("eventSourceARN"))
    view = body.get("StreamViewType")
    if view in _WITHOUT_NEW_IMAGE:
        raise FatalError(
            f"the stream of table {table} has view type {view}, which has no new images to replicate: "
            "re-enable the stream with NEW_AND_OLD_IMAGES"
        )
    sequence, event_id = body.get("SequenceNumber"), record.get("eventID")
    if not (isinstance(sequence, str) and isinstance(event_id, str)):
        raise PoisonError("bad-record", "a record has no SequenceNumber or no eventID")
    check_version(stream, sequence)  # refuses what could not be ordered
    key, key_tagged = _item(body, "Keys")
    if not key:
        raise PoisonError("bad-record", "a record has no Keys")
    old_image = body.get("OldImage")
    if old_image is not None and not isinstance(old_image, dict):
        raise PoisonError("bad-record", "OldImage is not an object")
    old, old_tagged = None, False
    if old_image and old_image_fields:
        old, old_tagged = encode_item({name: old_image[name] for name in old_image_fields & old_image.keys()})
    image, image_tagged, gone = None, False, frozenset[str]()
    if event != "REMOVE":
        image, image_tagged = _item(body, "NewImage")
        if old_image and not old_image.keys() <= image.keys():
            gone = frozenset(old_image.keys() - image.keys())
    change = Change(
        table=table,
        stream=stream,
        sequence=sequence,
        op=Op.DELETE if image is None else Op.PUT,
        key=key,
        at=_milliseconds(body.get("ApproximateCreationDateTime")),
        event_id=event_id,
        image=image,
        ttl=event == "REMOVE" and _is_time_to_live(record.get("userIdentity")),
        gone=gone,
        old=old,
        tagged=key_tagged or image_tagged or old_tagged,
    )
    return Parsed(position, change, canonical_key(key))


def _item(body: Mapping[str, Any], name: str) -> tuple[dict[str, Any], bool]:
    item = body.get(name)
    if not isinstance(item, dict):
        raise PoisonError("bad-record", f"a record has no {name}")
    return encode_item(item)


def _stream_of(arn: Any) -> tuple[str, str]:
    """Table name and stream label of ``arn:aws:dynamodb:…:table/NAME/stream/LABEL``."""
    parts = _parts_of(arn) if isinstance(arn, str) else None
    if parts is None:
        raise PoisonError("bad-record", "a record's eventSourceARN is not that of a DynamoDB stream")
    return parts


@lru_cache(maxsize=64)  # the records of an event are of one stream
def _parts_of(arn: str) -> tuple[str, str] | None:
    resource = _STREAM_RESOURCE(arn.split(":", 5)[-1])
    return (resource[1], resource[2]) if resource else None


def _milliseconds(seconds: Any) -> int:
    if type(seconds) in _NUMBERS and 0 <= seconds < _YEAR_5138:
        milliseconds: int = round(seconds * 1000)
        if milliseconds < _YEAR_5138 * 1000:  # it may have been rounded up
            return milliseconds
    raise PoisonError("bad-record", "a record has no ApproximateCreationDateTime in seconds")


def _is_time_to_live(identity: Any) -> bool:
    return isinstance(identity, dict) and identity.get("principalId") == _TTL_PRINCIPAL
