"""A whole writer on fakes, that a test starts, disturbs and lets time pass for."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from local.polling import HANG_TIMEOUT_S
from shared.errors import FatalError, TransientError
from tests.support.builders import TABLE
from tests.support.fake_clock import FakeClock
from tests.support.fake_inbox import FakeInbox
from tests.support.fake_sink import FakeSink
from tests.support.writer_context import Told
from writer.context import Context
from writer.mapping.rules import Rules
from writer.service import Service
from writer.telemetry.health import Health

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


AWAY = TransientError("MongoDB: AutoReconnect")
REFUSED = FatalError("MongoDB refuses the writer")
VISIBILITY = 30.0
NEVER = 10 * HANG_TIMEOUT_S  # a grace whose end no test sees
EPOCH = 1_600_000_000


class Writer:
    """A service on fakes; `start` it, and let time pass."""

    def __init__(
        self, inbox: FakeInbox | None = None, sink: FakeSink | None = None, rules: Rules | None = None
    ) -> None:
        self.rules = rules or Rules()
        self.clock = inbox.clock if inbox else FakeClock()
        self.inbox = inbox or FakeInbox(self.clock, VISIBILITY)
        self.sink = sink or FakeSink()
        self.health = Health(self.clock)
        self.told = Told()
        self.context = Context(self.clock, self.health, self.told, asyncio.Event())
        self.stop = self.context.stop
        self.task: asyncio.Task[None] | None = None

    def start(self, loops: int = 1, grace: float = NEVER) -> asyncio.Task[None]:
        service = Service(self.context, self.inbox, self.sink, self.rules)
        self.task = asyncio.create_task(service.run(loops, grace))
        return self.task

    async def ended(self) -> BaseException | None:
        """Stops it, waits for its end, which must come soon, and returns what it raised."""
        assert self.task is not None
        self.stop.set()
        for _ in range(20):
            await self.clock.advance(1)
            if self.task.done():
                break
        assert self.task.done()
        return asyncio.CancelledError() if self.task.cancelled() else self.task.exception()

    def state(self, collection: str = TABLE) -> dict[Any, Any]:
        return {document["_id"]: document.get("n") for document in self.sink.all(collection)}


@asynccontextmanager
async def writing(loops: int = 1) -> AsyncIterator[Writer]:
    writer = Writer()
    writer.start(loops)
    try:
        yield writer
        assert await writer.ended() is None
    finally:
        if writer.task and not writer.task.done():
            writer.task.cancel()
