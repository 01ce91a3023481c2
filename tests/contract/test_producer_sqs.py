"""The producer against a real SQS API: what it sends is taken, kept in order, and refused as it expects."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from producer_lambda import forward, handler
from shared.aws import sqs_client
from shared.change import Change
from shared.envelope import decode
from shared.errors import FatalError, TransientError
from tests.support.lambda_environment import end_execution_environment
from tests.support.strategies import arn, stream_record

if TYPE_CHECKING:
    from collections.abc import Iterator

    from types_boto3_sqs import SQSClient
    from types_boto3_sqs.type_defs import MessageTypeDef

    from local.stack import Stack
    from producer_lambda.forward import Response
    from tests.conftest import Queues

OK: Response = {"batchItemFailures": []}


class Context:
    """An invocation with time enough."""

    def get_remaining_time_in_millis(self) -> int:
        return 30_000


@dataclass
class Lambda:
    """The handler in an execution environment of its own, and what its queues hold."""

    sqs: SQSClient
    queues: Queues

    def __call__(self, *records: Any) -> Response:
        return handler.lambda_handler({"Records": list(records)}, Context())

    def messages(self, *, dead: bool = False) -> list[MessageTypeDef]:
        """Takes everything out of a queue."""
        url = self.queues.dead_letter_url if dead else self.queues.url
        taken: list[MessageTypeDef] = []
        while batch := self.sqs.receive_message(
            QueueUrl=url,
            MaxNumberOfMessages=10,
            MessageAttributeNames=["All"],
            MessageSystemAttributeNames=["All"],
        ).get("Messages"):
            taken += batch
            for message in batch:
                self.sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return taken

    def changes(self) -> list[Change]:
        entries = [entry for message in self.messages() for entry in decode(message["Body"]).entries]
        assert all(isinstance(entry, Change) for entry in entries)
        return [entry for entry in entries if isinstance(entry, Change)]


@pytest.fixture
def invoke(
    stack: Stack,
    queues: Queues,
    aws_environment: None,  # noqa: ARG001 - needed for its effect
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Lambda]:
    monkeypatch.setenv("QUEUE_URL", queues.url)
    monkeypatch.setenv("DEAD_LETTER_QUEUE_URL", queues.dead_letter_url)
    for name in ("LANES", "LOG_LEVEL", "OLD_IMAGE_FIELDS"):
        monkeypatch.delenv(name, raising=False)
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield Lambda(stack.client("sqs"), queues)
    end_execution_environment()
    root.handlers[:] = handlers
    root.setLevel(level)


def insert(sequence: int, **attributes: Any) -> dict[str, Any]:
    key = {"id": {"N": str(sequence)}}
    return stream_record("INSERT", sequence, key=key, new=key | attributes)


def test_all_changes_arrive_in_their_lanes(invoke: Lambda) -> None:
    """Every key's newest change is in the queue, each lane in order; nothing is parked."""
    updates = [stream_record("MODIFY", 1000 + key, key={"id": {"N": str(key)}}) for key in range(0, 300, 3)]
    assert invoke(*map(insert, range(300)), *updates) == OK
    messages = invoke.messages()
    assert len({message["Attributes"]["MessageGroupId"] for message in messages}) == 64
    numbers: dict[int, int] = {}
    for message in messages:
        sequences = []
        for change in decode(message["Body"]).entries:
            assert isinstance(change, Change)
            sequences.append(int(change.sequence))
            numbers[change.key["id"]] = int(change.sequence)
        assert sequences == sorted(sequences)
    assert numbers == {key: key if key % 3 else 1000 + key for key in range(300)}
    assert invoke.messages(dead=True) == []


def test_a_retried_event_arrives_once(invoke: Lambda) -> None:
    """Lambda repeats an event; the deduplication ids make it one."""
    event = [insert(sequence) for sequence in range(50)]
    assert invoke(*event) == OK
    assert invoke(*event) == OK
    assert sorted(int(change.sequence) for change in invoke.changes()) == list(range(50))


def test_one_client_and_one_loop(invoke: Lambda, monkeypatch: pytest.MonkeyPatch) -> None:
    """All invocations of an execution environment share an event loop and an SQS client."""
    made, loops = [], []
    send = forward.Producer.forward

    def counting(*args: Any, **settings: Any) -> Any:
        made.append(settings)
        return sqs_client(*args, **settings)

    async def noting(self: Any, event: Any, remaining: Any) -> Response:
        loops.append(asyncio.get_running_loop())
        return await send(self, event, remaining)

    monkeypatch.setattr("producer_lambda.handler.sqs_client", counting)
    monkeypatch.setattr(forward.Producer, "forward", noting)
    for sequence in range(3):
        assert invoke(insert(sequence)) == OK
    assert len(made) == 1
    assert len(loops) == 3
    assert len(set(map(id, loops))) == 1
    assert len(invoke.changes()) == 3


def test_what_stays_is_not_looked_through(invoke: Lambda) -> None:
    """The collector leaves alone what was made before the first event, until the environment ends."""
    usual = gc.get_threshold()
    assert invoke(insert(1)) == OK
    assert gc.get_freeze_count() > 10_000
    assert gc.get_threshold()[0] > 10 * usual[0]
    end_execution_environment()
    assert (gc.get_freeze_count(), gc.get_threshold()) == (0, usual)


