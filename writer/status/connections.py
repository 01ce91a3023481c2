"""The bounds of the status port: how many connections are open, for how long, and what a request may weigh.

Law: whoever reaches the port can take neither the file descriptors nor the memory that replication needs. A
connection is for one request, and lives for a few seconds: so one timer bounds who sends nothing, who sends
half a request, and who does not read the answer.
"""

import asyncio
from http import HTTPStatus
from typing import cast

from aiohttp import web

MOST_OPEN = 64
"""Connections open at once. When another one comes, the oldest gives way: it is nearly always one that hangs,
and a probe that comes now is answered."""

LONGEST = 10.0
"""Seconds from the connect to the end of the answer."""

BACKLOG = 16
"""Connections that are accepted in one go: so many can come before the event loop closes any of them."""

_MOST_HEADERS = 64  # of up to 8 KB each, aiohttp's own limit

_NO_REQUEST = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class Guests:
    """The open connections, the oldest first."""

    def __init__(self) -> None:
        self._open: dict[Connection, asyncio.Transport] = {}

    def __len__(self) -> int:
        return len(self._open)

    def came(self, connection: "Connection", transport: asyncio.Transport) -> None:
        """Counts a connection; the oldest one gives way if there are too many."""
        while len(self._open) >= MOST_OPEN:
            self._open.pop(next(iter(self._open))).abort()
        self._open[connection] = transport

    def left(self, connection: "Connection") -> None:
        """The connection is closed."""
        self._open.pop(connection, None)


class Connection(web.RequestHandler):
    """aiohttp's side of one connection, with our bounds."""

    def __init__(self, server: web.Server, guests: Guests) -> None:
        super().__init__(
            server,
            loop=asyncio.get_running_loop(),
            access_log=None,  # type: ignore[arg-type]  # aiohttp allows it
            max_headers=_MOST_HEADERS,
        )
        self._guests = guests
        self._end: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client connected."""
        super().connection_made(transport)
        real = cast("asyncio.Transport", transport)
        self._guests.came(self, real)
        self._end = asyncio.get_running_loop().call_later(LONGEST, real.abort)

    def connection_lost(self, exc: BaseException | None) -> None:
        """The connection is closed, by whichever side."""
        self._guests.left(self)
        if self._end is not None:
            self._end.cancel()
        super().connection_lost(exc)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answers what is no HTTP request without a word about us: no handler sees it that could do so."""
        if isinstance(exc, ConnectionError):  # also ours, below
            raise exc
        if status == HTTPStatus.BAD_REQUEST and self.transport is not None:
            self.transport.write(_NO_REQUEST)
            raise ConnectionResetError
        return super().handle_error(request, status, exc, message)


async def say_goodbye(_: web.BaseRequest, answer: web.StreamResponse) -> None:
    """Makes an answer the last one of its connection, and takes out what names our software."""
    answer.headers.pop("Server", None)
    answer.headers["Connection"] = "close"
    answer.force_close()
