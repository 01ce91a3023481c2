"""MiniStack, the embedded AWS emulator, as a child process that listens on 127.0.0.1 only.

MiniStack runs Lambda functions as its own child processes, with its Python and its environment. So that
environment is built from nothing here: no AWS profile, proxy or setting of the user reaches a function. The
functions end with MiniStack (they read their work from a pipe that it holds).
"""

from pathlib import Path
from urllib.parse import urlsplit

from local import paths
from local.errors import StackError
from local.processes import ports
from local.processes.child import Child, base_environment
from local.servers.emulator import ACCESS_KEY, PREFERRED_PORT, REGION
from local.servers.server import Server, answers

READY_PATH = "/_ministack/ready"


class MiniStack(Server):
    """One running MiniStack."""

    def __init__(self, folder: Path) -> None:
        """Start it.

        Args:
            folder: Existing folder for its scratch files (in `emulator/`) and its log.

        Raises:
            StackError: It is not installed.
        """
        if not paths.STACK_PYTHON.exists():
            raise StackError(
                f"There is no {paths.STACK_PYTHON}: `make run` builds it from requirements/stack.txt."
            )
        scratch = folder / "emulator"
        scratch.mkdir(exist_ok=True)
        self._lease = ports.free_port(PREFERRED_PORT)
        self.endpoint_url = f"http://{ports.HOST}:{self._lease.number}"
        environment = base_environment() | {
            "GATEWAY_PORT": str(self._lease.number),
            "BIND_HOST": ports.HOST,
            # The host in its queue URLs. "localhost" may resolve to ::1, where it does not listen.
            "MINISTACK_HOST": ports.HOST,
            "MINISTACK_REGION": REGION,
            # Its process id, and the unpacked Lambda functions.
            "TMPDIR": str(scratch),
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": ACCESS_KEY,
            # Services that would open ports of their own beside the gateway (8883 for IoT).
            "IOT_MTLS_ENABLED": "0",
            "SFTP_ENABLED": "0",
            "PYTHONUNBUFFERED": "1",
        }
        self.child = Child(
            "The AWS emulator",
            [paths.STACK_PYTHON, "-m", "ministack"],
            environment=environment,
            log=folder / "emulator.log",
            directory=folder,
        )

    def wait(self) -> None:
        self.child.wait_until(
            lambda: answers(ports.HOST, self._lease.number, READY_PATH),
            what="the AWS emulator to be ready",
        )


def is_ministack(endpoint_url: str) -> bool:
    """Whether the emulator at this URL is MiniStack, and not LocalStack or another one."""
    address = urlsplit(endpoint_url)
    return address.scheme == "http" and answers(address.hostname or "", address.port or 80, READY_PATH)
