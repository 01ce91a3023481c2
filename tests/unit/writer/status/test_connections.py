"""The bounds of the status port, tried with plain sockets."""

from __future__ import annotations

import asyncio
import contextlib
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web

from local.polling import HANG_TIMEOUT_S
from tests.support.fake_clock import FakeClock
from writer.status import connections
from writer.status.connections import MOST_OPEN
from writer.status.server import serve
from writer.telemetry.health import Dependency, Health

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

HOST = "127.0.0.1"
HEALTHZ = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"


async def large(_: web.Request) -> web.Response:
    """More than the system's buffers hold."""
    return web.Response(body=bytes(50_000_000))


async def broken(_: web.Request) -> web.Response:
    """A mistake of ours."""
    raise KeyError("ours")


@asynccontextmanager
async def port(caplog: pytest.LogCaptureFixture) -> AsyncIterator[int]:
    """The port of a running server."""
    caplog.set_level("INFO")
    more = [web.get("/large", large), web.get("/broken", broken)]
    health = Health(FakeClock())
    for dependency in Dependency:
        health.found(dependency)
    async with asyncio.timeout(HANG_TIMEOUT_S), serve(HOST, 0, health, more):
        (line,) = [record for record in caplog.records if record.message == "status server listening"]
        yield vars(line)["port"]


class Client:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def connect(cls, port: int, request: bytes = b"") -> Client:
        """Opens it, and sends something."""
        client = cls(*await asyncio.open_connection(HOST, port, limit=1024))
        client._writer.write(request)
        return client

    async def rest(self) -> bytes:
        """All that comes until the server ends the connection."""
        found = b""
        with contextlib.suppress(ConnectionError):
            while more := await self._reader.read(65536):
                found += more
        self.close()
        return found

    def close(self) -> None:
        """Ends it from our side."""
        self._writer.close()


async def answer(port: int, request: bytes) -> str:
    """The answer to a request; the server ends the connection after it."""
    return (await (await Client.connect(port, request)).rest()).decode()


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Slow",
        b"POST /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nhalf",
    ],
    ids=["nothing", "half a request", "half a body"],
)
async def test_who_does_not_go_on_is_cut_off(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    """Within a bound of time, whatever was sent so far; the connection takes a file descriptor no more."""
    monkeypatch.setattr(connections, "LONGEST", 0.2)
    async with port(caplog) as to:
        await (await Client.connect(to, sent)).rest()


async def test_who_does_not_read_is_cut_off(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Within the same bound: what is left of a large answer is dropped."""
    monkeypatch.setattr(connections, "LONGEST", 0.2)
    lost = asyncio.Event()
    left = connections.Guests.left

    def note(*it: Any) -> None:
        left(*it)
        lost.set()

    monkeypatch.setattr(connections.Guests, "left", note)
    async with port(caplog) as to:
        client = await Client.connect(to, b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
        await lost.wait()
        assert len(await client.rest()) < 50_000_000


async def test_the_oldest_gives_way(caplog: pytest.LogCaptureFixture) -> None:
    """However many hold a connection, a probe is answered, and no more than so many are open."""
    async with port(caplog) as to:
        idle = [await Client.connect(to) for _ in range(3 * MOST_OPEN)]
        assert (await answer(to, HEALTHZ)).startswith("HTTP/1.1 200 ")
        for each in idle[: 2 * MOST_OPEN]:
            assert await each.rest() == b""
        for each in idle:
            each.close()


async def test_one_request_is_one_connection(caplog: pytest.LogCaptureFixture) -> None:
    """The client is told so, and the next request on it is not answered: nothing stays open in between."""
    async with port(caplog) as to:
        text = await answer(to, HEALTHZ + HEALTHZ)
        assert text.count("HTTP/1.1 200 ") == 1
        assert "Connection: close" in text


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (HEALTHZ, 200),
        (b"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n", 404),
        (b"POST /healthz HTTP/1.1\r\nHost: x\r\n\r\n", 405),
        (b"GET /broken HTTP/1.1\r\nHost: x\r\n\r\n", 500),
        (b"GET /healthz HTTP/1.1\r\nHost: x\x00\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00", 400),
        (b"GET /" + 9000 * b"x" + b" HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n" + 65 * b"X: y\r\n" + b"\r\n", 400),
        (b"GET / HTTP/1.1\r\nX: " + 9000 * b"y" + b"\r\n\r\n", 400),
    ],
    ids=["200", "404", "405", "500", "no header", "TLS", "long line", "many headers", "long header"],
)
async def test_no_answer_names_our_software(
    caplog: pytest.LogCaptureFixture, request_: bytes, status: int
) -> None:
    """Nor the version of Python; what is too large, or no HTTP, is refused, and one answer is all."""
    async with port(caplog) as to:
        head, _, _ = (await answer(to, request_)).partition("\r\n\r\n")
        assert head.startswith(f"HTTP/1.1 {status} ")
        assert head.count("HTTP/1.1") == 1
        assert "\r\nserver:" not in head.lower()
        assert "aiohttp" not in head
