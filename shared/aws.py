"""Makes the AWS clients. No other module of the two sides does.

Credentials and endpoint come from the SDK's own variables (`AWS_ENDPOINT_URL` included), the region from
those and AWS_REGION.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import math
import os
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any

from aiobotocore.config import AioConfig
from aiobotocore.credentials import AioCredentials
from aiobotocore.session import AioSession
from botocore.credentials import RefreshableCredentials
from botocore.exceptions import BotoCoreError, NoCredentialsError, NoRegionError

from shared.aws_region import SESSION_VARIABLES, SET_REGION, region_in
from shared.errors import FatalError
from shared.sqs_bodies import read_bodies

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from types_aiobotocore_sqs import SQSClient

_USER_AGENT = "dynamodb-mongodb-replicator"
_LONGEST_SEARCH = 20.0  # seconds; the SDK asks a source of credentials three times, each for two seconds

_READ_AGAIN = 60.0  # seconds after which credentials that do not renew themselves are looked for again


@asynccontextmanager
async def sqs_client(connections: int, *, attempts: int, read_timeout: float) -> AsyncIterator[SQSClient]:
    """Opens an SQS client. Its calls are made inside `shared.aws_errors.aws_call`.

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
            client = await stack.enter_async_context(LateSession().create_client("sqs", config=config))
        except NoRegionError as error:
            raise FatalError(SET_REGION) from error
        except (BotoCoreError, ValueError) as error:  # ValueError: AWS_ENDPOINT_URL is not a URL
            raise FatalError(f"the AWS SDK cannot be used with its AWS_* variables: {error}") from error
        read_bodies(client)
        yield client


class LateSession(AioSession):
    """A session whose clients look for credentials with each call until there are some.

    The SDK's own looks once, when a client is made: a source that is away then would be a client without
    credentials for good. And it never reads those of a file again, which somebody may have renewed.
    """

    def __init__(self, region: str | None = None) -> None:
        super().__init__(session_vars=SESSION_VARIABLES)
        if found := region or region_in(os.environ):
            self.set_config_variable("region", found)
        # The SDK logs a failed refresh with a traceback, which quotes the answer.
        logging.getLogger("aiobotocore.credentials").addFilter(_without_traceback)

    async def get_credentials(self) -> Any:  # type: ignore[override]  # a coroutine in the SDK, too
        return _LateCredentials(self.get_component("credential_provider").load_credentials)


class _LateCredentials(AioCredentials):
    """Looks for other credentials, and stands for them."""

    def __init__(self, find: Callable[[], Awaitable[Any]]) -> None:
        super().__init__("", "", method="late")
        self._find = find
        self._credentials: Any = None
        self._until = -math.inf

    async def get_frozen_credentials(self) -> Any:  # type: ignore[override]  # a coroutine in the SDK, too
        async with asyncio.timeout(_LONGEST_SEARCH):
            return await (await self._found()).get_frozen_credentials()

    async def get_account_id(self) -> Any:  # type: ignore[override]  # likewise
        async with asyncio.timeout(_LONGEST_SEARCH):
            found = (await self._found()).get_account_id()
            return await found if inspect.isawaitable(found) else found  # some of the SDK's are no coroutines

    async def _found(self) -> Any:
        now = asyncio.get_running_loop().time()
        if now >= self._until:
            try:
                found = await self._find()
            except Exception:
                if self._credentials is None:
                    raise
                found = None
            self._credentials = found or self._credentials
            self._until = (
                math.inf if isinstance(self._credentials, RefreshableCredentials) else now + _READ_AGAIN
            )
        if self._credentials is None:
            self._until = -math.inf
            raise NoCredentialsError
        return self._credentials


def _without_traceback(record: logging.LogRecord) -> bool:
    record.exc_info = None
    return True
