"""What the producer asks of SQS for fixed events: calls, messages and bytes. Never how long it takes.

These numbers are what the queue costs and what the writer has to do. Whoever makes them larger shall know it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest

from bench.sized import event
from producer_lambda.forward import Producer
from producer_lambda.sending import Queue
from producer_lambda.settings import Settings

if TYPE_CHECKING:
    from types_aiobotocore_sqs import SQSClient

MIB = 1024 * 1024


class CountingSqs:
    """A queue that takes everything, and notes it."""

    def __init__(self) -> None:
        self.calls: list[list[str]] = []

    async def send_message_batch(self, *, QueueUrl: str, Entries: Any) -> Any:  # noqa: N803, ARG002 - the SDK's names
        self.calls.append([entry["MessageBody"] for entry in Entries])
        return {"Successful": [{"Id": entry["Id"]} for entry in Entries]}


@pytest.mark.parametrize(
    ("changes", "size", "hot", "lanes", "calls", "messages", "octets"),
    [
        (1, 250, False, 64, 1, 1, 453),
        (100, 250, False, 64, 6, 56, 42_132),
        (1_000, 250, False, 64, 7, 64, 385_608),
        (1_000, 250, True, 64, 7, 64, 195_486),  # half of the changes are of one item: one of them travels
        (10_000, 250, False, 64, 7, 64, 3_815_608),
        (1_000, 250, False, 1, 2, 2, 381_144),  # of a lane one after another
        (1_000, 250, False, 0, 100, 1_000, 453_000),  # a lane of its own for each key
        (1_000, 1_000, False, 64, 7, 64, 1_135_608),
        (300, 10_000, False, 64, 7, 64, 3_043_908),
    ],
)
async def test_calls_and_messages(  # noqa: PLR0913 - a row of a table
    *, changes: int, size: int, hot: bool, lanes: int, calls: int, messages: int, octets: int
) -> None:
    """As few calls and messages as lanes and limits allow."""
    sqs = CountingSqs()
    queue, dead = Queue("https://sqs/q.fifo", MIB), Queue("https://sqs/d.fifo", MIB)
    settings = Settings(queue.url, dead.url, lanes, frozenset(), "INFO")
    producer = Producer(cast("SQSClient", sqs), queue, dead, settings)
    response = await producer.forward(event(changes, size, hot=hot), lambda: 30.0)
    assert response == {"batchItemFailures": []}
    bodies = [body for call in sqs.calls for body in call]
    assert (len(sqs.calls), len(bodies), sum(len(body.encode()) for body in bodies)) == (
        calls,
        messages,
        octets,
    )
