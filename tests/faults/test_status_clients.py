"""Clients of the status port that mean no good, while MongoDB's connections break."""

from __future__ import annotations

import resource
import socket
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

import pymongo

from local.pipeline.writer_process import WriterProcess
from local.polling import HANG_TIMEOUT_S, wait_until
from local.servers.server import answers
from tests.faults.proxy import Proxy
from tests.faults.world import queues_only
from tests.support.builders import body_of, put
from writer.status.connections import BACKLOG, MOST_OPEN

if TYPE_CHECKING:
    import random

    from local.stack import Stack
    from tests.conftest import Queues

CLIENTS = 400
HALF = b"GET / HTTP/1.1\r\nHost: x\r\nX-Never"


class Crowd:
    """Connections to a port that say nothing, or half a request, and come back whenever they are cut off."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._end = threading.Event()
        self._held: list[socket.socket] = []
        self.connects = 0
        self._thread = threading.Thread(target=self._press, name="crowd")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join(HANG_TIMEOUT_S)
        for each in self._held:
            each.close()

    def _press(self) -> None:
        while not self._end.is_set():
            try:
                client = socket.create_connection(("127.0.0.1", self._port), timeout=1)
                client.sendall(HALF if self.connects % 2 else b"")
            except OSError:  # there is no room for it just now, or it was cut off at once
                continue
            self.connects += 1
            self._held.append(client)
            if len(self._held) > CLIENTS:
                self._held.pop(0).close()
                self._end.wait(0.01)  # fast enough to be a nuisance, and no test of this machine


def test_a_crowd_at_the_status_port(
    stack: Stack, queues: Queues, database: str, tmp_path: Path, rng: random.Random
) -> None:
    """Replication goes on, and probes are answered, though MongoDB has to be connected to again and again.

    The process may open few more files than it needs for itself and for the clients that it lets in at once;
    hundreds of clients wait.
    """
    # The driver looks up the members by itself; through the proxy it may only talk to the one it was given.
    address = urlsplit(stack.mongodb_uri).netloc
    with Proxy(address, rng) as proxy:
        settings = {
            "MONGODB_URI": f"mongodb://{proxy.address}/?directConnection=true",
            "MONGODB_DATABASE": database,
        }
        deployment = queues_only(queues.url, queues.dead_letter_url)
        writer = WriterProcess(
            stack, deployment, log=tmp_path / "log", replication_file=None, settings=settings
        )
        with writer, pymongo.MongoClient[dict[str, Any]](stack.mongodb_uri) as client:
            writer.wait()
            own = len(list(Path(f"/proc/{writer.child.pid}/fd").iterdir()))
            limit = 2 * own + MOST_OPEN + 4 * BACKLOG
            assert limit < CLIENTS
            resource.prlimit(writer.child.pid, resource.RLIMIT_NOFILE, (limit, limit))
            port = urlsplit(writer.status_url).port
            assert port is not None
            with Crowd(port) as crowd:
                wait_until(lambda: crowd.connects > limit, what="a crowd")
                documents = client[database]["mytable"]
                for number in range(1, 6):
                    proxy.reset()
                    stack.client("sqs").send_message(
                        QueueUrl=queues.url,
                        MessageBody=body_of(put(number, number)),
                        MessageGroupId=f"lane-{number}",
                        MessageDeduplicationId=str(number),
                    )
                    wait_until(lambda: documents.find_one({"_id": number}), what="a document")  # noqa: B023 - called at once
                wait_until(lambda: answers("127.0.0.1", port, "/readyz"), what="an answer to a probe")
            assert "out of system resource" not in writer.log.read_text()
