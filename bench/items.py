"""Kinds of items as in Lambda events, their stream records and messages. They are the same in every run."""

from __future__ import annotations

import base64
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from producer_lambda.packing import pack
from producer_lambda.records import Records
from writer.ports import Message

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

TABLE = "mytable"
LANES = 64
MESSAGE_LIMIT = 1024 * 1024

Item = dict[str, dict[str, Any]]

_ARN = f"arn:aws:dynamodb:us-east-1:123456789012:table/{TABLE}/stream/2020-04-30T17:47:21.395"
_FIRST_SEQUENCE = 100_000_000_000_000_000_000_001
_DEEPEST = 32  # levels of nesting that DynamoDB allows (developer guide, "Constraints")


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of item.

    Attributes:
        make: makes an item from a random generator and a unique number.
        records: how many records an event has; 1000 is the default of the event source mapping.
    """

    name: str
    make: Callable[[random.Random, int], Item]
    records: int

    def items(self) -> Sequence[Item]:
        """The items of one event, with distinct keys."""
        source = random.Random(self.name)
        return [{"id": {"N": str(index)}} | self.make(source, index) for index in range(self.records)]


def event_of(items: Sequence[Item]) -> dict[str, Any]:
    """An event that modifies each item, with old images, as for `NEW_AND_OLD_IMAGES`."""
    return {"Records": [_record(index, item) for index, item in enumerate(items)]}


def messages_of(items: Sequence[Item]) -> Sequence[Message]:
    """The producer's messages for the items."""
    parsed = list(Records(event_of(items)))
    packed, _ = pack(parsed, LANES, MESSAGE_LIMIT)
    return [
        Message(f"message-{index}", "receipt", message.body, message.group, 1, 1609459200000)
        for index, message in enumerate(packed)
    ]


def _record(index: int, item: Item) -> dict[str, Any]:
    return {
        "eventID": f"{index:032x}",
        "eventName": "MODIFY",
        "eventVersion": "1.1",
        "eventSource": "aws:dynamodb",
        "awsRegion": "us-east-1",
        "dynamodb": {
            "ApproximateCreationDateTime": 1588166542.0,
            "Keys": {"id": item["id"]},
            "NewImage": item,
            "OldImage": item,
            "SequenceNumber": str(_FIRST_SEQUENCE + index),
            "SizeBytes": 512,
            "StreamViewType": "NEW_AND_OLD_IMAGES",
        },
        "eventSourceARN": _ARN,
    }


def _small(source: random.Random, index: int) -> Item:
    return {
        "Name": {"S": f"John Doe the {index}th"},
        "email": {"S": f"john.doe.{index}@example.com"},
        "created_at": {"N": str(1588166528 + index)},
        "age": {"N": str(source.randint(18, 99))},
        "balance": {"N": _cents(source)},
        "active": {"BOOL": source.random() < 0.9},
        "address": {"S": "12 Long Street, Springfield, Oregon 97477"},
        "note": {"S": "prefers to be called in the morning"},
        "tags": {"L": [{"S": "customer"}, {"S": "newsletter"}]},
    }


def _small_tagged(source: random.Random, index: int) -> Item:
    """The small item, with a set instead of the list."""
    return _small(source, index) | {"tags": {"SS": ["customer", "newsletter"]}}


def _wide(source: random.Random, _: int) -> Item:
    item: Item = {}
    for column in range(40):
        item[f"text_{column}"] = {"S": f"value {source.randint(0, 10**9)}"}
        item[f"count_{column}"] = {"N": str(source.randint(-(10**6), 10**6))}
        item[f"price_{column}"] = {"N": _cents(source)}
        item[f"flag_{column}"] = {"BOOL": bool(column % 2)}
        item[f"other_{column}"] = {"NULL": True} if column % 4 else {"S": ""}
    return item


def _deep(source: random.Random, _: int) -> Item:
    """A chain of maps and lists down to the deepest level, and a bushy tree."""
    chain: dict[str, Any] = {"S": "the end"}
    for level in range(_DEEPEST - 1):
        chain = (
            {"L": [{"N": str(level)}, chain]} if level % 2 else {"M": {"level": {"N": "1"}, "next": chain}}
        )
    return {"chain": chain, "tree": _tree(source, 4)}


def _tree(source: random.Random, levels: int) -> dict[str, Any]:
    if levels == 0:
        return {"S": f"leaf {source.randint(0, 10**6)}"}
    children = {f"child_{index}": _tree(source, levels - 1) for index in range(3)}
    return {"M": {**children, "weights": {"L": [{"N": str(index)} for index in range(3)]}}}


def _numeric(source: random.Random, _: int) -> Item:
    """Long series of numbers, and a few with an exponent, which are rare.

    Integers, short and long; prices; measurements of 12 and of 17 digits; three of about 38 digits, which are
    text in MongoDB; amounts of 20 to 25, which are Decimal128.
    """
    makers: tuple[Callable[[], str], ...] = (
        lambda: str(source.randint(-(10**9), 10**9)),
        lambda: str(source.randint(10**17, 9 * 10**18)),
        lambda: _cents(source),
        lambda: f"-0.{source.randint(0, 10**11)}1",
        lambda: repr(source.uniform(-1000, 1000)),
        lambda: f"{source.randint(1, 10**37 - 1)}1",
        lambda: f"{source.randint(1, 10**10)}.{source.randint(10**25, 10**26 - 1)}1",
        lambda: f"0.{source.randint(10**36, 10**37 - 1)}1",
        lambda: f"{source.randint(1, 10**6)}.{source.randint(10**17, 10**18 - 1)}1",
        lambda: f"{source.randint(1, 9)}.{source.randint(1, 9)}E+{source.randint(30, 100)}",
    )
    *series, rare = [[{"N": make()} for _ in range(30)] for make in makers]
    return {f"series_{index}": {"L": values} for index, values in enumerate([*series, rare[:5]])}


def _sets(source: random.Random, index: int) -> Item:
    item: Item = {}
    for column in range(10):
        item[f"labels_{column}"] = {"SS": [f"label {source.randint(0, 10**6)}-{n}" for n in range(8)]}
        item[f"counts_{column}"] = {"NS": [str(source.randint(0, 10**4) + 10**5 * n) for n in range(8)]}
        item[f"prices_{column}"] = {"NS": [f"{index + 1}{n}.{source.randint(1, 9)}" for n in range(8)]}
    return item


def _binaries(source: random.Random, _: int) -> Item:
    """Digests, and sets of tokens; thumbnails are rarer."""
    item: Item = {}
    for column in range(20):
        item[f"digest_{column}"] = {"B": _base64(source, 32)}
        item[f"tokens_{column}"] = {"BS": [_base64(source, 16) for _ in range(4)]}
    return item | {f"thumbnail_{column}": {"B": _base64(source, 2048)} for column in range(3)}


def _cents(source: random.Random) -> str:
    """An amount of money as DynamoDB writes it: without trailing zeros."""
    return f"{source.randint(1, 10**7) / 100:.2f}".rstrip("0").rstrip(".")


def _base64(source: random.Random, length: int) -> str:
    return base64.b64encode(source.randbytes(length)).decode()


KINDS = (
    Kind("small", _small, 1000),
    Kind("small, tagged", _small_tagged, 1000),
    Kind("wide", _wide, 60),
    Kind("deep", _deep, 60),
    Kind("numbers", _numeric, 40),
    Kind("sets", _sets, 40),
    Kind("binaries", _binaries, 40),
)
