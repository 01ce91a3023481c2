"""An SQS endpoint that accepts everything and keeps nothing, in its own process: its CPU time is not counted.

    python -m bench.sqs_endpoint    # writes its port, and serves until its standard input ends

It implements what the producer needs of the JSON protocol, over HTTP on 127.0.0.1, and counts the requests.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import Mapping

HOST = "127.0.0.1"
MESSAGE_LIMIT = 1024 * 1024

_ROOT = Path(__file__).resolve().parent.parent
_LONGEST_STOP = 10  # seconds


@dataclass
class Sent:
    """What was sent since the last `take`.

    Attributes:
        requests: calls of SendMessageBatch.
        messages: the messages in them.
        size: bytes of the messages' bodies.
        largest: bytes of the largest body.
    """

    requests: int = 0
    messages: int = 0
    size: int = 0
    largest: int = 0


class SqsEndpoint:
    """The endpoint, running from its construction to the end of the `with` block."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.sqs_endpoint"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=_ROOT,
        )
        assert self._process.stdout  # noqa: S101 - a pipe was asked for
        self.port = int(self._process.stdout.readline())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._process.communicate(timeout=_LONGEST_STOP)  # closes its input
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()

    def environment(self) -> Mapping[str, str]:
        """The variables with which the producer uses the endpoint."""
        url = f"http://{HOST}:{self.port}"
        return {
            "AWS_ENDPOINT_URL": url,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "benchmark",
            "AWS_SECRET_ACCESS_KEY": "benchmark",
            "QUEUE_URL": f"{url}/000000000000/benchmark.fifo",
            "DEAD_LETTER_QUEUE_URL": f"{url}/000000000000/benchmark-dead-letter.fifo",
        }

    def take(self) -> Sent:
        """What was sent since the last call."""
        connection = http.client.HTTPConnection(HOST, self.port, timeout=_LONGEST_STOP)
        try:
            connection.request("GET", "/")
            return Sent(**json.loads(connection.getresponse().read()))
        finally:
            connection.close()


class _Counter:
    def __init__(self) -> None:
        self._sent = Sent()

    async def answer(self, request: web.Request) -> web.Response:
        content = json.loads(await request.read())
        action = request.headers["X-Amz-Target"].removeprefix("AmazonSQS.")
        return web.json_response(self._of(action, content), content_type="application/x-amz-json-1.0")

    async def take(self, _: web.Request) -> web.Response:
        sent, self._sent = self._sent, Sent()
        return web.json_response(asdict(sent))

    def _of(self, action: str, content: Mapping[str, Any]) -> Mapping[str, Any]:
        if action == "GetQueueAttributes":
            return {"Attributes": {"MaximumMessageSize": str(MESSAGE_LIMIT)}}
        if action != "SendMessageBatch":
            raise web.HTTPBadRequest(text=f"{action} is not to be had here")
        entries = content["Entries"]
        sizes = [len(entry["MessageBody"].encode()) for entry in entries]
        self._sent.requests += 1
        self._sent.messages += len(entries)
        self._sent.size += sum(sizes)
        self._sent.largest = max(self._sent.largest, *sizes)
        return {"Successful": [{"Id": entry["Id"], "MessageId": entry["Id"]} for entry in entries]}


async def _serve() -> None:
    counter = _Counter()
    application = web.Application(client_max_size=4 * MESSAGE_LIMIT)
    application.router.add_post("/", counter.answer)
    application.router.add_post("/{path:.*}", counter.answer)
    application.router.add_get("/", counter.take)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, HOST, 0).start()
        sys.stdout.write(f"{runner.addresses[0][1]}\n")
        sys.stdout.flush()
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    finally:
        await runner.cleanup()


if __name__ == "__main__":
    asyncio.run(_serve())
