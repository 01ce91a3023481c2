"""What the queue will never take is parked with its reason; what cannot be parked is reported (P3, P5)."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from shared.dead_letter import as_it_came
from shared.errors import TransientError
from tests.support.scripted_sqs import (
    DEAD,
    MALFORMED,
    MIB,
    OK,
    ScriptedSqs,
    insert,
    refuses,
    reported,
)
from tests.support.strategies import arn


async def test_refused_for_good_is_parked() -> None:
    """What SQS will never take is parked with its reason, and neither retried nor reported (P5)."""
    sqs = ScriptedSqs(
        queue=[refuses("InvalidMessageContents", sender_fault=True, only=lambda entry: entry["Id"] == "0")]
    )
    assert await sqs.forward(*map(insert, range(1, 20))) == OK
    assert len(sqs.sent) == 2
    (letter,) = sqs.taken[DEAD]
    assert letter["MessageBody"] == sqs.sent[0][1][0]["MessageBody"]
    assert letter["MessageAttributes"]["code"]["StringValue"] == "refused-by-sqs"
    assert "InvalidMessageContents" in letter["MessageAttributes"]["reason"]["StringValue"]
    assert sorted(sqs.changes() + sqs.changes(DEAD), key=int) == [str(number) for number in range(1, 20)]


async def test_malformed_is_parked() -> None:
    """A malformed record is parked as it came, with what is known of it; its neighbours are sent (P5)."""
    sqs = ScriptedSqs()
    assert await sqs.forward(insert(4), MALFORMED, insert(6)) == OK
    assert sqs.changes() == ["4", "6"]
    (letter,) = sqs.taken[DEAD]
    assert json.loads(letter["MessageBody"]) == MALFORMED
    attributes = {name: value["StringValue"] for name, value in letter["MessageAttributes"].items()}
    assert attributes["code"] == "bad-record"
    assert (attributes["table"], attributes["sequence"]) == ("mytable", "5")
    assert attributes["group"] == "mytable/malformed"


@pytest.mark.parametrize(
    ("record", "group"),
    [(None, "unknown/malformed"), (MALFORMED | {"eventSourceARN": arn("t" * 255)}, f"{'t' * 80}/malformed")],
)
async def test_letters_have_a_group(record: Any, group: str) -> None:
    """Every letter has a group that SQS takes, whatever is known of its record."""
    sqs = ScriptedSqs()
    assert await sqs.forward(record) == OK
    attributes = [entry["MessageAttributes"]["group"]["StringValue"] for entry in sqs.taken[DEAD]]
    assert attributes == [group]


@pytest.mark.parametrize(
    "step",
    [
        TimeoutError(),
        refuses("InternalError"),
        refuses("InvalidMessageContents", sender_fault=True),
        lambda _: {},
    ],
    ids=["network", "for now", "for good", "silence"],
)
async def test_not_parked_is_reported(step: Any) -> None:
    """What could not be parked is neither sent nor parked, so it is reported, and nothing before it."""
    sqs = ScriptedSqs(dead=[step] * 1000)
    assert await sqs.forward(insert(4), MALFORMED, insert(6)) == reported(5)
    assert sqs.changes() == ["4", "6"]


@pytest.mark.parametrize("record", [None, {}, {"dynamodb": {"SequenceNumber": ""}}, {"dynamodb": [1]}])
async def test_without_a_number_only_a_retry_of_all_helps(record: Any) -> None:
    """A record that can be neither parked nor reported makes the whole invocation fail (P3)."""
    sqs = ScriptedSqs(dead=[TimeoutError()] * 1000)
    with pytest.raises(TransientError, match="retry the event"):
        await sqs.forward(insert(4), record, insert(6))
    assert sqs.changes() == ["4", "6"]


async def test_parked_without_a_number() -> None:
    """If it can be parked, a record without any identity is no reason to fail."""
    sqs = ScriptedSqs()
    assert await sqs.forward(None, {}) == OK
    assert [entry["MessageBody"] for entry in sqs.taken[DEAD]] == ["null", "{}"]


async def test_many_letters() -> None:
    """Letters are parked in calls that SQS accepts, and every one of them."""
    sqs = ScriptedSqs()
    records = [insert(sequence) | {"eventName": "x" * 200_000} for sequence in range(1, 30)]
    assert await sqs.forward(*records) == OK
    assert len(sqs.taken[DEAD]) == 29
    for _, entries in sqs.sent:
        assert len(entries) <= 10
        assert len({entry["Id"] for entry in entries}) == len(entries)
        assert sum(len(entry["MessageBody"]) for entry in entries) <= MIB


NOISE = random.Random(1).randbytes(300_000).hex()  # noqa: S311 - repeatable, not secret


async def test_too_large_is_parked_or_reported() -> None:
    """What no message can carry is not sent in vain: parked where that fits, else reported (P3)."""
    large = insert(2)
    large["dynamodb"]["NewImage"]["noise"] = {"S": NOISE}
    sqs = ScriptedSqs()
    assert await sqs.forward(insert(1), large, insert(3), limit=256 * 1024) == OK
    assert sqs.changes() == ["1", "3"]
    (letter,) = sqs.taken[DEAD]
    assert json.loads(letter["MessageBody"])["doc"]["noise"] == NOISE
    assert letter["MessageAttributes"]["code"]["StringValue"] == "too-large"

    sqs = ScriptedSqs()
    answer = await sqs.forward(MALFORMED, large, insert(3), limit=256 * 1024, dead_limit=256 * 1024)
    assert answer == reported(2)
    assert [entry["MessageAttributes"]["sequence"]["StringValue"] for entry in sqs.taken[DEAD]] == ["5"]


async def test_a_letter_of_exactly_the_limit_is_parked() -> None:
    """What just fits is parked, without its attributes."""
    sqs = ScriptedSqs()
    assert await sqs.forward(MALFORMED, dead_limit=100_000) == OK
    body = sqs.taken[DEAD][0]["MessageBody"]
    padded = MALFORMED | {"eventName": NOISE}
    compressed = as_it_came(json.dumps(padded), 100_000)
    assert len(compressed) > 100_000 > len(body)
    sqs = ScriptedSqs()
    assert await sqs.forward(padded, dead_limit=len(compressed)) == OK
    assert [entry["MessageBody"] for entry in sqs.taken[DEAD]] == [compressed]
