"""What each record of a stream event says, and that a malformed one is data."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from producer_lambda.records import Malformed, Parsed, Records
from shared.change import Change, Op
from shared.errors import FatalError
from tests.support.strategies import LABEL, arn, nested, stream_record

KEY = {"id": {"N": "3"}}
JOHN = KEY | {"Name": {"S": "John"}}
JOHN_AND_AGE = JOHN | {"age": {"N": "33"}}
TTL = {"type": "Service", "principalId": "dynamodb.amazonaws.com"}


def parse(event: Any, old_image_fields: frozenset[str] = frozenset()) -> list[Parsed | Malformed]:
    records = Records(event, old_image_fields)
    return sorted([*records, *records.malformed], key=lambda record: record.position)


def one(record: Any, *old_image_fields: str) -> Parsed:
    (parsed,) = parse({"Records": [record]}, frozenset(old_image_fields))
    assert isinstance(parsed, Parsed), parsed
    return parsed


def refused(record: Any) -> Malformed:
    (malformed,) = parse({"Records": [record]})
    assert isinstance(malformed, Malformed), malformed
    return malformed


def without(record: dict[str, Any], *path: str) -> dict[str, Any]:
    return changed(record, *path)


def changed(record: dict[str, Any], *path: str, **to: Any) -> dict[str, Any]:
    """A copy with the member at `path` removed, or set to the value given as `to`."""
    copy: dict[str, Any] = json.loads(json.dumps(record))
    inner = copy
    for name in path[:-1]:
        inner = inner[name]
    inner.pop(path[-1], None)
    if to:
        inner[path[-1]] = to["to"]
    return copy


def test_insert() -> None:
    """A creation is a put of the new image."""
    parsed = one(stream_record("INSERT", 5123, key=KEY, new=JOHN))
    assert parsed == Parsed(
        0,
        Change(
            table="mytable",
            stream=LABEL,
            sequence="5123",
            op=Op.PUT,
            key={"id": 3},
            at=1588166542000,
            event_id="event-5123",
            image={"id": 3, "Name": "John"},
        ),
        b'{"id":3}',
    )


def test_modify() -> None:
    """An update is a put that names the attributes which left the item."""
    parsed = one(stream_record("MODIFY", key=KEY, new=JOHN, old=JOHN_AND_AGE))
    assert parsed.change.image == {"id": 3, "Name": "John"}
    assert parsed.change.gone == {"age"}


def test_modify_without_old_image() -> None:
    """A stream of new images only can be replicated; what left the item is then not known."""
    parsed = one(stream_record("MODIFY", key=KEY, new=JOHN))
    assert parsed.change.gone == frozenset()


def test_remove() -> None:
    """A deletion has a key and no image."""
    parsed = one(stream_record("REMOVE", key=KEY, old=JOHN))
    assert parsed.change.op is Op.DELETE
    assert parsed.change.image is None
    assert parsed.change.gone == frozenset()
    assert not parsed.change.ttl
    assert not parsed.change.tagged


@pytest.mark.parametrize(
    ("name", "identity", "expired"),
    [
        ("REMOVE", TTL, True),
        ("REMOVE", {"type": "Service", "principalId": "replication.dynamodb.amazonaws.com"}, False),
        ("REMOVE", {}, False),
        ("REMOVE", None, False),
        ("REMOVE", "dynamodb.amazonaws.com", False),
        ("INSERT", TTL, False),
        ("MODIFY", TTL, False),
    ],
)
def test_expiry(name: str, identity: Any, *, expired: bool) -> None:
    """Only a removal by DynamoDB's own principal is an expiry, though AWS's sample shows it on an INSERT."""
    assert one(stream_record(name, userIdentity=identity)).change.ttl is expired


def test_old_values_on_request() -> None:
    """Named attributes' old values travel, on deletes too; absent ones and all others do not."""
    old = JOHN_AND_AGE | {"b": {"B": "AA=="}}
    for name in ("MODIFY", "REMOVE"):
        change = one(stream_record(name, key=KEY, old=old), "age", "b", "absent").change
        assert change.old == {"age": 33, "b": {"$b": "AA=="}}
        assert change.tagged
    assert one(stream_record("MODIFY", key=KEY, old=old)).change.old is None
    assert one(stream_record("MODIFY", key=KEY, old=old), "absent").change.old == {}
    assert one(stream_record("INSERT", key=KEY), "age").change.old is None


@pytest.mark.parametrize(
    ("images", "tagged"),
    [
        ({"key": KEY, "new": JOHN}, False),
        ({"key": {"id": {"B": "AA=="}}}, True),
        ({"key": KEY, "new": KEY | {"s": {"SS": ["a"]}}}, True),
        ({"key": KEY, "new": KEY, "old": KEY | {"s": {"SS": ["a"]}}}, False),
    ],
)
def test_tags_are_announced(images: dict[str, Any], *, tagged: bool) -> None:
    """A tag in the key or the image is announced; one in an old image that stays behind is not."""
    assert one(stream_record("MODIFY", **images)).change.tagged is tagged


