"""The commands' AWS clients, and their errors as sentences.

boto3, because a command does one thing after the other. Region, credentials and endpoint come from the SDK's
own variables (`AWS_ENDPOINT_URL` included).
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol, cast

from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, NoRegionError

from ops.console.exit_status import CommandError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from types_boto3_cloudformation import CloudFormationClient
    from types_boto3_dynamodb import DynamoDBClient
    from types_boto3_lambda import LambdaClient
    from types_boto3_sqs import SQSClient

_NO_QUEUE = frozenset({"AWS.SimpleQueueService.NonExistentQueue", "InvalidAddress", "QueueDoesNotExist"})
_REFUSED = frozenset({"AccessDenied", "AccessDeniedException"})
_UNKNOWN_CALLER = frozenset(
    {
        "ExpiredToken",
        "ExpiredTokenException",
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)


class CloudWatchClient(Protocol):
    """The one call of CloudWatch that we make."""

    def get_metric_data(self, **request: Any) -> dict[str, Any]:
        """Reads metrics."""
        ...


class LogsClient(Protocol):
    """The one call of CloudWatch Logs that we make."""

    def filter_log_events(self, **request: Any) -> dict[str, Any]:
        """Reads a page of a log group."""
        ...


class Aws:
    """Makes clients, one of each service at most."""

    def __init__(self) -> None:
        self._made: dict[str, Any] = {}

    @property
    def sqs(self) -> SQSClient:
        """Queues."""
        return cast("SQSClient", self._client("sqs"))

    @property
    def functions(self) -> LambdaClient:
        """Lambda."""
        return cast("LambdaClient", self._client("lambda"))

    @property
    def cloudformation(self) -> CloudFormationClient:
        """Stacks."""
        return cast("CloudFormationClient", self._client("cloudformation"))

    @property
    def dynamodb(self) -> DynamoDBClient:
        """Tables."""
        return cast("DynamoDBClient", self._client("dynamodb"))

    @property
    def cloudwatch(self) -> CloudWatchClient:
        """Metrics."""
        return cast("CloudWatchClient", self._client("cloudwatch"))

    @property
    def logs(self) -> LogsClient:
        """Log groups."""
        return cast("LogsClient", self._client("logs"))

    def _client(self, service: str) -> Any:
        if service not in self._made:
            # Here, because it takes a tenth of a second, and the shell completion runs this program, too.
            import boto3  # noqa: PLC0415
            from botocore.config import Config  # noqa: PLC0415

            config = Config(
                connect_timeout=5, read_timeout=30, retries={"mode": "standard", "total_max_attempts": 3}
            )
            try:
                with asking("using the AWS SDK"):
                    make: Any = (
                        boto3.session.Session().client
                    )  # its overloads name every service as a literal
                    self._made[service] = make(service, config=config)
            except ValueError as error:  # AWS_ENDPOINT_URL is not a URL
                raise CommandError(f"the AWS SDK cannot be used with its AWS_* variables: {error}") from error
        return self._made[service]


@contextmanager
def asking(doing: str) -> Iterator[None]:
    """Makes a sentence of what calls of AWS raise.

    Args:
        doing: what is tried, such as ``receiving from the queue``.

    Raises:
        CommandError: a call failed.
    """
    try:
        yield
    except (BotoCoreError, ClientError) as error:
        raise CommandError(f"{doing}: {reason_of(error)}") from error


def code_of(error: CommandError) -> str:
    """The code of AWS's answer that a sentence was made of; empty if there was no answer."""
    cause = error.__cause__
    return str(cause.response.get("Error", {}).get("Code", "")) if isinstance(cause, ClientError) else ""


def reason_of(error: Exception) -> str:
    """Why a call failed, and what may help."""
    if isinstance(error, NoRegionError):
        return "no region is set: set AWS_REGION, or AWS_PROFILE"
    if isinstance(error, NoCredentialsError):
        return "there are no AWS credentials: set AWS_PROFILE, or log in"
    if not isinstance(error, ClientError):
        return f"{type(error).__name__}: {error}"
    details = error.response.get("Error", {})
    code, message = str(details.get("Code", "")), str(details.get("Message", ""))
    if code in _NO_QUEUE:
        return "AWS knows no such queue: check its URL, and region and account"
    if code in _REFUSED:
        return f"AWS refused it ({code}): the permission for {error.operation_name} is missing"
    if code in _UNKNOWN_CALLER:
        return f"AWS did not accept the credentials ({code}): log in again"
    return f"AWS answered {code}: {message}"
