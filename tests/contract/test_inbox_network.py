"""The inbox on a long, narrow or broken way to SQS: few round trips, and nothing received for nobody."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web

from local.polling import HANG_TIMEOUT_S
from shared.aws import sqs_client
from shared.errors import TransientError
from tests.support.fake_clock import settled
from writer.ports import Message
from writer.sqs.batch_calls import AT_ONCE
from writer.sqs.inbox import SqsInbox

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

Answer = dict[str, Any]
_MESSAGES = [Message(str(n), f"receipt-{n}", "body", "lane", 1, 0) for n in range(95)]


class Sqs:
    """An SQS client whose answers the test gives, one by one; deletes succeed at once."""

    def __init__(self) -> None:
        self.asked: asyncio.Queue[tuple[Answer, asyncio.Future[Answer]]] = asyncio.Queue()
        self.most_at_once = self._at_once = 0

    async def delete_message_batch(self, **request: Any) -> Answer:
        self._at_once += 1
        self.most_at_once = max(self.most_at_once, self._at_once)
        await asyncio.sleep(0)
        self._at_once -= 1
        return {"Successful": [{"Id": entry["Id"]} for entry in request["Entries"]]}

    async def change_message_visibility_batch(self, **request: Any) -> Answer:
        return await self._asks(request)

    async def receive_message(self, **request: Any) -> Answer:
        return await self._asks(request)

    async def _asks(self, request: Answer) -> Answer:
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self.asked.put_nowait((request, answer))
        return await answer

    async def answers(self, answer: Answer | Exception) -> Answer:
        """Answers the oldest request that waits; returns it."""
        async with asyncio.timeout(HANG_TIMEOUT_S):
            request, waiting = await self.asked.get()
        if isinstance(answer, Exception):
            waiting.set_exception(answer)
        else:
            waiting.set_result(answer)
        return request


def received(*bodies: str) -> Answer:
    attributes = {
        "MessageGroupId": "lane",
        "ApproximateReceiveCount": "1",
        "SentTimestamp": "1588166542000",
    }
    return {
        "Messages": [
            {"MessageId": body, "ReceiptHandle": body, "Body": body, "Attributes": attributes}
            for body in bodies
        ]
    }


def extended(request_entries: int, *, lost: int | None = None) -> Answer:
    done = [{"Id": str(n)} for n in range(request_entries) if n != lost]
    failed = [
        {"Id": str(n), "Code": "ReceiptHandleIsInvalid", "SenderFault": True}
        for n in range(request_entries)
        if n == lost
    ]
    return {"Successful": done, "Failed": failed}


@pytest.fixture
def sqs() -> Any:
    return Sqs()


async def _with_one_that_is_late(sqs: Any, monkeypatch: pytest.MonkeyPatch) -> SqsInbox:
    """Received: a message, and then a request whose answer is not there in time."""
    monkeypatch.setattr("writer.sqs.inbox.PROMPT_SECONDS", 0.0)
    inbox = SqsInbox(sqs, "queue", "dead")
    receiving = asyncio.create_task(inbox.receive())
    await sqs.answers(received("first"))
    assert [message.body for message in await receiving] == ["first"]
    return inbox


async def test_an_answer_that_comes_late_is_the_next_batch(sqs: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQS has locked its messages for us: given up, they would wait for the end of their lock (P4).

    Their lock is extended first, so it counts from now on, and those that lost it are not touched (P2).
    """
    inbox = await _with_one_that_is_late(sqs, monkeypatch)
    receiving = asyncio.create_task(inbox.receive())
    await sqs.answers(received("late", "lost"))
    request = await sqs.answers(extended(2, lost=1))
    assert [entry["ReceiptHandle"] for entry in request["Entries"]] == ["late", "lost"]
    assert [message.body for message in await receiving] == ["late"]
    assert sqs.asked.empty()


