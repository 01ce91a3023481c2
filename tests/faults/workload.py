"""A random, seeded stream of changes to tables. It remembers nothing: the table is the truth."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.faults.stream_poller import SENTINEL

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Sequence

    from types_boto3_dynamodb import DynamoDBClient

    from tests.faults.source import Item, Table

KEYS = 150
_HOT = 3
_HOT_SHARE = 0.3
_BATCH = 20
_BIG_SHARE = 0.004
_BIG_BYTES = (60_000, 300_000)

REFUSED = "refused"
"""An attribute that a validator of the target can refuse."""

# Legal numbers at the borders between BSON's types.
_NUMBERS = (
    *("0", "-1", "7", "0.1", "12.75", "-0.5", "1E-130", "1E+125", "100.00"),
    *("2147483648", "9223372036854775807", "9223372036854775808", "-9223372036854775809"),
    *("123456789.123456789123456789", "1.000000000000000000000000000000001"),
    "-1.0000000000000000000000000000000000001",
)
_TEXTS = ("", "plain", "ünï ☃ 😀", "\x00\x1f\t\n", "\ufffe\uffff", '"\\$.', " " * 5)
_NAMES = ("a", "b", "c", "name", "a.b", "$set", "_id", "_ddb", "ö", "$b")


class Workload:
    """Changes to some tables. Not thread-safe."""

    def __init__(
        self,
        dynamodb: DynamoDBClient,
        tables: Sequence[Table],
        rng: random.Random,
        *,
        refused: float = 0.0,
        keys: int = KEYS,
    ) -> None:
        """Make a workload.

        Args:
            dynamodb: A client.
            tables: Each with a key (id: N) or (tenant: S, line: B).
            rng: Determines everything random.
            refused: The share of written items that get the attribute `REFUSED`.
            keys: The most items that a table has.
        """
        self._dynamodb = dynamodb
        self._tables = tables
        self._rng = rng
        self._refused = refused
        self._keys = keys
        self.changes = 0

    def step(self) -> bool:
        """Changes some items, in one of the ways in which applications do."""
        rng = self._rng
        table = rng.choice(self._tables)
        way = rng.random()
        if way < 0.35:
            self._batch(table)
        elif way < 0.6:
            self._put(table, self._key(table))
        elif way < 0.8:
            self._update(table, self._key(table))
        elif way < 0.92:
            self._delete(table, self._key(table))
        else:  # created again at once
            key = self._key(table)
            self._delete(table, key)
            self._put(table, key)
        return True

    def finish(self, sentinel: str) -> None:
        """Makes a last change to each table, which marks the end of its stream."""
        for table in self._tables:
            key = _sentinel_key(table)
            self._dynamodb.put_item(TableName=table.name, Item={**key, SENTINEL: {"S": sentinel}})

    def _batch(self, table: Table) -> None:
        keys = {repr(key): key for key in (self._key(table) for _ in range(_BATCH))}
        requests: list[Any] = [
            {"DeleteRequest": {"Key": key}}
            if self._rng.random() < 0.2
            else {"PutRequest": {"Item": self.item(key)}}
            for key in keys.values()
        ]
        self._dynamodb.batch_write_item(RequestItems={table.name: requests})
        self.changes += len(requests)

    def _put(self, table: Table, key: Item) -> None:
        item = self.item(key)
        if self._rng.random() < _BIG_SHARE / 0.25:
            item["big"] = {"B": self._rng.randbytes(self._rng.randint(*_BIG_BYTES))}
        self._dynamodb.put_item(TableName=table.name, Item=item)
        self.changes += 1

    def _update(self, table: Table, key: Item) -> None:
        """Sets some attributes and removes others; creates the item if it does not exist."""
        names = self._rng.sample(_NAMES, 4)
        aliases = {f"#{position}": name for position, name in enumerate(names)}
        values = {f":{position}": self._value(2) for position in (0, 1)}
        self._dynamodb.update_item(
            TableName=table.name,
            Key=key,
            UpdateExpression="SET #0 = :0, #1 = :1 REMOVE #2, #3",
            ExpressionAttributeNames=aliases,
            ExpressionAttributeValues=values,
        )
        self.changes += 1

    def _delete(self, table: Table, key: Item) -> None:
        self._dynamodb.delete_item(TableName=table.name, Key=key)
        self.changes += 1

    def _key(self, table: Table) -> Item:
        hot = self._rng.random() < _HOT_SHARE
        number = self._rng.randrange(_HOT if hot else self._keys)
        return self.key(table, number)

    def key(self, table: Table, number: int) -> Item:
        """The key with this number."""
        if len(table.key) == 1:
            return {"id": {"N": str(number if number % 5 else -number / 4)}}
        tenant = ("a", "b.c", "$d", "ñ", '"')[number % 5]
        return {"tenant": {"S": tenant}, "line": {"B": number.to_bytes(2, "big")}}

    def item(self, key: Item) -> Item:
        """A random item."""
        names = self._rng.sample(_NAMES, self._rng.randint(0, 5))
        item = {**key, **{name: self._value(2) for name in names}}
        if self._rng.random() < self._refused:
            item[REFUSED] = {"BOOL": True}
        return item

    def _value(self, depth: int) -> dict[str, Any]:
        rng = self._rng
        simple: dict[str, Callable[[], Any]] = {
            "S": lambda: rng.choice(_TEXTS),
            "N": self._number,
            "BOOL": lambda: rng.random() < 0.5,
            "NULL": lambda: True,
            "B": lambda: rng.randbytes(rng.randint(0, 20)),
            "SS": lambda: rng.sample(_TEXTS, rng.randint(1, 3)),
            "NS": lambda: rng.sample(_NUMBERS, rng.randint(1, 3)),
            "BS": lambda: [bytes([number]) for number in rng.sample(range(256), rng.randint(1, 3))],
        }
        if depth and rng.random() < 0.3:
            if rng.random() < 0.5:
                return {"L": [self._value(depth - 1) for _ in range(rng.randint(0, 3))]}
            names = rng.sample(_NAMES, rng.randint(0, 3))
            return {"M": {name: self._value(depth - 1) for name in names}}
        kind = rng.choice(list(simple))
        return {kind: simple[kind]()}

    def _number(self) -> str:
        if self._rng.random() < 0.5:
            return str(self._rng.randint(-(10**6), 10**6))
        return self._rng.choice(_NUMBERS)


def _sentinel_key(table: Table) -> Item:
    if len(table.key) == 1:
        return {"id": {"N": "1000000"}}
    return {"tenant": {"S": "the last"}, "line": {"B": b"\x00"}}
