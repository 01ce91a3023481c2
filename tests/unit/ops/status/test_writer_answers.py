"""What a writer answers, asked over HTTP."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING
from unittest.mock import ANY

from ops.status.facts import Writer
from ops.status.writer_answers import ask_writers
from tests.support.fake_clock import FakeClock
from tests.support.status_scenes import steady
from writer.status.page import routes
from writer.status.server import serve
from writer.telemetry.health import Dependency, Health, TableWait

if TYPE_CHECKING:
    import pytest

HOST = "127.0.0.1"
NO_FIGURES = "its status.json was answered with HTTP status 404"


def ask_writer(url: str) -> Writer:
    (writer,) = ask_writers([url])
    return writer


async def test_a_writer_says_what_it_waits_for(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ready, or each part with its reason and since when; a proxy of the environment plays no part."""
    for name in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.setenv(name, f"http://{HOST}:1")
    caplog.set_level("INFO")
    health = Health(FakeClock())
    health.found(Dependency.SQS)
    health.lost(Dependency.MONGODB, "no primary")
    async with serve(HOST, 0, health):
        (line,) = [record for record in caplog.records if record.message == "status server listening"]
        url = f"http://{HOST}:{vars(line)['port']}"
        waiting = await asyncio.to_thread(ask_writer, f"{url}/")
        assert waiting == Writer(
            f"{url}/", waits={"mongodb": ("no primary", 1_600_001_000.0)}, why_unknown=NO_FIGURES
        )
        health.found(Dependency.MONGODB)
        health.refused(("", "people"), TableWait("people", "13", "no right", 1_600_001_000.0))
        waiting = await asyncio.to_thread(ask_writer, url)
        assert waiting == Writer(
            url, waits={"table people": ("no right", 1_600_001_000.0)}, why_unknown=NO_FIGURES
        )
        health.relieved(("", "people"))
        assert await asyncio.to_thread(ask_writer, url) == Writer(url, why_unknown=NO_FIGURES)
        assert await asyncio.to_thread(ask_writer, f"{url}/other") == Writer(
            f"{url}/other", "HTTP status 404"
        )


async def test_a_writer_tells_of_older_streams(caplog: pytest.LogCaptureFixture) -> None:
    """By table, from the figures of its page."""
    caplog.set_level("INFO")
    scene = steady()
    async with serve(HOST, 0, scene.health, routes(scene.page)):
        (line,) = [record for record in caplog.records if record.message == "status server listening"]
        url = f"http://{HOST}:{vars(line)['port']}"
        before = await asyncio.to_thread(ask_writer, url)
        assert before.figures is not None
        assert before.figures.rate > 0
        scene.meets_an_older_stream("orders", 12)
        after = await asyncio.to_thread(ask_writer, url)
        assert after.figures == replace(before.figures, rate=ANY, older_streams={"orders": 12})


def test_what_is_no_writer() -> None:
    """A reason, whatever is there."""
    assert ask_writer("file:///etc/passwd").error == "it is not an http:// URL"
    assert ask_writer("http://").error != ""
    assert ask_writer(f"http://{HOST}:1").error == "Connection refused"
    assert ask_writer(f"http://{HOST}:99999").error != ""


async def test_something_else_that_answers() -> None:
    """Another program on the port."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(replies.pop(0))
        await writer.drain()
        writer.close()

    replies = [
        b"HTTP/1.0 200 OK\r\n\r\nhello",
        b'HTTP/1.0 200 OK\r\n\r\n{"waiting_for": [1]}',
        b"SSH-2.0-OpenSSH\r\n",
    ]
    server = await asyncio.start_server(answer, HOST, 0)
    async with server:
        url = f"http://{HOST}:{server.sockets[0].getsockname()[1]}"
        errors = [(await asyncio.to_thread(ask_writer, url)).error for _ in range(3)]
    assert errors[:2] == ["something answers, but is not a writer"] * 2
    assert errors[2] != ""
