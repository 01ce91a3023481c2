"""What only a real SQS API can show of the inbox: missing queues, an absent server, partial answers."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import EndpointConnectionError

from local.polling import HANG_TIMEOUT_S
from shared.aws import sqs_client
from shared.envelope import encode_change, seal
from shared.errors import FatalError, TransientError
from tests.contract.test_inbox_contract import letter
from tests.support.builders import LABEL, put
from writer.ports import Message
from writer.sqs.inbox import ENOUGH_BYTES, ENOUGH_MESSAGES, SqsInbox

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
    """It is fatal at the start alone; later it is waited for. The message says what to check (P4)."""
    missing = queues.url.replace(".fifo", "-missing.fifo")
    dead = missing if action == "park" else queues.dead_letter_url
    kind = FatalError if action == "open" else TransientError
    async with sqs_client(2, attempts=2, read_timeout=HANG_TIMEOUT_S) as client:
        with pytest.raises(kind, match="check the queue's URL"):
            await ACTIONS[action](SqsInbox(client, missing, dead))


@pytest.mark.usefixtures("aws_environment")
async def test_the_missing_one_of_the_two_is_named(queues: Queues) -> None:
    """By the name of the setting."""
    missing = queues.url.replace(".fifo", "-missing.fifo")
    async with sqs_client(2, attempts=1, read_timeout=HANG_TIMEOUT_S) as client:
        with pytest.raises(FatalError, match=" QUEUE_URL"):
            await SqsInbox(client, missing, queues.dead_letter_url).open()
        with pytest.raises(FatalError, match=" DEAD_LETTER_QUEUE_URL"):
            await SqsInbox(client, queues.url, missing).open()


@pytest.mark.usefixtures("aws_environment")
@pytest.mark.parametrize("action", ACTIONS)
async def test_an_absent_server_is_waited_for(
    queues: Queues, monkeypatch: pytest.MonkeyPatch, action: str
) -> None:
    """Nothing listens there: every call is transient (P4)."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    async with sqs_client(2, attempts=1, read_timeout=HANG_TIMEOUT_S) as client:
        with pytest.raises(TransientError):
            await ACTIONS[action](SqsInbox(client, queues.url, queues.dead_letter_url))


@pytest.mark.usefixtures("aws_environment")
async def test_queues_that_do_not_fit_are_refused(stack: Stack, queues: Queues) -> None:
    """Read from the queues themselves; all that is wrong is in one message."""
    stack.client("sqs").set_queue_attributes(QueueUrl=queues.url, Attributes={"VisibilityTimeout": "2"})
    async with sqs_client(2, attempts=2, read_timeout=HANG_TIMEOUT_S) as client:
        with pytest.raises(FatalError) as caught:
            await SqsInbox(client, queues.url, queues.url).open()  # the queue as its own dead-letter queue
    assert "VisibilityTimeout is 2 s" in str(caught.value)
    assert "does not name DEAD_LETTER_QUEUE_URL" in str(caught.value)


@pytest.mark.usefixtures("aws_environment")
async def test_open_reads_what_the_queues_say(queues: Queues) -> None:
    """The visibility timeout and the size limit come from the queues, not from a setting."""
    async with sqs_client(2, attempts=2, read_timeout=HANG_TIMEOUT_S) as client:
        inbox = SqsInbox(client, queues.url, queues.dead_letter_url)
        await inbox.open()
        assert (inbox.visibility, inbox.park_limit) == (30, 1024 * 1024)


@pytest.mark.usefixtures("aws_environment")
async def test_a_deep_queue_is_emptied_in_large_batches(stack: Stack, queues: Queues) -> None:
    """While requests come back full, up to a number; of each group in order (see `writer.sqs.inbox`)."""
    numbers = [(group, number) for group in range(30) for number in range(2)]
    for start in range(0, len(numbers), 10):
        stack.client("sqs").send_message_batch(
            QueueUrl=queues.url,
            Entries=[
                {
                    "Id": str(index),
                    "MessageBody": f"{group} {number}",
                    "MessageGroupId": str(group),
                    "MessageDeduplicationId": f"{group}-{number}",
                }
                for index, (group, number) in enumerate(numbers[start : start + 10])
            ],
        )
    async with sqs_client(2, attempts=2, read_timeout=HANG_TIMEOUT_S) as client:
        inbox = SqsInbox(client, queues.url, queues.dead_letter_url)
        await inbox.open()
        first = await inbox.receive()
        await inbox.delete(first)
        rest = await inbox.receive()
    assert 20 < len(first) < ENOUGH_MESSAGES + 10
    received = [message.body for message in [*first, *rest]]
    assert sorted(received) == sorted(f"{group} {number}" for group, number in numbers)
    for name in range(30):
        numbers_of_group = [body.split()[1] for body in received if body.split()[0] == str(name)]
        assert numbers_of_group == sorted(numbers_of_group)


