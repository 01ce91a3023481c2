"""What earlier releases sent and stored is read by this one (`tests/samples/`)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pymongo
import pytest
from bson import json_util

from tests.samples.record import FOLDER
from tests.support.builders import MIB, message
from writer.mapping.parser import parse_replication
from writer.mapping.rules import Rules
from writer.mongodb.sink import MongoSink
from writer.names import TOMBSTONES
from writer.planning.plan import make_plan

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping
    from pathlib import Path

    from local.stack import Stack
    from writer.planning.plan import Plan
    from writer.ports import Message

Documents = dict[str, list[dict[str, Any]]]
RELEASES = sorted(path for path in FOLDER.iterdir() if (path / "messages.jsonl").exists())


@pytest.fixture(params=RELEASES, ids=lambda path: path.name)
def release(request: pytest.FixtureRequest) -> Path:
    found: Path = request.param
    return found


@pytest.fixture
async def sink(stack: Stack, database: str) -> AsyncIterator[MongoSink]:
    sink = MongoSink.connect(stack.mongodb_uri, database, 1)
    await sink.open()
    yield sink
    sink.close()


def messages(release: Path, name: str = "messages") -> Iterator[Message]:
    for number, line in enumerate((release / f"{name}.jsonl").read_text().splitlines()):
        yield message(number=number, **json.loads(line))


def plans(release: Path, mapping: str | None = None) -> Iterator[Plan]:
    text = (release / "replication.yaml").read_text() if mapping is None else mapping
    rules = Rules(parse_replication(text, "replication.yaml"))
    for each in messages(release):
        yield make_plan([each], rules, MIB)


def stored(stack: Stack, database: str) -> Documents:
    """All documents, without the times of the tombstones."""
    with pymongo.MongoClient[dict[str, Any]](stack.mongodb_uri) as client:
        names = sorted(client[database].list_collection_names())
        return {name: without_times(name, client[database][name].find()) for name in names}


def recorded(release: Path) -> Documents:
    found: Mapping[str, Any] = json_util.loads((release / "documents.json").read_text())
    return {name: without_times(name, found[name]) for name in sorted(found)}


def without_times(collection: str, documents: Any) -> list[dict[str, Any]]:
    """Tombstones are swept by the time at which they were written."""
    left_out = {"at"} if collection == TOMBSTONES else set()
    return [{name: value for name, value in each.items() if name not in left_out} for each in documents]


async def test_its_messages_become_the_same_documents(
    release: Path, sink: MongoSink, stack: Stack, database: str
) -> None:
    for plan in plans(release):
        await sink.apply(plan.writes)
    assert stored(stack, database) == recorded(release)


async def test_its_documents_win_over_its_messages(
    release: Path, sink: MongoSink, stack: Stack, database: str
) -> None:
    """Versions and tombstones are understood: what comes again is stale, and what was deleted stays away."""
    with pymongo.MongoClient[dict[str, Any]](stack.mongodb_uri) as client:
        for name, documents in json_util.loads((release / "documents.json").read_text()).items():
            client[database][name].insert_many(documents)
    for plan in plans(release):
        outcome = await sink.apply(plan.writes)
        assert (outcome.inserted, outcome.modified, outcome.failures) == (0, 0, {})
    assert stored(stack, database) == recorded(release)


def test_its_letters_can_be_redriven(release: Path) -> None:
    """Their bodies are messages; here, once the rule that refused them is gone."""
    mapping = "tables: {refused: {key: [id]}}"
    rules = Rules(parse_replication(mapping, "replication.yaml"))
    letters = list(messages(release, "letters"))
    assert letters
    for letter in letters:
        plan = make_plan([letter], rules, MIB)
        assert (len(plan.writes), plan.poison) == (1, [])
