"""A credentials endpoint as containers have one, which gives the answers that a test wants."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

SECRET = "hunter2-do-not-log"


def credentials(*, minutes: float = 60.0) -> str:
    """An answer with credentials that expire in so many minutes."""
    return json.dumps(
        {
            "AccessKeyId": "test",
            "SecretAccessKey": SECRET,
            "Token": SECRET,
            "Expiration": f"{datetime.now(UTC) + timedelta(minutes=minutes):%Y-%m-%dT%H:%M:%SZ}",
        }
    )


class CredentialsEndpoint:
    """Serves the `answer` of the moment.

    Attributes:
        status: of the answer.
        asked: how many requests there were.
    """

    def __init__(self) -> None:
        self.answer = credentials()
        self.status = 200
        self.hangs = False
        self.asked = 0
        self.url = ""
        self.over = threading.Event()

    def environment(self, environment: Mapping[str, str]) -> dict[str, str]:
        """The variables, with this as the only source of credentials."""
        own = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"}
        kept = {name: text for name, text in environment.items() if name not in own}
        return kept | {
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": self.url,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
            "AWS_CONFIG_FILE": "/dev/null",
        }

    def give(self, answer: str, status: int = 200, *, hangs: bool = False) -> None:
        """From now on it answers so."""
        self.answer, self.status, self.hangs = answer, status, hangs


@contextmanager
def credentials_endpoint() -> Iterator[CredentialsEndpoint]:
    """Serves while the context is open."""
    endpoint = CredentialsEndpoint()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            endpoint.asked += 1
            if endpoint.hangs:
                endpoint.over.wait()
                return
            content = endpoint.answer.encode()
            self.send_response(endpoint.status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            """Says nothing."""

        def handle(self) -> None:
            try:
                super().handle()
            except OSError:  # the client has gone
                self.close_connection = True

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    endpoint.url = f"http://127.0.0.1:{server.server_address[1]}/"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield endpoint
    finally:
        endpoint.over.set()
        server.shutdown()
        thread.join()
        server.server_close()
