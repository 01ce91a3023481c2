"""Servers of JSON protocols on 127.0.0.1, each in a process of its own: its CPU time is not counted."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from typing import TYPE_CHECKING, Self

from aiohttp import web

from local.paths import ROOT

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

HOST = "127.0.0.1"
_LONGEST_STOP = 10  # seconds


class Endpoint:
    """A module that calls `serve`, running from its construction to the end of the `with` block.

    Attributes:
        port: where it listens.
    """

    def __init__(self, module: str, *arguments: str) -> None:
        self._process = subprocess.Popen(  # noqa: S603 - our own module
            [sys.executable, "-m", module, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        assert self._process.stdout  # noqa: S101 - a pipe was asked for
        self.port = int(self._process.stdout.readline())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._process.communicate(timeout=_LONGEST_STOP)  # closes its standard input
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()


def action_of(request: web.Request) -> str:
    """The action that a request of AWS's JSON protocols names."""
    return request.headers["X-Amz-Target"].rpartition(".")[2]


def serve(
    answer: Callable[[web.Request], Awaitable[web.StreamResponse]],
    get: Callable[[web.Request], Awaitable[web.StreamResponse]] | None = None,
    *,
    largest: int,
) -> None:
    """Writes its port, and serves until its standard input ends.

    Args:
        answer: of a POST to any path.
        get: of a GET to `/`.
        largest: bytes of a request's body.
    """
    asyncio.run(_serve(answer, get, largest))


async def _serve(
    answer: Callable[[web.Request], Awaitable[web.StreamResponse]],
    get: Callable[[web.Request], Awaitable[web.StreamResponse]] | None,
    largest: int,
) -> None:
    application = web.Application(client_max_size=largest)
    application.router.add_post("/{path:.*}", answer)
    if get is not None:
        application.router.add_get("/", get)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0)
    await runner.setup()
    try:
        await web.TCPSite(runner, HOST, 0).start()
        sys.stdout.write(f"{runner.addresses[0][1]}\n")
        sys.stdout.flush()
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    finally:
        await runner.cleanup()
