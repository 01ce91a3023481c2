"""`replicator follow` as a child process."""

import sys
from pathlib import Path

from local import paths
from local.processes import ports
from local.processes.child import Child, base_environment
from local.servers.server import answers
from local.stack import Stack

STOP_GRACE_S = 60.0


class FollowProcess:
    """One that follows a table."""

    def __init__(self, stack: Stack, table: str, *, log: Path, database: str, port: int) -> None:
        """Start it, with the mapping of the example.

        Args:
            stack: The servers that it uses.
            table: The DynamoDB table.
            log: File to which its lines are appended.
            database: The target database.
            port: Of its status page.
        """
        self._port = port
        self.child = Child(
            "replicator follow",
            [sys.executable, "-m", "ops", "follow", table, "--status-port", str(port)],
            environment=base_environment()
            | stack.environment()
            | {
                "MONGODB_URI": stack.mongodb_uri,
                "MONGODB_DATABASE": database,
                "REPLICATION_FILE": str(paths.REPLICATION_FILE),
                "PYTHONUNBUFFERED": "1",
            },
            log=log,
            directory=paths.ROOT,
        )

    def wait(self) -> None:
        """Wait until it follows the table. After a kill that takes until the lease of the killed one ends.

        Raises:
            StackError: It ended, or was not ready in time.
        """
        self.child.wait_until(
            lambda: answers(ports.HOST, self._port, "/readyz"), what="replicator follow to be ready"
        )

    def stop(self) -> int:
        """Send SIGTERM, and return its exit status."""
        return self.child.stop(grace_s=STOP_GRACE_S)
