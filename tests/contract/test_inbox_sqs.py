"""What only a real SQS API can show of the inbox: missing queues, an absent server, partial answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import EndpointConnectionError

from shared.aws import sqs_client
from shared.errors import FatalError, TransientError
from tests.contract.test_inbox_contract import letter
from writer.inbox import ENOUGH_MESSAGES, SqsInbox
from writer.ports import Message

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from local.stack import Stack
    from tests.conftest import Queues

HELD = Message("id", "receipt", "body", "lane", 1, 0)
OTHER = Message("other", "another receipt", "body", "lane", 1, 0)
ACTIONS: dict[str, Callable[[SqsInbox], Awaitable[object]]] = {
    "open": lambda inbox: inbox.open(),
    "receive": lambda inbox: inbox.receive(),
    "extend": lambda inbox: inbox.extend([HELD]),
    "release": lambda inbox: inbox.release([HELD], 0),
    "delete": lambda inbox: inbox.delete([HELD]),
    "park": lambda inbox: inbox.park([letter()]),
}


@pytest.mark.usefixtures("aws_environment")
@pytest.mark.parametrize("action", ACTIONS)
async def test_a_missing_queue_needs_a_person(queues: Queues, action: str) -> None:
    """Whatever is tried on it: fatal, and the sentence says what to check."""
    missing = queues.url.replace(".fifo", "-missing.fifo")
    dead = missing if action == "park" else queues.dead_letter_url
    async with sqs_client(2, attempts=2, read_timeout=15) as client:
        with pytest.raises(FatalError, match="check the queue's URL"):
            await ACTIONS[action](SqsInbox(client, missing, dead))


@pytest.mark.usefixtures("aws_environment")
async def test_the_missing_one_of_the_two_is_named(queues: Queues) -> None:
    """By the name of the setting."""
    missing = queues.url.replace(".fifo", "-missing.fifo")
    async with sqs_client(2, attempts=1, read_timeout=15) as client:
        with pytest.raises(FatalError, match=" QUEUE_URL"):
            await SqsInbox(client, missing, queues.dead_letter_url).open()
        with pytest.raises(FatalError, match=" DEAD_LETTER_QUEUE_URL"):
            await SqsInbox(client, queues.url, missing).open()


@pytest.mark.usefixtures("aws_environment")
@pytest.mark.parametrize("action", ACTIONS)
async def test_an_absent_server_is_waited_for(
    queues: Queues, monkeypatch: pytest.MonkeyPatch, action: str
) -> None:
    """Nothing listens there: transient, whatever is tried (P4)."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    async with sqs_client(2, attempts=1, read_timeout=1) as client:
        with pytest.raises(TransientError):
            await ACTIONS[action](SqsInbox(client, queues.url, queues.dead_letter_url))


@pytest.mark.usefixtures("aws_environment")
async def test_queues_that_do_not_fit_are_refused(stack: Stack, queues: Queues) -> None:
    """Read from the queues themselves; all that is wrong is in one message."""
    stack.client("sqs").set_queue_attributes(QueueUrl=queues.url, Attributes={"VisibilityTimeout": "2"})
    async with sqs_client(2, attempts=2, read_timeout=15) as client:
        with pytest.raises(FatalError) as caught:
            await SqsInbox(client, queues.url, queues.url).open()  # the queue as its own dead-letter queue
    assert "VisibilityTimeout is 2 s" in str(caught.value)
    assert "another queue than DEAD_LETTER_QUEUE_URL" in str(caught.value)


@pytest.mark.usefixtures("aws_environment")
async def test_open_reads_what_the_queues_say(queues: Queues) -> None:
    """The visibility timeout and the size limit come from the queues, not from a setting."""
    async with sqs_client(2, attempts=2, read_timeout=15) as client:
        inbox = SqsInbox(client, queues.url, queues.dead_letter_url)
        await inbox.open()
        assert (inbox.visibility, inbox.park_limit) == (30, 1024 * 1024)


@pytest.mark.usefixtures("aws_environment")
async def test_a_deep_queue_is_emptied_in_large_batches(stack: Stack, queues: Queues) -> None:
    """While requests come back full, up to a number; of each group in order (see `writer.inbox`)."""
    numbers = [(group, number) for group in range(30) for number in range(2)]
    for first in range(0, len(numbers), 10):
        stack.client("sqs").send_message_batch(
            QueueUrl=queues.url,
            Entries=[
                {
                    "Id": str(index),
                    "MessageBody": f"{group} {number}",
                    "MessageGroupId": str(group),
                    "MessageDeduplicationId": f"{group}-{number}",
                }
                for index, (group, number) in enumerate(numbers[first : first + 10])
            ],
        )
    async with sqs_client(2, attempts=2, read_timeout=15) as client:
        inbox = SqsInbox(client, queues.url, queues.dead_letter_url)
        await inbox.open()
        messages = list(await inbox.receive())
        assert len(messages) == ENOUGH_MESSAGES
        await inbox.delete(messages)
        rest = await inbox.receive()
        await inbox.delete(rest)
    received = [message.body for message in [*messages, *rest]]
    assert sorted(received) == sorted(f"{group} {number}" for group, number in numbers)
    for group in range(30):
        numbers_of_group = [body.split()[1] for body in received if body.split()[0] == str(group)]
        assert numbers_of_group == sorted(numbers_of_group)


