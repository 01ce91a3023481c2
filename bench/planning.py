"""`planning`: what a change costs in planning, by what becomes of it. CPU time, beside the plain way."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from bench.items import KINDS, LANES, MESSAGE_LIMIT, TABLE, event_of
from bench.measure import Variant, measure
from bench.report import Result, Table, shown, values
from producer_lambda.packing import pack
from producer_lambda.records import Records
from writer.mapping.model import Replication
from writer.mapping.rules import Rules
from writer.planning.plan import make_plan
from writer.ports import Message

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

ABOUT = """\
From the messages of an event of 1,000 records to the writes with their documents as BSON: microseconds of CPU
time per change, and the same over that of the plain way, made round by round. Medians; in brackets: half of
the rounds lie in there. The items are small (250 bytes of JSON), and each changes once.\
"""

PLAIN = "plain"
_FOUR_RULES = {
    "created_at": {"convert": "epoch_seconds"},
    "age": {"default": None},
    "Name": {"rename": "name"},
    "note": {"drop": True},
}


class _Way(NamedTuple):
    """What becomes of a change.

    Attributes:
        rule: the table's entry of the mapping.
        key: the item's key attributes.
        deletes: whether the items are deleted.
        old: attributes whose old values travel with the change.
    """

    rule: Mapping[str, Any] = MappingProxyType({})
    key: Sequence[str] = ("id",)
    deletes: bool = False
    old: Sequence[str] = ()


WAYS: Mapping[str, _Way] = {
    PLAIN: _Way(),
    "composite key": _Way(key=("id", "Name")),
    "four field rules": _Way({"fields": _FOUR_RULES}),
    "merge": _Way({"mode": "merge"}),
    "mark": _Way({"deletes": "mark"}),
    "shard key": _Way({"shard_key": ["age"]}, old=("age",)),
    "deletions": _Way(deletes=True),
    "deletions that mark": _Way({"deletes": "mark"}, deletes=True),
}


def run(rounds: int) -> Result:
    """Measures all ways in the same rounds."""
    items = next(kind for kind in KINDS if kind.name == "small").items()
    event = event_of(items)
    variants = [Variant(name, _planning(event, way), len(items)) for name, way in WAYS.items()]
    series = measure(variants, rounds)
    over = {name: found.over(series[PLAIN]) for name, found in series.items()}
    rows = [[name, shown(found, 1), shown(over[name], 2)] for name, found in series.items()]
    figures = {
        name: {"microseconds": values(found), "of the plain way": values(over[name])}
        for name, found in series.items()
    }
    table = Table("Planning", ("what becomes of a change", "CPU, µs", "of the plain way"), rows)
    return Result("planning", ABOUT, [table], figures, {"rounds": rounds})


def _planning(event: Mapping[str, Any], way: _Way) -> Callable[[], object]:
    records = [
        {
            **record,
            "eventName": "REMOVE" if way.deletes else record["eventName"],
            "dynamodb": {
                **record["dynamodb"],
                "Keys": {name: record["dynamodb"]["NewImage"][name] for name in way.key},
            },
        }
        for record in event["Records"]
    ]
    packed, _ = pack(Records({"Records": records}, frozenset(way.old)), LANES, MESSAGE_LIMIT)
    messages = [
        Message(f"message-{index}", "receipt", message.body, message.group, 1, 1609459200000)
        for index, message in enumerate(packed)
    ]
    rules = Rules(Replication.model_validate({"tables": {TABLE: way.rule}}))
    plan = make_plan(messages, rules, MESSAGE_LIMIT)
    if plan.poison or len(plan.writes) != len(records):
        raise ValueError("the benchmark's own changes cannot be written")
    return lambda: make_plan(messages, rules, MESSAGE_LIMIT)
