"""The commands' AWS clients, and their errors as sentences.

boto3 for the commands that do one thing after the other, aiobotocore for those of a migration, which read
many pages at once. Credentials and endpoint come from the SDK's own variables (`AWS_ENDPOINT_URL` included),
the region from those and AWS_REGION, unless an option names them. Both SDKs are imported where they are used:
each takes a tenth of a second, and the shell completion runs this program, too.
"""

from __future__ import annotations

import os
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

from botocore.exceptions import (
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    InvalidRegionError,
    NoCredentialsError,
    NoRegionError,
    ProfileNotFound,
)

from ops.console.exit_status import CommandError
from ops.dynamodb_bodies import read_bodies
from shared.aws_errors import error_code, is_about_time, is_refusal, words_of
from shared.aws_region import SESSION_VARIABLES, SET_REGION, region_in
from shared.errors import FatalError, PoisonError, TransientError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from types_boto3_cloudformation import CloudFormationClient
    from types_boto3_cloudwatch import CloudWatchClient
    from types_boto3_dynamodb import DynamoDBClient
    from types_boto3_lambda import LambdaClient
    from types_boto3_logs import CloudWatchLogsClient
    from types_boto3_sqs import SQSClient

_CONFIG: dict[str, Any] = {
    "connect_timeout": 5,
    "read_timeout": 30,
    "retries": {"mode": "standard", "total_max_attempts": 3},
}
_CONNECTIONS = 64

