"""`follow` as a process of its own, on the emulator and a real MongoDB."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import pymongo
import pytest

from local import paths
from local.polling import wait_until
from local.processes.child import Child, base_environment
from writer.names import DEAD_LETTERS, STREAMS, TOMBSTONES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from local.stack import Stack


class People:
    """A table with a stream, and what follows it."""

    def __init__(self, stack: Stack, name: str, target: Any, folder: Path) -> None:
        self.name = name
        self.target = target
        self._stack = stack
        self._folder = folder
        self._started = 0
        self.dynamodb = stack.client("dynamodb")
        self.dynamodb.create_table(
            TableName=name,
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            BillingMode="PAY_PER_REQUEST",
        )

    def switch(self, *, on: bool) -> None:
        """Switches the stream on or off."""
        how: Any = {"StreamEnabled": on} | ({"StreamViewType": "NEW_AND_OLD_IMAGES"} if on else {})
        self.dynamodb.update_table(TableName=self.name, StreamSpecification=how)

    def put(self, key: str, **attributes: Any) -> None:
        self.dynamodb.put_item(TableName=self.name, Item={"id": {"S": key}, **attributes})

    def delete(self, key: str) -> None:
        self.dynamodb.delete_item(TableName=self.name, Key={"id": {"S": key}})

    def follow(self, *options: str) -> Child:
        """Starts the process."""
        self._started += 1
        to = {"MONGODB_URI": self._stack.mongodb_uri, "MONGODB_DATABASE": self.target.name}
        return Child(
            "replicator follow",
            [sys.executable, "-m", "follow.command", self.name, "--no-mapping", *options],
            environment=base_environment() | self._stack.environment() | to,
            log=self._folder / f"follow-{self._started}.log",
            directory=paths.ROOT,
        )

    def once(self, *, status: int = 0) -> str:
        """Follows until all is replicated; returns what was printed."""
        child = self.follow("--once")
        wait_until(lambda: not child.running, what="follow --once to end")
        printed = child.log.read_text()
        assert child.stop() == status, printed
        return printed

    def documents(self) -> dict[str, Any]:
        """Without metadata, by `_id`."""
        found = self.target[self.name].find({}, {"_ddb": 0, "id": 0})
        return {document.pop("_id"): document for document in found}


@pytest.fixture
def people(stack: Stack, database: str, unique: str, tmp_path: Path) -> Iterator[People]:
    with pymongo.MongoClient[dict[str, Any]](stack.mongodb_uri) as client:
        yield People(stack, unique, client[database], tmp_path)


def test_what_is_there_and_what_changes(people: People) -> None:
    """Items from before the stream are copied, changes are followed, and a second run goes on."""
    people.put("before", n={"N": "1"})
    people.put("deleted", n={"N": "1"})
    people.switch(on=True)
    people.put("changed", n={"N": "1"})
    people.put("changed", n={"N": "2"})
    people.delete("deleted")
    people.once()
    assert people.documents() == {"before": {"n": 1}, "changed": {"n": 2}}
    people.put("later", n={"N": "3"})
    people.delete("before")
    people.once()
    assert people.documents() == {"changed": {"n": 2}, "later": {"n": 3}}
    assert people.target[TOMBSTONES].count_documents({"_id.k": "before"}) == 1


def test_it_follows_until_it_is_stopped(people: People) -> None:
    """SIGTERM ends it, with what it has noted; another one can follow at once."""
    people.switch(on=True)
    child = people.follow()
    people.put("first")
    child.wait_until(lambda: "first" in people.documents(), what="the first change")
    people.put("second")
    child.wait_until(lambda: "second" in people.documents(), what="the second change")
    assert child.stop() == 0, child.log.read_text()
    (state,) = people.target[STREAMS].find()
    assert "owner" not in state
    assert [each["after"] != "" for each in state["shards"].values()] == [True]


def test_a_second_process_waits(people: People) -> None:
    """And goes on where the first one ended."""
    people.switch(on=True)
    first = people.follow()
    people.put("first")
    first.wait_until(people.documents, what="the first change")
    second = people.follow()
    second.wait_until(lambda: "waiting until" in second.log.read_text(), what="the second process to wait")
    owner = people.target[STREAMS].find_one()["owner"]
    assert first.stop() == 0
    people.put("second")
    second.wait_until(lambda: "second" in people.documents(), what="the second process to follow")
    assert people.target[STREAMS].find_one()["owner"] != owner
    assert second.stop() == 0


def test_a_process_that_lost_its_lease_ends(people: People) -> None:
    """It was frozen, or cut off: another one reads the stream by now."""
    people.switch(on=True)
    child = people.follow()
    people.put("first")
    child.wait_until(people.documents, what="the first change")
    people.target[STREAMS].update_one({}, {"$set": {"owner": "another"}})
    wait_until(lambda: not child.running, what="the process to end")
    assert "another process reads" in child.log.read_text()
    assert child.stop() == 2
    assert people.target[STREAMS].find_one()["owner"] == "another"


def test_poison_becomes_a_dead_letter(people: People) -> None:
    """Its neighbours go on (P5), and the letter says what it was."""
    people.switch(on=True)
    people.put("good")
    people.put("bad", n={"N": "12"})
    people.put("fine")
    people.target.create_collection(people.name, validator={"n": {"$ne": 12}})
    people.once()
    assert set(people.documents()) == {"good", "fine"}
    (letter,) = people.target[DEAD_LETTERS].find()
    assert (letter["table"], json.loads(letter["key"])) == (people.name, {"id": "bad"})
    assert letter["code"]
    assert json.loads(letter["body"])["changes"][0]["key"] == {"id": "bad"}


def test_a_gap_ends_it(people: People) -> None:
    """With a sentence, and nothing is noted that would hide it."""
    people.switch(on=True)
    people.put("first")
    people.once()
    gone = "shards.shardId-00000000000000000001-gone"
    people.target[STREAMS].update_one({}, {"$set": {gone: {"after": "7", "done": False}}})
    for _ in range(2):
        assert "has a gap" in people.once(status=2)


def test_a_table_without_a_stream(people: People) -> None:
    assert "has no stream" in people.once(status=2)


def test_a_stream_that_is_switched_off(people: People) -> None:
    """Nobody is told that all is well when nothing can come any more (P8)."""
    people.switch(on=True)
    child = people.follow()
    people.put("last")
    child.wait_until(people.documents, what="the last change")
    people.switch(on=False)
    wait_until(lambda: not child.running, what="follow to end")
    assert "was switched off" in child.log.read_text()
    assert child.stop() == 2
