"""Queues on which the promises cannot be kept are refused at the start, with every reason."""

from __future__ import annotations

import json

import pytest

from shared.errors import FatalError
from writer.sqs.queue_facts import QueueFacts, check_queues

DEAD_ARN = "arn:aws:sqs:us-east-1:000000000000:dead.fifo"
QUEUE = {
    "FifoQueue": "true",
    "VisibilityTimeout": "120",
    "MaximumMessageSize": "1048576",
    "RedrivePolicy": json.dumps({"deadLetterTargetArn": DEAD_ARN, "maxReceiveCount": 5}),
}
DEAD = {"FifoQueue": "true", "QueueArn": DEAD_ARN, "MaximumMessageSize": "1048576"}


def test_queues_as_the_template_makes_them() -> None:
    """The writer's limits are read from the queues."""
    assert check_queues(QUEUE, DEAD) == QueueFacts(visibility=120, park_limit=1048576, max_receives=5)


def test_any_visibility_timeout_of_five_seconds_or_more_works() -> None:
    """The bound itself is allowed."""
    assert check_queues({**QUEUE, "VisibilityTimeout": "5"}, DEAD).visibility == 5


WRONG = [
    ({"FifoQueue": "false"}, {}, "QUEUE_URL is not a FIFO queue"),
    ({}, {"FifoQueue": ""}, "DEAD_LETTER_QUEUE_URL is not a FIFO queue"),
    ({"VisibilityTimeout": "4"}, {}, "VisibilityTimeout is 4 s"),
    ({"RedrivePolicy": ""}, {}, "no RedrivePolicy"),
    ({}, {"QueueArn": "arn:other"}, "does not name DEAD_LETTER_QUEUE_URL"),
    ({}, {"MaximumMessageSize": "262144"}, "MaximumMessageSize"),
]


@pytest.mark.parametrize(("queue", "dead", "named"), WRONG)
def test_each_problem_is_named(queue: dict[str, str], dead: dict[str, str], named: str) -> None:
    """One wrong thing is one reason."""
    with pytest.raises(FatalError, match=named) as caught:
        check_queues({**QUEUE, **queue}, {**DEAD, **dead})
    assert ";" not in str(caught.value)


def test_attributes_that_are_absent_are_problems_too() -> None:
    """A standard queue has no FifoQueue attribute, a new one no RedrivePolicy."""
    queue = {name: value for name, value in QUEUE.items() if name not in {"FifoQueue", "RedrivePolicy"}}
    dead = {name: value for name, value in DEAD.items() if name != "FifoQueue"}
    with pytest.raises(FatalError) as caught:
        check_queues({**queue, "VisibilityTimeout": "0"}, dead)
    for named in ("QUEUE_URL is not", "DEAD_LETTER_QUEUE_URL is not", "0 s", "no RedrivePolicy"):
        assert named in str(caught.value)
