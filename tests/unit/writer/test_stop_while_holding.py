"""The stop ends the writer and gives back what is held, once, however slow SQS is."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from local.polling import HANG_TIMEOUT_S
from tests.support.builders import TABLE, body_of, put
from tests.support.fake_clock import settled
from tests.support.writer_on_fakes import AWAY, Writer
from writer.ports import Failure, FailureKind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from writer.ports import Message

NO_RIGHT = Failure(FailureKind.TRANSIENT, "13", "no right", of_place=True)


def closed() -> Writer:
    """MongoDB takes nothing of one table."""
    writer = Writer()
    writer.sink.store.refuses = lambda write: NO_RIGHT if write.target.collection == TABLE else None
    return writer


def releases(writer: Writer) -> list[list[str]]:
    """The ids of the messages of each release, from now on."""
    found: list[list[str]] = []
    release = writer.inbox.release

    async def noting(messages: Sequence[Message], delay: int) -> None:
        found.append([message.id for message in messages])
        await release(messages, delay)

    writer.inbox.release = noting  # type: ignore[method-assign]
    return found


async def test_a_stop_ends_in_the_grace_time_however_long_the_giving_back_takes() -> None:
    """SQS does not answer to it: it is cancelled, and nothing of it goes on."""
    writer = closed()
    for number in range(1, 4):
        writer.inbox.send(body_of(put(number, number)), f"a{number}")
        await writer.clock.advance(1)
    running = writer.start(1, grace=0.05)
    await writer.clock.advance(5)

    async def hang(name: str) -> None:
        if name == "before release":
            await asyncio.Event().wait()

    writer.inbox.faults.at_point = hang
    writer.stop.set()
    await settled()
    await writer.clock.advance(6)
    await asyncio.wait_for(running, HANG_TIMEOUT_S)
    assert len(writer.inbox.bodies) == 3


async def test_a_stop_gives_back_all_of_a_place_with_one_request() -> None:
    """Thousands can be held, and the grace time is short."""
    writer = closed()
    running = writer.start(2)
    for number in range(1, 31):
        writer.inbox.send(body_of(put(number, number)), f"a{number}")
        await writer.clock.advance(0.2)
    found = releases(writer)
    writer.stop.set()
    while not running.done():
        await writer.clock.advance(0.5)
    assert [len(messages) for messages in found] == [30]
    assert writer.inbox.in_flight == []


async def test_a_stop_gives_nothing_back_twice() -> None:
    """A batch waits for MongoDB, and a part of it is held for its table: each message is given back once."""
    writer = closed()
    writer.inbox.send(body_of(put(1, 1), put(2, 2)), "a")
    running = writer.start()
    await writer.clock.advance(5)
    writer.sink.faults.down = AWAY
    writer.inbox.send(body_of(put(3, 3)), "b")
    writer.inbox.send(body_of(put(3, 3, table="other")), "c")
    await writer.clock.advance(3)
    found = releases(writer)
    writer.stop.set()
    while not running.done():
        await writer.clock.advance(0.5)
    assert sorted(one for messages in found for one in messages) == ["id-1", "id-2", "id-3"]
    assert writer.inbox.in_flight == []
