"""A record of a DynamoDB stream → a change. Pure.

Law: what a change is made of (table, label, number, operation, key, image) has to be right. The rest orders
nothing, so it may be missing or odd: the time is then unknown, the event id empty.

Source: Amazon DynamoDB API reference, ``Record`` and ``StreamRecord`` (``ApproximateCreationDateTime`` and
``eventID`` are not required); AWS Lambda developer guide, "Using AWS Lambda with Amazon DynamoDB" (the
event, and base64 for binary values); Amazon DynamoDB developer guide, "Using Kinesis Data Streams"
(``ApproximateCreationDateTimePrecision``).
"""

import re
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any

from shared.attribute_values import encode_item
from shared.change import YEAR_5138, Change, Op
from shared.errors import FatalError, PoisonError
from shared.keys import is_key_of
from shared.version import check_version

_TTL_PRINCIPAL = "dynamodb.amazonaws.com"
_NUMBERS = (int, float)  # as JSON has them: not bool
_WITHOUT_NEW_IMAGE = ("KEYS_ONLY", "OLD_IMAGE")
# Source: Amazon DynamoDB developer guide, "Naming rules". SQS is strict about group ids.
_STREAM_RESOURCE = re.compile(r"table/([A-Za-z0-9_.-]{1,255})/stream/([!-.0-~]{1,100})").fullmatch
_MAX_EVENT_ID = 255  # those of AWS have 32 characters
_UNITS = (("SECOND", 0, 1), ("MILLISECOND", 10**12, 10**3), ("MICROSECOND", 10**15, 10**6))
"""Units of times: the least number that is surely in this one (in 2001), and how many are a second."""


def change_of(record: Any, old_image_fields: frozenset[str] = frozenset()) -> Change:
    """Reads one record.

    Args:
        record: as it is in a Lambda event.
        old_image_fields: attributes whose old values travel with the change.

    Raises:
        PoisonError: ``bad-record``, ``bad-version``, or what `encode_item` raises: it cannot become a change.
        FatalError: the stream's view type has no new image: nothing can be replicated, and skipping the
            record would hide that.
    """
    if not isinstance(record, dict):
        raise PoisonError("bad-record", "a record is not an object")
    event, body = record.get("eventName"), record.get("dynamodb")
    if event not in ("INSERT", "MODIFY", "REMOVE") or not isinstance(body, dict):
        raise PoisonError("bad-record", "a record is not an INSERT, MODIFY or REMOVE of a DynamoDB stream")
    table, stream = stream_of(record.get("eventSourceARN"))
    view = body.get("StreamViewType")
    if view in _WITHOUT_NEW_IMAGE:
        raise FatalError(
            f"the stream of table {table} has view type {view}, which has no new images to replicate: "
            "re-enable the stream with NEW_AND_OLD_IMAGES"
        )
    sequence = body.get("SequenceNumber")
    if not isinstance(sequence, str):
        raise PoisonError("bad-record", "a record has no SequenceNumber")
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
        gone = _gone(key, image, old_image or {})
    return Change(
        table=table,
        stream=stream,
        sequence=sequence,
        op=Op.DELETE if image is None else Op.PUT,
        key=key,
        at=_time(body),
        event_id=_event_id(record.get("eventID")),
        image=image,
        ttl=event == "REMOVE" and _is_time_to_live(record.get("userIdentity")),
        gone=gone,
        old=old,
        tagged=key_tagged or image_tagged or old_tagged,
    )


def _gone(key: Mapping[str, Any], image: Mapping[str, Any], old_image: Mapping[str, Any]) -> frozenset[str]:
    """The attributes that left an item, whose images are checked."""
    if not is_key_of(key, image):
        raise PoisonError("bad-record", "a record's Keys are not those of its NewImage")
    return frozenset() if old_image.keys() <= image.keys() else frozenset(old_image.keys() - image.keys())


def _item(body: Mapping[str, Any], name: str) -> tuple[dict[str, Any], bool]:
    item = body.get(name)
    if not isinstance(item, dict):
        raise PoisonError("bad-record", f"a record has no {name}")
    return encode_item(item)


def stream_of(arn: Any) -> tuple[str, str]:
    """Table name and stream label of ``arn:aws:dynamodb:…:table/NAME/stream/LABEL``.

    Raises:
        PoisonError: ``bad-record``: it is no such ARN.
    """
    parts = _parts_of(arn) if isinstance(arn, str) else None
    if parts is None:
        raise PoisonError("bad-record", "a record's eventSourceARN is not that of a DynamoDB stream")
    return parts


@lru_cache(maxsize=64)  # the records of an event are of one stream
def _parts_of(arn: str) -> tuple[str, str] | None:
    resource = _STREAM_RESOURCE(arn.split(":", 5)[-1])
    return (resource[1], resource[2]) if resource else None


def _time(body: Mapping[str, Any]) -> int | None:
    """When the change was made, in milliseconds; None unless both the number and its unit are certain.

    DynamoDB tells seconds; other emitters tell milliseconds or microseconds, and may name the unit.
    """
    time: Any = body.get("ApproximateCreationDateTime")
    if isinstance(time, datetime) and time.tzinfo is not None:  # of the SDK
        time = time.timestamp()
    if type(time) not in _NUMBERS:
        return None
    for unit, least, in_a_second in _UNITS:
        if least <= time < YEAR_5138 // 1000 * in_a_second:
            milliseconds: int = round(time * 1000 / in_a_second)
            is_named = body.get("ApproximateCreationDateTimePrecision", unit) == unit
            return milliseconds if is_named and milliseconds < YEAR_5138 else None
    return None


def _event_id(value: Any) -> str:
    return value if isinstance(value, str) and value.isascii() and len(value) <= _MAX_EVENT_ID else ""


def _is_time_to_live(identity: Any) -> bool:
    return isinstance(identity, dict) and identity.get("principalId") == _TTL_PRINCIPAL
