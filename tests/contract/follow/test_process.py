"""`follow` as a process of its own, on the emulator and a real MongoDB."""

from __future__ import annotations

import json
import random
import re
import sys
import time
import urllib.error
import urllib.request
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

import pymongo
import pytest

from local import paths
from local.polling import wait_until
from local.processes import ports
from local.processes.child import Child, base_environment
from ops.migration.backfill.checkpoints import COLLECTION as BACKFILLS
from tests.faults.proxy import Proxy
from writer.names import DEAD_LETTERS, MAPPINGS, STREAMS, TOMBSTONES, WRITERS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from local.stack import Stack


class People:
    """A table with a stream, and what follows it."""

    def __init__(
        self, stack: Stack, name: str, target: Any, folder: Path, kind: Literal["B", "S"] = "S"
    ) -> None:
        """`kind` is that of the key."""
        self.name = name
        self.kind = kind
        self.target = target
        self._stack = stack
        self._folder = folder
        self._started = 0
        self.mapping = "--no-mapping"
        self.environment: dict[str, str] = {}
        self.dynamodb = stack.client("dynamodb")
        self.dynamodb.create_table(
            TableName=name,
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": kind}],
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            BillingMode="PAY_PER_REQUEST",
        )

    def switch(self, *, on: bool) -> None:
        """Switches the stream on or off."""
        how: Any = {"StreamEnabled": on} | ({"StreamViewType": "NEW_AND_OLD_IMAGES"} if on else {})
        self.dynamodb.update_table(TableName=self.name, StreamSpecification=how)

    def put(self, key: str | bytes, **attributes: Any) -> None:
        self.dynamodb.put_item(TableName=self.name, Item={"id": {self.kind: key}, **attributes})

    def delete(self, key: str) -> None:
        self.dynamodb.delete_item(TableName=self.name, Key={"id": {"S": key}})

    def follow(self, *options: str, mapping: Path | None = None, **environment: str) -> Child:
        """Starts the process; `options` can name more tables."""
        self._started += 1
        given = self.mapping.split() if mapping is None else ["--replication-file", str(mapping)]
        to = {"MONGODB_URI": self._stack.mongodb_uri, "MONGODB_DATABASE": self.target.name, **environment}
        return Child(
            "replicator follow",
            [sys.executable, "-m", "ops", "follow", self.name, *given, *options],
            environment=base_environment() | self._stack.environment() | to | self.environment,
            log=self._folder / f"follow-{self._started}.log",
            directory=paths.ROOT,
        )

    def once(self, *options: str, status: int = 0, mapping: Path | None = None) -> str:
        """Follows until all is replicated; returns what was printed."""
        child = self.follow("--once", *options, mapping=mapping)
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


@pytest.fixture
def others(stack: Stack, people: People, unique: str, tmp_path: Path) -> People:
    """Another table beside it."""
    return People(stack, f"{unique}-others", people.target, tmp_path)


class Page:
    """The status port of a process."""

    def __init__(self, child: Child) -> None:
        self._child = child
        printed = child.wait_until(
            lambda: re.search(r"The status page is at (\S+)", child.log.read_text()), what="its address"
        )
        self.url = printed[1]

    def get(self, path: str) -> tuple[int, str]:
        """Status and body."""
        try:
            with urllib.request.urlopen(f"{self.url}/{path}") as answer:  # noqa: S310 - our own process
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def waits_for(self) -> set[str]:
        """The parts that `/readyz` names, and with the same status."""
        status, body = self.get("readyz")
        found = set(json.loads(body)["waiting_for"])
        assert status == (503 if found else 200)
        return found

    def until(self, *parts: str) -> None:
        self._child.wait_until(lambda: self.waits_for() == set(parts), what=f"readyz to name {parts}")


def test_what_is_there_and_what_changes(people: People) -> None:
    """Items from before the stream are copied, changes are followed, and a second run goes on."""
    people.put("before", n={"N": "1"})
    people.put("deleted", n={"N": "1"})
    people.switch(on=True)
    people.put("changed", n={"N": "1"})
    people.put("changed", n={"N": "2"})
    people.delete("deleted")
    printed = people.once().splitlines()
    assert printed[0].startswith(f"{people.name}: Mapping of {people.name}: no mapping (hash ")
    assert printed[1].startswith(f"{people.name}: copied: "), "one line at the start, and nothing of writers"
    assert people.documents() == {"before": {"n": 1}, "changed": {"n": 2}}
    people.put("later", n={"N": "3"})
    people.delete("before")
    people.once()
    assert people.documents() == {"changed": {"n": 2}, "later": {"n": 3}}
    assert people.target[TOMBSTONES].count_documents({"_id.k": "before"}) == 1


