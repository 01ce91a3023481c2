"""`replicator dlq redrive` sends what is selected, each to its lane, and deletes only what the queue has."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING

import pytest

from ops.aws import Aws
from ops.queues.actions import Outcome, Redrive
from shared.change import Change
from shared.dead_letter import DeadLetter
from shared.envelope import decode
from tests.support.builders import MIB, TABLE, body_of, put
from tests.support.commands import replicator
from tests.support.dead_letter_queue import LANE, World, letter, listed
from tests.support.strategies import stream_record

if TYPE_CHECKING:
    from local.stack import Stack
    from ops.queues.dead_letters import Letter
    from ops.queues.queue_browser import QueueBrowser


def test_redriving_sends_to_the_lane_and_deletes(world: World) -> None:
    """A body of maximal size, too; the same ones can be redriven again within five minutes."""
    full = letter(3, blob="x" * (MIB - 500))
    letters = [*map(letter, range(3)), full]
    for _ in range(2):
        world.park([DeadLetter(each.body, LANE, "c", "r", message_id=uuid.uuid4().hex) for each in letters])
        result = replicator("dlq", "redrive", "--all")
        assert (result.status, result.out, result.err) == (0, "4 letters redriven.\n", "")
        assert world.dead == (0, 0)
        assert sorted(world.redriven()) == sorted((LANE, each.body) for each in letters)


def test_messages_that_sqs_moved_are_redriven_as_they_are(stack: Stack, world: World) -> None:
    """They have no attributes, several changes, and the group of their lane."""
    body = body_of(put(1), put(2, 2))
    world.sqs.set_queue_attributes(QueueUrl=world.queues.url, Attributes={"VisibilityTimeout": "0"})
    world.sqs.send_message(
        QueueUrl=world.queues.url, MessageBody=body, MessageGroupId=LANE, MessageDeduplicationId="1"
    )
    while world.dead == (0, 0):
        world.sqs.receive_message(QueueUrl=world.queues.url)
    (found,) = listed()
    assert (found["code"], found["table"], found["lane"]) == ("moved-by-sqs", TABLE, LANE)
    assert [each["sequence"] for each in found["changes"]] == ["1", "2"]
    assert replicator("dlq", "redrive", "--code", "moved-by-sqs", "--key", "2").status == 0
    stack.client("sqs").set_queue_attributes(QueueUrl=world.queues.url, Attributes={"VisibilityTimeout": "9"})
    assert world.redriven() == [(LANE, body)]


def test_a_stream_record_is_redriven_as_an_envelope(world: World) -> None:
    """Older versions of the Lambda parked records without a time, as they came; today they are changes."""
    record = stream_record("MODIFY", 7)
    del record["dynamodb"]["ApproximateCreationDateTime"]
    world.park([DeadLetter(json.dumps(record), LANE, "bad-record", "r", message_id="1")])
    result = replicator("dlq", "redrive", "--code", "bad-record")
    assert (result.status, result.out, result.err) == (0, "1 letter redriven.\n", "")
    ((lane, body),) = world.redriven()
    assert lane == LANE
    assert [each.at for each in decode(body).entries if isinstance(each, Change)] == [None]


def test_only_those_that_are_meant(world: World) -> None:
    """By id, table, key and code; the others stay, visible."""
    other = DeadLetter(body_of(put(7, {"id": "a#1"}, table="other")), LANE, "bad-key", "r", table="other")
    world.park([*map(letter, range(4)), other])
    ids = {each["sequence"]: each["id"] for each in listed()}
    for arguments, left in (
        (["--table", "other", "--code", "bad-conversion"], 5),
        (["--key", "a#1"], 4),
        (["--key", '{"id": 3}'], 3),
        ([ids["0"], ids["1"]], 1),
        (["--table", TABLE, "--limit", "5"], 0),
    ):
        status = replicator("dlq", "redrive", *arguments).status
        assert (status, world.dead) == (int(left == 5), (left, 0))
    assert sorted(json.loads(body)["changes"][0]["seq"] for _, body in world.redriven()) == list("01237")


def test_somebody_has_to_say_which(world: World) -> None:
    """Nothing is redriven or dropped because an option was forgotten."""
    world.park([letter(1)])
    for action in ("redrive", "drop"):
        result = replicator("dlq", action)
        assert result.status == 2
        assert result.err == (
            "replicator: which letters? Name their IDs, --table, --key or --code, or give --all\n"
        )
        for empty in (["", "--yes"], ["abc"], ["--table", ""], ["--key", ""], ["--code", "", "--all"]):
            if action == "drop" or "--yes" not in empty:
                result = replicator("dlq", action, *empty)
                assert (result.status, "is a shell variable empty?" in result.err) == (2, True)
    assert world.dead == (1, 0)


def test_a_queue_is_not_redriven_into_itself(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mistake in the settings."""
    monkeypatch.setenv("QUEUE_URL", world.queues.dead_letter_url)
    result = replicator("dlq", "redrive", "--all")
    assert result.err == "replicator: the queue and the dead-letter queue are the same\n"
    assert result.status == 2


