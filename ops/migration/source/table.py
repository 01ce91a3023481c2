"""Reads a DynamoDB table at a limited rate: its description, its pages, items by key."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ops.aws import aws_errors

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

    from ops.migration.images import Item, Key
    from ops.migration.retry import Retry
    from ops.migration.source.pace import Pace


@dataclass(frozen=True, slots=True)
class Source:
    """A table.

    Attributes:
        id: changes when the table is deleted and created again; empty: not known.
        key: its key attributes and their types, partition key first.
        items: how many it has; DynamoDB counts about every six hours.
        stream: the ARN of its stream; empty if it is off.
        view: the stream's view type, such as ``NEW_AND_OLD_IMAGES``.
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
        after: where the next page begins; None: reading cannot resume here, or this is the last page.
    """

    items: Sequence[Item]
    after: Key | None


class Reader:
    """Reads one table; waits and tries again as long as AWS asks for that."""

    def __init__(self, client: Any, table: str, pace: Pace, retry: Retry) -> None:
        self.pace = pace
        self._client = client
        self._table = table
        self._retry = retry

    async def describe(self) -> Source:
        """Describes the table.

        Raises:
            FatalError: it does not exist, or we may not describe it.
        """
        name = self._table
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
        answer = await self._call(
            f"reading the table {self._table!r}",
            lambda: self._client.scan(
                TableName=self._table,
                Segment=segment,
                TotalSegments=segments,
                ConsistentRead=consistent,
                ReturnConsumedCapacity="TOTAL",
                **options,
            ),
        )
        units = answer.get("ConsumedCapacity", {}).get("CapacityUnits", 0.0)
        self.pace.record(units, len(answer["Items"]), time.monotonic())
        return Page(answer["Items"], answer.get("LastEvaluatedKey"))

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
        while wanted:
            await self._turn()
            answer = await self._call(
                f"reading items of the table {self._table!r}",
                lambda wanted=wanted: self._client.batch_get_item(  # type: ignore[misc]
                    RequestItems={self._table: wanted}, ReturnConsumedCapacity="TOTAL"
                ),
            )
            items = answer["Responses"].get(self._table, [])
            found += items
            units = sum(each.get("CapacityUnits", 0.0) for each in answer.get("ConsumedCapacity", []))
            self.pace.record(units, 0, time.monotonic())
            # What did not fit into one answer, or was throttled.
            wanted = answer.get("UnprocessedKeys", {}).get(self._table, {})
            if wanted and not items:
                await asyncio.sleep(0.2)
        return found

    async def _turn(self) -> None:
        while wait := self.pace.wait(time.monotonic()):  # noqa: ASYNC110 - another reader was faster
            await asyncio.sleep(wait)

    async def _call(self, doing: str, call: Callable[[], Awaitable[Any]]) -> Any:
        async def attempt() -> Any:
            with aws_errors(doing):
                return await call()

        return await self._retry.until_done(attempt)
