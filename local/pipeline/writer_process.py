"""The writer as a child process, with only the settings that it has in production."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from local import paths
from local.pipeline.deployment import Deployment
from local.processes import ports
from local.processes.child import Child, base_environment
from local.servers.server import answers
from local.stack import Stack

# The writer finishes its batches before it ends; this must be longer than its own limit for that.
STOP_GRACE_S = 60.0
LISTENING = "status server listening"


class WriterProcess:
    """One running writer."""

    def __init__(  # noqa: PLR0913 - what it runs on, and what only some runs need
        self,
        stack: Stack,
        deployment: Deployment,
        *,
        log: Path,
        replication_file: Path | None = paths.REPLICATION_FILE,
        settings: Mapping[str, str] | None = None,
        directory: Path = paths.ROOT,
    ) -> None:
        """Start it.

        Args:
            stack: The servers that it uses.
            deployment: The pipeline whose queue it drains.
            log: File to which its JSON lines are appended.
            replication_file: The mapping; None replicates every table as it is.
            settings: Environment variables of the writer; they override those that are set here.
            directory: Its working directory, from which it imports hooks.
        """
        environment = base_environment() | stack.environment()
        environment |= {
            "QUEUE_URL": deployment.queue_url,
            "DEAD_LETTER_QUEUE_URL": deployment.dead_letter_queue_url,
            "MONGODB_URI": stack.mongodb_uri,
            "MONGODB_DATABASE": "replicator",
            "STATUS_HOST": ports.HOST,
            "STATUS_PORT": "0",
            "LOG_LEVEL": "INFO",
            "MALLOC_ARENA_MAX": "1",  # as in deploy/Dockerfile
            # Otherwise the line with the port might wait in a buffer.
            "PYTHONUNBUFFERED": "1",
        }
        if replication_file:
            environment["REPLICATION_FILE"] = str(replication_file)
        environment |= settings or {}
        self.log = log
        self._log_start = log.stat().st_size if log.exists() else 0  # an earlier writer may have used it
        self.child = Child(
            "The writer",
            [sys.executable, "-m", "writer"],
            environment=environment,
            log=log,
            directory=directory,
        )
        self._port = 0

    @property
    def status_url(self) -> str:
        """Root URL of its status server; known after `wait`."""
        return f"http://{ports.HOST}:{self._port}"

    def wait(self) -> None:
        """Wait until it reports that it is ready.

        Raises:
            StackError: It ended, or was not ready in time.
        """
        self._port = self.child.wait_until(self._listening_port, what="the writer to open its status server")
        self.child.wait_until(
            lambda: answers(ports.HOST, self._port, "/readyz"),
            what=f"the writer to be ready ({self.status_url}/readyz)",
        )

    def _listening_port(self) -> int | None:
        with self.log.open("rb") as lines:
            lines.seek(self._log_start)
            for line in lines:
                try:
                    entry = json.loads(line)
                except ValueError:  # a traceback, or a line that is still being written
                    continue
                if isinstance(entry, dict) and entry.get("message") == LISTENING:
                    return int(entry["port"])
        return None

    def stop(self) -> int:
        """Send SIGTERM, as a scheduler does, and return its exit status; 0 after an orderly shutdown."""
        return self.child.stop(grace_s=STOP_GRACE_S)

    def kill(self) -> None:
        """Kill it, as a crash does."""
        self.child.kill()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
