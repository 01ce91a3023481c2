"""Records what this release sends and stores, for the tests of later ones.

`python -m tests.samples.record 0.2.0` writes a folder of that name. `messages.jsonl` has the messages of the
queue, `letters.jsonl` those of the dead-letter queue: lines of body and group, oldest first. `documents.json`
has what a writer made of them in MongoDB, by collection, tombstones among them.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pymongo
from bson import json_util

from local.stack import Stack
from producer_lambda.packing import pack
from producer_lambda.records import Records
from tests.support.builders import MIB, message
from tests.support.strategies import arn, stream_record
from writer.mapping.parser import parse_replication
from writer.mapping.rules import Rules
from writer.mongodb.sink import MongoSink
from writer.planning.plan import make_plan

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from writer.planning.plan import Plan
    from writer.ports import Message

FOLDER = Path(__file__).parent
_DATABASE = "samples"
MAPPING = """\
tables:
  people: {key: [id], fields: {joined: {convert: epoch_seconds}, name: {rename: full_name}}}
  merged: {key: [id], mode: merge}
  marked: {key: [id], deletes: mark}
  moving: {key: [id], shard_key: [region]}
  pairs: {key: [customer, date]}
  refused: {key: [id], fields: {joined: {convert: epoch_seconds}}}
"""
_ALL_TYPES: dict[str, Any] = {
    "S": {"S": "text with \u0000, \uffff and \U0001f600"},
    "N": {"N": "1.5"},
    "whole": {"N": "9223372036854775807"},
    "large": {"N": "9223372036854775808"},
    "small": {"N": "1E-130"},
    "digits": {"N": "12345678901234567890123456789012345678"},
    "B": {"B": "AAH/"},
    "BOOL": {"BOOL": True},
    "NULL": {"NULL": True},
    "L": {"L": [{"N": "1"}, {"M": {"a": {"S": ""}}}, {"L": []}]},
    "M": {"M": {"$a": {"S": "x"}, "b.c": {"N": "2"}, "": {"S": "no name"}}},
    "SS": {"SS": ["a", "b"]},
    "NS": {"NS": ["1", "2.5"]},
    "BS": {"BS": ["AA==", "AQ=="]},
    "_id": {"S": "an attribute of this name"},
}


def records() -> Iterator[dict[str, Any]]:
    """What happens to the tables, as the stream tells it."""
    old = {"id": {"N": "2"}, "name": {"S": "Ben"}, "left": {"S": "x"}, "region": {"S": "eu"}}
    new = {"id": {"N": "2"}, "name": {"S": "Ben II"}, "region": {"S": "us"}}
    pair = {"customer": {"S": "c#1"}, "date": {"N": "20200429"}}
    changes: list[tuple[str, str, dict[str, Any], dict[str, Any] | None, dict[str, Any] | None]] = [
        ("plain", "INSERT", {"id": {"S": "1"}}, {"id": {"S": "1"}, **_ALL_TYPES}, None),
        ("plain", "INSERT", {"id": {"B": "AAE="}}, {"id": {"B": "AAE="}}, None),
        ("plain", "REMOVE", {"id": {"S": "gone"}}, None, {"id": {"S": "gone"}}),
        ("people", "INSERT", {"id": {"N": "1"}}, {"id": {"N": "1"}, "joined": {"N": "1588166542"}}, None),
        ("people", "MODIFY", {"id": {"N": "2"}}, new, old),
        ("merged", "INSERT", {"id": {"N": "2"}}, old, None),
        ("merged", "MODIFY", {"id": {"N": "2"}}, new, old),
        ("marked", "INSERT", {"id": {"N": "2"}}, old, None),
        ("marked", "REMOVE", {"id": {"N": "2"}}, None, old),
        ("moving", "INSERT", {"id": {"N": "2"}}, old, None),
        ("moving", "MODIFY", {"id": {"N": "2"}}, new, old),
        ("pairs", "INSERT", pair, {**pair, "n": {"N": "1"}}, None),
        ("long", "INSERT", {"id": {"N": "1"}}, {"id": {"N": "1"}, "text": {"S": "x" * 10_000}}, None),
        ("refused", "INSERT", {"id": {"N": "1"}}, {"id": {"N": "1"}, "joined": {"S": "May"}}, None),
    ]
    for number, (table, event, key, image, before) in enumerate(changes, start=10**20):
        yield stream_record(event, number, key=key, new=image, old=before, eventSourceARN=arn(table))


def messages() -> Iterator[Message]:
    """The Lambda's, one for each record. Those of the table `long` do not fit into a message as they are."""
    for number, record in enumerate(records()):
        (parsed,) = Records({"Records": [record]}, frozenset({"region"}))
        limit = 4_096 if parsed.change.table == "long" else MIB
        ((sent,), _) = pack([parsed], 4, limit)
        yield message(body=sent.body, number=number, group=sent.group)


def main(release: str) -> None:
    """Writes them to the folder of a release."""
    folder = FOLDER / release
    folder.mkdir(exist_ok=True)
    (folder / "replication.yaml").write_text(MAPPING)
    sent = list(messages())
    rules = Rules(parse_replication(MAPPING, "replication.yaml"))
    plans = [make_plan([each], rules, MIB) for each in sent]
    letters = [poison.letter for plan in plans for poison in plan.poison]
    _write_lines(folder / "messages.jsonl", ((each.group, each.body) for each in sent))
    _write_lines(folder / "letters.jsonl", ((each.group, each.body) for each in letters))
    with Stack("embedded") as stack, pymongo.MongoClient[dict[str, Any]](stack.mongodb_uri) as client:
        asyncio.run(_apply(plans, stack.mongodb_uri))
        database = client[_DATABASE]
        stored = {name: list(database[name].find()) for name in database.list_collection_names()}
    text = json_util.dumps(stored, json_options=json_util.CANONICAL_JSON_OPTIONS, indent=1, sort_keys=True)
    (folder / "documents.json").write_text(text + "\n")


async def _apply(plans: Iterable[Plan], uri: str) -> None:
    sink = MongoSink.connect(uri, _DATABASE, 1)
    await sink.open()
    for plan in plans:
        await sink.apply(plan.writes)
    sink.close()


def _write_lines(path: Path, pairs: Iterable[tuple[str, str]]) -> None:
    path.write_text("".join(json.dumps({"group": group, "body": body}) + "\n" for group, body in pairs))


if __name__ == "__main__":
    main(sys.argv[1])
