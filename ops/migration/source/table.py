"""Reading a DynamoDB table: what it is, its pages, some of its items. Errors are translated here, once."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aiobotocore.config import AioConfig
from aiobotocore.session import get_session
from botocore.exceptions import BotoCoreError, ClientError, NoRegionError

from shared.aws import AWS_ERRORS, error_code, translated
from shared.errors import FatalError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence

    from ops.migration.images import Item, Key
    from ops.migration.retry import Retry
    from ops.migration.source.pace import Pace

_CONNECTIONS = 64
_KEYS_PER_CALL = 100  # Amazon DynamoDB API reference, "BatchGetItem"
_CLIENT_ERRORS = range(400, 500)
_PASSING_STATUS = frozenset({408, 429})
_PASSING = frozenset(
    {
        "LimitExceededException",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestTimeout",
        "SlowDown",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
        "TransactionInProgressException",
    }
)
"""Errors of the caller that pass; all others of the caller stay until a person acts.

Sources: Amazon DynamoDB developer guide, "Error handling with DynamoDB"; Amazon S3 API reference, "Error
responses".
"""


@dataclass(frozen=True, slots=True)
class Source:
    """A table.

    Attributes:
        id: changes when a table of this name is made anew; empty: not told.
        key: its key attributes and their types, partition key first.
        items: how many it has; DynamoDB counts about every six hours.
        stream: the ARN of its stream, if it is switched on; else empty.
        view: what the stream holds, such as ``NEW_AND_OLD_IMAGES``.
    """

    name: str
    id: str
    key: Mapping[str, str]
    items: int
    stream: str
    view: str


@dataclass(frozen=True, slots=True)
class Page:
    """Some items of a part of the table.

    Attributes:
        after: where the next page begins; None: reading cannot begin there, or this is the last one.
    """

    items: Sequence[Item]
    after: Key | None


@dataclass(frozen=True, slots=True)
class Aws:
    """Where AWS is, where that is not as in the SDK's own settings."""

    endpoint_url: str | None = None
    region: str | None = None

    @asynccontextmanager
    async def client(self, service: str) -> AsyncIterator[Any]:
        """Opens a client.

        Raises:
            FatalError: the SDK's settings are not enough, such as no region, or wrong.
        """
        config = AioConfig(
            max_pool_connections=_CONNECTIONS,
            connect_timeout=5,
            read_timeout=30,
            retries={"total_max_attempts": 3, "mode": "standard"},
            parameter_validation=False,  # keys come from DynamoDB itself, thousands at a time
        )
        session: Any = get_session()
        async with AsyncExitStack() as stack:
            try:
                made = session.create_client(
                    service, config=config, endpoint_url=self.endpoint_url, region_name=self.region
                )
                client = await stack.enter_async_context(made)
            except NoRegionError as error:
                raise FatalError("the AWS SDK knows no region: set AWS_DEFAULT_REGION") from error
            except (BotoCoreError, ValueError) as error:
                raise FatalError(f"the AWS SDK cannot be used with its settings: {error}") from error
            yield client


async def asked(doing: str, call: Callable[[], Awaitable[Any]]) -> Any:
    """Awaits a call of AWS.

    Args:
        doing: what is tried, such as ``reading the table t``.
        call: does it.

    Raises:
        TransientError: trying again helps.
        FatalError: only a person can help.
    """
    try:
        return await call()
    except AWS_ERRORS as error:
        if isinstance(error, ClientError) and _is_lasting(error):
            message = error.response.get("Error", {}).get("Message", "")
            raise FatalError(f"{doing}: AWS answered {error_code(error)}: {message}") from error
        raise translated(error, doing) from error


def _is_lasting(error: ClientError) -> bool:
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    is_ours = status in _CLIENT_ERRORS and status not in _PASSING_STATUS
    return is_ours and error_code(error) not in _PASSING


