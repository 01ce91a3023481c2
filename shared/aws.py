"""The one place where AWS clients are made.

Region, credentials and endpoint come from the SDK's own variables (`AWS_ENDPOINT_URL` included).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiobotocore.config import AioConfig
from aiobotocore.session import get_session

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from types_aiobotocore_sqs import SQSClient


def sqs_client(
    connections: int, *, attempts: int, read_timeout: float
) -> AbstractAsyncContextManager[SQSClient]:
    """Returns a context manager that opens an SQS client.

    Args:
        connections: size of the connection pool; more than the number of calls in flight at once, or
            deletes starve behind long polls.
        attempts: tries of one call, the first included ("standard" retry mode: throttling, 5xx, network).
        read_timeout: seconds to wait for a response; longer than a long poll.
    """
    config = AioConfig(
        max_pool_connections=connections,
        connect_timeout=5,
        read_timeout=read_timeout,
        retries={"total_max_attempts": attempts, "mode": "standard"},
        tcp_keepalive=True,
    )
    return get_session().create_client("sqs", config=config)
