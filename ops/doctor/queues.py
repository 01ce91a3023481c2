"""Whether the two queues can keep what the pipeline promises, by their attributes. Pure.

Law: it is at least as strict as the writer at its start (`writer.sqs.queue_facts`). An attribute that the
answer does not have is not known, and never what AWS would take by default.

Sources: Amazon SQS API reference, ``SetQueueAttributes``; Amazon SQS developer guide, "High throughput for
FIFO queues"; deploy/pipeline.yaml.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ops.console.terminal import count
from ops.doctor.findings import Finding, not_well, unknown, well
from writer.sqs.queue_facts import MIN_VISIBILITY

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_DAY = 86400
_RETENTION = 14 * _DAY
_MESSAGE_SIZE = 1024 * 1024
_FEWEST_RECEIVES = 3
_ASK_AGAIN = "Run this again; if it does not help, look at the queue's attributes."


@dataclass(frozen=True, slots=True)
class _Queue:
    """A queue: what its checks are called, what it is called in a sentence, where it is, what it is like."""

    name: str
    what: str
    url: str
    attributes: Mapping[str, str]

    def set(self, attributes: str) -> str:
        command = f"aws sqs set-queue-attributes --queue-url {self.url} --attributes {attributes}"
        return f"Run {command}"


def judge_queue(url: str, queue: Mapping[str, str], dead_letter_arn: str) -> Iterator[Finding]:
    """The findings about the queue.

    Args:
        url: its URL.
        queue: its attributes.
        dead_letter_arn: of the dead-letter queue; empty: not known.
    """
    found = _Queue("queue", "The queue", url, queue)
    yield _fifo(found)
    if queue.get("FifoQueue") == "true":
        yield _throughput(found)
    yield _visibility(found)
    yield _retention(found)
    yield _size(found)
    yield from _redrive(queue, dead_letter_arn)
    yield _encryption(found)


def judge_dead_letter_queue(url: str, dead: Mapping[str, str], queue_arn: str) -> Iterator[Finding]:
    """The findings about the dead-letter queue; `queue_arn`: of the queue, empty: not known."""
    found = _Queue("dead-letters", "The dead-letter queue", url, dead)
    yield _fifo(found)
    yield _retention(found)
    yield _size(found)
    yield _allows(dead, queue_arn)
    yield _encryption(found)
    yield _letters(dead)


def _fifo(queue: _Queue) -> Finding:
    # SQS answers with FifoQueue for FIFO queues only, and with QueueArn for all.
    if queue.attributes.get("FifoQueue") == "true":
        return well(f"{queue.name}-fifo", f"{queue.what} is a FIFO queue.")
    if not queue.attributes.get("QueueArn"):
        return _odd(
            f"{queue.name}-fifo", f"Cannot tell whether {queue.what.lower()} is a FIFO queue", "QueueArn"
        )
    return not_well(
        f"{queue.name}-fifo",
        f"{queue.what} is a standard queue, which does not keep the order: {queue.attributes['QueueArn']}.",
        "Name the queues that deploy/pipeline.yaml creates (--stack NAME), or create FIFO queues.",
    )


def _throughput(queue: _Queue) -> Finding:
    scope, limit = queue.attributes.get("DeduplicationScope"), queue.attributes.get("FifoThroughputLimit")
    if (scope, limit) == ("messageGroup", "perMessageGroupId"):
        return well(f"{queue.name}-throughput", f"{queue.what} is in high-throughput mode.")
    if scope is None or limit is None:
        return _odd(
            f"{queue.name}-throughput",
            f"Cannot tell whether {queue.what.lower()} is in high-throughput mode",
            "DeduplicationScope",
        )
    return not_well(
        f"{queue.name}-throughput",
        f"{queue.what} is not in high-throughput mode ({scope}, {limit}): SQS allows only 300 calls per "
        "second for each action.",
        queue.set("DeduplicationScope=messageGroup,FifoThroughputLimit=perMessageGroupId"),
    )


def _visibility(queue: _Queue) -> Finding:
    check, found = "queue-visibility", _number(queue.attributes, "VisibilityTimeout")
    if found is None:
        return _odd(check, "Cannot tell the queue's visibility timeout", "VisibilityTimeout")
    if found < MIN_VISIBILITY:
        return not_well(
            check,
            f"The queue's visibility timeout is {found} s; the writer needs at least {MIN_VISIBILITY} s to "
            "extend it.",
            queue.set("VisibilityTimeout=60"),
        )
    return well(
        check,
        f"The queue's visibility timeout is {found} s: after a crash, another writer takes over within "
        "that time.",
    )


def _retention(queue: _Queue) -> Finding:
    check, found = f"{queue.name}-retention", _number(queue.attributes, "MessageRetentionPeriod")
    if found is None:
        return _odd(
            check, f"Cannot tell how long {queue.what.lower()} keeps messages", "MessageRetentionPeriod"
        )
    if found < _RETENTION:
        return not_well(
            check,
            f"{queue.what} keeps messages for only {found / _DAY:.3g} days: older ones are lost.",
            queue.set(f"MessageRetentionPeriod={_RETENTION}"),
        )
    return well(check, f"{queue.what} keeps messages for 14 days.")


def _size(queue: _Queue) -> Finding:
    check, found = f"{queue.name}-message-size", _number(queue.attributes, "MaximumMessageSize")
    if found is None:
        return _odd(
            check, f"Cannot tell how large messages in {queue.what.lower()} may be", "MaximumMessageSize"
        )
    if found < _MESSAGE_SIZE:
        return not_well(
            check,
            f"{queue.what} takes messages up to {found // 1024} KiB; the largest items need 1024 KiB.",
            queue.set(f"MaximumMessageSize={_MESSAGE_SIZE}"),
        )
    return well(check, f"{queue.what} takes messages up to 1 MiB.")


def _redrive(queue: Mapping[str, str], dead_letter_arn: str) -> Iterator[Finding]:
    check, what = "queue-redrive-policy", "The queue's redrive policy"
    text = queue.get("RedrivePolicy", "")
    if not text:
        yield not_well(
            check,
            "The queue has no redrive policy: a message that keeps failing blocks its message group.",
            "Set its RedrivePolicy: deadLetterTargetArn of the dead-letter queue, maxReceiveCount 10.",
        )
        return
    policy = _object(text)
    target, receives = policy.get("deadLetterTargetArn"), _whole(policy.get("maxReceiveCount"))
    if not isinstance(target, str) or not target or receives is None:
        yield _odd(check, what, "RedrivePolicy")
    elif not dead_letter_arn:
        yield unknown(
            check,
            f"{what} names {target}, but cannot be compared: the dead-letter queue is unknown.",
            "Name it with --stack, or --dead-letter-queue-url.",
        )
    elif target != dead_letter_arn:
        yield not_well(
            check,
            f"{what} names {target}, which is not the dead-letter queue.",
            f"Set its deadLetterTargetArn to {dead_letter_arn}.",
        )
    else:
        yield well(check, f"{what} names the dead-letter queue.")
    if receives is not None:
        yield _receives(receives)


def _receives(receives: int) -> Finding:
    if receives < _FEWEST_RECEIVES:
        return not_well(
            "queue-max-receives",
            f"SQS moves a message after only {count(receives, 'receive')}: restarting a writer is enough.",
            "Set maxReceiveCount in its RedrivePolicy to 10.",
        )
    return well(
        "queue-max-receives", f"SQS moves a message to the dead-letter queue after {receives} receives."
    )


def _allows(dead: Mapping[str, str], queue_arn: str) -> Finding:
    """Whether SQS may move messages of the queue there. Without a policy every queue may."""
    check, text = "dead-letters-allow", dead.get("RedriveAllowPolicy", "")
    policy = _object(text)
    permission, sources = policy.get("redrivePermission"), policy.get("sourceQueueArns")
    if not text and not dead.get("QueueArn"):  # which every answer with attributes has
        return _odd(
            check, "Cannot tell whether the dead-letter queue accepts messages from the queue", "QueueArn"
        )
    if not text or permission == "allowAll":
        return well(check, "The dead-letter queue accepts messages from every queue.")
    if permission == "byQueue" and isinstance(sources, list):
        if not queue_arn:
            return unknown(
                check,
                "Cannot tell whether the dead-letter queue accepts messages from the queue: the queue is "
                "unknown.",
                "Name it with --stack, or --queue-url.",
            )
        if queue_arn in sources:
            return well(check, "The dead-letter queue accepts messages from the queue.")
    elif permission != "denyAll":
        return _odd(
            check,
            "Cannot tell whether the dead-letter queue accepts messages from the queue",
            "RedriveAllowPolicy",
        )
    return not_well(
        check,
        "The dead-letter queue's RedriveAllowPolicy does not name the queue.",
        "Add the queue's ARN to its sourceQueueArns.",
    )


def _encryption(queue: _Queue) -> Finding:
    check, key = f"{queue.name}-encryption", queue.attributes.get("KmsMasterKeyId")
    if key:
        return well(
            check,
            f"{queue.what} is encrypted with the key {key}, which Lambda and writers must be allowed to use.",
        )
    if queue.attributes.get("SqsManagedSseEnabled") == "true":
        return well(check, f"{queue.what} is encrypted with a key that SQS owns.")
    if queue.attributes.get("SqsManagedSseEnabled") == "false":
        return not_well(check, f"{queue.what} is not encrypted.", queue.set("SqsManagedSseEnabled=true"))
    return _odd(check, f"Cannot tell whether {queue.what.lower()} is encrypted", "SqsManagedSseEnabled")


def _letters(dead: Mapping[str, str]) -> Finding:
    names = ("", "NotVisible", "Delayed")
    found = [_number(dead, f"ApproximateNumberOfMessages{name}") for name in names]
    known = [each for each in found if each is not None]
    if len(known) < len(names):
        return _odd(
            "dead-letters", "Cannot tell how many dead letters there are", "ApproximateNumberOfMessages"
        )
    if letters := sum(known):
        text = (
            f"There are about {count(letters, 'dead letter')}." if letters > 1 else "There is 1 dead letter."
        )
        return not_well("dead-letters", text, "Look at them: replicator dlq list.")
    return well("dead-letters", "There are no dead letters.")


def _odd(check: str, what: str, attribute: str) -> Finding:
    return unknown(check, f"{what}: SQS's answer has no {attribute} that can be read.", _ASK_AGAIN)


def _number(attributes: Mapping[str, str], name: str) -> int | None:
    return _whole(attributes.get(name))


def _whole(value: object) -> int | None:
    text = str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else None  # noqa: PLR2004


def _object(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
