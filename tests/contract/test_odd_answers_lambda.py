"""Every call of the Lambda by every odd answer, on a real SQS API.

A record is in the queue, or parked because it is malformed, or it is reported and Lambda sends it again.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from typing import TYPE_CHECKING, Any

import pytest

from producer_lambda import handler
from producer_lambda.forward import Producer
from producer_lambda.sending import Queue
from producer_lambda.settings import Settings
from shared.aws import sqs_client
from shared.change import Change
from shared.envelope import decode
from shared.errors import FatalError, TransientError
from tests.support.lambda_environment import Deadline, end_execution_environment
from tests.support.odd_sqs import LATER, ODD, OddSqs
from tests.support.scripted_sqs import MALFORMED, MIB, OK, insert

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from types_boto3_sqs import SQSClient

    from local.stack import Stack
    from producer_lambda.forward import Response
    from tests.conftest import DeployLambda, Queues

HEALTHY = [1, 2, 3, 4, 6, 7, 8]
RECORDS = [*map(insert, [1, 2, 3, 4]), MALFORMED, *map(insert, [6, 7, 8])]  # its number is 5
CASES = [
    *((name, False) for name in ODD),
    *((name, True) for name in ("nothing", "html", "cut json", "list", "cut", "silence")),
]
"""An answer, and whether SQS did what it was asked for."""

numbers = itertools.count(1)


@pytest.fixture
async def proxy(
    stack: Stack,
    aws_environment: None,  # noqa: ARG001 - needed for its effect
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[OddSqs]:
    async with OddSqs(stack.environment()["AWS_ENDPOINT_URL"]).listening() as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
        yield proxy


class Case:
    """Queues of its own, and the Lambda's producer on them."""

    def __init__(self, sqs: SQSClient, client: Any, unique: str) -> None:
        attributes: dict[Any, str] = {"FifoQueue": "true"}
        number = next(numbers)
        self.sqs = sqs
        self.url, self.dead = (
            sqs.create_queue(QueueName=f"{unique}-{kind}-{number}.fifo", Attributes=attributes)["QueueUrl"]
            for kind in ("queue", "dead")
        )
        settings = Settings(self.url, self.dead, 4, frozenset(), "INFO", None)
        self.producer = Producer(
            client, Queue(self.url, MIB), Queue(self.dead, MIB), settings, sleep=self._sleep
        )

    async def _sleep(self, _: float) -> None:
        """Time passes with the looks at the clock."""

    async def forward(self, *looks: float) -> Response:
        """Forwards the records. `looks`: what the first looks at the clock show; then time passes."""
        left = itertools.chain(looks, itertools.count(60, -10))
        return await self.producer.forward({"Records": RECORDS}, lambda: next(left))

    def sent(self) -> list[int]:
        """The sequence numbers in the queue."""
        entries = [entry for body in self._bodies(self.url) for entry in decode(body).entries]
        return sorted({int(entry.sequence) for entry in entries if isinstance(entry, Change)})

    def parked(self) -> list[str]:
        return self._bodies(self.dead)

    def _bodies(self, url: str) -> list[str]:
        bodies = []
        while found := self.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
            bodies += [message["Body"] for message in found]
        return bodies


@pytest.mark.parametrize("dead", [False, True], ids=["sending", "parking"])
async def test_sending(
    stack: Stack, proxy: OddSqs, unique: str, caplog: pytest.LogCaptureFixture, *, dead: bool
) -> None:
    """SendMessageBatch to either queue: what is not surely there is reported, and sent the next time."""
    caplog.set_level(logging.INFO)

    async def run(name: str, *, reaches: bool) -> None:
        odd = ODD[name]
        case = Case(stack.client("sqs"), client, unique)
        looks: list[float] = []
        if odd.hangs:  # five seconds for the call, and no others
            looks = [60, 60, 6, 1] if dead else [60, 8, 3]
        with proxy.fault("SendMessageBatch", case.dead if dead else case.url, odd, reaches=reaches):
            response = await case.forward(*looks)
        assert response == {"batchItemFailures": [{"itemIdentifier": "5" if dead else "1"}]}
        assert await case.forward() == OK
        assert case.sent() == HEALTHY
        assert len(case.parked()) == 1

    async with sqs_client(300, attempts=1, read_timeout=10) as client:
        outcomes = await asyncio.gather(
            *(run(name, reaches=reaches) for name, reaches in CASES), return_exceptions=True
        )
    failed = {case: repr(outcome) for case, outcome in zip(CASES, outcomes, strict=True) if outcome}
    assert failed == {}
    assert not [record for record in caplog.records if record.exc_info and record.name != "aiohttp.server"]


async def test_the_start(proxy: OddSqs, queues: Queues, deploy_lambda: DeployLambda) -> None:
    """GetQueueAttributes: the invocation fails in time, by what passes, and the next one begins anew."""
    for name, dead in [*((name, False) for name in ODD), ("no members", True)]:
        deploy_lambda(queues.url, queues.dead_letter_url, proxy.url)
        seconds = 1.0 if ODD[name].hangs else 60.0
        url = queues.dead_letter_url if dead else queues.url
        with (
            proxy.fault("GetQueueAttributes", url, ODD[name]),
            pytest.raises(TransientError, match=r"reading the attributes of .*QUEUE_URL: "),
        ):
            await asyncio.to_thread(handler.lambda_handler, {"Records": RECORDS}, Deadline(seconds))
        assert await asyncio.to_thread(handler.lambda_handler, {"Records": RECORDS}, Deadline(60.0)) == OK
        await asyncio.to_thread(end_execution_environment)


async def test_a_refusal(proxy: OddSqs, queues: Queues, deploy_lambda: DeployLambda) -> None:
    """AWS's own words fail the invocation with a sentence."""
    for odd in LATER.values():
        deploy_lambda(queues.url, queues.dead_letter_url, proxy.url)
        with (
            proxy.fault("GetQueueAttributes", queues.url, odd),
            pytest.raises(FatalError, match="check the "),
        ):
            await asyncio.to_thread(handler.lambda_handler, {"Records": RECORDS}, Deadline(60.0))