class Queue:
    """An SQS client whose queue has messages of some lengths, and an error after them if one is given."""

    def __init__(self, *lengths: int, error: Exception | None = None, hangs: bool = False) -> None:
        self.lengths = list(lengths)
        self.bodies: list[str] = []
        self._error = error
        self._hangs = hangs
        self.requests: list[tuple[int, int]] = []
        """For each request: the messages that it asked for, and the seconds that it waits."""

    async def receive_message(self, **request: Any) -> dict[str, Any]:
        number = request["MaxNumberOfMessages"]
        self.requests.append((number, request["WaitTimeSeconds"]))
        if not self.lengths and self._error is not None:
            raise self._error
        if not self.lengths and self._hangs:
            await asyncio.Event().wait()
        taken, self.lengths = self.lengths[:number], self.lengths[number:]
        bodies, self.bodies = self.bodies[:number], self.bodies[number:]
        attributes = {
            "MessageGroupId": "lane",
            "ApproximateReceiveCount": "1",
            "SentTimestamp": "1588166542000",
        }
        message = {"MessageId": "1", "ReceiptHandle": "1", "Attributes": attributes}
        return {"Messages": [{**message, "Body": body} for body in bodies or ["x" * n for n in taken]]}


SMALL, LARGE = 100, 240_000


async def test_how_often_sqs_is_asked_for_small_messages() -> None:
    """Ten at a time, until there are no more or it is enough; only the first request waits."""
    queue: Any = Queue(*[SMALL] * 500)
    inbox = SqsInbox(queue, "queue", "dead")
    while queue.lengths:
        await inbox.receive()
    for left, received, requests in [
        (0, 0, [(10, 5)]),
        (9, 9, [(10, 5)]),
        (10, 10, [(10, 5), (10, 0)]),
        (23, 23, [(10, 5), (10, 0), (10, 0)]),
        (90, 50, [(10, 5), (10, 0), (10, 0), (10, 0), (10, 0)]),
    ]:
        queue.lengths, queue.requests = [SMALL] * left, []
        assert len(await inbox.receive()) == received
        assert queue.requests == requests


async def test_what_is_held_at_once_is_bounded() -> None:
    """Large messages come one at a time from the first on, and for some time after the last (P7)."""
    queue: Any = Queue(*[LARGE] * 20)
    inbox = SqsInbox(queue, "queue", "dead")
    for _ in range(20):
        assert [len(message.body) for message in await inbox.receive()] == [LARGE]
    queue.lengths = [SMALL, LARGE] * 10
    while queue.lengths:
        assert sum(len(message.body) for message in await inbox.receive()) <= LARGE + ENOUGH_BYTES
    queue.lengths = [SMALL] * 500
    while queue.lengths:
        await inbox.receive()
    assert queue.requests[-1][0] == 10
    queue.lengths = [50_000] * 40  # neither small nor large: what a second request may bring is what is left
    while queue.lengths:
        assert sum(len(message.body) for message in await inbox.receive()) <= 10 * 50_000
        queue.lengths = queue.lengths[:30]
        assert sum(len(message.body) for message in await inbox.receive()) < ENOUGH_BYTES + 50_000
        queue.lengths = []


async def test_a_compressed_message_fills_a_batch() -> None:
    """It can become anything: no further request, and from then on one message at a time (P7)."""
    change = encode_change(put(1, text="x" * 1000))
    compressed = seal("people", LABEL, [change], 200)
    plain = seal("people", LABEL, [encode_change(put(1, z="x", text='"z":"'))], 10_000)
    queue: Any = Queue(*[SMALL] * 500)
    inbox = SqsInbox(queue, "queue", "dead")
    while queue.lengths:
        await inbox.receive()
    queue.bodies, queue.requests = [plain] * 60, []
    assert len(await inbox.receive()) == 50
    queue.bodies = [compressed] * 20
    assert len(await inbox.receive()) == 10  # nobody could know
    assert len(await inbox.receive()) == 1


