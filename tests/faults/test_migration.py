"""A migration while everything changes: the backfill races live replication and is killed repeatedly."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import urllib.request
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import orjson
import pymongo
import pytest

from local.polling import wait_until
from local.processes import ports
from local.servers.emulator import ACCESS_KEY, REGION
from local.servers.mongod import Mongod
from ops.migration.backfill.checkpoints import COLLECTION
from tests.faults.source import Source, Table
from tests.faults.workload import Workload
from tests.faults.world import Options, World
from tests.support import command_processes as commands
from tests.support.lambda_events import in_lambda_event
from writer.names import TOMBSTONES

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from local.servers.dynamodb_local import DynamoDBLocal
    from local.stack import Stack
    from tests.conftest import DeployLambda

    Begin = Callable[..., World]

ITEMS = 50_000
_COMPOSITE = 1_000
_KILLS = 3
_PER_BATCH = 25  # Amazon DynamoDB API reference, "BatchWriteItem"
_HEADERS = {
    "Content-Type": "application/x-amz-json-1.0",
    "X-Amz-Target": "DynamoDB_20120810.BatchWriteItem",
    "Authorization": f"AWS4-HMAC-SHA256 Credential={ACCESS_KEY}/20200430/{REGION}/dynamodb/aws4_request, "
    "SignedHeaders=host, Signature=0",
}


class FullSource(Source):
    """Tables that have items before their streams are enabled."""

    def __init__(self, server: DynamoDBLocal, rng: random.Random, items: int) -> None:
        super().__init__(server)
        self._rng = rng
        self._items = items

    def fill(self, name: str, key: tuple[str, ...]) -> None:
        number = self._items if len(key) == 1 else min(self._items, _COMPOSITE)
        table = Table(name, key, "")
        workload = Workload(self.dynamodb, [table], self._rng)
        connection = http.client.HTTPConnection(ports.HOST, self.server.port)
        for start in range(0, number, _PER_BATCH):
            some = [
                workload.item(workload.key(table, each))
                for each in range(start, min(start + _PER_BATCH, number))
            ]
            puts = [{"PutRequest": {"Item": in_lambda_event(item)}} for item in some]
            # Five times as fast as through the SDK, which signs what DynamoDB Local does not check.
            connection.request("POST", "/", orjson.dumps({"RequestItems": {name: puts}}), _HEADERS)
            answer = connection.getresponse()
            assert (answer.status, orjson.loads(answer.read())["UnprocessedItems"]) == (200, {})
        connection.close()


@pytest.fixture
def begin(
    stack: Stack, dynamodb_local: Source, tmp_path: Path, rng: random.Random, deploy_lambda: DeployLambda
) -> Iterator[Begin]:
    """`begin(items, keys=…)`: creates tables with items, of which the first ones change."""
    worlds: list[World] = []

    def make(items: int, *, keys: int | None = None) -> World:
        source = FullSource(dynamodb_local.server, rng, items)
        world = World(stack, source, tmp_path, rng, Options(keys=keys or items))
        worlds.append(world)
        deploy_lambda(world.queues.url, world.queues.dead_letter_url, world.endpoint_url)
        return world

    yield make
    for world in worlds:
        world.close()


def settings_of(world: World) -> dict[str, str]:
    """The environment of the command."""
    mapping = {"REPLICATION_FILE": str(world.mapping)}
    return settings(world.source, world.mongodb_uri, world.database) | mapping


def settings(source: Source, mongodb_uri: str, database: str) -> dict[str, str]:
    """The environment of the command, without a mapping."""
    return {
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": ACCESS_KEY,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ENDPOINT_URL": source.server.endpoint_url,
        "MONGODB_URI": mongodb_uri,
        "MONGODB_DATABASE": database,
    }


def test_a_killed_backfill_races_live_changes(begin: Begin, tmp_path: Path) -> None:
    """50,000 items are copied while they change and are deleted; kill -9 ends the copy three times.

    At the end nothing is missing, nothing deleted came back, and no document ever went back (P1, P2).
    """
    world = begin(ITEMS)
    simple, composite = world.tables
    environment = settings_of(world)
    world.start_writers(1)
    world.begin(load=False)
    world.start_load(gently=True)

    def done() -> int:
        note = world.target[COLLECTION].find_one({"_id": simple.name}) or {"parts": []}
        return sum(part["read"] for part in note["parts"])

    backfill = ("backfill", simple.name, "--no-live", "--page-size", "400", "--segments", "5")
    for kill in range(1, _KILLS + 1):
        child = commands.start(environment, tmp_path / "backfill.log", *backfill)
        goal = kill * ITEMS // (_KILLS + 2)
        child.wait_until(lambda goal=goal: done() >= goal, what="the backfill to go on")  # type: ignore[misc]
        child.kill()
    at_the_last_kill = done()
    assert ITEMS // 2 < at_the_last_kill < ITEMS
    # Another number of segments is ignored: that of the checkpoint counts.
    result = commands.run(environment, *backfill[:-1], "9")
    assert result["finished"]
    assert result["rejected"] == 0
    assert at_the_last_kill <= result["read"] <= ITEMS + world.workload.changes
    assert len(world.target[COLLECTION].find_one({"_id": simple.name})["parts"]) == 5  # type: ignore[index]
    assert commands.run(environment, "backfill", composite.name, "--no-live")["finished"]
    world.settle()
    for table in world.tables:
        found = commands.run(environment, "verify", table.name, "--settle", "0.5")
        assert found["clean"]
        assert found["complete"]
        assert found["items"] == found["documents"] == world.target[table.name].count_documents({})
        assert found["in_flight"] == 0


def plant(world: World, table: Table, first: int) -> dict[str, int]:
    """Damages documents that the workload does not change; returns the number of differences by kind."""
    collection = world.target[table.name]
    ids = iter(
        [each["_id"] for each in collection.find({"_id": {"$gt": first}}, {"_id": 1}).sort("_id").limit(40)]
    )
    collection.delete_many({"_id": {"$in": [next(ids) for _ in range(3)]}})
    buried = next(ids)
    collection.delete_one({"_id": buried})
    tombstone = {"v": "2020-01-01T00:00:00.000 01 7", "at": datetime.now(UTC), "f": "_ddb"}
    world.target[TOMBSTONES].insert_one({"_id": {"c": table.name, "k": buried}, **tombstone})
    collection.update_one({"_id": next(ids)}, {"$set": {"added": 1}})
    collection.update_one({"_id": next(ids)}, {"$unset": {"id": 1}})
    for _ in range(2):
        damaged = next(ids)
        collection.update_one({"_id": damaged}, {"$set": {"id": float(damaged)}})  # of another type
    collection.update_one({"_id": next(ids)}, {"$unset": {"_ddb": 1}})
    collection.update_one({"_id": next(ids)}, {"$set": {"_ddb.renamed": {"a": "b"}}})
    earlier = {"v": "2020-01-01T00:00:00.000 01 1"}
    extra = [{"_id": 2_000_000, "_ddb": {"v": ""}}, {"_id": 2_000_001, "_ddb": earlier}]
    strange = {"_id": "text", "_ddb": {"v": ""}}
    collection.insert_many([*extra, strange, {"_id": 3_000_000, "mine": True}, {"_id": "mine, too"}])
    return {"missing": 4, "different": 6, "extra": 5, "unmappable": 0}


def test_planted_differences_are_found_and_mended(begin: Begin, tmp_path: Path) -> None:
    """All of them and nothing else, during live changes; and the repair undoes no live change (P2)."""
    world = begin(600, keys=300)
    (table, other), environment = world.tables, settings_of(world)
    world.start_writers(1)
    world.begin(load=False)
    # As after a backfill that died before its second check: the sweep of the next one removes it.
    buried = {"_id": {"c": table.name, "k": 5_000_000}, "v": "2020-01-01T00:00:00.000 01 1", "f": "_ddb"}
    world.target[TOMBSTONES].insert_one({**buried, "at": datetime.now(UTC) - timedelta(minutes=30)})
    world.target[table.name].insert_one({"_id": 5_000_000, "_ddb": {"v": ""}})
    for each in (table, other):
        commands.run(environment, "backfill", each.name, "--no-live")
    assert commands.run(environment, "verify", table.name, "--settle", "0.5")["clean"]
    planted = plant(world, table, first=400)
    world.watch.mark()
    world.wait_for(world.watch.at_mark, "the watch to have seen what was planted")
    world.watch.timeline.forget()
    world.start_load(gently=True)
    world.let_pass(200)

    report = tmp_path / "report.jsonl"
    found = commands.run(
        environment, "verify", table.name, "--settle", "10", "--report", str(report), status=1
    )
    assert {kind: found[kind] for kind in planted} == planted
    lines = [json.loads(line) for line in report.read_text().splitlines()]
    assert Counter(line["kind"] for line in lines) == Counter({k: n for k, n in planted.items() if n})

    mending = ("repair", table.name, "--report", str(report))
    would = commands.run(environment, *mending, "--dry-run", status=1)
    assert (would["to_write"] + would["to_delete"], would["moved_on"], would["left"]) == (13, 0, 2)
    did = commands.run(environment, *mending, "--yes", status=1)
    assert (did["repaired"], did["moved_on"], did["left"]) == (13, 0, 2)
    # A document without a version belongs to another application; a person decides.
    world.target[table.name].delete_many({"_id": {"$in": [3_000_000, "mine, too"]}})
    did = commands.run(environment, *mending, "--yes")
    assert (did["repaired"], did["moved_on"]) == (0, 15)
    world.settle()
    for each in (table, other):
        assert commands.run(environment, "verify", each.name, "--settle", "0.5")["clean"]
    assert commands.run(environment, "repair", table.name, "--yes", "--settle", "0.5")["repaired"] == 0


def test_comparing_for_ever(begin: Begin, tmp_path: Path) -> None:
    """At a bounded rate, with a result for Prometheus; Ctrl-C ends it in order. A sample finds the same."""
    world = begin(60)
    table, environment = world.tables[0], settings_of(world)
    commands.run(environment, "backfill", table.name, "--no-live", "--rcu", "50")
    world.target[table.name].delete_one({"_id": 7})
    sample = commands.run(environment, "verify", table.name, "--settle", "0", "--sample", "60", status=1)
    assert (sample["complete"], sample["items"], sample["documents"], sample["missing"]) == (False, 60, 59, 1)
    watch = ("--watch", "--rcu", "50", "--settle", "0", "--metrics-port", "0", "--metrics-host", ports.HOST)
    log = tmp_path / "watch.log"
    child = commands.start(environment, log, "verify", table.name, *watch)

    def metrics() -> str:
        found = re.search(r"Metrics on (http://\S+)", log.read_text())
        if not found:
            return ""
        with urllib.request.urlopen(found[1]) as answer:  # noqa: S310 - our own port
            return str(answer.read(), "utf-8")

    wanted = f'replicator_verify_differences{{kind="missing",table="{table.name}"}} 1.0'
    child.wait_until(lambda: wanted in metrics(), what="the first comparison to end")
    world.source.dynamodb.delete_item(TableName=table.name, Key={"id": {"N": "7"}})
    child.wait_until(lambda: wanted.replace("1.0", "0.0") in metrics(), what="the next one to end")
    os.kill(child.pid, signal.SIGINT)
    wait_until(lambda: not child.running, what="the command to end")
    assert child.kill() == 130
    assert "Traceback" not in log.read_text()


def test_a_backfill_waits_for_mongodb(
    dynamodb_local: Source, tmp_path: Path, rng: random.Random, unique: str
) -> None:
    """`mongod` is killed by kill -9 and restarted: the backfill reports that it waits, and continues (P4)."""
    source = FullSource(dynamodb_local.server, rng, 5_000)
    table = source.create_table(unique, id="N")
    with Mongod(tmp_path) as server, pymongo.MongoClient[dict[str, Any]](server.uri) as client:
        server.wait()
        environment = settings(source, server.uri, "target")
        log = tmp_path / "backfill.log"
        child = commands.start(
            environment,
            log,
            *("backfill", table.name, "--no-live", "--no-mapping", "--page-size", "50", "--rcu", "500"),
        )
        collection = client["target"][table.name]
        child.wait_until(lambda: collection.estimated_document_count() > 100, what="the first documents")
        server.kill()
        child.wait_until(lambda: "waiting: MongoDB" in log.read_text(), what="it to notice")
        server.restart()
        wait_until(lambda: not child.running, what="the backfill to end")
        assert child.kill() == 0, log.read_text()
        assert "going on" in log.read_text()
        verify = ("verify", table.name, "--no-mapping", "--settle", "0.2")
        assert commands.run(environment, *verify)["items"] == 5_000
    source.delete_table(table)
