"""An HTTP proxy before the AWS emulator that writes down the calls: which permissions the code needs."""

from __future__ import annotations

import http.client
import json
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from local.polling import HANG_TIMEOUT_S

if TYPE_CHECKING:
    from collections.abc import Iterator

# Source: Amazon SQS developer guide, "Actions, resources, and condition keys": a batch action needs the
# permission for the single one.
_BATCHES = {
    "SendMessageBatch": "SendMessage",
    "DeleteMessageBatch": "DeleteMessage",
    "ChangeMessageVisibilityBatch": "ChangeMessageVisibility",
}
_NOT_FORWARDED = {"connection", "content-length", "host", "transfer-encoding"}


@dataclass
class Recording:
    """What went through a proxy.

    Attributes:
        url: where it listens.
        calls: IAM action and name of the queue.
    """

    url: str
    calls: set[tuple[str, str]] = field(default_factory=set)

    def note(self, target: str, body: bytes) -> None:
        """Writes down one request of the SDK's JSON protocol."""
        service, _, operation = target.partition(".")
        assert service == "AmazonSQS", f"a call that nobody expects: {target}"
        queue = json.loads(body)["QueueUrl"].rpartition("/")[2]
        self.calls.add((f"sqs:{_BATCHES.get(operation, operation)}", queue))


@contextmanager
def recorded(upstream: str) -> Iterator[Recording]:
    """A proxy before the emulator at a URL, while the context is open."""
    host = urlsplit(upstream).netloc

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            recording.note(self.headers["X-Amz-Target"], body)
            connection = http.client.HTTPConnection(host, timeout=HANG_TIMEOUT_S)
            try:
                kept = {k: v for k, v in self.headers.items() if k.lower() not in _NOT_FORWARDED}
                connection.request("POST", self.path, body, kept)
                answer = connection.getresponse()
                content = answer.read()
            finally:
                connection.close()
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in _NOT_FORWARDED:
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    recording = Recording(f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield recording
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
