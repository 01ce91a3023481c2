"""Writers that die, freeze and compete."""

from __future__ import annotations

import json
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from tests.faults.proxy import Proxy
from tests.faults.world import Options
from writer.names import TOMBSTONES

if TYPE_CHECKING:
    from local.pipeline.writer_process import WriterProcess
    from local.stack import Stack
    from tests.faults.conftest import MakeWorld
    from tests.faults.world import World

_KEY = {"id": {"N": "1"}}


def test_killed_writers(make_world: MakeWorld, soak_seconds: float) -> None:
    """Of three writers, one after the other is killed by kill -9 at a random time: nothing is lost (P3)."""
    world = make_world(Options(visibility=5))
    world.start_writers(3)
    world.begin()
    deadline = time.monotonic() + soak_seconds
    while time.monotonic() < deadline:
        world.let_pass(world.rng.randint(10, 200))
        world.kill(world.rng.choice(world.writers))
        world.start_writer()
    world.settle()
    assert world.watch.timeline.stale_inserts == []


@pytest.mark.parametrize("then", ["wakes", "dies"])
def test_a_frozen_writer_inserts_after_the_delete(make_world: MakeWorld, then: str) -> None:
    """The worst time: its checks are done, its insert is on the way, and it freezes.

    Its lock ends, another writer applies the put and the delete, and only then the insert reaches MongoDB.
    The item must not stay (P2): the writer removes it when it wakes; if it dies, a sweep does.
    """
    world = make_world(Options(visibility=5))
    target = world.target[world.tables[0].name]
    stale_inserts = world.watch.timeline.stale_inserts
    with Proxy(_mongodb(world), world.rng) as proxy:
        frozen = _start_behind(world, proxy)
        held = proxy.hold(_update_of(target.name))
        _put(world)
        world.wait_for(held.is_set, "the insert to be on the way")
        world.freeze(frozen)
        _put_and_delete_elsewhere(world)
        proxy.flow()
        world.wait_for(lambda: stale_inserts, "the late insert to arrive")
        if then == "wakes":
            world.thaw(frozen)
            world.wait_for(
                lambda: "removed documents that were deleted in the meantime" in _logged(frozen),
                "it to look at what it did",
            )
        else:
            world.kill(frozen)
            world.start_writers(3)  # in its place; one of them sweeps soon
        world.wait_for(lambda: target.find_one() is None, "the deleted item to go")
        world.settle(in_order=False)
    assert len(stale_inserts) == 1


@pytest.mark.parametrize("while_it", ["polls", "waits for MongoDB"])
def test_a_frozen_writer_gives_back_what_it_no_longer_holds(
    make_world: MakeWorld, stack: Stack, while_it: str
) -> None:
    """It freezes before it writes, and its lock ends: when it wakes up, it does not write (P2).

    During its poll, the message is locked for it, and it does not know that.
    """
    world = make_world(Options(visibility=5))
    sqs = stack.endpoint_url.removeprefix("http://")
    with Proxy(_mongodb(world), world.rng) as proxy, Proxy(sqs, world.rng) as to_sqs:
        polls = to_sqs.hold(b"AmazonSQS.ReceiveMessage")
        frozen = _start_behind(world, proxy, AWS_ENDPOINT_URL=f"http://{to_sqs.address}", LOG_LEVEL="DEBUG")
        if while_it == "polls":
            world.wait_for(polls.is_set, "it to poll")
            world.freeze(frozen)
        to_sqs.flow()
        if while_it == "polls":
            _put(world)
            world.wait_for(world.queues.in_flight, "the message to be on its way")
        else:
            proxy.refuse()
            _put(world)
            world.wait_for(lambda: "waiting for a server" in _logged(frozen), "its write to fail")
            world.freeze(frozen)
        _put_and_delete_elsewhere(world)
        proxy.flow()
        world.thaw(frozen)
        world.wait_for(lambda: "messages given back" in _logged(frozen), "it to give the message back")
        assert "batch applied" not in _logged(frozen)
        world.settle(in_order=False)
    assert world.watch.timeline.stale_inserts == []


def _update_of(collection: str) -> bytes:
    """How the command `update` of a collection begins, in BSON: a text with its length."""
    text = collection.encode() + b"\0"
    return b"\x02update\0" + len(text).to_bytes(4, "little") + text


def _mongodb(world: World) -> str:
    return world.mongodb_uri.removeprefix("mongodb://").partition("/")[0]


def _start_behind(world: World, proxy: Proxy, **settings: str) -> WriterProcess:
    writer = world.start_writer(MONGODB_URI=f"mongodb://{proxy.address}/?directConnection=true", **settings)
    world.begin(load=False)
    writer.wait()
    return writer


def _put(world: World) -> None:
    item = {**_KEY, "name": {"S": "deleted long ago"}}
    world.source.dynamodb.put_item(TableName=world.tables[0].name, Item=item)


def _put_and_delete_elsewhere(world: World) -> None:
    """Another writer applies what the frozen one holds, and the delete that follows."""
    world.source.dynamodb.delete_item(TableName=world.tables[0].name, Key=_KEY)
    world.start_writer()
    world.wait_for(world.target[TOMBSTONES].find_one, "another writer to do the delete")
    world.wait_for(lambda: world.queues.backlog() == 0, "the other writer to be done")
    assert world.target[world.tables[0].name].find_one() is None


def _logged(writer: WriterProcess) -> set[str]:
    """The messages in its log."""
    whole = writer.log.read_bytes().rpartition(b"\n")[0]
    return {json.loads(line)["message"] for line in whole.splitlines()}


def test_writes_longer_than_the_visibility(make_world: MakeWorld, stack: Stack, soak_seconds: float) -> None:
    """Writers freeze, or their connections to both sides stall, for longer than their locks (P1, P2).

    They continue what they had begun after others have done the same and more.
    """
    visibility = 5
    world = make_world(Options(visibility=visibility))
    mongodb = _mongodb(world)
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
            world.let_run(world.rng.uniform(0.6, 1.5) * visibility)
            for way in ways:
                way.flow()
            world.let_pass(world.rng.randint(0, 200))
            world.thaw(second)
        world.settle()
