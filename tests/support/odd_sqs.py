"""A proxy before the AWS emulator that gives odd answers to chosen calls on chosen queues."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import aiohttp
from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

_NOT_FORWARDED = {"connection", "content-length", "host", "transfer-encoding"}
_MOST_BYTES = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Odd:
    """An answer that SQS would not give.

    Attributes:
        hangs: there is none as long as the fault lasts, and the connection ends then.
        cut: the connection ends before the whole body is sent.
    """

    body: str | bytes = ""
    status: int = 200
    hangs: bool = False
    cut: bool = False


def _error(code: str, message: str = "", status: int = 400) -> Odd:
    return Odd(json.dumps({"__type": f"com.amazonaws.sqs#{code}", "message": message}), status)


CLOCK = (
    "Signature expired: 20260101T000000Z is now earlier than 20260101T001000Z (20260101T002500Z - 15 min.)"
)
_FAILED = {"Id": "0", "Code": "InternalError"}
_WRONG = {
    "Messages": [None, 3, {}, {"MessageId": 1, "ReceiptHandle": None, "Body": [], "Attributes": {"x": 1}}],
    "Successful": [None, 3, {}, {"Id": 0}],
    "Failed": [None, 3, {}, {"Id": 0}],
    "Attributes": {"VisibilityTimeout": "soon", "MaximumMessageSize": None, "RedrivePolicy": "{"},
}
ODD: dict[str, Odd] = {
    "nothing": Odd(),
    "no members": Odd("{}"),
    "list": Odd("[]"),
    "null": Odd("null"),
    "number": Odd("3"),
    "html": Odd("<html><body>proxy</body></html>"),
    "no text": Odd(b"\xff\xfe\x00"),
    "cut json": Odd('{"Messages":[{"MessageId":"1","Bo'),
    "cut": Odd('{"Messages":[{"MessageId":"1"}]}', cut=True),
    "deep": Odd('{"Messages":' + "[" * 100_000),
    "empty lists": Odd('{"Successful":[],"Failed":[],"Messages":[],"Attributes":{}}'),
    "texts": Odd('{"Successful":"x","Failed":"x","Messages":"x","Attributes":"x"}'),
    "wrong types": Odd(json.dumps(_WRONG)),
    "a message without attributes": Odd('{"Messages":[{"MessageId":"1","ReceiptHandle":"r","Body":"x"}]}'),
    "failed without SenderFault": Odd(json.dumps({"Failed": [_FAILED, {"Id": "1"}]})),
    "failed without a code": Odd(json.dumps({"Failed": [{"Id": "0", "SenderFault": True}]})),
    "failed by an unknown code": Odd(
        json.dumps({"Failed": [{"Id": "0", "SenderFault": True, "Code": "New", "Message": "?"}]})
    ),
    "status 204": Odd(status=204),
    "status 403, html": Odd("<html>", 403),
    "status 403, list": Odd("[]", 403),
    "status 400, numbers": Odd('{"__type":3,"message":3}', 400),
    "status 500, null": Odd("null", 500),
    "status 503": Odd("<html>", 503),
    "an unknown error": _error("SomethingNew"),
    "throttling": _error("ThrottlingException"),
    "expired credentials": _error("ExpiredToken", status=403),
    "a wrong clock": _error("SignatureDoesNotMatch", CLOCK, 403),
    "silence": Odd(hangs=True),
}
LATER: dict[str, Odd] = {
    "no such queue": _error("QueueDoesNotExist"),
    "no permission": _error("AccessDeniedException", status=403),
    "a wrong signature": _error(
        "SignatureDoesNotMatch", "The request signature we calculated does not match", 403
    ),
}
"""What is fatal at the start, and passes later."""


@dataclass
class Fault:
    """A call on a queue is answered oddly as long as it lasts.

    Attributes:
        reaches: the call reaches SQS; only its answer is lost.
        calls: when each came, on the clock of the event loop.
    """

    odd: Odd
    reaches: bool
    calls: list[float] = field(default_factory=list)
    over: asyncio.Event = field(default_factory=asyncio.Event)

    def end(self) -> None:
        """From now on the call goes through."""
        self.over.set()


class OddSqs:
    """The proxy; `url` is where it listens."""

    def __init__(self, upstream: str) -> None:
        self.url = ""
        self._upstream = upstream
        self._faults: dict[tuple[str, str], Fault] = {}

    @contextmanager
    def fault(self, action: str, queue_url: str, odd: Odd, *, reaches: bool = False) -> Iterator[Fault]:
        """A fault of an action on a queue, such as ``ReceiveMessage``, while the context is open."""
        place = (action, _name(queue_url))
        fault = self._faults[place] = Fault(odd, reaches)
        try:
            yield fault
        finally:
            del self._faults[place]
            fault.end()

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[OddSqs]:
        """Serves in this event loop."""
        application = web.Application(client_max_size=_MOST_BYTES)
        application.router.add_post("/{path:.*}", self._answer)
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=0)
        await runner.setup()
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as self._session:
            try:
                await web.TCPSite(runner, "127.0.0.1", 0).start()
                self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
                yield self
            finally:
                for fault in self._faults.values():
                    fault.over.set()
                await runner.cleanup()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        action = request.headers["X-Amz-Target"].partition(".")[2]
        fault = self._faults.get((action, _name(json.loads(body).get("QueueUrl", ""))))
        if fault is None or fault.over.is_set():
            return await self._forwarded(request, body)
        fault.calls.append(asyncio.get_running_loop().time())
        if fault.reaches:
            await self._forwarded(request, body)
        odd = fault.odd
        if odd.hangs:
            await fault.over.wait()
        if odd.hangs or odd.cut:
            return await _broken_off(request, odd)
        content = odd.body.encode() if isinstance(odd.body, str) else odd.body
        return web.Response(status=odd.status, body=content, content_type="application/x-amz-json-1.0")

    async def _forwarded(self, request: web.Request, body: bytes) -> web.Response:
        headers = {name: text for name, text in request.headers.items() if name.lower() not in _NOT_FORWARDED}
        async with self._session.post(self._upstream + request.path, data=body, headers=headers) as answer:
            content = await answer.read()
            kept = {name: text for name, text in answer.headers.items() if name.lower() not in _NOT_FORWARDED}
            return web.Response(status=answer.status, body=content, headers=kept)


async def _broken_off(request: web.Request, odd: Odd) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Length": "100000"})
    await response.prepare(request)
    await response.write(odd.body.encode() if isinstance(odd.body, str) else odd.body)
    if request.transport is not None:
        request.transport.close()
    return response


def _name(queue_url: str) -> str:
    return queue_url.rpartition("/")[2]