def test_nothing_is_copied_before_the_stream_is_listed(people: People) -> None:
    """A shard that comes and goes during the copy would be in no listing, and its changes in no copy (P3)."""
    people.put("before", n={"N": "1"})
    people.switch(on=True)
    child = people.follow(AWS_ENDPOINT_URL_DYNAMODB_STREAMS=f"http://{ports.HOST}:1")  # nobody listens there
    child.wait_until(lambda: "waiting" in child.log.read_text(), what="a word about the stream")

    first = people.target[STREAMS].find_one()["until"]
    later = {"until": {"$gt": first + timedelta(seconds=1)}}
    child.wait_until(lambda: people.target[STREAMS].count_documents(later), what="many notes")
    assert people.documents() == {}
    assert child.stop() == 0, child.log.read_text()
    people.once()
    assert set(people.documents()) == {"before"}


def test_old_values_that_the_mapping_needs(people: People, tmp_path: Path) -> None:
    """They are read from the stream without being named: the item had expired when it was deleted."""
    file = tmp_path / "replication.yaml"
    file.write_text(f"tables: {{{people.name}: {{key: [id], ttl_deletes: keep, ttl_attribute: expires}}}}")
    people.switch(on=True)
    people.put("expired", expires={"N": str(round(time.time()) - 100)})
    people.put("fresh", expires={"N": str(round(time.time()) + 10_000)})
    people.delete("expired")
    people.delete("fresh")
    people.once(mapping=file)
    assert set(people.documents()) == {"expired"}


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


def test_a_lost_lease_is_claimed_again(people: People, others: People) -> None:
    """It was frozen, or cut off, and another one read the stream: its other tables go on meanwhile."""
    for each in (people, others):
        each.switch(on=True)
        each.put("first")
    child = people.follow(others.name, "--status-port", "0")
    page = Page(child)
    child.wait_until(lambda: people.documents() and others.documents(), what="the first changes")
    states = people.target[STREAMS]
    ours = states.find_one({"table": others.name})["owner"]
    later = datetime.now(UTC) + timedelta(days=1)
    states.update_one({"table": people.name}, {"$set": {"owner": "another", "until": later}})
    child.wait_until(lambda: "waiting until that one ends" in child.log.read_text(), what="it to notice")
    people.put("second")
    others.put("second")
    child.wait_until(lambda: "second" in others.documents(), what="the other table to go on")
    assert states.find_one({"table": people.name})["owner"] == "another"
    assert "second" not in people.documents()
    status, body = page.get("readyz")
    assert (status, list(json.loads(body)["tables"])) == (503, [people.name])
    states.update_one({"table": people.name}, {"$unset": {"owner": "", "until": ""}})
    child.wait_until(lambda: "second" in people.documents(), what="the table to be followed again")
    assert page.get("readyz")[0] == 200
    assert {each["owner"] for each in states.find()} == {ours}
    assert child.stop() == 0, child.log.read_text()
    assert not any("owner" in each for each in states.find())


def test_it_shows_itself(people: People) -> None:
    """What it has, and nothing of SQS; and in MongoDB by which rules, as writers do."""
    people.switch(on=True)
    people.put("bad", n={"N": "12"})
    people.target.create_collection(people.name, validator={"n": {"$ne": 12}})
    child = people.follow("--status-port", "0")
    page = Page(child)
    page.until()
    people.put("first")
    child.wait_until(people.documents, what="the first change")
    assert page.get("healthz")[0] == 200
    _, metrics = page.get("metrics")
    parts = set(re.findall(r'(?m)^replicator_waiting\{part="(\w+)"\} 0\.0$', metrics))
    assert parts == {"dynamodb", "mongodb"}
    assert "sqs" not in metrics.lower()
    behind = f'replicator_stream_behind_seconds{{table="{people.name}"}}'
    child.wait_until(lambda: behind in page.get("metrics")[1], what="how far the stream is read")
    dead = 'replicator_queue_messages{state="dead"} 2.0'  # the copy's, and the stream's
    child.wait_until(lambda: dead in page.get("metrics")[1], what="the dead letters to be counted")
    figures = json.loads(page.get("status.json")[1])
    assert (figures["parts"], figures["has_queue"]) == (["DynamoDB", "MongoDB"], False)
    assert figures["writer"]["program"] == "replicator follow"
    stream = people.target[STREAMS].find_one()["_id"]
    (record,) = people.target[MAPPINGS].find()
    assert record["_id"] == {"queue": stream, "table": people.name}
    (me,) = people.target[WRITERS].find()
    assert (me["queue"], me["local_url"]) == (stream, page.url)
    assert child.stop() == 0, child.log.read_text()
    assert people.target[WRITERS].count_documents({}) == 0


