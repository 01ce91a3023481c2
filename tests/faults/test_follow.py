"""`follow` in its own process, which is killed while tables are copied and change."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pymongo
import pytest

from local import paths
from local.polling import wait_until
from local.processes.child import Child, base_environment
from tests.faults.background import Background
from tests.faults.proxy import Proxy
from tests.faults.test_migration import FullSource, settings, settings_of
from tests.faults.workload import Workload
from tests.faults.world import Options, World
from tests.support.oracle import compare
from writer.names import DEAD_LETTERS, STREAMS

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from local.stack import Stack
    from tests.conftest import DeployLambda
    from tests.faults.source import Source, Table

ITEMS = 20_000
_FEW = 2_000
_FEWEST = 500
_KILLS = 4

Database = Any


class Following:
    """Tables, and the process that follows them."""

    def __init__(
        self, environment: dict[str, str], tables: Sequence[Table], target: Database, log: Path
    ) -> None:
        """Without a mapping, if the environment names none."""
        self._environment = environment
        self._tables = tables
        self.target = target
        self.log = log

    def start(self, *options: str) -> Child:
        names = [each.name for each in self._tables]
        return Child(
            "replicator follow",
            [
                sys.executable,
                "-m",
                "ops",
                "follow",
                *names,
                *([] if "REPLICATION_FILE" in self._environment else ["--no-mapping"]),
                *options,
            ],
            environment=base_environment() | self._environment,
            log=self.log,
            directory=paths.ROOT,
        )

    def once(self) -> None:
        """Follows until everything is replicated."""
        child = self.start("--once")
        wait_until(lambda: not child.running, what="follow --once to end")
        assert child.stop() == 0, self.log.read_text()

    def copied(self) -> int:
        """Items that the copies have read."""
        notes = self.target["_replicator_backfills"].find()
        return sum(part["read"] for note in notes for part in note["parts"])

    def positions(self) -> dict[str, Any]:
        return {each["_id"]: each.get("shards") for each in self.target[STREAMS].find()}

    def free(self) -> None:
        """Ends the lease of a process that was killed, as 30 seconds would."""
        self.target[STREAMS].update_many({}, {"$unset": {"owner": ""}})


@pytest.fixture
def target(stack: Stack, database: str) -> Iterator[Database]:
    with pymongo.MongoClient[dict[str, Any]](stack.mongodb_uri) as client:
        yield client[database]


def same(source: Source, tables: Sequence[Table], target: Database) -> None:
    for table in tables:
        comparison = compare(source.items(table), target[table.name].find(), sorted(table.key))
        assert comparison.is_same, str(comparison)


def test_cut_connections(  # noqa: PLR0913, PLR0917 - fixtures
    stack: Stack,
    dynamodb_local: Source,
    target: Database,
    unique: str,
    rng: random.Random,
    tmp_path: Path,
) -> None:
    """Both sides lose connections and answers, and are away for a while: the process goes on (P3, P4)."""
    if stack.mongod is None:
        pytest.skip("MONGODB_URI names a server, and the proxy needs an address")
    source = FullSource(dynamodb_local.server, rng, _FEW)
    tables = [source.create_table(unique, id="N")]
    endpoint = source.server.endpoint_url
    with (
        Proxy(endpoint.removeprefix("http://"), rng) as dynamodb,
        Proxy(stack.mongod.address, rng) as mongodb,
    ):
        environment = settings(source, f"mongodb://{mongodb.address}/?directConnection=true", target.name)
        environment["AWS_ENDPOINT_URL"] = f"http://{dynamodb.address}"
        following = Following(environment, tables, target, tmp_path / "follow.log")
        workload = Workload(source.dynamodb, tables, rng, keys=_FEW)
        load = Background("workload", workload.step, finish=lambda: None)
        child = following.start()
        child.wait_until(lambda: following.copied() > 0, what="the copy to begin")

        def go_on() -> None:
            before, changes = following.positions(), workload.changes
            child.wait_until(
                lambda: following.positions() != before and workload.changes > changes + 100,
                what="changes to be replicated",
            )
            load.check()

        go_on()
        for side in (dynamodb, mongodb):
            side.lose_answers(0.05)
            go_on()
            side.lose_answers(0.0)
            said = following.log.read_text().count("waiting")
            side.refuse()
            child.wait_until(
                lambda said=said: following.log.read_text().count("waiting") > said,  # type: ignore[misc]
                what="a word about it",
            )
            side.flow()
            go_on()
            for _ in range(3):
                side.reset()
                go_on()
        load.stop()
        assert child.stop() == 0, following.log.read_text()
        following.once()
    same(source, tables, target)
    assert target[DEAD_LETTERS].count_documents({}) == 0


def test_kill_and_start_again(  # noqa: PLR0913, PLR0917 - fixtures
    stack: Stack, dynamodb_local: Source, target: Database, unique: str, rng: random.Random, tmp_path: Path
) -> None:
    """20,000 items and a live workload; kill -9 during the copy and after it.

    At the end nothing is missing, different or there again (P1, P2, P3).
    """
    source = FullSource(dynamodb_local.server, rng, ITEMS)
    tables = [
        source.create_table(f"{unique}-simple", id="N"),
        source.create_table(f"{unique}-composite", tenant="S", line="B"),
    ]
    environment = settings(source, stack.mongodb_uri, target.name)
    following = Following(environment, tables, target, tmp_path / "follow.log")
    workload = Workload(source.dynamodb, tables, rng, keys=ITEMS)
    load = Background("workload", workload.step, finish=lambda: None)
    for kill in range(_KILLS):
        child = following.start()
        goal = following.copied() + ITEMS // (_KILLS - 1)
        before, changes = following.positions(), workload.changes
        child.wait_until(
            lambda goal=goal, before=before, changes=changes: (  # type: ignore[misc]
                (following.copied() >= goal or following.copied() >= ITEMS)
                and following.positions() != before
                and workload.changes > changes + 200
            ),
            what=f"follow to go on before kill {kill + 1}",
        )
        child.kill()
        following.free()
        load.check()
    load.stop()
    following.once()
    same(source, tables, target)
    assert target[DEAD_LETTERS].count_documents({}) == 0
    # What is done is not done again: nothing changed since, so nothing is written.
    before = following.positions()
    assert all(before.values())
    following.once()
    same(source, tables, target)
    assert following.positions() == before


def test_beside_the_pipeline_and_in_its_place(
    stack: Stack,
    dynamodb_local: Source,
    rng: random.Random,
    tmp_path: Path,
    deploy_lambda: DeployLambda,
) -> None:
    """Both write the same documents at once; then `follow` alone, both again, and the pipeline alone.

    Both sides are equal where one of them has been alone, and no document ever went back (P1, P2, P3).
    """
    source = FullSource(dynamodb_local.server, rng, _FEWEST)
    with World(stack, source, tmp_path, rng, Options(keys=_FEWEST)) as world:
        deploy_lambda(world.queues.url, world.queues.dead_letter_url, world.endpoint_url)
        following = Following(settings_of(world), world.tables, world.target, tmp_path / "follow.log")

        def follow(copied: int = 0) -> Child:
            child, before = following.start(), following.positions()
            world.wait_for(
                lambda: child.running and following.copied() >= copied and following.positions() != before,
                f"follow to go on, see {following.log}",
            )
            return child

        world.begin()
        world.start_writers(1)
        child = follow(copied=_FEWEST)
        world.let_pass(300)
        world.stop_stream()
        world.kill(world.writers[0])  # what is in the queue now comes when it is old
        world.let_pass(300)
        world.stop_load()
        assert child.stop() == 0, following.log.read_text()
        following.once()
        assert all(each.is_same for each in world.compare()), "\n".join(map(str, world.compare()))

        world.start_load()
        child = follow()
        world.start_stream()
        world.start_writers(1)
        world.let_pass(300)
        child.kill()
        world.let_pass(300)
        world.settle()
        assert world.target[DEAD_LETTERS].count_documents({}) == 0
