"""What is parked can be sent, found and redriven."""

import base64
import json
import random
import zlib

import pytest

from shared.dead_letter import DeadLetter, as_it_came, entry_size

KIB = 1024
LETTER = DeadLetter(
    body='{"v":1}',
    group="mytable/5",
    code="bad-change",
    reason="a change has no key",
    table="mytable",
    key='{"id":3}',
    sequence="5123",
    message_id="m-1",
)


def test_entry() -> None:
    """The body as it is; why it is there, and what it was, as attributes to filter by."""
    entry = LETTER.entry("7", 256 * KIB)
    attributes = {name: value["StringValue"] for name, value in entry.pop("MessageAttributes").items()}
    identity = entry.pop("MessageDeduplicationId")
    assert len(identity) == 64
    assert entry == {"Id": "7", "MessageBody": '{"v":1}', "MessageGroupId": identity}
    assert attributes == {
        "code": "bad-change",
        "reason": "a change has no key",
        "table": "mytable",
        "key": '{"id":3}',
        "sequence": "5123",
        "message_id": "m-1",
        "group": "mytable/5",
    }


def test_unknown_parts_are_left_out() -> None:
    """SQS refuses an attribute without a value."""
    entry = DeadLetter("x", "g", "c", "r").entry("0", 256 * KIB)
    assert entry["MessageAttributes"].keys() == {"code", "reason", "group"}


@pytest.mark.parametrize("odd", ["\x00\x1f\n", "\ud800", "\ufffe\uffff", "é€\U0001f600", '"\\', "x" * 5000])
def test_attributes_hold_what_sqs_takes(odd: str) -> None:
    """Whatever a reason, key or number holds: one line of at most 1000 printable ASCII characters."""
    letter = DeadLetter("x", "g" * 500, odd, odd, odd, odd, odd, odd)
    entry = letter.entry("0", 256 * KIB)
    texts = [attribute["StringValue"] for attribute in entry["MessageAttributes"].values()]
    assert len(texts) == 7
    assert all(text.isascii() and text.isprintable() and 0 < len(text) <= 1000 for text in texts)
    assert len(entry["MessageAttributes"]["group"]["StringValue"]) == 128


def test_parking_twice_is_parking_once() -> None:
    """After a crash the same letter has the same ids, and no other letter has them.

    The group is of its own, too: of one group SQS hands out ten messages only.
    """
    same = LETTER.entry("1", 256 * KIB)["MessageDeduplicationId"]
    assert LETTER.entry("2", 256 * KIB)["MessageDeduplicationId"] == same
    others = [
        DeadLetter("{}", "g", "c", "r"),
        DeadLetter("{}", "g", "c", "r", sequence="1"),
        DeadLetter("{}", "g", "c", "r", key="1"),
        DeadLetter("{}", "g", "c", "r", message_id="1"),
    ]
    identities = {letter.entry("0", 256 * KIB)["MessageDeduplicationId"] for letter in others}
    assert len(identities | {same}) == 5
    assert LETTER.entry("2", 256 * KIB)["MessageGroupId"] == same


def test_attributes_give_way_to_the_body() -> None:
    """A body of maximal size is parked without its attributes rather than not at all."""
    full = DeadLetter("x" * 1024, "g", "c", "r" * 100)
    assert full.entry("0", 1024)["MessageAttributes"] == {}
    assert entry_size(full.entry("0", 1024)) == 1024
    assert full.entry("0", 2048)["MessageAttributes"].keys() == {"code", "reason", "group"}
    size = entry_size(full.entry("0", 2048))
    assert entry_size(full.entry("0", size)) == size


def test_size_counts_bytes_and_attributes() -> None:
    """A body counts by its UTF-8 bytes; an attribute by name, type and value."""
    attribute = {"DataType": "String", "StringValue": "abc"}
    assert entry_size({"MessageBody": "é€\U0001f600"}) == 2 + 3 + 4
    assert entry_size({"MessageBody": "x", "MessageAttributes": {"code": attribute}}) == 1 + 4 + 6 + 3


def test_as_it_came() -> None:
    """Short text stays readable; text that would not fit beside its attributes is compressed, losslessly."""
    limit = 64 * KIB
    fits, longer = "é" * ((limit - 8 * KIB) // 2), "é" * (limit // 2)
    assert as_it_came(fits, limit) == fits
    body = as_it_came(longer, limit)
    assert len(body.encode()) < limit
    assert zlib.decompress(base64.b64decode(json.loads(body)["zlib"])).decode() == longer


def test_what_does_not_shrink_stays_as_it_came() -> None:
    """Text that base64 would only make larger came through a queue of this limit, so it fits the next."""
    noise = base64.b85encode(random.Random(1).randbytes(50 * KIB)).decode()  # noqa: S311 - repeatable, not secret
    assert as_it_came(noise, 64 * KIB) == noise
