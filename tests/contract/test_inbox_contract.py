"""What the writer may rely on in an inbox: one suite for the fake, the benchmarks' and a real SQS API."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from follow.memory_inbox import MemoryInbox
from local.polling import HANG_TIMEOUT_S
from shared.aws import sqs_client
from shared.dead_letter import DeadLetter
from tests.support.fake_clock import FakeClock
from tests.support.fake_inbox import FakeInbox
from writer.sqs.inbox import SqsInbox

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from types_boto3_sqs import SQSClient

    from tests.conftest import Queues
    from writer.ports import Inbox, Message


SHORT = 5
"""Seconds of a lock that shall end in a test, and long enough for what has to come before its end."""


@dataclass(frozen=True)
class Parked:
    """One message in the dead-letter queue."""

    body: str
    group: str
    attributes: dict[str, str]


class World(Protocol):
    """An inbox, and what else can be done with its queues."""

    @property
    def inbox(self) -> Inbox: ...
    def send(self, body: str, group: str = "lane") -> None: ...
    def parked(self) -> list[Parked]: ...
    def short_visibility(self) -> None:
        """From now on, what is received is locked for a short time only, until it is extended."""

    async def now(self) -> Sequence[Message]:
        """Receives what is there."""

    async def later(self) -> Sequence[Message]:
        """Receives as soon as there are messages, however long it takes."""


class WorldInMemory:
    """Queues in memory, on a clock that is set by hand."""

    def __init__(self, clock: FakeClock, inbox: FakeInbox | MemoryInbox) -> None:
        self._clock = clock
        self.inbox = inbox

    def send(self, body: str, group: str = "lane") -> None:
        self.inbox.send(body, group)

    def parked(self) -> list[Parked]:
        entries = [letter.entry("", self.inbox.park_limit) for letter in self.inbox.letters]
        return [
            Parked(
                entry["MessageBody"],
                entry["MessageGroupId"],
                {name: value["StringValue"] for name, value in entry["MessageAttributes"].items()},
            )
            for entry in entries
        ]

    def short_visibility(self) -> None:
        self.inbox.received_visibility = float(SHORT)

    async def now(self) -> Sequence[Message]:
        receiving = asyncio.create_task(self.inbox.receive())
        await self._clock.advance(0)
        return await receiving

    async def later(self) -> Sequence[Message]:
        for _ in range(100):
            if messages := await self.now():
                return messages
            await self._clock.advance(0.5)
        pytest.fail("nothing was received in time")


@dataclass
class SqsWorld:
    """The queues of a real SQS API."""

    inbox: SqsInbox
    sqs: SQSClient
    queues: Queues
    _sent: int = 0

    def send(self, body: str, group: str = "lane") -> None:
        self._sent += 1
        self.sqs.send_message(
            QueueUrl=self.queues.url,
            MessageBody=body,
            MessageGroupId=group,
            MessageDeduplicationId=str(self._sent),
        )

    def parked(self) -> list[Parked]:
        parked: list[Parked] = []
        while batch := self.sqs.receive_message(
            QueueUrl=self.queues.dead_letter_url,
            MaxNumberOfMessages=10,
            MessageAttributeNames=["All"],
            MessageSystemAttributeNames=["MessageGroupId"],
        ).get("Messages"):
            for message in batch:
                attributes: dict[str, Any] = dict(message.get("MessageAttributes", {}))
                texts = {name: value["StringValue"] for name, value in attributes.items()}
                parked.append(Parked(message["Body"], message["Attributes"]["MessageGroupId"], texts))
                self.sqs.delete_message(
                    QueueUrl=self.queues.dead_letter_url, ReceiptHandle=message["ReceiptHandle"]
                )
        return parked

    def short_visibility(self) -> None:
        self.sqs.set_queue_attributes(QueueUrl=self.queues.url, Attributes={"VisibilityTimeout": str(SHORT)})

    async def now(self) -> Sequence[Message]:
        return await self.inbox.receive()

    async def later(self) -> Sequence[Message]:
        deadline = time.monotonic() + HANG_TIMEOUT_S
        while time.monotonic() < deadline:
            if messages := await self.inbox.receive():
                return messages
        pytest.fail("nothing was received in time")


@pytest.fixture(params=["memory", "bench", "sqs"])
async def world(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    if request.param == "memory":
        monkeypatch.setattr("tests.support.fake_inbox.LONG_POLL", 0.0)
        clock = FakeClock()
        yield WorldInMemory(clock, FakeInbox(clock))
        return
    if request.param == "bench":
        clock = FakeClock()
        yield WorldInMemory(clock, MemoryInbox(clock, long_poll=0.0))
        return
    request.getfixturevalue("aws_environment")
    queues: Queues = request.getfixturevalue("queues")
    monkeypatch.setattr("writer.sqs.inbox.WAIT_SECONDS", 0)
    async with sqs_client(10, attempts=2, read_timeout=HANG_TIMEOUT_S) as client:
        inbox = SqsInbox(client, queues.url, queues.dead_letter_url)
        await inbox.open()
        world = SqsWorld(inbox, request.getfixturevalue("stack").client("sqs"), queues)
        world.send("how large messages are", "warm")  # before it knows, it asks for one at a time
        await inbox.delete(await world.later())
        yield world


def bodies(messages: Sequence[Message]) -> list[str]:
    return [message.body for message in messages]


def letter(body: str = "body", **other: str) -> DeadLetter:
    values = {"group": "lane", "code": "bad-key", "reason": "a sentence", **other}
    return DeadLetter(body=body, **values)


async def test_of_each_group_the_oldest_first(world: World) -> None:
    """A batch holds several groups, each in its order, with what the writer needs of each message."""
    sent = [("a1", "a"), ("b1", "b"), ("a2", "a"), ("a3", "a"), ("b2", "b")]
    for body, group in sent:
        world.send(body, group)
    messages = await world.later()
    for group in "ab":
        assert [m.body for m in messages if m.group == group] == [b for b, g in sent if g == group]
    assert all(m.receives == 1 and m.id and m.receipt and m.sent_at > 0 for m in messages)
    assert len({m.id for m in messages}) == len(sent)


async def test_at_most_ten_in_order(world: World) -> None:
    """The rest of a long group follows after the first part is deleted, in order."""
    for number in range(13):
        world.send(str(number))
    first = await world.later()
    assert bodies(first) == [str(number) for number in range(10)]
    assert not await world.now()
    await world.inbox.delete(first)
    assert bodies(await world.later()) == ["10", "11", "12"]


async def test_a_group_is_locked_while_one_of_its_messages_is_in_flight(world: World) -> None:
    """Nobody gets later messages of its group; other groups go on."""
    world.send("a1", "a")
    held = await world.later()
    world.send("a2", "a")
    world.send("b1", "b")
    assert bodies(await world.later()) == ["b1"]
    assert not await world.now()
    await world.inbox.delete(held)
    assert bodies(await world.later()) == ["a2"]


async def test_what_is_not_deleted_comes_again(world: World) -> None:
    """After the visibility timeout: the same message, a higher receive count, another receipt (P3)."""
    world.short_visibility()
    world.send("a1")
    world.send("a2")
    first = await world.later()
    again = await world.later()
    assert bodies(again) == bodies(first) == ["a1", "a2"]
    assert [m.id for m in again] == [m.id for m in first]
    assert [m.receives for m in again] == [2, 2]
    assert {m.receipt for m in again}.isdisjoint(m.receipt for m in first)


async def test_extending_keeps_the_lock(world: World) -> None:
    """What is extended does not come again when the first timeout ends; what is not does."""
    world.short_visibility()
    world.send("kept", "a")
    world.send("lapsing", "b")
    held = await world.later()
    assert sorted(bodies(held)) == ["kept", "lapsing"]
    assert await world.inbox.extend([m for m in held if m.body == "kept"]) == []
    assert bodies(await world.later()) == ["lapsing"]


async def test_extending_tells_what_is_lost(world: World) -> None:
    """A deleted message cannot be held any more; the others can."""
    world.send("gone", "a")
    world.send("held", "b")
    messages = sorted(await world.later(), key=lambda m: m.body)
    await world.inbox.delete(messages[:1])
    assert list(await world.inbox.extend(messages)) == messages[:1]


async def test_what_is_released_comes_at_once(world: World) -> None:
    """In order, without waiting for the timeout (P4: a stopping writer delays nobody)."""
    world.send("a1")
    world.send("a2")
    await world.inbox.release(await world.later(), 0)
    again = await world.later()
    assert [(m.body, m.receives) for m in again] == [("a1", 2), ("a2", 2)]


async def test_what_is_released_with_a_delay_comes_later(world: World) -> None:
    """Not at once, and its group waits for it."""
    world.send("a1")
    messages = await world.later()
    world.send("a2")
    await world.inbox.release(messages, SHORT)
    assert not await world.now()
    assert (await world.later())[0].body == "a1"


async def test_a_lost_lock_is_no_error(world: World) -> None:
    """Delete and release with an old receipt do not raise; the message is decided by who holds it now."""
    world.send("a1")
    old = await world.later()
    await world.inbox.release(old, 0)
    new = await world.later()
    await world.inbox.release(old, 0)
    await world.inbox.delete(new)
    await world.inbox.delete(new)
    await world.inbox.delete(old)
    await world.inbox.release(new, 0)
    assert not await world.now()


async def test_a_letter_says_why(world: World) -> None:
    """Its body as given, the reason and the lane beside it, each in a group of its own."""
    await world.inbox.park([
        letter("one", reason="not JSON: “é”", table="mytable", key='{"id":1}', sequence="7", message_id="m"),
        letter("two", group="other"),
    ])  # fmt: skip
    first, second = sorted(world.parked(), key=lambda parked: parked.body)
    assert first.body == "one"
    assert first.attributes == {
        "code": "bad-key",
        "reason": "not JSON: \\u201c\\u00e9\\u201d",
        "table": "mytable",
        "key": '{"id":1}',
        "sequence": "7",
        "message_id": "m",
        "group": "lane",
    }
    assert (second.body, second.attributes["group"]) == ("two", "other")
    assert first.group != second.group


async def test_parking_twice_parks_once(world: World) -> None:
    """After a crash between parking and acknowledging, or a lost response, the same letter is not doubled."""
    await world.inbox.park([letter("one"), letter("two")])
    await world.inbox.park([letter("two"), letter("one"), letter("three")])
    assert sorted(parked.body for parked in world.parked()) == ["one", "three", "two"]


async def test_many_large_letters_are_all_parked(world: World) -> None:
    """More than ten, and more bytes than one call takes."""
    await world.inbox.park([letter(f"{number:02}" + "x" * 300_000) for number in range(12)])
    assert sorted(parked.body[:2] for parked in world.parked()) == [f"{number:02}" for number in range(12)]


@pytest.mark.filterwarnings(
    "ignore:Sending a large body:ResourceWarning"
)  # aiohttp, of what aiobotocore does
async def test_a_full_size_letter_fits(world: World) -> None:
    """Any message can become a letter; its attributes are shortened if necessary."""
    await world.inbox.park([letter("x" * world.inbox.park_limit), letter("y")])
    assert sorted(len(parked.body) for parked in world.parked()) == [1, world.inbox.park_limit]


async def test_redriving_is_sending_again(world: World) -> None:
    """The body of a letter, sent under a fresh deduplication id, is received like any message (P1)."""
    await world.inbox.park([letter('{"v":1}')])
    (parked,) = world.parked()
    world.send(parked.body, parked.attributes["group"])
    (message,) = await world.later()
    assert (message.body, message.group, message.receives) == ('{"v":1}', "lane", 1)


async def test_nothing_to_do_is_no_call(world: World) -> None:
    """Empty lists are fine."""
    await world.inbox.delete([])
    await world.inbox.release([], 0)
    await world.inbox.park([])
    assert await world.inbox.extend([]) == []
