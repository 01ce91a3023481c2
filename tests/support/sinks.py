"""Sinks on a real MongoDB, and a spy that sees their commands."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any

from motor.motor_asyncio import AsyncIOMotorClient
from pymongo.monitoring import CommandListener

from writer.mongodb.sink import MongoSink

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Iterator

SECRET = "hunter2-do-not-log"
Document = dict[str, Any]

TOO_DEEP = 220  # MongoDB refuses a command that holds such a document; a few levels fewer fail as one write


def with_option(uri: str, option: str) -> str:
    return f"{uri}{'&' if '?' in uri else '/?'}{option}"


@contextmanager
def sink_on(uri: str, database: str, pool_size: int = 4) -> Iterator[MongoSink]:
    sink = MongoSink.connect(uri, database, pool_size)
    try:
        yield sink
    finally:
        sink.close()


@asynccontextmanager
async def sink_before(
    uri: str, database: str, pool_size: int = 4, databases: Iterable[str] = ()
) -> AsyncIterator[MongoSink]:
    """A sink whose server is in this event loop, such as a `MongoProxy`.

    Closing, the driver says goodbye and waits for the answer: in a thread, so that the proxy can answer.
    """
    sink = MongoSink.connect(uri, database, pool_size, databases)
    try:
        yield sink
    finally:
        await asyncio.to_thread(sink.close)


class Spy(CommandListener):
    """Sees every command before it is sent, and may act first: the other writer in a race."""

    def __init__(self, act: Callable[[str, Document], None] | None = None) -> None:
        self.commands: list[tuple[str, Document]] = []
        self._act = act

    def started(self, event: Any) -> None:
        command = dict(event.command)
        if event.command_name in {
            "insert",
            "update",
            "delete",
            "find",
            "getMore",
            "aggregate",
            "commitTransaction",
        }:
            self.commands.append((event.command_name, command))
            if self._act is not None:
                self._act(event.command_name, command)

    def succeeded(self, event: Any) -> None:
        pass

    def failed(self, event: Any) -> None:
        pass


@contextmanager
def watched_sink(uri: str, database: str, spy: Spy) -> Iterator[MongoSink]:
    client: Any = AsyncIOMotorClient(uri, event_listeners=[spy])
    try:
        yield MongoSink(client, database)
    finally:
        client.close()


def nested(levels: int) -> Document:
    document: Document = {}
    for _ in range(levels):
        document = {"a": document}
    return document