@pytest.mark.parametrize(
    ("text", "table"),
    [
        (arn("abc"), "abc"),
        (arn("a.b-c_D"), "a.b-c_D"),
        (arn("t" * 255), "t" * 255),
        (arn("stream"), "stream"),
        (arn("mytable").replace("arn:aws:", "arn:aws-cn:"), "mytable"),
        ("arn:aws:dynamodb:ddblocal:000000000000:table/abc/stream/" + LABEL, "abc"),
    ],
)
def test_stream_arn(text: str, table: str) -> None:
    """Table and label are those of the ARN, in any partition and on emulators."""
    change = one(stream_record(eventSourceARN=text)).change
    assert (change.table, change.stream) == (table, LABEL)


@pytest.mark.parametrize(
    "text",
    [
        None,
        7,
        "",
        "mytable",
        "arn:aws:dynamodb:us-east-1:1:table/mytable",
        "arn:aws:sqs:us-east-1:1:queue",
        arn(""),
        arn("a b"),
        arn("é"),
        arn("\ud800"),
        arn("t" * 256),
        arn("a/b"),
        arn(label=""),
        arn(label="2020/1"),
        arn(label="2020 1"),
        arn(label="\ud800"),
        arn(label="latest"),
        arn() + "\n",
    ],
)
def test_other_arns_are_malformed(text: Any) -> None:
    """What does not name a table and a stream is parked: nothing could be filed or ordered under it."""
    malformed = refused(stream_record(eventSourceARN=text))
    assert malformed.code in {"bad-record", "bad-version"}


@pytest.mark.parametrize(
    ("time", "precision", "milliseconds"),
    [
        (0, None, 0),
        (1588166542, None, 1588166542000),
        (1.2345, None, 1234),
        (10**11 - 1, None, (10**11 - 1) * 1000),
        (1588166542, "SECOND", 1588166542000),
        (1588166542123, None, 1588166542123),
        (1588166542123, "MILLISECOND", 1588166542123),
        (1588166542123456, None, 1588166542123),
        (1588166542123456, "MICROSECOND", 1588166542123),
        (datetime(2020, 4, 29, 13, 22, 22, tzinfo=UTC), None, 1588166542000),
    ],
)
def test_time(time: Any, precision: str | None, milliseconds: int) -> None:
    """A time whose unit is certain becomes milliseconds: by its size, and by its name if it has one."""
    named = {} if precision is None else {"ApproximateCreationDateTimePrecision": precision}
    body = stream_record()["dynamodb"] | {"ApproximateCreationDateTime": time, **named}
    assert one(stream_record() | {"dynamodb": body}).change.at == milliseconds


ODD_TIMES: list[Any] = [
    *("", "1588166542", "2020-04-29T13:22:22Z", True, None, [], {"$date": 1}, float("nan"), float("inf")),
    *(-1, 10**11, 99999999999.9999, 10**18, 10**4000, datetime(2020, 4, 29, 13, 22, 22)),  # noqa: DTZ001
]


@pytest.mark.parametrize("time", ODD_TIMES, ids=lambda time: repr(time)[:20])
def test_records_with_an_odd_time_are_replicated(time: Any) -> None:
    """The time orders nothing: a record whose time is not certain is a change whose time is not known."""
    body = GOOD["dynamodb"] | {"ApproximateCreationDateTime": time}
    change = one(GOOD | {"dynamodb": body}).change
    assert change == one(GOOD).change._replace(at=None)


def test_records_without_a_time_are_replicated() -> None:
    """`ApproximateCreationDateTime` is not required. The age of the event is that of the next change."""
    record = without(GOOD, "dynamodb", "ApproximateCreationDateTime")
    assert one(record).change == one(GOOD).change._replace(at=None)
    records = Records({"Records": [record, GOOD]})
    assert [each.change.at for each in records] == [None, 1588166542000]
    assert records.oldest == 1588166542000


@pytest.mark.parametrize("precision", ["MILLISECOND", "SECONDS", "", None, 3])
def test_a_time_in_another_unit_than_its_size_says(precision: Any) -> None:
    """Where the size and the name of the unit disagree, or the name is none, nothing is guessed."""
    record = changed(GOOD, "dynamodb", "ApproximateCreationDateTimePrecision", to=precision)
    assert one(record).change.at is None


@pytest.mark.parametrize("event_id", [None, 7, "", "\ud800", "é", "x" * 256])
def test_records_with_an_odd_event_id_are_replicated(event_id: Any) -> None:
    """`eventID` is not required, and only logs look at it."""
    assert one(GOOD | {"eventID": event_id}).change == one(GOOD).change._replace(event_id="")
    assert one(without(GOOD, "eventID")).change.event_id == ""