async def test_a_late_answer_is_kept_until_its_messages_are_locked(
    sqs: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the lock cannot be extended now, they are for the next try."""
    inbox = await _with_one_that_is_late(sqs, monkeypatch)
    receiving = asyncio.create_task(inbox.receive())
    await sqs.answers(received("late"))
    await sqs.answers({"Failed": [{"Id": "0", "Code": "InternalError", "SenderFault": False}]})
    with pytest.raises(TransientError):
        await receiving
    receiving = asyncio.create_task(inbox.receive())
    await sqs.answers(extended(1))
    assert [message.body for message in await receiving] == ["late"]


@pytest.mark.parametrize("late", [TimeoutError(), {}], ids=["an error", "nothing"])
async def test_a_late_answer_without_messages_is_passed_over(
    sqs: Any, monkeypatch: pytest.MonkeyPatch, late: Answer | Exception
) -> None:
    """The next request follows at once."""
    inbox = await _with_one_that_is_late(sqs, monkeypatch)
    receiving = asyncio.create_task(inbox.receive())
    await sqs.answers(late)
    request = await sqs.answers(received())
    assert request["WaitTimeSeconds"] > 0
    receiving.cancel()


async def test_a_batch_is_acknowledged_in_one_round_trip(sqs: Any) -> None:
    """Its calls are made side by side, but for so many that they could starve others of connections (P7)."""
    await SqsInbox(sqs, "queue", "dead").delete(_MESSAGES[:50])
    assert sqs.most_at_once == 5
    await SqsInbox(sqs, "queue", "dead").delete(_MESSAGES)
    assert sqs.most_at_once == AT_ONCE


async def test_one_call_that_fails_does_not_hide_the_others(sqs: Any) -> None:
    """All are made and waited for; then the error is told."""
    inbox = SqsInbox(sqs, "queue", "dead")
    extending = asyncio.create_task(inbox.extend(_MESSAGES[:30]))
    await sqs.answers({"Failed": [{"Id": "0", "Code": "InternalError", "SenderFault": False}]})
    await sqs.answers(TimeoutError())
    await settled()
    assert not extending.done()
    await sqs.answers(extended(10))
    with pytest.raises(TransientError):
        await extending


async def test_few_messages_are_not_worth_a_round_trip(sqs: Any) -> None:
    """A batch that is nearly full begins, instead of waiting for one message more."""
    body = "x" * 15_000
    inbox = SqsInbox(sqs, "queue", "dead")
    receiving = asyncio.create_task(inbox.receive())
    await sqs.answers(received(body))  # now their size is known
    assert (await sqs.answers(received()))["MaxNumberOfMessages"] > 1
    await receiving
    receiving = asyncio.create_task(inbox.receive())
    await sqs.answers(received(*[body] * 10))
    assert len(await receiving) == 10  # there is room for 163,840 characters
    assert sqs.asked.empty()


@pytest.mark.usefixtures("aws_environment")
async def test_the_sdk_repeats_a_receive_as_the_same_attempt(monkeypatch: pytest.MonkeyPatch) -> None:
    """SQS answers it with the messages that it locked for the lost answer. Another one is another attempt.

    Source: Amazon SQS API reference, ``ReceiveMessage``. The emulators here do not do that.
    """
    attempts: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        attempts.append(json.loads(await request.read())["ReceiveRequestAttemptId"])
        if len(attempts) == 1 and request.transport is not None:
            request.transport.abort()
        return web.json_response(received("body"), content_type="application/x-amz-json-1.0")

    async with _serving(answer) as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        async with sqs_client(2, attempts=3, read_timeout=HANG_TIMEOUT_S) as client:
            await SqsInbox(client, f"{url}/0/queue.fifo", f"{url}/0/dead.fifo").receive()
    assert attempts[0] == attempts[1]
    assert attempts[2] not in attempts[:2]


class _serving:  # noqa: N801 - used as a function
    """`async with`: the URL of a server that answers all posts so."""

    def __init__(self, answer: Callable[[web.Request], Awaitable[web.Response]]) -> None:
        application = web.Application()
        application.router.add_post("/{path:.*}", answer)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=0)

    async def __aenter__(self) -> str:
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        return f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()
