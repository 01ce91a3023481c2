"""Reads a DynamoDB table at a limited rate: its description, its pages, items by key."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from botocore.exceptions import ClientError

from ops.aws import Calls, no_table
from shared.aws_errors import error_code
from shared.errors import FatalError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

    from ops.migration.images import Item, Key
    from ops.migration.retry import Retry
    from ops.migration.source.pace import Pace

T = TypeVar("T")

_NO_TABLE = "ResourceNotFoundException"


@dataclass(frozen=True, slots=True)
class Source:
    """A table.

    Attributes:
        id: changes when the table is deleted and created again; empty: not known.
        key: its key attributes and their types, partition key first.
        items: how many it has; DynamoDB counts about every six hours.
        stream: the ARN of its stream; empty if it is off.
        view: the stream's view type, such as ``NEW_AND_OLD_IMAGES``.
        arn: that of the table, with region and account; empty: not known.
    """

    name: str
    id: str
    key: Mapping[str, str]
    items: int
    stream: str
    view: str
    arn: str = ""

    @property
    def region(self) -> str:
        """Where it is, such as ``eu-central-1``; empty: not known."""
        return self._part_of_arn(3)

    @property
    def where(self) -> str:
        """Region and account, for people; empty: not known."""
        account = self._part_of_arn(4)
        return f"{self.region}, account {account}" if self.region and account else self.region

    def _part_of_arn(self, position: int) -> str:
        parts = self.arn.split(":", 5)
        return parts[position] if len(parts) > 5 else ""  # noqa: PLR2004 - arn:aws:dynamodb:region:account:…


@dataclass(frozen=True, slots=True)
class Page:
    """Some items of a part of the table.

    Attributes:
        after: where the next page begins; None: reading cannot resume here, or this is the last page.
    """

    items: Sequence[Item]
    after: Key | None


class Reader:
    """Reads one table; waits and tries again as long as AWS asks for that."""

    def __init__(
        self, client: Any, table: str, pace: Pace, retry: Retry, *, was_reached: bool = False
    ) -> None:
        self.pace = pace
        self._client = client
        self._table = table
        self._retry = retry
        self._calls = Calls(was_reached=was_reached)

    async def describe(self) -> Source:
        """Describes the table.

        Raises:
            FatalError: it does not exist, or we may not describe it.
        """
        name = self._table
        try:
            return await self._call(
                "DescribeTable",
                f"looking at the table {name!r}",
                lambda: self._client.describe_table(TableName=name),
                lambda answer: _source_of(name, answer["Table"]),
            )
        except FatalError as error:
            if isinstance(error.__cause__, ClientError) and error_code(error.__cause__) == _NO_TABLE:
                raise FatalError(no_table(name, self._client.meta.region_name)) from error.__cause__
            raise

    async def page(
        self,
        segment: int,
        segments: int,
        after: Key | None,
        *,
        consistent: bool = False,
        most: int | None = None,
    ) -> Page:
        """Reads a page of a segment of the table.

        Args:
            segment: counted from 0.
            segments: how many there are.
            after: the key to begin after; None: at the beginning.
            consistent: read what was written up to now, at twice the price.
            most: the most items.
        """
        options: dict[str, Any] = {"ExclusiveStartKey": after} if after else {}
        limits = [limit for limit in (self.pace.page(), most) if limit]
        if limits:
            options["Limit"] = min(limits)
        await self._turn()
        page, units = await self._call(
            "Scan",
            f"reading the table {self._table!r}",
            lambda: self._client.scan(
                TableName=self._table,
                Segment=segment,
                TotalSegments=segments,
                ConsistentRead=consistent,
                ReturnConsumedCapacity="TOTAL",
                **options,
            ),
            _page_of,
        )
        self.pace.record(units, len(page.items), time.monotonic())
        return page

    async def get(self, keys: Sequence[Key], *, attributes: Iterable[str] = ()) -> list[Item]:
        """Reads items, consistently, in any order; items that do not exist are left out.

        Args:
            keys: at most 100, no key twice.
            attributes: read only these; empty: all.
        """
        found: list[Item] = []
        wanted: dict[str, Any] = {"Keys": list(keys), "ConsistentRead": True}
        if names := {f"#{position}": name for position, name in enumerate(attributes)}:
            wanted |= {"ProjectionExpression": ", ".join(names), "ExpressionAttributeNames": names}
        left = wanted["Keys"]
        while left:
            await self._turn()
            items, left, units = await self._call(
                "BatchGetItem",
                f"reading items of the table {self._table!r}",
                lambda left=left: self._client.batch_get_item(  # type: ignore[misc]
                    RequestItems={self._table: {**wanted, "Keys": left}}, ReturnConsumedCapacity="TOTAL"
                ),
                lambda answer: _items_of(self._table, answer),
            )
            found += items
            self.pace.record(units, 0, time.monotonic())
            if left and not items:
                await asyncio.sleep(0.2)
        return found

    async def _turn(self) -> None:
        while wait := self.pace.wait(time.monotonic()):  # noqa: ASYNC110 - another reader was faster
            await asyncio.sleep(wait)

    async def _call(
        self, action: str, doing: str, call: Callable[[], Awaitable[Any]], read: Callable[[Any], T]
    ) -> T:
        """Calls until there is an answer that can be read."""

        async def attempt() -> T:
            with self._calls.errors(action, doing):
                return read(await call())

        return await self._retry.until_done(attempt)


def _source_of(name: str, table: Any) -> Source:
    """Reads a description; raises any error if it has another form."""
    types = {each["AttributeName"]: each["AttributeType"] for each in table["AttributeDefinitions"]}
    schema = sorted(table["KeySchema"], key=lambda each: str(each["KeyType"]) != "HASH")
    if not schema:
        raise ValueError("no key")
    stream = table.get("StreamSpecification", {})
    is_on = stream.get("StreamEnabled", False)
    return Source(
        name=name,
        id=table.get("TableId", ""),
        key={each["AttributeName"]: types[each["AttributeName"]] for each in schema},
        items=table.get("ItemCount", 0),
        stream=table.get("LatestStreamArn", "") if is_on else "",
        view=stream.get("StreamViewType", "") if is_on else "",
        arn=table.get("TableArn", ""),
    )


def _page_of(answer: Any) -> tuple[Page, float]:
    """Reads a page and its cost; raises any error if the answer has another form."""
    after = answer.get("LastEvaluatedKey")
    if after is not None and not (isinstance(after, dict) and after):
        raise TypeError("no key to begin after")
    units = float(answer.get("ConsumedCapacity", {}).get("CapacityUnits", 0.0))
    items = _whole(answer["Items"])
    if answer.get("Count", len(items)) != len(items):  # Scan has no filter here
        raise ValueError("Count is not the number of Items")
    return Page(items, after), units


def _items_of(table: str, answer: Any) -> tuple[list[Item], list[Key], float]:
    """Reads items, the keys to ask for again, and the cost; raises any error if the answer has another form.

    Only an answer that has the table, and says what it left out, says that an item does not exist.
    """
    left: list[Key] = []
    if table in answer["UnprocessedKeys"]:  # what did not fit into one answer, or was throttled
        left = _whole(answer["UnprocessedKeys"][table]["Keys"])
        if not left:
            raise ValueError("no keys")
    elif answer["UnprocessedKeys"]:
        raise ValueError("keys of another table are left")
    responses = answer.get("Responses", {}) if left else answer["Responses"]
    items = _whole(responses.get(table, []) if left else responses[table])
    return (
        items,
        left,
        sum(float(each.get("CapacityUnits", 0.0)) for each in answer.get("ConsumedCapacity", [])),
    )


def _whole(entries: Any) -> list[Any]:
    if not (isinstance(entries, list) and all(isinstance(each, dict) for each in entries)):
        raise TypeError("no list of objects")
    return entries
