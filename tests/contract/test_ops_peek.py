"""`replicator peek` on a real SQS API: a look disturbs as little as SQS allows."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any

import pymongo
import pytest

from local.polling import wait_until
from shared.dead_letter import DeadLetter
from tests.contract.test_writer_process import running
from tests.support.builders import MIB, TABLE, body_of, delete, put
from tests.support.commands import replicator
from tests.support.writer_settings import writer_settings

if TYPE_CHECKING:
    from pathlib import Path

    from types_boto3_sqs import SQSClient

    from local.stack import Stack
    from tests.conftest import Queues

LANE = f"{TABLE}/5"
MOST_RECEIVES = 5  # of the fixture's queue


@pytest.fixture
def sqs(
    stack: Stack,
    queues: Queues,
    aws_environment: None,  # noqa: ARG001 - needed for its effect
    monkeypatch: pytest.MonkeyPatch,
) -> SQSClient:
    """The queues, named as they are for the writer."""
    monkeypatch.setenv("QUEUE_URL", queues.url)
    monkeypatch.setenv("DEAD_LETTER_QUEUE_URL", queues.dead_letter_url)
    monkeypatch.setattr("ops.queues.queue_browser.WAIT_SECONDS", 0)  # the emulator overlooks nothing
    monkeypatch.setattr("ops.queues.peek.WAIT_SECONDS", 0)
    for name in ("REPLICATOR_STACK", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    return stack.client("sqs")


def send(sqs: SQSClient, url: str, *bodies: str, group: str = LANE) -> None:
    for body in bodies:
        sqs.send_message(
            QueueUrl=url, MessageBody=body, MessageGroupId=group, MessageDeduplicationId=uuid.uuid4().hex
        )


def received(sqs: SQSClient, url: str) -> list[tuple[str, int]]:
    """Takes what a writer would get now: bodies and receive counts."""
    answer = sqs.receive_message(
        QueueUrl=url, MaxNumberOfMessages=10, MessageSystemAttributeNames=["ApproximateReceiveCount"]
    )
    messages = answer.get("Messages", [])
    return [(each["Body"], int(each["Attributes"]["ApproximateReceiveCount"])) for each in messages]


def test_a_look_takes_nothing_and_hides_nothing(sqs: SQSClient, queues: Queues) -> None:
    """The next receive gets the same messages at once, in their order; each was received once more."""
    bodies = [body_of(put(number, number), delete(number + 100, 9)) for number in range(3)]
    send(sqs, queues.url, *bodies)
    result = replicator("peek")
    assert (result.status, result.err) == (0, "")
    heads = [line for line in result.out.splitlines() if "received 1 of 5 times" in line]
    assert len(heads) == 3
    assert all(f"  {TABLE}  2 changes, sent " in line and line.endswith(f"group {LANE}") for line in heads)
    assert result.out.count("\nput {") == 3
    assert result.out.count('\ndel {"id":9}') == 3
    assert received(sqs, queues.url) == [(body, 2) for body in bodies]


def test_a_look_for_scripts(sqs: SQSClient, queues: Queues) -> None:
    """All changes with their documents; what cannot be read, as it came."""
    send(sqs, queues.url, body_of(put(1, name="é")), "{ garbage")
    good, bad = (json.loads(line) for line in replicator("peek", "--json").out.splitlines())
    assert good["changes"][0]["document"] == {"id": 1, "name": "é"}
    assert (good["group"], good["receives"], good["unreadable"], good["body"]) == (LANE, 1, None, None)
    assert (bad["changes"], bad["body"]) == ([], "{ garbage")
    assert bad["unreadable"].startswith("the message is not JSON")


def test_all_changes_only_if_asked(sqs: SQSClient, queues: Queues) -> None:
    """A message can carry thousands."""
    send(sqs, queues.url, body_of(*(put(number, number, text="x") for number in range(8))))
    assert "... and 3 more; --documents prints all\n" in replicator("peek").out
    documents = replicator("peek", "--documents").out
    assert documents.count('  "text": "x"\n') == 8


def test_one_who_looks_too_often_is_told(sqs: SQSClient, queues: Queues) -> None:
    """Before SQS would move the message: there is room left for writers."""
    send(sqs, queues.url, body_of(put(1)))
    results = [replicator("peek") for _ in range(3)]
    assert [result.status for result in results] == [0, 0, 1]
    assert "was received 3 times: after 5, SQS moves it to the dead-letter queue." in results[2].err
    assert len(received(sqs, queues.url)) == 1


def test_a_queue_that_allows_too_few_receives_is_left_alone(sqs: SQSClient, queues: Queues) -> None:
    """A look alone could park a message that no writer ever had."""
    send(sqs, queues.url, body_of(put(1)))
    attributes = sqs.get_queue_attributes(QueueUrl=queues.url, AttributeNames=["RedrivePolicy"])["Attributes"]
    policy = {**json.loads(attributes["RedrivePolicy"]), "maxReceiveCount": 2}
    sqs.set_queue_attributes(QueueUrl=queues.url, Attributes={"RedrivePolicy": json.dumps(policy)})
    result = replicator("peek")
    assert (result.status, result.out) == (2, "")
    assert result.err.startswith("replicator: the queue's maxReceiveCount is 2: ")
    assert received(sqs, queues.url) == [(body_of(put(1)), 1)]


def test_a_look_into_the_dead_letters(sqs: SQSClient, queues: Queues) -> None:
    """Each once, though more than a receive hands out; all are there afterwards."""
    for number in range(9):
        entry: Any = DeadLetter(body_of(put(number, number)), LANE, "c", "r").entry("", MIB)
        del entry["Id"]
        sqs.send_message(QueueUrl=queues.dead_letter_url, **entry)
    lines = [json.loads(line) for line in replicator("peek", "--dead-letters", "--json").out.splitlines()]
    assert sorted(each["changes"][0]["key"]["id"] for each in lines) == [*range(9)]
    assert len(received(sqs, queues.dead_letter_url)) == 9


def test_looks_in_a_loop_disturb_no_writer(
    stack: Stack, sqs: SQSClient, queues: Queues, database: str, tmp_path: Path
) -> None:
    """Somebody looks until he is told not to: every change arrives in its order, and nothing is parked."""
    for number in range(300):
        send(sqs, queues.url, body_of(put(number, number % 20, turn=number)), group=f"{TABLE}/{number % 20}")
    looks = [replicator("peek")]
    assert looks[0].out.count("received 1 of 5 times") == 10
    settings = writer_settings(stack, queues, database)
    with running(tmp_path / "log", stack.environment() | settings) as writer:
        wait_until(writer.ready, what="a writer")

        def is_drained() -> bool:
            if looks[-1].status == 0:
                looks.append(replicator("peek"))
            return messages_in(sqs, queues.url) == 0

        wait_until(is_drained, what="an empty queue")
    with pymongo.MongoClient[dict[str, Any]](stack.mongodb_uri) as client:
        found = {each["_id"]: each["turn"] for each in client[database][TABLE].find()}
    assert found == {number: 280 + number for number in range(20)}
    assert messages_in(sqs, queues.dead_letter_url) == 0
    assert len(looks) > 1


def messages_in(sqs: SQSClient, url: str) -> int:
    found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    return int(found["ApproximateNumberOfMessages"]) + int(found["ApproximateNumberOfMessagesNotVisible"])


def test_an_empty_queue(sqs: SQSClient, queues: Queues) -> None:
    """A sentence."""
    assert received(sqs, queues.url) == []
    result = replicator("peek")
    assert (result.status, result.out) == (0, "No message can be received right now.\n")
