"""What is read of a dead letter, whatever it is, and which ones a person means."""

from __future__ import annotations

import base64
import json
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops.queues.dead_letters import MOVED, UNSAID, letter_of
from ops.queues.selection import Selection, key_matches, key_problem
from shared.change import Change
from shared.dead_letter import as_it_came
from shared.envelope import decode
from tests.support.builders import MIB, TABLE, body_of, put
from tests.support.commands import replicator
from tests.support.strategies import stream_record


def message(body: str, attributes: dict[str, str] | None = None, **system: str) -> Any:
    return {
        "MessageId": "59994f17-9bec-4bf9-8839-89d6b3c708d9",
        "ReceiptHandle": "r",
        "Body": body,
        "Attributes": {"MessageGroupId": "own", "SentTimestamp": "5", **system},
        "MessageAttributes": {
            name: {"DataType": "String", "StringValue": text} for name, text in (attributes or {}).items()
        },
    }


def test_what_the_body_says_goes_before_the_attributes() -> None:
    """Attributes are cut off and escaped; the body is whole."""
    letter = letter_of(
        message(body_of(put(7, "\u00e9")), {"code": "c", "table": "?", "key": "?", "group": "lane"})
    )
    assert (letter.table, letter.key, letter.sequence) == (TABLE, '{"id":"\u00e9"}', "7")
    assert (letter.lane, letter.group, letter.unreadable) == ("lane", "own", "")


def test_without_attributes() -> None:
    """It goes back to the group that it has; whether SQS moved it, SQS says."""
    moved = letter_of(message(body_of(put(1)), DeadLetterQueueSourceArn="arn"))
    assert (moved.code, moved.lane) == (MOVED, "own")
    assert letter_of(message(body_of(put(1)))).code == UNSAID


def test_a_body_that_cannot_be_read() -> None:
    """What the attributes say of it, and the text as it came."""
    letter = letter_of(
        message("{", {"code": "bad-envelope", "table": "t", "key": '{"id":1}', "sequence": "9"})
    )
    assert (letter.table, letter.key, letter.sequence, letter.text) == ("t", '{"id":1}', "9", "{")
    assert letter.unreadable.startswith("the message is not JSON")
    assert Selection(key="1").matches(letter)
    partly = body_of(put(1)).replace('"op":"put"', '"op":"putt"')
    assert letter_of(message(partly)).unreadable == "a change is neither a put nor a del"


def without_a_time(size: int = 0) -> str:
    """A stream record that older versions parked as `bad-record`, as they did."""
    record = stream_record("MODIFY", 7, new={"id": {"N": "3"}, "text": {"S": "x" * size}})
    del record["dynamodb"]["ApproximateCreationDateTime"], record["eventID"]
    return as_it_came(json.dumps(record), MIB)


@pytest.mark.parametrize("size", [0, MIB], ids=["plain", "compressed"])
def test_a_stream_record_is_shown_and_sent_as_its_change(size: int) -> None:
    """One that today's Lambda would replicate can be redriven, though an older one parked it as it came."""
    letter = letter_of(message(without_a_time(size), {"code": "bad-record", "group": "mytable/malformed"}))
    assert (letter.table, letter.key, letter.sequence, letter.unreadable) == (TABLE, '{"id":3}', "7", "")
    assert json.loads(letter.text)["eventName"] == "MODIFY"
    sent = letter.body_to_send(MIB)
    assert len(sent) <= MIB
    (change,) = decode(sent).entries
    assert isinstance(change, Change)
    assert (change.version, change.at) == (put(7).version, None)
    assert change.image == {"id": 3, "text": "x" * size}


def test_a_stream_record_that_is_malformed_stays() -> None:
    """It would be parked again; the reason is that of today's Lambda."""
    body = without_a_time().replace('"SequenceNumber"', '"Number"')
    letter = letter_of(message(body, {"code": "bad-record", "table": TABLE}))
    assert letter.unreadable == "a record has no SequenceNumber"
    assert (letter.table, letter.text, letter.body_to_send(MIB)) == (TABLE, body, body)


