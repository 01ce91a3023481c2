"""`types`: what types cost. CPU time per record of deserializing, of the producer and of the writer.

Deserializing is compared with boto3's `TypeDeserializer`, on the same items and in the same rounds. That
refuses base64 text, as a Lambda event has it: it gets bytes, and their decoding is not counted. If an item
has binary values, it is measured again with the minimal change that makes it read events.
"""

from __future__ import annotations

import base64
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import orjson
from boto3.dynamodb.types import Binary, TypeDeserializer

from bench.items import KINDS, LANES, MESSAGE_LIMIT, TABLE, event_of, messages_of
from bench.measure import Series, Variant, measure
from bench.report import Result, Table
from producer_lambda.packing import pack
from producer_lambda.records import Records
from shared.attribute_values import encode_item
from writer.mapping.model import Replication
from writer.mapping.rules import Rules
from writer.planning.plan import make_plan

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from bench.items import Item
    from writer.ports import Message

ABOUT = """\
Microseconds of CPU time per record, median of all rounds; in brackets: half of the rounds lie in there. The
ratio is that of boto3's `TypeDeserializer` to ours, made round by round: above 1, ours is faster.

Ours reads the item of a Lambda event, where binary values are base64 text, and checks that text.
`TypeDeserializer` refuses text, so it is given bytes, and wraps them. "With base64" it is given the text and
decodes it first, which is what reading an event takes.

The producer's way is from the event (records with key, new and old image) to the messages, the writer's from
the messages to the BSON of the documents. That our numbers are exact is asserted before measuring.\
"""

_PARK_LIMIT = MESSAGE_LIMIT
_DESERIALIZED = 20  # items of a kind; enough to be different, few enough for a short turn
_MAPPINGS: Mapping[str, Mapping[str, Any]] = {
    "default": {},
    "field rules": {
        "collection": "people",
        "fields": {
            "created_at": {"convert": "epoch_seconds"},
            "age": {"default": None},
            "Name": {"rename": "name"},
            "note": {"drop": True},
        },
    },
    "merge": {"mode": "merge"},
}


def run(rounds: int) -> Result:
    """Measures all kinds of items in the same rounds."""
    all_items = {kind.name: kind.items() for kind in KINDS}
    variants: list[Variant] = []
    for kind, items in all_items.items():
        for item in items:
            check_exact(item)
        variants += [replace(variant, name=f"{kind}: {variant.name}") for variant in _variants(items)]
    series = measure(variants, rounds)
    figures: dict[str, dict[str, Any]] = {}
    for kind, items in all_items.items():
        found = {
            name.removeprefix(f"{kind}: "): values
            for name, values in series.items()
            if name.startswith(f"{kind}: ")
        }
        ratios = {
            name.replace("TypeDeserializer", "ratio"): _figures(values.over(found["encode_item"]))
            for name, values in found.items()
            if name.startswith("TypeDeserializer")
        }
        figures[kind] = {
            "wire bytes": _wire_bytes(items),
            "tagged": encode_item(items[0])[1],
            **ratios,
            **{name: _figures(values) for name, values in found.items()},
        }
    return Result("types", ABOUT, _tables(figures), figures, {"rounds": rounds})


def _variants(items: Sequence[Item]) -> Sequence[Variant]:
    some = items[:_DESERIALIZED]
    event, messages = event_of(items), messages_of(items)
    writers = [
        Variant(f"writer, {name}", _writer(messages, _rules(mapping)), len(items))
        for name, mapping in _MAPPINGS.items()
    ]
    of_the_sdk = [sdk_item(item) for item in some]
    variants = [
        Variant("encode_item", _ours(some), len(some)),
        Variant("TypeDeserializer", _theirs(of_the_sdk), len(some)),
        Variant("producer", _producer(event), len(items)),
        *writers,
    ]
    if of_the_sdk != some:
        variants.append(Variant("TypeDeserializer, base64", _theirs(some, _OfEvents), len(some)))
    return variants


def _ours(items: Sequence[Item]) -> Callable[[], object]:
    def call() -> None:
        for item in items:
            encode_item(item)

    return call


class _OfEvents(TypeDeserializer):
    """Reads the binary values of Lambda events."""

    def _deserialize_b(self, value: str) -> Binary:
        return Binary(base64.b64decode(value))