class Reader:
    """Reads one table at a pace."""

    def __init__(self, client: Any, pace: Pace, retry: Retry) -> None:
        self._client = client
        self._pace = pace
        self._retry = retry

    async def describe(self, name: str) -> Source:
        """What a table is.

        Raises:
            FatalError: there is none of this name, or we may not know.
        """
        answer = await self._call(
            f"looking at the table {name!r}", lambda: self._client.describe_table(TableName=name)
        )
        table = answer["Table"]
        types = {each["AttributeName"]: each["AttributeType"] for each in table["AttributeDefinitions"]}
        schema = sorted(table["KeySchema"], key=lambda each: str(each["KeyType"]) != "HASH")
        stream = table.get("StreamSpecification", {})
        is_on = stream.get("StreamEnabled", False)
        return Source(
            name=name,
            id=table.get("TableId", ""),
            key={each["AttributeName"]: types[each["AttributeName"]] for each in schema},
            items=table.get("ItemCount", 0),
            stream=table.get("LatestStreamArn", "") if is_on else "",
            view=stream.get("StreamViewType", "") if is_on else "",
        )

    async def page(  # noqa: PLR0913 - what a read takes
        self,
        source: Source,
        segment: int,
        segments: int,
        after: Key | None,
        *,
        consistent: bool = False,
        most: int | None = None,
    ) -> Page:
        """Reads a page of a segment of the table.

        Args:
            source: the table.
            segment: counted from 0.
            segments: how many there are.
            after: where to begin; None: at the beginning.
            consistent: read what was written up to now, at twice the price.
            most: how many items at the most.
        """
        options: dict[str, Any] = {"ExclusiveStartKey": after} if after else {}
        limits = [limit for limit in (self._pace.page(), most) if limit]
        if limits:
            options["Limit"] = min(limits)
        await self._turn()
        answer = await self._call(
            f"reading the table {source.name!r}",
            lambda: self._client.scan(
                TableName=source.name,
                Segment=segment,
                TotalSegments=segments,
                ConsistentRead=consistent,
                ReturnConsumedCapacity="TOTAL",
                **options,
            ),
        )
        units = answer.get("ConsumedCapacity", {}).get("CapacityUnits", 0.0)
        self._pace.note(units, len(answer["Items"]), time.monotonic())
        return Page(answer["Items"], answer.get("LastEvaluatedKey"))

    async def get(self, source: Source, keys: Sequence[Key], *, only_keys: bool = False) -> list[Item]:
        """Reads items, consistently, in any order; those that are not there are left out.

        Args:
            source: the table.
            keys: different ones.
            only_keys: no other attributes.
        """
        found: list[Item] = []
        for start in range(0, len(keys), _KEYS_PER_CALL):
            found += await self._get(source, keys[start : start + _KEYS_PER_CALL], only_keys=only_keys)
        return found

    async def _get(self, source: Source, keys: Sequence[Key], *, only_keys: bool) -> list[Item]:
        found: list[Item] = []
        wanted: dict[str, Any] = {"Keys": list(keys), "ConsistentRead": True}
        if only_keys:
            names = {f"#{position}": name for position, name in enumerate(source.key)}
            wanted |= {"ProjectionExpression": ", ".join(names), "ExpressionAttributeNames": names}
        while wanted:
            await self._turn()
            answer = await self._call(
                f"reading items of the table {source.name!r}",
                lambda wanted=wanted: self._client.batch_get_item(  # type: ignore[misc]
                    RequestItems={source.name: wanted}, ReturnConsumedCapacity="TOTAL"
                ),
            )
            items = answer["Responses"].get(source.name, [])
            found += items
            units = sum(each.get("CapacityUnits", 0.0) for each in answer.get("ConsumedCapacity", []))
            self._pace.note(units, 0, time.monotonic())
            # What did not fit into one answer, or was throttled.
            wanted = answer.get("UnprocessedKeys", {}).get(source.name, {})
            if wanted and not items:
                await asyncio.sleep(0.2)
        return found

    async def _turn(self) -> None:
        while wait := self._pace.wait(time.monotonic()):  # noqa: ASYNC110 - somebody else was faster
            await asyncio.sleep(wait)

    async def _call(self, doing: str, call: Callable[[], Awaitable[Any]]) -> Any:
        return await self._retry.until_done(lambda: asked(doing, call))