@pytest.mark.parametrize("refusing", ["full", "missing"])
def test_what_the_queue_refuses_stays(world: World, monkeypatch: pytest.MonkeyPatch, refusing: str) -> None:
    """A letter is deleted only after the queue has it."""
    world.park([letter(1, blob="x" * 5000), letter(2)])
    if refusing == "full":
        world.sqs.set_queue_attributes(QueueUrl=world.queues.url, Attributes={"MaximumMessageSize": "1024"})
        result = replicator("dlq", "redrive", "--all")
        assert (result.status, result.out) == (1, "1 letter redriven.\n")
        assert "1 letter stayed, such as " in result.err
        assert world.dead == (1, 0)
    else:
        monkeypatch.setenv("QUEUE_URL", world.queues.url.replace(".fifo", "-missing.fifo"))
        result = replicator("dlq", "redrive", "--all")
        assert (result.status, result.out) == (2, "")
        assert result.err == (
            "replicator: reading the attributes of the queue: AWS knows no such queue: check its URL, the "
            "region and the account\n"
        )
        assert world.dead == (2, 0)


def test_what_is_there_twice_is_sent_once(world: World, held: QueueBrowser) -> None:
    """The second one stays: it says nothing new, and nobody loses it."""
    action, kept = Redrive(Aws().sqs, world.queues.url, force=False), []
    for turn in range(2):
        world.park([DeadLetter(letter(1).body, LANE, "bad-key", f"turn {turn}", message_id=str(turn))])
        done = perform(held, action)
        kept.append(list(done.kept.values()))
    assert kept == [[], ["is in the queue twice, and one was redriven: turn 1"]]
    assert len(world.redriven()) == 1


def park_again(world: World, *, moved: bool) -> None:
    """As a writer does that still cannot apply it, or as SQS does with a message that nobody deletes."""
    received = world.sqs.receive_message(QueueUrl=world.queues.url, MaxNumberOfMessages=10)
    for message in received.get("Messages", ()):
        if moved:
            while world.visible(world.queues.url) != (0, 0):
                world.sqs.receive_message(QueueUrl=world.queues.url)
            continue
        for part in range(2):  # a message of several changes comes back in parts
            body = body_of(put(part, part))
            world.park([DeadLetter(body, LANE, "bad-key", "still so", message_id=message["MessageId"])])
        world.sqs.delete_message(QueueUrl=world.queues.url, ReceiptHandle=message["ReceiptHandle"])


@pytest.mark.parametrize("by", ["id", "all", "code"])
@pytest.mark.parametrize("moved", [False, True], ids=["parked", "moved"])
def test_what_comes_back_is_not_redriven(
    world: World, monkeypatch: pytest.MonkeyPatch, by: str, *, moved: bool
) -> None:
    """It is not counted, whichever way the letters are named, and the exit status says so."""
    if moved:
        world.sqs.set_queue_attributes(QueueUrl=world.queues.url, Attributes={"VisibilityTimeout": "0"})
    whole = Redrive.perform

    def perform_and_fail(
        self: Redrive, browser: QueueBrowser, letters: list[Letter], outcome: Outcome
    ) -> None:
        whole(self, browser, letters, outcome)
        park_again(world, moved=moved)

    monkeypatch.setattr(Redrive, "perform", perform_and_fail)
    world.park([letter(1)])
    (found,) = listed()
    which = {"id": [found["id"]], "all": ["--all"], "code": ["--code", found["code"]]}[by]
    result = replicator("dlq", "redrive", *which)
    assert (result.status, result.out) == (1, "0 letters redriven.\n")
    assert "came back, such as " in result.err
    assert result.err.endswith("Fix the cause first.\n")
    assert result.err.count("\n") == 1
    assert len(listed()) == (1 if moved else 2)


def test_some_come_back(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The others are redriven."""
    whole = Redrive.perform

    def perform_and_fail(
        self: Redrive, browser: QueueBrowser, letters: list[Letter], outcome: Outcome
    ) -> None:
        whole(self, browser, letters, outcome)
        if outcome.returned:  # the second time
            return
        received = world.sqs.receive_message(QueueUrl=world.queues.url, MaxNumberOfMessages=1)
        for message in received.get("Messages", ()):
            world.park([DeadLetter(message["Body"], LANE, "c", "why", message_id=message["MessageId"])])
            world.sqs.delete_message(QueueUrl=world.queues.url, ReceiptHandle=message["ReceiptHandle"])

    monkeypatch.setattr(Redrive, "perform", perform_and_fail)
    world.park([letter(1), letter(2), letter(3)])
    result = replicator("dlq", "redrive", "--all")
    assert (result.status, result.out) == (1, "2 letters redriven.\n")
    assert result.err.startswith("1 letter came back, such as ")


def perform(held: QueueBrowser, action: Redrive) -> Outcome:
    done = Outcome()
    for letters in held.batches():
        action.perform(held, letters, done)
    return done
