"""What answers in a writer's place cannot hold the command up, fill its memory, or lead it elsewhere."""

from __future__ import annotations

import asyncio
import gzip
import json
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING

import pytest

from ops.status import writer_answers
from ops.status.facts import Writer
from ops.status.writer_answers import MOST_BYTES, ask_writers, with_figures

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    Answer = Callable[[asyncio.StreamWriter], Awaitable[None]]

HOST = "127.0.0.1"
READY = json.dumps({"status": "ready", "waiting_for": {}, "tables": {}}).encode()
NO_WRITER = "something answers, but is not a writer"


@asynccontextmanager
async def serving(answer: Answer) -> AsyncIterator[str]:
    """A server that answers each request so, and notices when nobody listens any more."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            # Nothing more is sent to us: what can be read then is the end.
            working = [asyncio.ensure_future(each) for each in (answer(writer), reader.read())]
            await asyncio.wait(working, return_when=asyncio.FIRST_COMPLETED)
            for task in working:
                task.cancel()
            await asyncio.gather(*working, return_exceptions=True)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(handle, HOST, 0)
    async with server:
        yield f"http://{HOST}:{server.sockets[0].getsockname()[1]}"


def sends(body: bytes, *headers: str, status: str = "200 OK") -> Answer:
    async def answer(writer: asyncio.StreamWriter) -> None:
        head = "".join(f"{each}\r\n" for each in (f"HTTP/1.1 {status}", *headers, "Connection: close"))
        writer.write(head.encode() + b"\r\n" + body)
        await writer.drain()

    return answer


async def asked(answer: Answer) -> Writer:
    async with serving(answer) as url:
        (writer,) = await asyncio.to_thread(ask_writers, [url])
    return writer


async def drip(writer: asyncio.StreamWriter) -> None:
    """A byte now and then, for ever."""
    writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.05)


async def drip_headers(writer: asyncio.StreamWriter) -> None:
    """A header now and then, for ever."""
    writer.write(b"HTTP/1.1 200 OK\r\n")
    while True:
        writer.write(b"X: y\r\n")
        await writer.drain()
        await asyncio.sleep(0.05)


async def say_nothing(_: asyncio.StreamWriter) -> None:
    """As a process does that is stopped."""
    await asyncio.Event().wait()


async def endless(writer: asyncio.StreamWriter) -> None:
    """Bytes without end, as fast as they are taken."""
    writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        writer.write(b" " * 65536)
        await writer.drain()


@pytest.mark.parametrize("answer", [drip, drip_headers, say_nothing])
async def test_an_answer_that_does_not_end(answer: Answer, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has so much time in all, however it comes."""
    monkeypatch.setattr(writer_answers, "SECONDS", 0.5)
    assert (await asked(answer)).error == "no complete answer within 0.5 s"


async def test_an_answer_without_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is left after so many bytes, long before its time is over."""
    monkeypatch.setattr(writer_answers, "SECONDS", 600.0)
    assert (await asked(endless)).error == NO_WRITER
    assert (await asked(sends(b" " * (MOST_BYTES - len(READY)) + READY))).error == ""


async def test_a_redirect_is_not_followed() -> None:
    """Nobody is sent elsewhere by what a record or a server says."""
    reached = []

    async def elsewhere(writer: asyncio.StreamWriter) -> None:
        reached.append(1)
        await sends(READY)(writer)

    async with serving(elsewhere) as target:
        writer = await asked(sends(READY, f"Location: {target}/readyz", status="302 Found"))
    assert (writer.error, reached) == ("HTTP status 302", [])


@pytest.mark.parametrize(
    "body",
    [b"[" * (10**6), b'{"waiting_for":' + b'{"a":' * 10**5, b"9" * (10**6), READY[:-1], b"\xff" * 100],
    ids=["brackets", "objects", "digits", "cut", "no text"],
)
async def test_a_body_that_no_writer_has(body: bytes) -> None:
    assert (await asked(sends(body))).error == NO_WRITER


async def test_what_is_packed_is_not_unpacked() -> None:
    """A megabyte on the way would be a gigabyte here."""
    bomb = gzip.compress(b" " * (64 << 20) + READY)
    assert len(bomb) < MOST_BYTES
    for packed in (bomb, gzip.compress(READY)):
        assert (await asked(sends(packed, "Content-Encoding: gzip"))).error == NO_WRITER


async def test_a_length_that_is_not_kept() -> None:
    """Half an answer is none."""
    assert (await asked(sends(READY, "Content-Length: 1000"))).error == NO_WRITER


async def test_all_writers_are_asked_at_once() -> None:
    """The first answers only when the last one was asked."""
    number = 150
    all_asked = asyncio.Barrier(2 * number)  # each has two questions

    async def answer(writer: asyncio.StreamWriter) -> None:
        await all_asked.wait()
        await sends(READY)(writer)

    async with serving(answer) as url:
        writers = await asyncio.to_thread(ask_writers, [url] * number)
    assert [each.error for each in writers] == [""] * number


async def test_long_texts_are_cut() -> None:
    """A reason does not fill the screen."""
    wait = {"reason": "x" * 10**5, "since": 5}
    body = json.dumps({"status": "waiting", "waiting_for": {"m" * 10**5: wait}, "tables": {}}).encode()
    ((part, (reason, since)),) = (await asked(sends(body, status="503 Busy"))).waits.items()
    assert (len(part), len(reason), since) == (204, 204, 5.0)


def test_a_name_that_the_writer_does_not_know() -> None:
    """It answers whether it is ready, and keeps its figures to itself."""
    found = with_figures(Writer("u"), HTTPStatus.MISDIRECTED_REQUEST, b"no")
    assert (found.error, found.figures) == ("", None)
    assert "set STATUS_NAMES" in found.why_unknown
