"""Changes to replicate, in a file: made by the producer's own parsing and packing."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING, Any, NamedTuple

from bench.items import KINDS, LANES, MESSAGE_LIMIT, event_of
from producer_lambda.packing import pack
from producer_lambda.records import Records

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from bench.items import Item
    from producer_lambda.packing import Message

RECORDS = 1_000
"""Of an event: the default of the event source mapping in deploy/pipeline.yaml."""

_SMALL = next(kind for kind in KINDS if kind.name == "small")


class Load(NamedTuple):
    """Changes to replicate.

    Attributes:
        changes: how many.
        keys: how many items change, one after the other, then again from the first.
        turn: number of the load; a later one has later versions, and each document contains it.
        records: how many records an event has.
        lanes: as the setting `LANES`.
        padding: bytes to add to each item of 250 bytes.
    """

    changes: int
    keys: int
    turn: int = 0
    records: int = RECORDS
    lanes: int = LANES
    padding: int = 0

    def messages(self) -> Iterator[Message]:
        """The messages, in the order in which they are sent."""
        for first in range(0, self.changes, self.records):
            numbers = range(first, min(first + self.records, self.changes))
            yield from self._messages_of([self.item(number) for number in numbers], first)

    def item(self, number: int) -> Item:
        """The item of one change."""
        key = number % self.keys
        source = random.Random(key)
        item: Item = {"id": {"N": str(key)}, "turn": {"N": str(self.turn)}, **_SMALL.make(source, key)}
        if self.padding:
            item["padding"] = {"S": source.randbytes(self.padding // 2).hex()}
        return item

    def _messages_of(self, items: list[Item], first: int) -> Iterable[Message]:
        event: dict[str, Any] = event_of(items)
        base = self.turn * self.changes + first
        for record in event["Records"]:
            body = record["dynamodb"]
            body["SequenceNumber"] = str(int(body["SequenceNumber"]) + base)
            record["eventID"] = f"{int(record['eventID'], 16) + base:032x}"
        parsed = list(Records(event))
        messages, unsendable = pack(parsed, self.lanes, MESSAGE_LIMIT)
        if unsendable or len(parsed) != len(items):
            raise ValueError("the benchmark's own items cannot be sent")
        return messages

    def write(self, path: Path) -> int:
        """Writes the messages to a file, one per line; returns their number."""
        count = 0
        with path.open("w", encoding="utf-8") as file:
            for message in self.messages():
                file.write(json.dumps([message.group, message.body]) + "\n")
                count += 1
        return count


def read(path: Path) -> Iterator[tuple[str, str]]:
    """Group and body of each message in a file."""
    with path.open(encoding="utf-8") as file:
        for line in file:
            group, body = json.loads(line)
            yield group, body


def body_of_one(table: str, key: int) -> tuple[str, str]:
    """Group and body of a message with one put of a small item of this table."""
    item = Load(key + 1, key + 1).item(key)
    (record,) = Records(event_of([item]))
    change = record.change._replace(table=table)
    (message,), _ = pack([record._replace(change=change)], LANES, MESSAGE_LIMIT)
    return message.group, message.body
