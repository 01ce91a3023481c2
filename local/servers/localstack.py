"""Genuine LocalStack as a child process, without Docker: from PyPI, on the loopback interface, offline.

Its tables are in DynamoDB Local, which runs beside it; its Lambda functions run as processes, by a plugin
(`local/servers/localstack_plugins`). docs/decisions/0007 says why, and what was seen.
"""

import os
from pathlib import Path
from typing import Final

from local import paths
from local.errors import StackError
from local.processes import ports
from local.processes.child import Child, base_environment
from local.servers.dynamodb_local import DynamoDBLocal
from local.servers.emulator import ACCESS_KEY, PREFERRED_PORT, REGION, answers
from local.servers.server import Server

START_TIMEOUT_S: Final = 90.0
PLUGINS: Final = Path(__file__).with_name("localstack_plugins")


def check_environment() -> None:
    """Does nothing if LocalStack's packages are there.

    Raises:
        StackError: They are not; the message says what makes them.
    """
    if not paths.LOCALSTACK_PYTHON.exists():
        raise StackError(
            f"There is no {paths.LOCALSTACK_PYTHON}: `make test-localstack` and `make run STACK=localstack` "
            "build it from requirements/localstack.txt."
        )


class LocalStack(Server):
    """One running LocalStack, with its DynamoDB Local."""

    def __init__(self, folder: Path) -> None:
        """Start both.

        Args:
            folder: Existing folder for their data (in `localstack/`) and logs.

        Raises:
            StackError: Something that they need is missing; the message says what to install.
        """
        self.log = folder / "localstack.log"
        self._folder = folder
        self._data = folder / "localstack"
        self._data.mkdir(exist_ok=True)
        self.dynamodb = DynamoDBLocal(folder)
        try:
            self._lease = ports.free_port(PREFERRED_PORT)
            self.child = self._start()
        except BaseException:
            self.dynamodb.stop()
            raise
        self.endpoint_url = f"http://{ports.HOST}:{self._lease.number}"

    def _start(self) -> Child:
        address = f"{ports.HOST}:{self._lease.number}"
        environment = base_environment() | {
            "PYTHONPATH": str(PLUGINS),
            "PYTHONUNBUFFERED": "1",
            # Everything that it writes; the index of its plugins goes to the home folder.
            "FILESYSTEM_ROOT": str(self._data),
            "HOME": str(self._data),
            "TMPDIR": str(self._data),
            # Where /.dockerenv exists it would take itself for its image.
            "OVERRIDE_IN_DOCKER": "0",
            "GATEWAY_LISTEN": address,
            "GATEWAY_SERVER": "loopback",
            "LOCALSTACK_HOST": address,
            # Nothing is asked of the network, and no other port is opened.
            "DISABLE_EVENTS": "1",
            "SKIP_SSL_CERT_DOWNLOAD": "1",
            "DNS_ADDRESS": "0",
            "DEBUG": "0",
            "SQS_ENDPOINT_STRATEGY": "path",
            "SQS_DISABLE_CLOUDWATCH_METRICS": "1",
            "DYNAMODB_LOCAL_PORT": str(self.dynamodb.port),
            "PROVIDER_OVERRIDE_DYNAMODB": "beside",
            "PROVIDER_OVERRIDE_DYNAMODBSTREAMS": "beside",
            "LAMBDA_RUNTIME_EXECUTOR": "process",
            "LAMBDA_PROCESS_PYTHON": str(paths.LOCALSTACK_PYTHON),
            # Streams are asked ten times a second, and twice a second after a while without records.
            "LAMBDA_EVENT_SOURCE_MAPPING_POLL_INTERVAL_SEC": "0.1",
            "LAMBDA_EVENT_SOURCE_MAPPING_MAX_BACKOFF_ON_EMPTY_POLL_SEC": "0.5",
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": ACCESS_KEY,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
        }
        # Its command line insists on Docker; this is what the image runs.
        command: list[str | Path] = [paths.LOCALSTACK_PYTHON, "-m", "localstack.runtime.main"]
        return Child("LocalStack", command, environment=environment, log=self.log, directory=self._folder)

    def wait(self) -> None:
        """Wait until both serve.

        Raises:
            StackError: One of them ended, or was not ready in time.
        """
        self.dynamodb.wait()
        self.child.wait_until(
            lambda: answers(ports.HOST, self._lease.number, "/_localstack/health"),
            timeout_s=START_TIMEOUT_S,
            what="LocalStack to be ready",
        )

    def check(self) -> None:
        """Do nothing if both live.

        Raises:
            StackError: One has ended.
        """
        self.dynamodb.check()
        super().check()

    def stop(self) -> None:
        """End both, and with LocalStack its Lambda functions."""
        super().stop()
        self.dynamodb.stop()
