"""An SQS endpoint that accepts everything and keeps nothing, in its own process: its CPU time is not counted.

    python -m bench.sqs_endpoint    # writes its port, and serves until its standard input ends

It implements what the producer needs of the JSON protocol, over HTTP on 127.0.0.1, and counts the requests.
"""

from __future__ import annotations

import http.client
import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from aiohttp import web

from bench.endpoint import HOST, Endpoint, action_of, serve

if TYPE_CHECKING:
    from collections.abc import Mapping

MESSAGE_LIMIT = 1024 * 1024

_LONGEST_ANSWER = 10  # seconds


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


class SqsEndpoint(Endpoint):
    """The endpoint."""

    def __init__(self) -> None:
        super().__init__("bench.sqs_endpoint")

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
        connection = http.client.HTTPConnection(HOST, self.port, timeout=_LONGEST_ANSWER)
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
        found = self._of(action_of(request), content)
        return web.json_response(found, content_type="application/x-amz-json-1.0")

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


if __name__ == "__main__":
    counter = _Counter()
    serve(counter.answer, counter.take, largest=4 * MESSAGE_LIMIT)
