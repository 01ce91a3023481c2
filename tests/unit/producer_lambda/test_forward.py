"""Faults of SQS that no emulator can be made to show; tests/contract has what it can.

Law: a record is surely in the queue, surely parked, or reported; after a lane's failure its later messages
are not sent.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from typing import TYPE_CHECKING, Any, cast

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from producer_lambda.forward import Producer
from producer_lambda.sending import Queue
from producer_lambda.settings import Settings
from shared.dead_letter import as_it_came
from shared.errors import FatalError, TransientError
from tests.support.metric_lines import figures_of, lines_of
from tests.support.strategies import arn, stream_record

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from types_aiobotocore_sqs import SQSClient

    from producer_lambda.forward import Response

    Entries = Sequence[dict[str, Any]]
    Answer = dict[str, Any]

MIB = 1024 * 1024
QUEUE, DEAD = "https://sqs/q.fifo", "https://sqs/d.fifo"
SECRET = "4111-1111-1111-1111"


def took(entries: Entries) -> Answer:
    return {"Successful": [{"Id": entry["Id"], "MessageId": f"message-{entry['Id']}"} for entry in entries]}


def refuses(
    code: str, *, sender_fault: bool = False, only: Callable[[dict[str, Any]], bool] = lambda _: True
) -> Callable[[Entries], Answer]:
    """An answer that refuses the entries for which `only` holds."""

    def answer(entries: Entries) -> Answer:
        refused = [entry for entry in entries if only(entry)]
        failed = [{"Id": e["Id"], "Code": code, "Message": "m", "SenderFault": sender_fault} for e in refused]
        return {**took([entry for entry in entries if entry not in refused]), "Failed": failed}

    return answer


class ScriptedSqs:
    """Answers calls as scripted for a queue, and takes everything after that; time is ours."""

    def __init__(self, **script: Sequence[Callable[[Entries], Answer] | Exception]) -> None:
        self._script = {QUEUE: list(script.get("queue", ())), DEAD: list(script.get("dead", ()))}
        self.sent: list[tuple[str, list[dict[str, Any]]]] = []
        self.taken: dict[str, list[dict[str, Any]]] = {QUEUE: [], DEAD: []}
        self.pauses: list[float] = []
        self.seconds = 60.0

    async def send_message_batch(self, *, QueueUrl: str, Entries: Entries) -> Answer:  # noqa: N803 - the API's
        self.sent.append((QueueUrl, list(Entries)))
        step = self._script[QueueUrl].pop(0) if self._script[QueueUrl] else took
        if isinstance(step, Exception):
            raise step
        answer = step(Entries)
        ids = {entry["Id"] for entry in answer.get("Successful", ())}
        self.taken[QueueUrl] += [entry for entry in Entries if entry["Id"] in ids]
        return answer

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.seconds -= seconds

    def remaining(self) -> float:
        return self.seconds

    async def forward(
        self,
        *records: Any,
        limit: int = MIB,
        dead_limit: int = MIB,
        lanes: int = 2,
        function: str | None = None,
        now: float = 0.0,
    ) -> Response:
        producer = Producer(
            cast("SQSClient", self),
            Queue(QUEUE, limit),
            Queue(DEAD, dead_limit),
            Settings(QUEUE, DEAD, lanes, frozenset(), "INFO", function),
            sleep=self.sleep,
            now=lambda: now,
        )
        return await producer.forward({"Records": list(records)}, self.remaining)

    def changes(self, url: str = QUEUE) -> list[str]:
        """The sequence numbers that the queue holds."""
        bodies = [json.loads(entry["MessageBody"]) for entry in self.taken[url]]
        return sorted((change["seq"] for body in bodies for change in body["changes"]), key=int)


def insert(sequence: int, size: int = 0) -> dict[str, Any]:
    """A record; with a size of 200 KB, of two of a lane each is a message of its own."""
    key = {"id": {"N": str(sequence)}}
    return stream_record("INSERT", sequence, key=key, new=key | {"card": {"S": SECRET + "x" * size}})


MALFORMED = insert(5) | {"eventName": "TRUNCATE"}
OK: Response = {"batchItemFailures": []}


def reported(sequence: int) -> Response:
    return {"batchItemFailures": [{"itemIdentifier": str(sequence)}]}


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


@pytest.mark.parametrize(
    ("code", "sender_fault"),
    [
        ("InternalError", False),
        ("ServiceUnavailable", False),
        ("RequestThrottled", True),
        ("ThrottlingException", True),
        ("KmsThrottled", True),
        ("KmsAccessDenied", True),
        ("KmsDisabled", True),
        ("KMS.DisabledException", True),
        ("AccessDenied", True),
        ("OverLimit", True),
    ],
)
async def test_refused_for_now(code: str, *, sender_fault: bool) -> None:
    """Trouble that passes is waited for, only what was refused is sent again, and nothing is parked (P4)."""
    sqs = ScriptedSqs(
        queue=[refuses(code, sender_fault=sender_fault, only=lambda entry: entry["Id"] == "1")] * 3
    )
    assert await sqs.forward(*map(insert, range(1, 20))) == OK
    assert [len(entries) for _, entries in sqs.sent] == [2, 1, 1, 1]
    assert len({entry["MessageDeduplicationId"] for _, entries in sqs.sent[1:] for entry in entries}) == 1
    assert sqs.changes() == [str(sequence) for sequence in range(1, 20)]
    assert sqs.taken[DEAD] == []


@pytest.mark.parametrize(
    "error",
    [
        EndpointConnectionError(endpoint_url="http://sqs"),
        ConnectionResetError(),
        TimeoutError(),
        ClientError({"Error": {"Code": "InternalFailure"}}, "SendMessageBatch"),
        ClientError({"Error": {"Code": "KmsThrottled"}}, "SendMessageBatch"),
    ],
    ids=repr,
)
async def test_network(error: Exception) -> None:
    """A call that failed as a whole is repeated."""
    sqs = ScriptedSqs(queue=[error, error])
    assert await sqs.forward(insert(1)) == OK
    assert sqs.changes() == ["1"]


async def test_pauses_grow_and_vary() -> None:
    """Repetitions back off with jitter, from a tenth of a second to five seconds."""
    sqs = ScriptedSqs(queue=[TimeoutError()] * 9)
    assert await sqs.forward(insert(1)) == OK
    expected = [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0, 5.0]
    ratios = [pause / base for pause, base in zip(sqs.pauses, expected, strict=True)]
    assert all(0.5 <= ratio <= 1.5 for ratio in ratios)
    assert len(set(ratios)) > 1


async def test_out_of_time() -> None:
    """What is not taken in time is reported, early enough to answer."""
    sqs = ScriptedSqs(queue=[TimeoutError()] * 1000)
    assert await sqs.forward(insert(7), insert(8)) == reported(7)
    assert 3.0 <= sqs.seconds < 11.0


async def test_no_time_at_all() -> None:
    """One try is made however little time there is; then the failure is reported without a pause."""
    sqs = ScriptedSqs(queue=[TimeoutError()])
    sqs.seconds = 2.0
    assert await sqs.forward(insert(7)) == reported(7)
    assert sqs.pauses == []


async def test_silence_is_no_success() -> None:
    """An entry that the answer does not mention is not taken for sent (P3)."""
    sqs = ScriptedSqs(queue=[lambda _: {}, lambda entries: took(entries[1:])])
    assert await sqs.forward(*map(insert, range(1, 20))) == OK
    assert [len(entries) for _, entries in sqs.sent] == [2, 2, 1]
    assert sqs.changes() == [str(sequence) for sequence in range(1, 20)]


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


@pytest.mark.parametrize(
    ("code", "advice"),
    [("AWS.SimpleQueueService.NonExistentQueue", "queue's URL"), ("AccessDenied", "permissions")],
)
@pytest.mark.parametrize("queue", ["queue", "dead"])
async def test_fatal(queue: str, code: str, advice: str) -> None:
    """A missing or refused queue fails the invocation at once, with a sentence that says what to do."""
    fatal = ClientError({"Error": {"Code": code}}, "SendMessageBatch")
    sqs = ScriptedSqs(**{queue: [fatal]})
    name = "QUEUE_URL" if queue == "queue" else "DEAD_LETTER_QUEUE_URL"
    with pytest.raises(FatalError, match=f"{name}: AWS answered {code}: .*{advice}"):
        await sqs.forward(insert(4), MALFORMED)
    assert sqs.pauses == []


async def test_fatal_waits_for_the_other_calls() -> None:
    """No call is left running when the invocation fails: what it sends would escape into the next one."""
    fatal = ClientError({"Error": {"Code": "AccessDenied"}}, "SendMessageBatch")
    sqs = ScriptedSqs(queue=[fatal, TimeoutError(), TimeoutError()])
    with pytest.raises(FatalError):
        await sqs.forward(*map(insert, range(1, 12)), lanes=0)
    assert sqs.changes() == ["11"]


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
