"""Makes the AWS clients, and translates their errors into ours. No other module does either.

Region, credentials and endpoint come from the SDK's own variables (`AWS_ENDPOINT_URL` included).
"""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

import aiohttp
from aiobotocore.config import AioConfig
from aiobotocore.session import get_session
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    NoCredentialsError,
    NoRegionError,
    PartialCredentialsError,
)

from shared.errors import FatalError, TransientError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from types_aiobotocore_sqs import SQSClient

AWS_ERRORS = (BotoCoreError, ClientError, aiohttp.ClientError, TimeoutError, OSError)
"""What a client's call can raise; `translated` turns it into an error of ours."""

_USER_AGENT = "dynamodb-mongodb-replicator"

# Source: Amazon SQS API reference, "Common errors" and the errors of each action. A missing queue or refused
# permission stays so until a person acts; everything else (throttling, 5xx, network) passes.
_FATAL_CODES = frozenset(
    {
        "AWS.SimpleQueueService.NonExistentQueue",
        "AccessDenied",
        "AccessDeniedException",
        "AuthFailure",
        "InvalidAccessKeyId",
        "InvalidAddress",
        "InvalidClientTokenId",
        "InvalidSecurity",
        "OptInRequired",
        "QueueDoesNotExist",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)
_NO_CONFIGURATION = (NoCredentialsError, NoRegionError, PartialCredentialsError, CredentialRetrievalError)


@asynccontextmanager
async def sqs_client(connections: int, *, attempts: int, read_timeout: float) -> AsyncIterator[SQSClient]:
    """Opens an SQS client.

    Args:
        connections: size of the pool; at least the number of concurrent calls, or deletes starve behind
            long polls.
        attempts: tries of one call, the first included ("standard" retry mode: throttling, 5xx, network).
        read_timeout: seconds to wait for a response; longer than a long poll.

    Raises:
        FatalError: the SDK's settings are incomplete (no region) or wrong.
    """
    config = AioConfig(
        max_pool_connections=connections,
        connect_timeout=5,
        read_timeout=read_timeout,
        retries={"total_max_attempts": attempts, "mode": "standard"},
        tcp_keepalive=True,
        # mypy checks the types, SQS the values; and botocore would build its usual User-Agent anew for each
        # call. The two were a quarter of a call's CPU time.
        parameter_validation=False,
        user_agent=_USER_AGENT,
    )
    async with AsyncExitStack() as stack:
        try:
            client = await stack.enter_async_context(get_session().create_client("sqs", config=config))
        except NoRegionError as error:
            raise FatalError("the AWS SDK knows no region: set AWS_DEFAULT_REGION") from error
        except (BotoCoreError, ValueError) as error:  # ValueError: AWS_ENDPOINT_URL is not a URL
            raise FatalError(f"the AWS SDK cannot be used with its AWS_* variables: {error}") from error
        yield client


def translated(error: Exception, doing: str) -> TransientError | FatalError:
    """Returns our error for one of `AWS_ERRORS`, by its type and code.

    Args:
        error: what the client raised.
        doing: what was tried, such as ``receiving from QUEUE_URL``.
    """
    if isinstance(error, ClientError):
        code = error_code(error)
        if code in _FATAL_CODES:
            return FatalError(f"{doing}: AWS answered {code}: {_advice(code)}")
        return TransientError(f"{doing}: AWS answered {code}")
    if isinstance(error, _NO_CONFIGURATION):
        return FatalError(f"{doing}: {error}")
    return TransientError(f"{doing}: {type(error).__name__}: {error}")


def error_code(error: ClientError) -> str:
    """The code in an error response, such as ``AccessDenied``."""
    return str(error.response.get("Error", {}).get("Code", ""))


def _advice(code: str) -> str:
    if "Queue" in code or code == "InvalidAddress":
        return "check the queue's URL, region and account"
    return "check the credentials and the permissions of the role"
