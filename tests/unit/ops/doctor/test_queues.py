"""What the doctor says of the queues' attributes: never well where the writer would not start."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops.doctor.findings import State
from ops.doctor.queues import judge_dead_letter_queue, judge_queue
from writer.sqs.queue_facts import check_queues

if TYPE_CHECKING:
    from collections.abc import Mapping

ARN, DEAD_ARN = "arn:aws:sqs:eu-west-1:1:q.fifo", "arn:aws:sqs:eu-west-1:1:dead.fifo"
COMMON = {
    "FifoQueue": "true",
    "DeduplicationScope": "messageGroup",
    "FifoThroughputLimit": "perMessageGroupId",
    "MessageRetentionPeriod": "1209600",
    "MaximumMessageSize": "1048576",
    "VisibilityTimeout": "60",
    "SqsManagedSseEnabled": "true",
    "ApproximateNumberOfMessages": "0",
    "ApproximateNumberOfMessagesNotVisible": "0",
    "ApproximateNumberOfMessagesDelayed": "0",
}
POLICY = json.dumps({"deadLetterTargetArn": DEAD_ARN, "maxReceiveCount": 10})
QUEUE = COMMON | {"QueueArn": ARN, "RedrivePolicy": POLICY}
ALLOWS = json.dumps({"redrivePermission": "byQueue", "sourceQueueArns": [ARN]})
DEAD = COMMON | {"QueueArn": DEAD_ARN, "RedriveAllowPolicy": ALLOWS}


def states(queue: Mapping[str, str] = QUEUE, dead: Mapping[str, str] = DEAD) -> dict[str, State]:
    found = [
        *judge_queue("https://q", queue, dead.get("QueueArn", "")),
        *judge_dead_letter_queue("https://d", dead, queue.get("QueueArn", "")),
    ]
    return {each.check: each.state for each in found}


def test_the_queues_of_the_template_are_well() -> None:
    assert set(states().values()) == {State.WELL}


@pytest.mark.parametrize(
    ("attributes", "check"),
    [
        ({"FifoQueue": ""}, "queue-fifo"),
        ({"DeduplicationScope": "queue", "FifoThroughputLimit": "perQueue"}, "queue-throughput"),
        ({"VisibilityTimeout": "4"}, "queue-visibility"),
        ({"MessageRetentionPeriod": "345600"}, "queue-retention"),
        ({"MaximumMessageSize": "262144"}, "queue-message-size"),
        ({"SqsManagedSseEnabled": "false"}, "queue-encryption"),
        ({"RedrivePolicy": ""}, "queue-redrive-policy"),
        ({"RedrivePolicy": POLICY.replace(":dead", ":other")}, "queue-redrive-policy"),
        ({"RedrivePolicy": POLICY.replace("10", "1")}, "queue-max-receives"),
    ],
)
def test_what_is_wrong_with_the_queue(attributes: dict[str, str], check: str) -> None:
    """This one, and nothing else."""
    assert {name for name, state in states(QUEUE | attributes).items() if state is not State.WELL} == {check}


@pytest.mark.parametrize(
    ("attributes", "check"),
    [
        ({"FifoQueue": ""}, "dead-letters-fifo"),
        ({"MessageRetentionPeriod": "60"}, "dead-letters-retention"),
        ({"MaximumMessageSize": "1024"}, "dead-letters-message-size"),
        ({"RedriveAllowPolicy": ALLOWS.replace("q.fifo", "x.fifo")}, "dead-letters-allow"),
        ({"RedriveAllowPolicy": '{"redrivePermission": "denyAll"}'}, "dead-letters-allow"),
        ({"ApproximateNumberOfMessagesNotVisible": "2"}, "dead-letters"),
    ],
)
def test_what_is_wrong_with_the_dead_letter_queue(attributes: dict[str, str], check: str) -> None:
    found = states(QUEUE, DEAD | attributes)
    assert {name for name, state in found.items() if state is State.NOT_WELL} == {check}


@pytest.mark.parametrize("odd", [None, "", "x", "-1", "9" * 19, "[", '{"a": 1}', "null"])
@pytest.mark.parametrize("name", sorted(set(QUEUE) - {"FifoQueue", "KmsMasterKeyId"}))
def test_what_is_not_told_is_not_well(name: str, odd: str | None) -> None:
    """It is not known, or not well; without a redrive policy there is none."""
    queue = {key: value for key, value in QUEUE.items() if key != name} | ({} if odd is None else {name: odd})
    read = {"ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"}
    if name in read | {"ApproximateNumberOfMessagesDelayed"}:
        dead = {key: value for key, value in DEAD.items() if key != name} | (
            {} if odd is None else {name: odd}
        )
        assert states(QUEUE, dead)["dead-letters"] is State.UNKNOWN
    else:
        assert set(states(queue).values()) != {State.WELL}


def test_whose_letters_are_taken_is_not_guessed() -> None:
    """An answer without attributes says nothing, and without the queue nobody knows whether it is named."""
    (found,) = [each for each in judge_dead_letter_queue("https://d", {}, ARN) if "allow" in each.check]
    assert found.state is State.UNKNOWN
    (found,) = [each for each in judge_dead_letter_queue("https://d", DEAD, "") if "allow" in each.check]
    assert (found.state, found.advice) == (State.UNKNOWN, "Name it with --stack, or --queue-url.")
    without = {name: text for name, text in DEAD.items() if name != "RedriveAllowPolicy"}
    assert states(QUEUE, without)["dead-letters-allow"] is State.WELL


def test_a_key_is_named() -> None:
    """Who may use it is not the queue's to say."""
    (found,) = [
        each.text
        for each in judge_queue("https://q", QUEUE | {"KmsMasterKeyId": "alias/k"}, DEAD_ARN)
        if "alias/k" in each.text
    ]
    assert "must be allowed" in found


VALUES = st.sampled_from(
    [None, "", "true", "false", "0", "4", "60", "1024", "1048576", POLICY, ARN, DEAD_ARN]
)


@given(
    st.dictionaries(st.sampled_from(sorted(QUEUE)), VALUES),
    st.dictionaries(st.sampled_from(sorted(DEAD)), VALUES),
)
def test_it_is_at_least_as_strict_as_the_writer(
    of_queue: dict[str, str | None], of_dead: dict[str, str | None]
) -> None:
    """Where all is well, the writer starts."""
    queue = {name: value for name, value in (QUEUE | of_queue).items() if value is not None}
    dead = {name: value for name, value in (DEAD | of_dead).items() if value is not None}
    if set(states(queue, dead).values()) == {State.WELL}:
        check_queues(queue, dead)