def _theirs(items: Sequence[Item], kind: type[TypeDeserializer] = TypeDeserializer) -> Callable[[], object]:
    deserialize: Callable[[Any], Any] = kind().deserialize

    def call() -> None:
        for item in items:
            {name: deserialize(value) for name, value in item.items()}

    return call


def _producer(event: Mapping[str, Any]) -> Callable[[], object]:
    def call() -> None:
        pack(Records(event), LANES, MESSAGE_LIMIT)

    return call


def _writer(messages: Sequence[Message], rules: Rules) -> Callable[[], object]:
    plan = make_plan(messages, rules, _PARK_LIMIT)
    if plan.poison:
        raise ValueError(f"the benchmark's own items are poison: {plan.poison[0].letter.reason}")
    return lambda: make_plan(messages, rules, _PARK_LIMIT)


def _rules(mapping: Mapping[str, Any]) -> Rules:
    return Rules(Replication.model_validate({"tables": {TABLE: mapping}}))


def check_exact(item: Item) -> None:
    """Raises an `AssertionError` if a number of the item is another one in the JSON of a message."""
    wire = orjson.loads(orjson.dumps(encode_item(item)[0]))
    for name, value in item.items():
        if list(_numbers_of_wire(wire[name])) != list(_numbers_of_value(value)):
            raise AssertionError(f"the attribute {name} did not arrive as it was")


def _numbers_of_value(value: Mapping[str, Any]) -> Iterator[Decimal]:
    ((kind, content),) = value.items()
    match kind:
        case "N":
            yield Decimal(content)
        case "NS":
            yield from sorted(map(Decimal, content))
        case "L":
            for element in content:
                yield from _numbers_of_value(element)
        case "M":
            for element in content.values():
                yield from _numbers_of_value(element)


def _numbers_of_wire(wire: Any) -> Iterator[Decimal]:
    match wire:
        case bool():
            return
        case int() | float():
            yield Decimal(repr(wire))
        case {"$n": str(text), **others} if not others:
            yield Decimal(text)
        case list():
            for element in wire:
                yield from _numbers_of_wire(element)
        case dict():  # also a set of numbers: its tag names a list
            for element in wire.values():
                yield from _numbers_of_wire(element)


def sdk_item(item: Item) -> Item:
    """The item in the SDK's form: binary values are bytes."""
    return {name: _sdk_value(value) for name, value in item.items()}


def _sdk_value(value: Mapping[str, Any]) -> dict[str, Any]:
    ((kind, content),) = value.items()
    match kind:
        case "B":
            return {kind: base64.b64decode(content)}
        case "BS":
            return {kind: [base64.b64decode(text) for text in content]}
        case "L":
            return {kind: [_sdk_value(element) for element in content]}
        case "M":
            return {kind: sdk_item(content)}
        case _:
            return {kind: content}


def _wire_bytes(items: Sequence[Item]) -> int:
    """The mean size of a record in a message."""
    return round(sum(len(orjson.dumps(encode_item(item)[0])) for item in items) / len(items))


def _figures(series: Series) -> dict[str, float]:
    low, high = series.quartiles
    return {"median": round(series.median, 3), "low": round(low, 3), "high": round(high, 3)}


def _tables(figures: Mapping[str, Mapping[str, Any]]) -> Sequence[Table]:
    deserializing = [
        [
            kind,
            f"{found['wire bytes']}",
            _shown(found["encode_item"]),
            _shown(found["TypeDeserializer"]),
            _shown(found["ratio"], digits=2),
            _shown(found["ratio, base64"], digits=2) if "ratio, base64" in found else "",
        ]
        for kind, found in figures.items()
    ]
    whole_way = [
        [
            kind,
            f"{found['wire bytes']}",
            "yes" if found["tagged"] else "no",
            _shown(found["producer"]),
            *(_shown(found[f"writer, {name}"]) for name in _MAPPINGS),
        ]
        for kind, found in figures.items()
    ]
    return [
        Table(
            "Deserializing",
            ("item", "bytes of JSON", "ours", "TypeDeserializer", "ratio", "with base64"),
            deserializing,
        ),
        Table(
            "The whole way of a record",
            ("item", "bytes of JSON", "tags", "producer", *(f"writer, {name}" for name in _MAPPINGS)),
            whole_way,
        ),
    ]


def _shown(found: Mapping[str, float], digits: int = 1) -> str:
    return f"{found['median']:.{digits}f} ({found['low']:.{digits}f} to {found['high']:.{digits}f})"