CONTROLS = "".join(map(chr, range(0x20))) + "\x7f\ufffe\uffff\U0001ffff"
noise = random.Random(1)  # noqa: S311 - repeatable, not secret


@pytest.mark.parametrize("lanes", ["0", "1"])
def test_any_table_name_is_a_group(invoke: Lambda, monkeypatch: pytest.MonkeyPatch, lanes: str) -> None:
    """The longest table name, and every character that one may have, make groups that SQS takes."""
    monkeypatch.setenv("LANES", lanes)
    tables = ["t" * 255, "a.b-c_D9"]
    assert invoke(*(insert(n) | {"eventSourceARN": arn(table)} for table in tables for n in (1, 2))) == OK
    messages = invoke.messages()
    groups = {message["Attributes"]["MessageGroupId"] for message in messages}
    assert len(groups) == (4 if lanes == "0" else 2)
    assert {decode(message["Body"]).table for message in messages} == set(tables)


def test_malformed_record_is_parked(invoke: Lambda) -> None:
    """A record that is none lies in the dead-letter queue as it came; its neighbours are sent (P5)."""
    wrong = insert(2, a={"N": "NaN"}, b={"S": CONTROLS})
    assert invoke(insert(1), wrong, None, insert(3)) == OK
    assert sorted(change.sequence for change in invoke.changes()) == ["1", "3"]
    letters = invoke.messages(dead=True)
    assert [json.loads(letter["Body"]) for letter in letters] == [wrong, None]
    attributes = {name: value.get("StringValue") for name, value in letters[0]["MessageAttributes"].items()}
    assert attributes["code"] == "bad-number"
    assert attributes["table"] == "mytable"
    assert attributes["sequence"] == "2"
    assert "attribute 'a'" in str(attributes["reason"])


def shrink(invoke: Lambda, limit: int) -> None:
    attributes: dict[Any, str] = {"MaximumMessageSize": str(limit)}
    invoke.sqs.set_queue_attributes(QueueUrl=invoke.queues.url, Attributes=attributes)


def test_a_limit_that_has_shrunk_is_asked_for_again(invoke: Lambda, caplog: pytest.LogCaptureFixture) -> None:
    """In the same invocation; everything arrives, and only what cannot be made to fit is parked."""
    assert invoke(insert(1)) == OK
    shrink(invoke, 2048)
    noisy = insert(21, a={"B": noise.randbytes(4000)})
    assert invoke(*map(insert, range(2, 20)), insert(20, a={"S": "x" * 2500}), noisy) == OK
    assert sorted({int(change.sequence) for change in invoke.changes()}) == list(range(1, 21))
    (letter,) = invoke.messages(dead=True)
    assert letter.get("MessageAttributes", {})["code"].get("StringValue") == "too-large"
    caplog.clear()
    assert invoke(insert(22, a={"S": "x" * 2500})) == OK
    assert "MaximumMessageSize" not in caplog.text


def test_too_large_for_the_queue_is_parked(invoke: Lambda) -> None:
    """The limit is the queue's own: what cannot be made to fit is parked without being sent."""
    shrink(invoke, 2048)
    change = insert(2, a={"B": noise.randbytes(4000)})
    assert invoke(insert(1), change, insert(3)) == OK
    assert sorted(change.sequence for change in invoke.changes()) == ["1", "3"]
    (letter,) = invoke.messages(dead=True)
    assert letter.get("MessageAttributes", {})["code"].get("StringValue") == "too-large"


@pytest.mark.parametrize("name", ["QUEUE_URL", "DEAD_LETTER_QUEUE_URL"])
def test_missing_queue_at_the_start(invoke: Lambda, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """A queue that is not there is named, with what to check; once it is right, the next invocation works."""
    with monkeypatch.context() as wrong:
        wrong.setenv(name, invoke.queues.url.replace(".fifo", "-missing.fifo"))
        with pytest.raises(
            FatalError, match=f"{name}: AWS answered .*NonExistentQueue: check the queue's URL"
        ):
            invoke(insert(1))
    assert invoke(insert(1)) == OK


def test_missing_queue_later(invoke: Lambda, unique: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A queue that was deleted under a running Lambda fails the invocation: nothing is acknowledged."""
    attributes: dict[Any, str] = {"FifoQueue": "true"}
    url = invoke.sqs.create_queue(QueueName=f"{unique}-short.fifo", Attributes=attributes)["QueueUrl"]
    monkeypatch.setenv("QUEUE_URL", url)
    assert invoke(insert(1)) == OK
    invoke.sqs.delete_queue(QueueUrl=url)
    with pytest.raises(FatalError, match="sending to QUEUE_URL"):
        invoke(insert(2))


def test_nobody_there(invoke: Lambda, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQS that cannot be reached at the start fails the invocation as something that passes (P4)."""
    with monkeypatch.context() as wrong:
        wrong.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
        with pytest.raises(TransientError, match="QUEUE_URL"):
            invoke(insert(1))
    assert invoke(insert(1)) == OK