@pytest.mark.parametrize(
    "body",
    [
        json.dumps({"zlib": base64.b64encode(zlib.compress(b"x" * (20 * 1024 * 1024))).decode()}),
        json.dumps({"zlib": base64.b64encode(zlib.compress(b"\xff")).decode()}),
        json.dumps({"zlib": "no base64"}),
        json.dumps({"zlib": 1}),
        "[" * 100_000,
    ],
    ids=["bomb", "no text", "no base64", "no text at all", "deep"],
)
def test_what_is_no_compressed_text_is_shown_as_it_is(body: str) -> None:
    """Sizes are bounded."""
    assert letter_of(message(body)).text == body


@given(st.text(), st.dictionaries(st.sampled_from(["code", "table", "key", "group", "sequence"]), st.text()))
def test_anything_can_be_read(body: str, attributes: dict[str, str]) -> None:
    """No message stops a listing, and selecting from it does not either."""
    letter = letter_of(message(body, attributes))
    assert letter.body == body
    Selection(key="1", table="t", code="c").matches(letter)
    Selection(key='{"id": 1}').matches(letter)


@pytest.mark.parametrize(
    ("wanted", "key", "matches"),
    [
        ("3", {"id": 3}, True),
        ("3", {"id": "3"}, True),
        ("3.0", {"id": 3}, True),
        ("c#1", {"pk": "c#1", "sk": 2}, True),
        ('{"sk": 2, "pk": "c#1"}', {"pk": "c#1", "sk": 2}, True),
        ('{"pk": "c#1"}', {"pk": "c#1", "sk": 2}, False),
        ('{"id": {"$b": "AQ=="}}', {"id": {"$b": "AQ=="}}, True),
        ("true", {"id": 1}, False),
        ("null", {"id": "none"}, False),
        ("true", {"id": "true"}, True),
        ("{", {"id": "{"}, True),
        ("[1]", {"id": "[1]"}, True),
        ("c#", {"id": "c#1"}, False),
        ('{"id": "\\ud800"}', {"id": 1}, False),
        ("[" * 100_000, {"id": 1}, False),
    ],
)
def test_a_key_as_it_is_typed(wanted: str, key: dict[str, Any], *, matches: bool) -> None:
    """A whole key as JSON, or the value of one attribute."""
    assert key_matches(wanted, key) is matches


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("{bad", "is not JSON (Expecting property name"),
        (' {"id": 3', "is not JSON"),
        ('{"a":' * 100_000, "is not JSON"),
        ("{}", "an empty object"),
        ('{"id": {"N": "3"}}', "id has a DynamoDB type, which is left out here"),
    ],
)
@pytest.mark.parametrize("command", ["list", "redrive", "drop"])
def test_what_is_no_key(command: str, typed: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not searched for: that there is no such letter would say nothing (P8)."""
    monkeypatch.setenv("COLUMNS", "400")
    result = replicator("dlq", command, "--dead-letter-queue-url", "http://127.0.0.1:9/q", "--key", typed)
    assert (result.status, result.out) == (2, "")
    assert "Invalid value for '--key'" in result.err
    assert said in result.err
    assert """such as '{"id": 3}'""" in result.err


@pytest.mark.parametrize("typed", ["3", "c#1", "[1]", "true", '{"id": {"$b": "AQ=="}}', '{"id": "{"}'])
def test_what_is_a_key(typed: str) -> None:
    """Of a change that is odd, too."""
    assert key_problem(typed) is None


def test_everything_that_is_said_has_to_hold() -> None:
    """Of several ids, one."""
    letter = letter_of(message(body_of(put(1, 3)), {"code": "c"}))
    assert Selection(("zzzz", "59994f"), TABLE, "3", "c").matches(letter)
    for other in (
        Selection(("zzzz",), TABLE, "3", "c"),
        Selection(("59994f",), "t", "3", "c"),
        Selection(("59994f",), TABLE, "4", "c"),
        Selection(("59994f",), TABLE, "3", "d"),
    ):
        assert not other.matches(letter)
    assert Selection().is_all
    assert Selection().matches(letter)
    assert Selection((letter.id,)).whole_ids
    assert not Selection(("59994f",)).whole_ids