async def test_a_further_request_does_not_keep_messages_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """SQS hangs: the messages in hand are processed while their lock lasts (P4)."""
    monkeypatch.setattr("writer.sqs.inbox.PROMPT_SECONDS", 0.01)
    queue: Any = Queue(SMALL, hangs=True)
    assert len(await SqsInbox(queue, "queue", "dead").receive()) == 1
    assert len(queue.requests) == 2


async def test_in_a_hurry_one_request_is_a_batch() -> None:
    """Messages that others can receive are left to them."""
    queue: Any = Queue(*[SMALL] * 500)
    inbox = SqsInbox(queue, "queue", "dead")
    while len(queue.lengths) > 100:
        await inbox.receive()
    inbox.hurry()
    assert len(await inbox.receive()) == 10


async def test_what_was_received_is_handled_when_the_next_request_fails() -> None:
    """It is locked for us."""
    queue: Any = Queue(SMALL, error=EndpointConnectionError(endpoint_url="x"))
    inbox = SqsInbox(queue, "queue", "dead")
    assert len(await inbox.receive()) == 1
    assert len(queue.requests) == 2
    with pytest.raises(TransientError):
        await inbox.receive()


class Answering:
    """An SQS client that gives one answer to everything."""

    def __init__(self, failed: list[dict[str, Any]]) -> None:
        self._answer = {"Failed": failed, "Successful": []}

    async def answer(self, **_: Any) -> dict[str, Any]:
        return self._answer

    change_message_visibility_batch = delete_message_batch = send_message_batch = answer


def failed(code: str, *, ours: bool) -> list[dict[str, Any]]:
    return [{"Id": "0", "SenderFault": ours, "Code": code, "Message": "?"}]


@pytest.mark.parametrize("action", ["extend", "release", "delete", "park"])
async def test_a_failed_entry_of_a_batch_call_is_not_overlooked(action: str) -> None:
    """The SDK does not retry entries, and the call itself succeeds: each must be looked at (P3)."""
    for code, ours in (("SomeCode", True), ("SomeCode", False), ("ReceiptHandleIsInvalid", False)):
        client: Any = Answering(failed(code, ours=ours))
        with pytest.raises(TransientError, match=code):
            await ACTIONS[action](SqsInbox(client, "queue", "dead"))


@pytest.mark.parametrize("action", ["extend", "release", "delete"])
async def test_an_entry_that_failed_by_our_fault_is_a_lost_lock(action: str) -> None:
    """The receipt is no longer valid: another delivery decides, so it is no error here."""
    client: Any = Answering(failed("ReceiptHandleIsInvalid", ours=True))
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
    """Whoever's fault it is: until the letter is certainly there, nothing may be acknowledged (P3)."""
    client: Any = Answering(failed("InvalidMessageContents", ours=True))
    with pytest.raises(TransientError, match="InvalidMessageContents"):
        await SqsInbox(client, "queue", "dead").park([letter()])


@pytest.mark.usefixtures("aws_environment")
async def test_a_changed_limit_of_the_queues_is_followed(stack: Stack, queues: Queues) -> None:
    """Or SQS would move whole messages before the writer parks the one change that is to blame (P5)."""
    async with sqs_client(2, attempts=2, read_timeout=HANG_TIMEOUT_S) as client:
        inbox = SqsInbox(client, queues.url, queues.dead_letter_url)
        await inbox.open()
        sqs = stack.client("sqs")
        attributes = sqs.get_queue_attributes(QueueUrl=queues.url, AttributeNames=["RedrivePolicy"])[
            "Attributes"
        ]
        policy = {**json.loads(attributes["RedrivePolicy"]), "maxReceiveCount": inbox.max_receives + 2}
        expected = inbox.max_receives + 2
        sqs.set_queue_attributes(QueueUrl=queues.url, Attributes={"RedrivePolicy": json.dumps(policy)})
        await inbox.backlog()
        assert inbox.max_receives == expected
