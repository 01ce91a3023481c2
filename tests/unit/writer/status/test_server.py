"""The status endpoints, asked over HTTP."""

from __future__ import annotations

import asyncio
import socket
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from aiohttp import web

from local.polling import HANG_TIMEOUT_S
from shared.errors import FatalError
from tests.support.fake_clock import FakeClock
from writer.status.server import serve
from writer.telemetry.health import Dependency, Health, TableWait

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

HOST = "127.0.0.1"


@asynccontextmanager
async def server(
    health: Health, caplog: pytest.LogCaptureFixture
) -> AsyncIterator[Callable[[str], Awaitable[tuple[int, Any]]]]:
    """A running server on a free port, and a function that asks it."""
    caplog.set_level("INFO")
    async with serve(HOST, 0, health), aiohttp.ClientSession() as session:
        (line,) = [record for record in caplog.records if record.message == "status server listening"]

        async def ask(path: str) -> tuple[int, Any]:
            async with session.get(f"http://{HOST}:{vars(line)['port']}{path}") as answer:
                return answer.status, await answer.json() if answer.status in (200, 503) else None

        yield ask


async def test_not_alive_before_it_was_ready_once(caplog: pytest.LogCaptureFixture) -> None:
    """A rollout that cannot reach MongoDB must not take the place of writers that can."""
    health = Health(FakeClock())
    async with server(health, caplog) as ask:
        health.found(Dependency.SQS)
        health.lost(Dependency.MONGODB, "no route")
        waiting = {"mongodb": {"reason": "no route", "since": 1_600_001_000.0}}
        assert await ask("/healthz") == (503, {"status": "starting", "waiting_for": waiting})
        health.lost(Dependency.SQS, "503")
        health.found(Dependency.MONGODB)
        assert (await ask("/healthz"))[0] == 503, "both, but never at the same time"


async def test_then_alive_whatever_is_waited_for(caplog: pytest.LogCaptureFixture) -> None:
    """An outage of MongoDB must not make ECS restart us."""
    health = Health(FakeClock())
    async with server(health, caplog) as ask:
        for dependency in Dependency:
            health.found(dependency)
        health.refused(("", "people"), TableWait("people", "13", "no right", 1_600_001_000.0))
        for dependency in Dependency:
            health.lost(dependency, "away")
        assert await ask("/healthz") == (200, {"status": "alive"})
        assert (await ask("/nothing"))[0] == 404


async def test_ready_when_all_parts_are_there(caplog: pytest.LogCaptureFixture) -> None:
    """503 with reason and time while something is missing; 200 when it is back."""
    health = Health(FakeClock())
    async with server(health, caplog) as ask:
        health.found(Dependency.SQS)
        health.lost(Dependency.MONGODB, "no primary")
        assert await ask("/readyz") == (
            503,
            {
                "status": "waiting",
                "waiting_for": {"mongodb": {"reason": "no primary", "since": 1_600_001_000.0}},
                "tables": {},
            },
        )
        health.found(Dependency.MONGODB)
        assert await ask("/readyz") == (200, {"status": "ready", "waiting_for": {}, "tables": {}})
        health.refused(("", "people"), TableWait("people", "13", "no right", 1_600_001_000.0))
        assert await ask("/readyz") == (
            503,
            {
                "status": "waiting",
                "waiting_for": {},
                "tables": {"people": {"code": "13", "reason": "no right", "since": 1_600_001_000.0}},
            },
        )
        health.relieved(("", "people"))
        health.lost(Dependency.SQS, "503")
        assert (await ask("/readyz"))[0] == 503


async def test_a_port_that_is_taken_is_a_sentence() -> None:
    """It names the setting; and nothing stays open."""
    with socket.create_server((HOST, 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(FatalError, match=rf"STATUS_PORT={port} cannot be listened on"):
            async with serve(HOST, port, Health(FakeClock())):
                pass


async def test_who_does_not_read_does_not_keep_the_writer_from_ending(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Answers that pile up on a connection are dropped after the stop: nobody waits for them."""
    caplog.set_level("INFO")
    written = asyncio.Event()

    async def large(_: web.Request) -> web.Response:
        written.set()
        return web.Response(body=bytes(10_000_000))

    loop = asyncio.get_running_loop()
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        client.settimeout(0)
        async with (
            asyncio.timeout(HANG_TIMEOUT_S),
            serve(HOST, 0, Health(FakeClock()), [web.get("/", large)]),
        ):
            (line,) = [record for record in caplog.records if record.message == "status server listening"]
            await loop.sock_connect(client, (HOST, vars(line)["port"]))
            await loop.sock_sendall(client, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 100)
            await written.wait()


async def test_a_mistake_of_ours_is_told(caplog: pytest.LogCaptureFixture) -> None:
    """As one line with the path; a request for an unknown page is no bug."""

    async def broken(_: web.Request) -> web.Response:
        raise KeyError("ours")

    caplog.set_level("INFO")
    async with (
        serve(HOST, 0, Health(FakeClock()), [web.get("/broken", broken)]),
        aiohttp.ClientSession() as session,
    ):
        (line,) = [record for record in caplog.records if record.message == "status server listening"]
        for path, status in (("/broken", 500), ("/nothing", 404)):
            async with session.get(f"http://{HOST}:{vars(line)['port']}{path}") as answer:
                assert answer.status == status
    (told,) = [
        record for record in caplog.records if record.name == "writer.status.server" and record.exc_info
    ]
    assert (told.message, vars(told)["path"]) == ("a page failed", "/broken")
