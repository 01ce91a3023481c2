"""A proxy before the AWS emulator that refuses chosen actions as IAM does, and can have another clock."""

from __future__ import annotations

import http.client
import json
import re
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from local.polling import HANG_TIMEOUT_S

if TYPE_CHECKING:
    from collections.abc import Iterator

_NOT_FORWARDED = {"connection", "content-length", "date", "host", "transfer-encoding"}
_LAMBDA = (
    (re.compile(r"/\d{4}-\d\d-\d\d/event-source-mappings"), "lambda:ListEventSourceMappings"),
    (re.compile(r"/\d{4}-\d\d-\d\d/functions/[^/]+/configuration"), "lambda:GetFunctionConfiguration"),
)
_TARGETS = {
    "AmazonSQS": "sqs",
    "DynamoDB_20120810": "dynamodb",
    "DynamoDBStreams_20120810": "dynamodb",
    "GraniteServiceVersion20100801": "cloudwatch",
}
_VERSIONS = {"2011-06-15": "sts", "2010-05-15": "cloudformation", "2010-08-01": "cloudwatch"}


@dataclass
class Proxy:
    """What a proxy does.

    Attributes:
        url: where it listens.
        refused: IAM actions that are refused, such as ``sqs:GetQueueAttributes``.
        asked: the actions that were asked for.
        time: its clock, seconds since the epoch; None: the right one.
    """

    url: str
    refused: set[str] = field(default_factory=set)
    asked: set[str] = field(default_factory=set)
    time: float | None = None


def _action(path: str, target: str, body: bytes) -> str:
    """The IAM action of a request."""
    if target:
        service, _, operation = target.partition(".")
        return f"{_TARGETS.get(service, service)}:{operation}"
    for pattern, action in _LAMBDA:
        if pattern.match(path):
            return action
    form = {name: values[0] for name, values in parse_qs(body.decode("latin-1")).items()}
    return f"{_VERSIONS.get(form.get('Version', ''), '')}:{form.get('Action', '')}"


def _refusal(action: str, target: str) -> tuple[int, dict[str, str], bytes]:
    text = f"User is not authorized to perform: {action}"
    if target:
        return 400, {}, json.dumps({"__type": "x#AccessDeniedException", "message": text}).encode()
    if action.startswith("lambda:"):
        return 403, {"x-amzn-ErrorType": "AccessDeniedException"}, json.dumps({"Message": text}).encode()
    error = f"<Error><Type>Sender</Type><Code>AccessDenied</Code><Message>{text}</Message></Error>"
    return 403, {"Content-Type": "text/xml"}, f"<ErrorResponse>{error}</ErrorResponse>".encode()


@contextmanager
def refusing_proxy(upstream: str) -> Iterator[Proxy]:
    """A proxy before the emulator at a URL, while the context is open."""
    host = urlsplit(upstream).netloc

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            target = self.headers.get("X-Amz-Target", "")
            action = _action(self.path, target, body)
            proxy.asked.add(action)
            headers: dict[str, str] = {}
            if action in proxy.refused:
                status, headers, content = _refusal(action, target)
            else:
                connection = http.client.HTTPConnection(host, timeout=HANG_TIMEOUT_S)
                connection.request(self.command, self.path, body, dict(self.headers))
                with connection.getresponse() as response:
                    status, content = response.status, response.read()
                    for name, value in response.getheaders():
                        if name.lower() not in _NOT_FORWARDED:
                            headers[name] = value
                connection.close()
            self.send_response_only(status)
            self.send_header("Date", formatdate(proxy.time, usegmt=True))
            self.send_header("Content-Length", str(len(content)))
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = _answer  # noqa: N815 - the names that the base class calls

        def log_message(self, *_: object) -> None:
            """The output of the tests is not for it."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    proxy = Proxy(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield proxy
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
