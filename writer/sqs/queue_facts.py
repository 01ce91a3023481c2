"""Whether the pipeline can keep its promises with two queues, by their attributes. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shared.errors import FatalError, TransientError
from shared.sqs_answers import message_limit_in, number_in

if TYPE_CHECKING:
    from collections.abc import Mapping

MIN_VISIBILITY = 5


@dataclass(frozen=True, slots=True)
class QueueFacts:
    """What the writer needs to know about the queues.

    Attributes:
        visibility: the queue's visibility timeout, seconds.
        park_limit: `MaximumMessageSize` of the dead-letter queue, bytes.
        max_receives: `maxReceiveCount` of the queue's redrive policy.
    """

    visibility: int
    park_limit: int
    max_receives: int


def check_queues(queue: Mapping[str, str], dead_letters: Mapping[str, str]) -> QueueFacts:
    """Checks the attributes of both queues. Pure.

    Raises:
        TransientError: something that every queue has is missing in the answers.
        FatalError: the pipeline cannot keep its promises with these queues; the text names every reason.
    """
    of_queue, of_dead_letters = reading("QUEUE_URL"), reading("DEAD_LETTER_QUEUE_URL")
    visibility = number_in(queue, "VisibilityTimeout", of_queue)
    limit = message_limit_in(queue, of_queue)
    park_limit = message_limit_in(dead_letters, of_dead_letters)
    if not dead_letters.get("QueueArn"):
        raise TransientError(f"{of_dead_letters}: SQS's answer has no QueueArn")
    target, max_receives = _redrive_policy(queue.get("RedrivePolicy", ""), of_queue)
    problems = []
    if queue.get("FifoQueue") != "true":
        problems.append("QUEUE_URL is not a FIFO queue")
    if dead_letters.get("FifoQueue") != "true":
        problems.append("DEAD_LETTER_QUEUE_URL is not a FIFO queue")
    if visibility < MIN_VISIBILITY:
        problems.append(f"the queue's VisibilityTimeout is {visibility} s, less than {MIN_VISIBILITY} s")
    if not target:
        problems.append("the queue has no RedrivePolicy: a message that keeps failing would block its group")
    elif target != dead_letters["QueueArn"]:
        problems.append("the queue's RedrivePolicy does not name DEAD_LETTER_QUEUE_URL")
    if park_limit < limit:
        problems.append(
            "the dead-letter queue's MaximumMessageSize is less than the queue's: large messages could not "
            "be parked"
        )
    if problems:
        raise FatalError("; ".join(problems))
    return QueueFacts(visibility, park_limit, max_receives)


def _redrive_policy(text: str, doing: str) -> tuple[str, int]:
    """The queue that a redrive policy names, and its `maxReceiveCount`; empty and 0: there is no policy."""
    if not text:
        return "", 0
    try:
        policy = json.loads(text)
        target, receives = policy["deadLetterTargetArn"], int(policy["maxReceiveCount"])
    except (ValueError, LookupError, TypeError, RecursionError):
        target, receives = None, 0
    if not isinstance(target, str) or not target or receives < 1:
        raise TransientError(f"{doing}: SQS's answer has a RedrivePolicy that cannot be read")
    return target, receives


def reading(name: str) -> str:
    """What is done when a queue's attributes are read, for messages."""
    return f"reading the attributes of {name}"