def test_an_outage_is_shown(stack: Stack, people: People) -> None:
    """Of each side, and its end (P8)."""
    if stack.mongod is None:
        pytest.skip("MONGODB_URI names a server, and the proxy needs an address")
    people.switch(on=True)
    dice = random.Random(7)  # noqa: S311 - nothing is lost by chance here
    endpoint = stack.environment()["AWS_ENDPOINT_URL"].removeprefix("http://")
    with Proxy(endpoint, dice) as dynamodb, Proxy(stack.mongod.address, dice) as mongodb:
        child = people.follow(
            "--status-port",
            "0",
            AWS_ENDPOINT_URL=f"http://{dynamodb.address}",
            MONGODB_URI=f"mongodb://{mongodb.address}/?directConnection=true",
        )
        page = Page(child)
        page.until()
        for part, side in (("dynamodb", dynamodb), ("mongodb", mongodb)):
            side.refuse()
            page.until(part)
            assert f'replicator_waiting{{part="{part}"}} 1.0' in page.get("metrics")[1]
            side.flow()
            page.until()
        assert child.stop() == 0, child.log.read_text()
        assert "waiting: " in child.log.read_text()
        assert "waiting for a server" not in child.log.read_text(), "it is said twice"


def test_another_mapping_than_before(people: People, tmp_path: Path) -> None:
    """It is the writer itself: what it recorded before does not bind it, and what is copied stays."""
    people.switch(on=True)
    people.put("first", n={"N": "1"})
    people.once()
    before = people.target[MAPPINGS].find_one()["hash"]
    mapping = tmp_path / "replication.yaml"
    mapping.write_text(f"tables: {{{people.name}: {{fields: {{n: {{rename: m}}}}}}, nobody-follows: {{}}}}\n")
    people.put("second", n={"N": "2"})
    printed = people.once(mapping=mapping)
    assert f"replicator resync {people.name}" in printed
    assert people.documents() == {"first": {"n": 1}, "second": {"m": 2}}
    (record,) = people.target[MAPPINGS].find()
    assert record["hash"] != before


def test_another_mapping_in_the_middle_of_the_copy(people: People, tmp_path: Path) -> None:
    """What is not copied yet follows the new one, and it says how to update the rest."""
    people.put("there", n={"N": "1"})
    people.put("missing", n={"N": "1"})
    people.switch(on=True)
    people.once()
    unfinished = {"finished": None, "parts.$[].done": False, "parts.$[].after": None}
    people.target[BACKFILLS].update_one({"_id": people.name}, {"$set": unfinished})
    people.target[people.name].delete_one({"_id": "missing"})
    mapping = tmp_path / "replication.yaml"
    mapping.write_text(f"tables: {{{people.name}: {{fields: {{n: {{rename: m}}}}}}}}\n")
    printed = people.once(mapping=mapping)
    assert "in part by another mapping" in printed
    assert f"replicator resync {people.name}" in printed
    assert people.documents() == {"there": {"n": 1}, "missing": {"m": 1}}


def test_poison_becomes_a_dead_letter(people: People) -> None:
    """Its neighbours go on (P5), and the letter says what it was. The copy makes a letter, too."""
    people.switch(on=True)
    people.put("good")
    people.put("bad", n={"N": "12"})
    people.put("fine")
    people.target.create_collection(people.name, validator={"n": {"$ne": 12}})
    people.once()
    assert set(people.documents()) == {"good", "fine"}
    letter, of_copy = people.target[DEAD_LETTERS].find().sort("sequence", pymongo.DESCENDING)
    assert json.loads(of_copy["body"]) == {"copied": {"id": {"S": "bad"}}, "table": people.name}
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


def test_a_gap_of_one_table_is_not_overlooked(people: People, others: People) -> None:
    """The process ends, and says of which stream, although the other table is well."""
    for each in (people, others):
        each.switch(on=True)
        each.put("first")
    people.once(others.name)
    gone = "shards.shardId-00000000000000000001-gone"
    where = {"table": others.name}
    people.target[STREAMS].update_one(where, {"$set": {gone: {"after": "7", "done": False}}})
    child = people.follow(others.name)
    wait_until(lambda: not child.running, what="follow to end")
    stream = people.target[STREAMS].find_one(where)["_id"]
    assert f"the stream {stream} has a gap" in child.log.read_text()
    assert child.stop() == 2
    assert not any("owner" in each for each in people.target[STREAMS].find())


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
