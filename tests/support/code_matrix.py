"""A whole writer with a real MongoDB, behind a proxy that answers with error codes.

The clock and the queue are fakes; the queue has a contract suite. Time stands still while MongoDB is asked.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from tests.support.builders import body_of, put
from tests.support.fake_clock import FakeClock, settled
from tests.support.fake_inbox import FakeInbox
from tests.support.writer_context import context_on
from writer import holding
from writer.mapping.rules import Rules
from writer.mongodb.error_codes import Meaning, meaning_of
from writer.service import Service

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.support.mongodb_proxy import MongoProxy
    from writer.mongodb.sink import MongoSink
    from writer.ports import Outcome
    from writer.write import Write

ONE, ALL, WHOLE, BESIDE = "one", "all", "whole", "beside"
"""Tables: one write of a bulk is refused, each of them, the whole command, and nothing."""


TURNS = 20
"""Of the event loop: what comes after an answer of MongoDB, until the next call or the next pause."""


class BusySink:
    """A sink that knows whether a call to it is under way."""

    def __init__(self, sink: MongoSink) -> None:
        self._sink = sink
        self._calls = 0
        self._idle = asyncio.Event()
        self._idle.set()

    async def apply(self, writes: Sequence[Write]) -> Outcome:
        with self:
            return await self._sink.apply(writes)

    async def ping(self) -> None:
        with self:
            await self._sink.ping()

    def __enter__(self) -> None:
        self._calls += 1
        self._idle.clear()

    def __exit__(self, *_: object) -> None:
        self._calls -= 1
        if not self._calls:
            self._idle.set()

    async def settled(self) -> None:
        """Every task waits for time, and none for MongoDB."""
        await settled(TURNS)
        while self._calls:
            await self._idle.wait()
            await settled(TURNS)


class Matrix:
    """A writer with an empty queue, before a MongoDB that answers as it is told."""

    def __init__(self, proxy: MongoProxy, sink: MongoSink) -> None:
        self.proxy = proxy
        self.clock = FakeClock(TURNS)
        self.inbox = FakeInbox(self.clock)
        self.inbox.max_receives = 2
        self.context = context_on(self.clock)
        self.sink = BusySink(sink)
        self.service = Service(self.context, self.inbox, self.sink, Rules())

    async def advance(self, seconds: float) -> None:
        """Lets time pass."""
        await self.clock.advance(seconds)
        await self.sink.settled()

    async def walk(self, code: int, number: int) -> None:
        """Sends messages, of which some writes are refused with a code, and ends the fault after a while."""
        inbox, proxy, meaning = self.inbox, self.proxy, meaning_of(code)
        inbox.most_receives = 0
        sent = {
            ONE: body_of(*(put(number, f"{number} {n}", table=ONE) for n in range(3))),
            "behind": body_of(put(number, f"{number} 3", table=ONE)),
            ALL: body_of(*(put(number, f"{number} {n}", table=ALL) for n in range(3))),
            WHOLE: body_of(*(put(number, f"{number} {n}", table=WHOLE) for n in range(2))),
            BESIDE: body_of(put(number, f"{number}", table=BESIDE)),
        }
        culprit = f"{number} 1"

        def refuse_operation(name: str, command: dict[str, Any], position: int) -> int | None:
            if name != "update":
                return None
            is_culprit = command[name] == ONE and command["updates"][position]["q"]["_id"] == culprit
            return code if is_culprit or command[name] == ALL else None

        proxy.refuse_operation = refuse_operation
        proxy.refuse_command = lambda name, command: (
            code if name == "update" and command[name] == WHOLE else None
        )
        for name, body in sent.items():
            inbox.send(body, ONE if name == "behind" else name)
        await self.sink.settled()
        await self.advance(holding.FIRST_PAUSE)
        assert proxy.refused, code
        # These tables name no shard key, so 61 is the fault of the mapping.
        is_fault = meaning in (Meaning.DOCUMENT, Meaning.EITHER) and code != 61
        expected = [f"mongodb-{code}"] if is_fault else []
        assert [letter.code for letter in inbox.letters] == expected, code
        left = set(inbox.bodies)
        if meaning in (Meaning.SERVER, Meaning.LOGIN):
            assert self.context.health.waits, code
            assert left, code
        else:
            assert left == {sent[ALL], sent[WHOLE]} | (set() if is_fault else {sent[ONE]}), code
            assert self.context.health.waits == {}, code
        assert self.context.health.ready is False, code
        proxy.heal()
        for _ in range(20):
            if not inbox.bodies:
                break
            await self.advance(holding.FIRST_PAUSE)
        assert inbox.bodies == [], code
        assert [letter.code for letter in inbox.letters] == expected, code
        if is_fault:
            assert culprit in inbox.letters.pop().key, code
        # Only a value that is taken, which another item's change may free, is delivered again.
        assert inbox.most_receives == (2 if meaning is Meaning.DUPLICATE else 1), code
