"""MiniStack, the AWS emulator, as a child process that listens on 127.0.0.1 only.

It runs Lambda functions as processes of its own, with its own Python and environment, so that environment is
made here from nothing: no AWS profile, proxy or setting of the person who runs us reaches them. Those
processes end when it does (they read their work from a pipe that it holds).
"""

import http.client
from pathlib import Path
from urllib.parse import urlsplit

from local import paths
from local.errors import StackError
from local.processes import ports
from local.processes.child import Child, base_environment
from local.servers.server import Server

PREFERRED_PORT = 4566
REGION = "us-east-1"
# LocalStack and its kin accept any credentials; these are the ones their manuals use.
ACCESS_KEY = "test"
START_TIMEOUT_S = 60.0
READY_PATH = "/_ministack/ready"


class Emulator(Server):
    """One running emulator."""

    def __init__(self, folder: Path) -> None:
        """Start it.

        Args:
            folder: Existing folder for its scratch files (in `emulator/`) and log.

        Raises:
            StackError: It is not installed.
        """
        if not paths.STACK_PYTHON.exists():
            raise StackError(
                f"There is no {paths.STACK_PYTHON}: `make run` builds it from requirements/stack.txt."
            )
        scratch = folder / "emulator"
        scratch.mkdir(exist_ok=True)
        self.log = folder / "emulator.log"
        self._lease = ports.free_port(PREFERRED_PORT)
        self.endpoint_url = f"http://{ports.HOST}:{self._lease.number}"
        environment = base_environment() | {
            "GATEWAY_PORT": str(self._lease.number),
            "BIND_HOST": ports.HOST,
            # The host in the queue URLs that it hands out. "localhost" may mean ::1, where nobody listens.
            "MINISTACK_HOST": ports.HOST,
            "MINISTACK_REGION": REGION,
            # Its process id, and the unpacked Lambda functions.
            "TMPDIR": str(scratch),
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": ACCESS_KEY,
            # Services beside the gateway that would listen on ports of their own (8883 for IoT).
            "IOT_MTLS_ENABLED": "0",
            "SFTP_ENABLED": "0",
            "PYTHONUNBUFFERED": "1",
        }
        self.child = Child(
            "The AWS emulator",
            [paths.STACK_PYTHON, "-m", "ministack"],
            environment=environment,
            log=self.log,
            directory=folder,
        )

    def wait(self) -> None:
        """Wait until it serves.

        Raises:
            StackError: It ended, or was not ready in a minute.
        """
        self.child.wait_until(
            lambda: answers(ports.HOST, self._lease.number, READY_PATH),
            timeout_s=START_TIMEOUT_S,
            what="the AWS emulator to be ready",
        )


def is_ministack(endpoint_url: str) -> bool:
    """Whether the emulator there is MiniStack, and not LocalStack or another."""
    address = urlsplit(endpoint_url)
    return address.scheme == "http" and answers(address.hostname or "", address.port or 80, READY_PATH)


def answers(host: str, port: int, path: str) -> bool:
    """Whether an HTTP server there answers GET with status 200 within two seconds. Proxies are not asked."""
    connection = http.client.HTTPConnection(host, port, timeout=2)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