GOOD = stream_record("MODIFY", 7, key=KEY, new=JOHN)
MALFORMED: dict[str, Any] = {
    "null": None,
    "text": "record",
    "list": [],
    "empty": {},
    "no event name": without(GOOD, "eventName"),
    "unknown event name": changed(GOOD, "eventName", to="TRUNCATE"),
    "event name of another kind": changed(GOOD, "eventName", to=["INSERT"]),
    "no body": without(GOOD, "dynamodb"),
    "body of another kind": changed(GOOD, "dynamodb", to=[]),
    "no number": without(GOOD, "dynamodb", "SequenceNumber"),
    "number of another kind": changed(GOOD, "dynamodb", "SequenceNumber", to=7),
    "number that is none": changed(GOOD, "dynamodb", "SequenceNumber", to="7a"),
    "number that is not Unicode": changed(GOOD, "dynamodb", "SequenceNumber", to="\ud800"),
    "no keys": without(GOOD, "dynamodb", "Keys"),
    "empty keys": changed(GOOD, "dynamodb", "Keys", to={}),
    "key that is no value": changed(GOOD, "dynamodb", "Keys", to={"id": 3}),
    "key that is not Unicode": changed(GOOD, "dynamodb", "Keys", to={"id": {"S": "\ud800"}}),
    "no image": without(GOOD, "dynamodb", "NewImage"),
    "image of another kind": changed(GOOD, "dynamodb", "NewImage", to="x"),
    "image without the key": changed(GOOD, "dynamodb", "NewImage", to={"Name": {"S": "John"}}),
    "image with another key": changed(GOOD, "dynamodb", "NewImage", to={"id": {"N": "4"}}),
    "image with a key of another type": changed(GOOD, "dynamodb", "NewImage", to={"id": {"S": "3"}}),
    "image whose key is true": changed(
        changed(GOOD, "dynamodb", "Keys", to={"id": {"N": "1"}}),
        "dynamodb",
        "NewImage",
        to={"id": {"BOOL": True}},
    ),
    "value of two types": changed(GOOD, "dynamodb", "NewImage", to={"a": {"S": "", "N": "1"}}),
    "NaN": changed(GOOD, "dynamodb", "NewImage", to={"a": {"N": "NaN"}}),
    "bottomless": GOOD | {"dynamodb": GOOD["dynamodb"] | {"NewImage": {"a": nested(5000)}}},
    "old image of another kind": changed(GOOD, "dynamodb", "OldImage", to="x"),
    "bytes": GOOD | {"dynamodb": GOOD["dynamodb"] | {"NewImage": {"a": {"S": b"x"}}}},
}


@pytest.mark.parametrize("kind", MALFORMED)
def test_malformed_records_are_data(kind: str) -> None:
    """A malformed record is kept as ASCII text in its place; its neighbours are parsed (P5)."""
    wrong = MALFORMED[kind]
    first, malformed, last = parse({"Records": [GOOD, wrong, stream_record("REMOVE", 9)]})
    assert isinstance(first, Parsed)
    assert isinstance(last, Parsed)
    assert [record.position for record in (first, malformed, last)] == [0, 1, 2]
    assert isinstance(malformed, Malformed)
    assert malformed.code
    assert malformed.reason
    assert malformed.record.isascii()
    json.loads(malformed.record)


def test_malformed_record_is_kept_as_it_came() -> None:
    """Nothing of it is lost, and what can be told of it is told."""
    wrong = MALFORMED["no image"]
    malformed = refused(wrong)
    assert json.loads(malformed.record) == wrong
    assert (malformed.table, malformed.sequence) == ("mytable", "7")
    anonymous = refused({"dynamodb": {"SequenceNumber": 7}, "eventSourceARN": "x"})
    assert (anonymous.table, anonymous.sequence) == ("", "")


def test_bottomless_record_names_itself() -> None:
    """What no JSON text can hold is parked with its table and number at least."""
    assert json.loads(refused(MALFORMED["bottomless"]).record)["sequence"] == "7"


@pytest.mark.parametrize("view", ["KEYS_ONLY", "OLD_IMAGE"])
@pytest.mark.parametrize("name", ["INSERT", "REMOVE"])
def test_streams_without_new_images_are_refused(view: str, name: str) -> None:
    """A stream that can never be replicated is a clear error at once, never silence."""
    record = changed(stream_record(name), "dynamodb", "StreamViewType", to=view)
    with pytest.raises(FatalError, match=f"mytable has view type {view}.*NEW_AND_OLD_IMAGES"):
        parse({"Records": [GOOD, record]})


@pytest.mark.parametrize(
    "event", [None, [], "x", 7, {}, {"Records": None}, {"Records": "x"}, {"Records": {}}]
)
def test_other_events_are_refused(event: Any) -> None:
    """An event of another kind is not taken for an empty one."""
    with pytest.raises(FatalError, match="not from a DynamoDB stream"):
        parse(event)


def test_empty_event() -> None:
    """No records, no changes."""
    assert parse({"Records": []}) == []