class Queue:
    """An SQS client whose queue answers each request with so many messages of so many characters."""

    def __init__(self, *answers: int | Exception, size: int = 1) -> None:
        self._answers = list(answers)
        self._size = size
        self.waits: list[int] = []

    async def receive_message(self, **request: Any) -> dict[str, Any]:
        self.waits.append(request["WaitTimeSeconds"])
        answer = self._answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        attributes = {"MessageGroupId": "lane", "ApproximateReceiveCount": "1", "SentTimestamp": "0"}
        message = {"MessageId": "1", "ReceiptHandle": "1", "Body": "x" * self._size, "Attributes": attributes}
        return {"Messages": [message] * answer}


async def received(queue: Any) -> int:
    return len(await SqsInbox(queue, "queue", "dead").receive())


async def test_how_often_sqs_is_asked() -> None:
    """Once where there is little or where messages are large; the further requests do not wait."""
    for queue, messages, waits in [
        (Queue(0), 0, [5]),
        (Queue(9), 9, [5]),
        (Queue(10, 0), 10, [5, 0]),
        (Queue(10, 10, 3), 23, [5, 0, 0]),
        (Queue(10, 10, 10, 10, 10), 50, [5, 0, 0, 0, 0]),
        (Queue(10, size=20_000), 10, [5]),
        (Queue(10, 10, size=10_000), 20, [5, 0]),
    ]:
        assert await received(queue) == messages
        assert queue.waits == waits


async def test_what_was_received_is_handled_when_the_next_request_fails() -> None:
    """It is locked for us."""
    assert await received(Queue(10, EndpointConnectionError(endpoint_url="x"))) == 10


class Answering:
    """An SQS client that gives one answer to everything."""

    def __init__(self, failed: list[dict[str, Any]]) -> None:
        self._answer = {"Failed": failed, "Successful": []}

    async def answer(self, **_: Any) -> dict[str, Any]:
        return self._answer

    change_message_visibility_batch = delete_message_batch = send_message_batch = answer


def failed(*, ours: bool) -> list[dict[str, Any]]:
    return [{"Id": "0", "SenderFault": ours, "Code": "SomeCode", "Message": "?"}]


@pytest.mark.parametrize("action", ["extend", "release", "delete", "park"])
async def test_a_failed_entry_of_a_batch_call_is_not_overlooked(action: str) -> None:
    """The SDK does not retry entries, and the call itself succeeds: each must be looked at (P3)."""
    client: Any = Answering(failed(ours=False))
    with pytest.raises(TransientError):
        await ACTIONS[action](SqsInbox(client, "queue", "dead"))


@pytest.mark.parametrize("action", ["extend", "release", "delete"])
async def test_an_entry_that_failed_by_our_fault_is_a_lost_lock(action: str) -> None:
    """The receipt is not valid any more: another delivery decides, so it is no error here."""
    client: Any = Answering(failed(ours=True))
    result = await ACTIONS[action](SqsInbox(client, "queue", "dead"))
    assert result == ([HELD] if action == "extend" else None)


NOT_OURS = {
    "ReceiptHandleIsInvalid": "The input receipt handle is invalid.",
    "InvalidParameterValue": (
        "Value 120 for parameter VisibilityTimeout is invalid. "
        "Reason: Total VisibilityTimeout for the message is beyond the limit [43200 seconds]"
    ),
}


@pytest.mark.parametrize("code", NOT_OURS)
async def test_a_lock_that_sqs_does_not_extend_is_lost(code: str) -> None:
    """Somebody else's by now, or held for twelve hours, longer than which SQS lets nobody (P2).

    The answer is that of AWS; no emulator here has the limit.
    """
    entry = {"Id": "0", "SenderFault": True, "Code": code, "Message": NOT_OURS[code]}
    client: Any = Answering([entry])
    assert await SqsInbox(client, "queue", "dead").extend([HELD, OTHER]) == [HELD]


async def test_a_letter_that_is_refused_is_not_parked() -> None:
    """Whoever's fault it is: as long as it is not surely there, nothing may be acknowledged (P3)."""
    client: Any = Answering(failed(ours=True))
    with pytest.raises(TransientError, match="SomeCode"):
        await SqsInbox(client, "queue", "dead").park([letter()])
