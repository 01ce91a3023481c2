"""What becomes of an event as a whole, and what its log says.

Law: a record is surely in the queue, surely parked, or reported; after a lane's failure its later messages
are not sent.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

from tests.support.metric_lines import figures_of, lines_of
from tests.support.scripted_sqs import (
    DEAD,
    MALFORMED,
    OK,
    QUEUE,
    SECRET,
    ScriptedSqs,
    insert,
    refuses,
    reported,
)
from tests.support.strategies import stream_record

if TYPE_CHECKING:
    import pytest


async def test_all_taken() -> None:
    """The queue has every change, nothing is parked, nothing reported, nothing waited for."""
    sqs = ScriptedSqs()
    assert await sqs.forward(*map(insert, range(1, 20))) == OK
    assert sqs.changes() == [str(sequence) for sequence in range(1, 20)]
    assert sqs.taken[DEAD] == []
    assert sqs.pauses == []


async def test_empty_event() -> None:
    """No records, no call."""
    sqs = ScriptedSqs()
    assert await sqs.forward() == OK
    assert sqs.sent == []


def group_of(entry: dict[str, Any]) -> str:
    return str(entry["MessageGroupId"])


async def test_a_failed_lane_stops() -> None:
    """After a lane's failure its later messages are never sent; others go on; its number is told."""
    records = [insert(sequence, 200_000) for sequence in range(1, 13)]
    probe = ScriptedSqs()
    assert await probe.forward(*records) == OK
    by_lane: dict[str, list[int]] = {}
    for entry in probe.taken[QUEUE]:
        by_lane.setdefault(group_of(entry), []).append(
            int(json.loads(entry["MessageBody"])["changes"][0]["seq"])
        )
    (failing, numbers), (other, others) = by_lane.items()
    assert min(map(len, by_lane.values())) >= 3

    def second_of_failing(entry: dict[str, Any]) -> bool:
        return f'"seq":"{numbers[1]}"' in entry["MessageBody"]

    sqs = ScriptedSqs(queue=[refuses("InternalError", only=second_of_failing)] * 1000)
    assert await sqs.forward(*records) == reported(numbers[1])
    groups = Counter(group_of(entry) for entry in sqs.taken[QUEUE])
    assert groups == {failing: 1, other: len(others)}
    tried = {entry["MessageBody"] for _, entries in sqs.sent for entry in entries}
    assert not any(f'"seq":"{number}"' in body for number in numbers[2:] for body in tried)


async def test_lowest_number_by_place_not_by_lane() -> None:
    """All lanes failed: the earliest record is reported, so that Lambda retries all."""
    sqs = ScriptedSqs(queue=[TimeoutError()] * 1000)
    assert await sqs.forward(*(insert(sequence, 200_000) for sequence in range(10, 20))) == reported(10)


async def test_coalesced_failure_reports_the_oldest() -> None:
    """A message that stands for several records of a key fails for the first of them."""
    sqs = ScriptedSqs(queue=[TimeoutError()] * 1000)
    key = {"id": {"N": "1"}}
    records = [stream_record("MODIFY", sequence, key=key) for sequence in (4, 5, 6)]
    assert await sqs.forward(*records) == reported(4)


async def test_logs_tell_success_from_failure(caplog: pytest.LogCaptureFixture) -> None:
    """One line an invocation, and errors only for what went wrong."""
    caplog.set_level("INFO")
    await ScriptedSqs().forward(insert(1), MALFORMED)
    (line,) = caplog.records
    assert (line.levelname, line.message) == ("INFO", "event forwarded")
    counts = {name: line.__dict__[name] for name in ("records", "changes", "messages", "parked", "failed")}
    assert counts == {"records": 2, "changes": 1, "messages": 1, "parked": 1, "failed": 0}
    assert not hasattr(line, "emf")
    caplog.clear()
    await ScriptedSqs(queue=[TimeoutError()] * 1000).forward(insert(1))
    assert [(line.levelname, line.message) for line in caplog.records] == [
        ("ERROR", "giving up for this invocation"),
        ("INFO", "event forwarded in part"),
    ]
    assert caplog.records[0].__dict__["reason"] == "sending to QUEUE_URL: TimeoutError: "


async def test_the_line_of_an_invocation_is_a_metric(capsys: pytest.CaptureFixture[str]) -> None:
    """CloudWatch finds the line's figures by its own schema; the age is that of the oldest record."""
    old, new = insert(1), insert(2)
    old["dynamodb"]["ApproximateCreationDateTime"] = 1000.0
    new["dynamodb"]["ApproximateCreationDateTime"] = 1003.0
    with lines_of(capsys) as lines:
        await ScriptedSqs().forward(MALFORMED, old, old, new, function="replicator", now=1004.5)
    (line,) = lines
    assert figures_of(line, "FunctionName", "replicator") == {
        "records": 4,
        "changes": 2,
        "coalesced": 1,
        "messages": 2,
        "bytes": line["bytes"],
        "parked": 1,
        "failed": 0,
        "iterator_age_ms": 4500,
    }
    _, by_table = line["_aws"]["CloudWatchMetrics"]
    assert by_table["Dimensions"] == [["FunctionName", "Table"]]
    assert (line["Table"], by_table["Metrics"]) == ("mytable", [{"Name": "records", "Unit": "Count"}])
    assert line["_aws"]["Timestamp"] == 1004500
    assert (line["message"], line["level"]) == ("event forwarded", "INFO")


async def test_no_record_can_come_from_the_future(capsys: pytest.CaptureFixture[str]) -> None:
    """Clocks differ; and an event without a change has no age."""
    with lines_of(capsys) as lines:
        await ScriptedSqs().forward(insert(1), function="replicator", now=0.0)
        await ScriptedSqs().forward(MALFORMED, function="replicator", now=0.0)
    assert figures_of(lines[0], "FunctionName", "replicator")["iterator_age_ms"] == 0
    assert "iterator_age_ms" not in lines[1]
    assert figures_of(lines[1], "FunctionName", "replicator")["parked"] == 1
    assert lines[1]["Table"] == "mytable", "a malformed record can still say of which table it is"


async def test_an_event_can_be_followed(caplog: pytest.LogCaptureFixture) -> None:
    """At DEBUG each message that SQS took is named, with the stream records in it."""
    caplog.set_level("DEBUG")
    sqs = ScriptedSqs()
    await sqs.forward(insert(1), insert(2), insert(3), lanes=1)
    (line,) = [vars(record) for record in caplog.records if record.message == "message sent"]
    assert line["message_id"] == "message-0"
    assert line["events"] == [insert(n)["eventID"] for n in (1, 2, 3)]


async def test_logs_hold_no_content(caplog: pytest.LogCaptureFixture) -> None:
    """Counts and codes are logged; what is in an item never is, whatever goes wrong with it."""
    caplog.set_level("DEBUG")
    bad_number = insert(5)
    bad_number["dynamodb"]["NewImage"]["card"] = {"N": SECRET}
    refusal = refuses("InvalidMessageContents", sender_fault=True, only=lambda entry: entry["Id"] == "0")
    sqs = ScriptedSqs(queue=[refusal, *[TimeoutError()] * 1000])
    await sqs.forward(insert(1), insert(2), insert(3, 200_000), insert(4, 200_000), bad_number)
    await ScriptedSqs(dead=[TimeoutError()] * 1000).forward(bad_number, insert(1))
    summary = next(record for record in caplog.records if record.message.startswith("event forwarded"))
    assert summary.__dict__["records"] == 5
    assert len(caplog.records) >= 3
    assert not any(SECRET in str(record.__dict__) for record in caplog.records)
