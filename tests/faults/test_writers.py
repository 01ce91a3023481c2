"""Writers that die, freeze and compete."""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from tests.faults.proxy import Proxy
from tests.faults.world import Options
from writer.guard import TOMBSTONES
from writer.sweep import INTERVAL

if TYPE_CHECKING:
    from local.stack import Stack
    from local.writer_process import WriterProcess
    from tests.faults.conftest import MakeWorld


def test_killed_writers(make_world: MakeWorld, soak_seconds: float) -> None:
    """Of three writers, one after the other dies by kill -9 at a random moment: nothing is lost (P3)."""
    world = make_world(Options(visibility=5))
    world.start_writers(3)
    world.begin()
    deadline = time.monotonic() + soak_seconds
    while time.monotonic() < deadline:
        world.let_pass(world.rng.randint(50, 500))
        world.kill(world.rng.choice(world.writers))
        world.start_writer()
    world.settle()
    assert world.watch.timeline.stale_inserts == []


@pytest.mark.parametrize("then", ["wakes", "dies"])
def test_a_frozen_writer_inserts_after_the_delete(make_world: MakeWorld, then: str) -> None:
    """The worst moment: all its checks are behind it, its insert is on the way, and it freezes.

    Its lock ends, another writer finishes the put and the delete, and only then the insert reaches MongoDB.
    The item must not stay (P2): the writer removes it when it wakes; if it dies, a sweep does.
    """
    world = make_world(Options(visibility=5))
    address = world.mongodb_uri.removeprefix("mongodb://").partition("/")[0]
    table, dynamodb = world.tables[0], world.source.dynamodb
    key = {"id": {"N": "1"}}
    target = world.target[table.name]
    with Proxy(address, world.rng) as proxy:
        frozen = world.start_writer(MONGODB_URI=f"mongodb://{proxy.address}/?directConnection=true")
        world.begin(load=False)
        frozen.wait()
        held = proxy.hold(b"$replaceWith")
        dynamodb.put_item(TableName=table.name, Item={**key, "name": {"S": "deleted long ago"}})
        world.wait_for(held.is_set, "the insert to be on the way")
        world.freeze(frozen)
        dynamodb.delete_item(TableName=table.name, Key=key)
        for _ in range(1 if then == "wakes" else 3):  # of several, one sweeps soon
            world.start_writer()
        world.wait_for(world.target[TOMBSTONES].find_one, "another writer to do the delete")
        world.wait_for(lambda: world.queues.backlog() == 0, "the other writer to be done")
        assert target.find_one() is None
        proxy.flow()
        world.wait_for(target.find_one, "the late insert to arrive")
        if then == "wakes":
            world.thaw(frozen)
            seconds = 10.0  # before any sweep
        else:
            world.kill(frozen)
            seconds = 2 * INTERVAL
        world.wait_for(lambda: target.find_one() is None, "the deleted item to go", seconds=seconds)
        world.settle()
    assert len(world.watch.timeline.stale_inserts) == 1


def test_writes_longer_than_the_visibility(make_world: MakeWorld, stack: Stack, soak_seconds: float) -> None:
    """Writers freeze, or their connections to both sides stall, for longer than their locks last (P1, P2).

    What they had begun goes on when others have done the same and more.
    """
    world = make_world(Options(visibility=5))
    mongodb = world.mongodb_uri.removeprefix("mongodb://").partition("/")[0]
    sqs = stack.endpoint_url.removeprefix("http://")
    with ExitStack() as resources:

        def start() -> tuple[WriterProcess, Proxy, Proxy]:
            ways = [resources.enter_context(Proxy(address, world.rng)) for address in (mongodb, sqs)]
            writer = world.start_writer(
                MONGODB_URI=f"mongodb://{ways[0].address}/?directConnection=true",
                AWS_ENDPOINT_URL=f"http://{ways[1].address}",
            )
            return writer, ways[0], ways[1]

        writers = [start() for _ in range(3)]
        world.begin()
        for writer, _, _ in writers:
            writer.wait()
        deadline = time.monotonic() + 2 * soak_seconds
        while time.monotonic() < deadline:
            (writer, *ways), (second, *_) = world.rng.sample(writers, 2)
            world.let_pass(world.rng.randint(50, 500))
            for way in ways:
                way.stall()
            world.let_pass(world.rng.randint(0, 200))
            world.freeze(second)
            world.let_pass(world.rng.randint(500, 3000))
            for way in ways:
                way.flow()
            world.let_pass(world.rng.randint(0, 200))
            world.thaw(second)
        world.settle()