_NO_QUEUE = frozenset({"AWS.SimpleQueueService.NonExistentQueue", "InvalidAddress", "QueueDoesNotExist"})
_REFUSED = frozenset({"AccessDenied", "AccessDeniedException"})
_UNKNOWN_CALLER = frozenset(
    {
        "ExpiredToken",
        "ExpiredTokenException",
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)
_MALFORMED = "AuthorizationHeaderMalformed"
_LASTING = frozenset(
    {
        "InvalidArgument",
        "InvalidBucketName",
        "InvalidObjectState",
        "InvalidParameterCombination",
        "InvalidParameterValue",
        "InvalidParameterValueException",
        "NoSuchBucket",
        "NoSuchKey",
        "PermanentRedirect",
        "ResourceNotFoundException",
        "SerializationException",
        "ValidationError",
        "ValidationException",
    }
)
"""Answers that stay until a person acts, whatever the credentials are. All others pass, but the refusals
(`shared.aws_errors`) of a command that has just begun.

Sources: Amazon DynamoDB developer guide, "Error handling with DynamoDB"; Amazon S3 API reference, "Error
responses"; the errors of the actions of AWS Lambda and CloudWatch.
"""

CHECK_WHERE = ": check the name, the region (AWS_REGION, --region) and the account (AWS_PROFILE)"

_SET_ENDPOINT = "AWS_ENDPOINT_URL, or --endpoint-url"

_ADVICE = {
    EndpointConnectionError: "check network, region and AWS_ENDPOINT_URL",
    ConnectTimeoutError: "check network, region and AWS_ENDPOINT_URL",
    ProfileNotFound: "set AWS_PROFILE to one that exists",
}


class Aws:
    """Makes clients: one of boto3's for each service, and those of aiobotocore that are asked for."""

    def __init__(self, endpoint_url: str | None = None, region: str | None = None) -> None:
        self._endpoint_url = endpoint_url
        self._region = region
        self._late_session: Any = None

    @cached_property
    def sqs(self) -> SQSClient:
        return cast("SQSClient", self._client("sqs"))

    @cached_property
    def functions(self) -> LambdaClient:
        return cast("LambdaClient", self._client("lambda"))

    @cached_property
    def cloudformation(self) -> CloudFormationClient:
        return cast("CloudFormationClient", self._client("cloudformation"))

    @cached_property
    def dynamodb(self) -> DynamoDBClient:
        return cast("DynamoDBClient", self._client("dynamodb"))

    @cached_property
    def cloudwatch(self) -> CloudWatchClient:
        return cast("CloudWatchClient", self._client("cloudwatch"))

    @cached_property
    def sts(self) -> Any:
        return self._client("sts")

    @cached_property
    def logs(self) -> CloudWatchLogsClient:
        return cast("CloudWatchLogsClient", self._client("logs"))

    def _client(self, service: str) -> Any:
        from botocore.config import Config  # noqa: PLC0415

        with _making_a_client():
            return self._make(service, config=Config(**_CONFIG), endpoint_url=self._endpoint_url)

    @cached_property
    def _make(self) -> Any:
        """Makes clients of one session: what it reads of the SDK's files serves all of them."""
        import boto3  # noqa: PLC0415
        from botocore.session import Session  # noqa: PLC0415

        session = Session(session_vars=SESSION_VARIABLES)
        if region := self._region or region_in(os.environ):
            session.set_config_variable("region", region)
        # The overloads of `client` name every service as a literal.
        return boto3.session.Session(botocore_session=session).client

    @asynccontextmanager
    async def open_client(self, service: str) -> AsyncIterator[Any]:
        """Opens a client of aiobotocore.

        Raises:
            CommandError: the SDK's settings are wrong, or one is missing, such as the region.
        """
        from aiobotocore.config import AioConfig  # noqa: PLC0415

        from shared.aws import LateSession  # noqa: PLC0415

        config = AioConfig(
            max_pool_connections=_CONNECTIONS,
            parameter_validation=False,  # keys come from DynamoDB itself, thousands at a time
            **_CONFIG,
        )
        async with AsyncExitStack() as stack:
            with _making_a_client():
                # One session for all clients: what it reads of the SDK's files takes 10 MB.
                self._late_session = self._late_session or LateSession(self._region)
                made = self._late_session.create_client(
                    service, config=config, endpoint_url=self._endpoint_url
                )
                client = await stack.enter_async_context(made)
            read_bodies(client)
            yield client


@contextmanager
def _making_a_client() -> Iterator[None]:
    with asking("using the AWS SDK"):
        try:
            yield
        except ValueError as error:  # AWS_ENDPOINT_URL is not a URL
            what = str(error).rstrip(".")
            option = "AWS_REGION, or --region" if isinstance(error, InvalidRegionError) else _SET_ENDPOINT
            raise CommandError(
                f"the AWS SDK cannot be used with its AWS_* variables: {what}: check {option}"
            ) from error


@contextmanager
def asking(doing: str) -> Iterator[None]:
    """Makes a sentence of what calls of boto3 raise, whatever it is: an answer can have any form.

    Args:
        doing: what is tried, such as ``receiving from the queue``.

    What is read of the answer belongs into the block, too.

    Raises:
        CommandError: a call failed, or its answer cannot be read.
    """
    try:
        yield
    except (FatalError, PoisonError):
        raise
    except TransientError as error:
        raise CommandError(str(error)) from error
    except Exception as error:
        raise CommandError(f"{doing}: {reason_of(error)}") from error


class Calls:
    """What has worked in a command that takes long: servers, credentials and rights that were good come back.

    Before that it is for a person: the server and the credentials until one call has worked, a right until
    the same action has worked.

    Args:
        was_reached: the server has answered this process before.
    """

    def __init__(self, *, was_reached: bool = False) -> None:
        self._was_reached = was_reached
        self._worked: set[str] = set()

    @contextmanager
    def errors(self, action: str, doing: str) -> Iterator[None]:
        """As `aws_errors`; `action` is that of the API, such as ``Scan``."""
        with aws_errors(
            doing,
            was_reached=self._was_reached or bool(self._worked),
            has_credentials=bool(self._worked),
            has_right=action in self._worked,
        ):
            yield
        self._worked.add(action)


@contextmanager
def aws_errors(
    doing: str, *, was_reached: bool = True, has_credentials: bool = False, has_right: bool = False
) -> Iterator[None]:
    """Makes a sentence of what calls of aiobotocore raise, and tells whether to try again.

    Args:
        doing: what is tried, such as ``reading the table t``.
        was_reached: the server has answered before; one that never did may have another address.
        has_credentials: AWS has accepted the credentials before.
        has_right: AWS has allowed this before.

    Raises:
        TransientError: trying again helps, or nobody knows.
        FatalError: only a person can help.
    """
    try:
        yield
    except (FatalError, PoisonError, TransientError):
        raise
    except Exception as error:
        never_reached = isinstance(error, EndpointConnectionError | ConnectTimeoutError) and not was_reached
        if never_reached or _is_lasting(error, has_credentials=has_credentials, has_right=has_right):
            raise FatalError(f"{doing}: {reason_of(error)}") from error
        # A wait is announced once per text, and AWS's own words may differ from call to call.
        raise TransientError(f"{doing}: {words_of(error)}") from error


def _is_lasting(error: Exception, *, has_credentials: bool, has_right: bool) -> bool:
    code = error_code(error)
    if is_about_time(error):
        return False
    if code in _LASTING | _NO_QUEUE:
        return True
    is_about_credentials = isinstance(error, NoRegionError | ProfileNotFound) or code == _MALFORMED
    if is_about_credentials or code in _UNKNOWN_CALLER:
        return not has_credentials and (is_about_credentials or is_refusal(error))
    return not has_right and is_refusal(error)


def code_of(error: CommandError) -> str:
    """The code of AWS's answer that a sentence was made of; empty if there was no answer."""
    cause = error.__cause__
    return error_code(cause) if isinstance(cause, ClientError) else ""


def no_table(name: str, region: str) -> str:
    """The sentence about a table that does not exist."""
    return f"there is no table {name!r} in the region {region}{CHECK_WHERE}"


def reason_of(error: Exception) -> str:
    """Why a call failed, and what may help."""
    if isinstance(error, NoRegionError):
        return f"{SET_REGION}, or give --region"
    for kind, advice in _ADVICE.items():
        if isinstance(error, kind):
            return f"{words_of(error)}: {advice}"
    if isinstance(error, NoCredentialsError):
        return "there are no AWS credentials: set AWS_PROFILE, or log in"
    if is_about_time(error) or not isinstance(error, ClientError) or not error_code(error):
        return words_of(error)
    code, message = error_code(error), str(error.response.get("Error", {}).get("Message", ""))
    if code in _NO_QUEUE:
        return "AWS knows no such queue: check its URL, the region and the account"
    if code in _REFUSED:
        return f"AWS refused it ({code}): the permission for {error.operation_name} is missing"
    if code in _UNKNOWN_CALLER:
        return f"AWS did not accept the credentials ({code}): log in again"
    return f"AWS answered {code}: {message}"
