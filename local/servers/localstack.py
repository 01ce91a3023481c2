"""Genuine LocalStack as a child process, without Docker: from PyPI, on the loopback interface, offline.

Its tables are in DynamoDB Local, which runs beside it. A plugin (`local/servers/localstack_plugins`) runs its
Lambda functions as processes. docs/decisions/0007 has the reasons and the observations.
"""

from pathlib import Path
from typing import Final

from local import paths
from local.errors import StackError
from local.processes import ports
from local.processes.child import Child, base_environment
from local.servers.dynamodb_local import DynamoDBLocal
from local.servers.emulator import AWS_VARIABLES, PREFERRED_PORT
from local.servers.server import Server, answers

PLUGINS: Final = Path(__file__).with_name("localstack_plugins")


def check_environment() -> None:
    """Do nothing if LocalStack's packages are installed.

    Raises:
        StackError: They are not; the message says which command installs them.
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
            StackError: Something is missing that they need; the message says what to install.
        """
        self.dynamodb = DynamoDBLocal(folder)
        try:
            self._lease = ports.free_port(PREFERRED_PORT)
            self.child = self._start(folder)
        except BaseException:
            self.dynamodb.stop()
            raise
        self.endpoint_url = f"http://{ports.HOST}:{self._lease.number}"

    def _start(self, folder: Path) -> Child:
        data = folder / "localstack"
        data.mkdir(exist_ok=True)
        address = f"{ports.HOST}:{self._lease.number}"
        environment = base_environment() | {
            "PYTHONPATH": str(PLUGINS),
            "PYTHONUNBUFFERED": "1",
            # Everything that it writes; the index of its plugins goes to the home folder.
            "FILESYSTEM_ROOT": str(data),
            "HOME": str(data),
            "TMPDIR": str(data),
            # Where /.dockerenv exists, it would think that it runs in its own image.
            "OVERRIDE_IN_DOCKER": "0",
            "GATEWAY_LISTEN": address,
            "GATEWAY_SERVER": "loopback",
            "LOCALSTACK_HOST": address,
            # It sends no request to the network, and opens no other port.
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
            # It polls streams ten times a second, and twice a second after a while without records.
            "LAMBDA_EVENT_SOURCE_MAPPING_POLL_INTERVAL_SEC": "0.1",
            "LAMBDA_EVENT_SOURCE_MAPPING_MAX_BACKOFF_ON_EMPTY_POLL_SEC": "0.5",
            **AWS_VARIABLES,
        }
        # Its command line requires Docker; this is what its image runs.
        command: list[str | Path] = [paths.LOCALSTACK_PYTHON, "-m", "localstack.runtime.main"]
        log = folder / "localstack.log"
        return Child("LocalStack", command, environment=environment, log=log, directory=folder)

    def wait(self) -> None:
        self.dynamodb.wait()
        self.child.wait_until(
            lambda: answers(ports.HOST, self._lease.number, "/_localstack/health"),
            what="LocalStack to be ready",
        )

    def check(self) -> None:
        self.dynamodb.check()
        super().check()

    def stop(self) -> None:
        super().stop()
        self.dynamodb.stop()
