"""Every call of the writer by every odd answer, on a real SQS API and MongoDB, with one oracle.

After the fault everything is applied, nothing is lost, nothing healthy is parked, and there was no traceback.
While it lasted, SQS was asked with growing pauses.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from local.polling import HANG_TIMEOUT_S
from shared.aws import sqs_client
from tests.support.builders import body_of, put
from tests.support.odd_sqs import LATER, ODD, OddSqs
from tests.support.writer_context import Told, context_on
from writer.mapping.rules import Rules
from writer.mongodb.sink import MongoSink
from writer.runtime import Backoff, SystemClock
from writer.service import Service
from writer.side_tasks import watch_backlog
from writer.sqs.inbox import SqsInbox
from writer.telemetry.health import Dependency
from writer.telemetry.observer import Backlog

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Sequence

    import pymongo
    from types_boto3_sqs import SQSClient

    from local.stack import Stack
    from tests.support.odd_sqs import Fault, Odd
    from writer.ports import Outcome
    from writer.write import Write

HEALTHY = {1, 2, 3}
ANSWERS = [(name, False) for name in ODD | LATER]
LOST = [(name, True) for name in ("nothing", "html", "cut json", "list", "cut", "silence")]
"""Answers that are lost although SQS did what it was asked for."""

WAIT_SECONDS = "writer.sqs.inbox.WAIT_SECONDS"

IN_THE_END = Backlog(0, 0, 1)

MANY_CALLS = 100
"""A writer that does not pause makes them in no time; of one that does, no test sees so many."""

pauses_of_case: ContextVar[dict[Backoff, list[float]]] = ContextVar("pauses_of_case")
numbers = itertools.count(1)


@pytest.fixture(autouse=True)
def short_times(monkeypatch: pytest.MonkeyPatch, aws_environment: None) -> None:  # noqa: ARG001 - for its effect
    monkeypatch.setattr(WAIT_SECONDS, 1)
    monkeypatch.setattr("writer.side_tasks.BACKLOG_INTERVAL", 0.2)
    monkeypatch.setattr("writer.context.collect_now", lambda: None)  # slow in a process with all tests
    following = Backoff.next

    def noted(backoff: Backoff) -> float:
        pause = following(backoff)
        pauses_of_case.get().setdefault(backoff, []).append(pause)
        return pause

    monkeypatch.setattr(Backoff, "next", noted)


@dataclass
class World:
    """What all cases of a test share.

    Attributes:
        impatient: the client for answers that never come. The other gives up none, however slow it is here.
    """

    sqs: SQSClient
    proxy: OddSqs
    client: Any
    impatient: Any
    sink: MongoSink
    database: Any
    unique: str


@dataclass
class Case:
    """One odd answer: queues, a table and a writer of its own.

    Attributes:
        pauses: what each back-off of the writer has asked for, seconds. On a busy machine measured ones
            are longer, and would seem to grow.
    """

    world: World
    odd: Odd
    reaches: bool
    visibility: int = 30
    number: int = field(default_factory=lambda: next(numbers))
    pauses: dict[Backoff, list[float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.table = f"table{self.number}"
        common: dict[Any, str] = {"FifoQueue": "true", "MaximumMessageSize": "1048576"}
        self.dead = self._queue("dead", common)
        arn = self.world.sqs.get_queue_attributes(QueueUrl=self.dead, AttributeNames=["QueueArn"])
        policy = {"deadLetterTargetArn": arn["Attributes"]["QueueArn"], "maxReceiveCount": 50}
        more = {"VisibilityTimeout": str(self.visibility), "RedrivePolicy": json.dumps(policy)}
        self.url = self._queue("queue", common | more)
        bodies = [body_of(put(key, key, table=self.table, n=key)) for key in HEALTHY]
        self.world.sqs.send_message_batch(
            QueueUrl=self.url,
            Entries=[
                {
                    "Id": str(index),
                    "MessageBody": body,
                    "MessageGroupId": f"lane-{index}",
                    "MessageDeduplicationId": str(index),
                }
                for index, body in enumerate([*bodies, "no envelope"])
            ],
        )
        self.told = Told()
        self.context = context_on(SystemClock(), self.told)
        client = self.world.impatient if self.odd.hangs else self.world.client
        self.inbox = SqsInbox(client, self.url, self.dead)
        self.may_write = asyncio.Event()
        self.may_write.set()

    def _queue(self, kind: str, attributes: dict[Any, str]) -> str:
        name = f"{self.world.unique}-{kind}-{self.number}.fifo"
        return self.world.sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]

    def fault(self, action: str, *, dead: bool = False) -> Any:
        return self.world.proxy.fault(action, self.dead if dead else self.url, self.odd, reaches=self.reaches)

    async def apply(self, writes: Sequence[Write]) -> Outcome:
        await self.may_write.wait()
        return await self.world.sink.apply(writes)

    async def ping(self) -> None:
        await self.world.sink.ping()

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[None]:
        """A writer that starts, and stops without an error."""
        writing = asyncio.create_task(self._write())
        try:
            yield
            self.context.stop.set()
            await asyncio.wait_for(writing, HANG_TIMEOUT_S)
        finally:
            writing.cancel()

    def longest_row(self) -> int:
        """The pauses of the back-off that went on for the longest."""
        return max(map(len, self.pauses.values()), default=0)

    async def _write(self) -> None:
        pauses_of_case.set(self.pauses)
        if await self.context.retry(self.inbox.open, Dependency.SQS):
            async with asyncio.TaskGroup() as group:
                watching = group.create_task(watch_backlog(self.context, self.inbox.backlog))
                await Service(self.context, self.inbox, self, Rules()).run(1, HANG_TIMEOUT_S)
                watching.cancel()

    async def all_is_well(self) -> None:
        """The oracle."""
        async with asyncio.timeout(HANG_TIMEOUT_S):
            while await self.inbox.backlog() != IN_THE_END:  # noqa: ASYNC110 - it is on a server
                await asyncio.sleep(0.3)
        assert {document["_id"] for document in self.world.database[self.table].find()} == HEALTHY
        received = self.world.sqs.receive_message(
            QueueUrl=self.dead, MaxNumberOfMessages=10, MessageAttributeNames=["All"]
        )
        assert [letter["Body"] for letter in received["Messages"]] == ["no envelope"]


async def until(condition: Callable[[], Any], what: str) -> None:
    async with asyncio.timeout(HANG_TIMEOUT_S):
        while not condition():  # noqa: ASYNC110 - what is waited for is on a server
            await asyncio.sleep(0.1)
    assert condition(), what


async def pauses_grow(case: Case, fault: Fault, calls: int) -> None:
    """So many calls in a row are answered oddly; after each the pause is twice as long, but for jitter."""
    if fault.odd.hangs:
        await until(lambda: len(fault.calls) >= 2, "two calls")
        return
    await until(lambda: case.longest_row() >= calls - 1 or len(fault.calls) > MANY_CALLS, "pauses")
    assert len(fault.calls) <= MANY_CALLS, "hardly a pause between the calls"
    for pauses in case.pauses.values():
        ceilings = [min(0.1 * 2**number, 5.0) for number in range(len(pauses))]
        assert all(c / 2 <= pause <= c for c, pause in zip(ceilings, pauses, strict=True)), pauses


@pytest.fixture
def quiet(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """No traceback in the log, and no error."""
    caplog.set_level(logging.INFO)
    yield
    bad = [record for record in caplog.records if record.exc_info or record.levelno >= logging.ERROR]
    assert not [record for record in bad if record.name != "aiohttp.server"]  # that is the proxy


@pytest.fixture
async def world(
    stack: Stack,
    unique: str,
    database: str,
    mongodb: pymongo.MongoClient[dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[World]:
    sink = MongoSink.connect(stack.mongodb_uri, database, 8)
    async with OddSqs(stack.environment()["AWS_ENDPOINT_URL"]).listening() as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
        async with (
            sqs_client(300, attempts=1, read_timeout=HANG_TIMEOUT_S) as client,
            sqs_client(10, attempts=1, read_timeout=5) as impatient,
        ):
            await sink.open()
            yield World(stack.client("sqs"), proxy, client, impatient, sink, mongodb[database], unique)
    sink.close()


async def each(
    world: World, answers: Sequence[tuple[str, bool]], run: Callable[[Case], Any], visibility: int = 30
) -> None:
    """Runs a case for each answer, all at the same time; a failure names its answer."""
    cases = [Case(world, (ODD | LATER)[name], reaches, visibility) for name, reaches in answers]
    outcomes = await asyncio.gather(*(run(case) for case in cases), return_exceptions=True)
    failed = {
        answer: repr(outcome)
        for answer, outcome in zip(answers, outcomes, strict=True)
        if isinstance(outcome, BaseException)
    }
    assert failed == {}


@pytest.mark.usefixtures("quiet")
async def test_reading_the_queues_at_the_start(world: World) -> None:
    """GetQueueAttributes of either queue: waited for, and then replicated; `/readyz` has the reason."""

    async def run(case: Case, *, dead: bool = False) -> None:
        with case.fault("GetQueueAttributes", dead=dead) as fault:
            async with case.writing():
                await pauses_grow(case, fault, 5)
                assert "reading the attributes of" in case.context.health.waits[Dependency.SQS].reason
                fault.end()
                await case.all_is_well()

    await each(world, [(name, False) for name in ODD], run)
    await each(world, [("no members", False), ("list", False)], lambda case: run(case, dead=True))


@pytest.mark.usefixtures("quiet")
async def test_asking_for_the_backlog(world: World) -> None:
    """GetQueueAttributes later: no answer ends anything, and the work goes on meanwhile."""

    async def run(case: Case) -> None:
        async with case.writing():
            await until(lambda: case.told.backlogs, "a backlog")
            with case.fault("GetQueueAttributes") as fault:
                await until(lambda: len(fault.calls) >= 2, "two calls")
                known = len(case.told.backlogs)
            await until(lambda: len(case.told.backlogs) > known, "another backlog")
            await case.all_is_well()

    await each(world, ANSWERS, run)


@pytest.mark.usefixtures("quiet")
async def test_receiving(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """ReceiveMessage: nonsense is no message and no reason to ask at once again."""
    # An empty answer that takes half of a poll is one of full length. Here it may take a second or more.
    monkeypatch.setattr(WAIT_SECONDS, 20)
    growing = len(ANSWERS + LOST)

    async def run(case: Case) -> None:
        nonlocal growing
        with case.fault("ReceiveMessage") as fault:
            async with case.writing():
                try:
                    await pauses_grow(case, fault, 5)
                finally:
                    growing -= 1
                await until(lambda: not growing, "the pauses of all")
                monkeypatch.setattr(WAIT_SECONDS, 1)  # a stop waits for the last poll
                fault.end()
                await case.all_is_well()

    await each(world, ANSWERS + LOST, run, visibility=5)


@pytest.mark.usefixtures("quiet")
async def test_parking(world: World) -> None:
    """SendMessageBatch to the dead-letter queue: nothing is acknowledged before the letter is there."""

    async def run(case: Case) -> None:
        with case.fault("SendMessageBatch", dead=True) as fault:
            async with case.writing():
                await pauses_grow(case, fault, 5)
                assert await case.inbox.backlog() != IN_THE_END
                fault.end()
                await case.all_is_well()

    await each(world, ANSWERS + LOST, run)


@pytest.mark.usefixtures("quiet")
async def test_acknowledging(world: World) -> None:
    """DeleteMessageBatch: repeated until SQS says that it is done."""

    async def run(case: Case) -> None:
        with case.fault("DeleteMessageBatch") as fault:
            async with case.writing():
                # A message that is deleted cannot be held for long.
                await pauses_grow(case, fault, 2 if case.reaches else 5)
                fault.end()
                await case.all_is_well()

    await each(world, ANSWERS + LOST, run)


@pytest.mark.usefixtures("quiet")
async def test_keeping_the_lock(world: World) -> None:
    """ChangeMessageVisibilityBatch: a lock that is not surely kept is not surely lost."""

    async def run(case: Case) -> None:
        case.may_write.clear()
        with case.fault("ChangeMessageVisibilityBatch") as fault:
            async with case.writing():
                await until(lambda: fault.calls, "a call")
                fault.end()
                case.may_write.set()
                await case.all_is_well()

    await each(world, ANSWERS + LOST, run, visibility=5)
