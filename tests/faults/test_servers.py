"""MongoDB and SQS fail, and come back."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from local.servers.mongod import Mongod
from local.servers.server import answers
from tests.faults.proxy import Proxy
from tests.faults.replica_set import ReplicaSet
from tests.faults.world import Options

if TYPE_CHECKING:
    import random
    from pathlib import Path

    from local.pipeline.writer_process import WriterProcess
    from local.stack import Stack
    from tests.faults.conftest import MakeWorld
    from tests.faults.world import World


def test_killed_mongod(make_world: MakeWorld, tmp_path: Path, soak_seconds: float) -> None:
    """MongoDB is killed by kill -9 during writes, stays down for a while, and is started again.

    No message is received a second time (P4): a second receive would park it. The first time, MongoDB stays
    down for longer than the visibility timeout.
    """
    visibility = 10
    with Mongod(tmp_path) as mongod:
        mongod.wait()
        with make_world(Options(mongodb_uri=mongod.uri, visibility=visibility, receives=1)) as world:
            world.start_writers(2)
            world.begin(load=False)
            mongod.kill()
            for _ in range(50):
                world.workload.step()
            world.wait_for(lambda: world.queues.in_flight() > 1, "messages in hand")
            world.let_run(1.1 * visibility)
            assert not any(_is_ready(writer) for writer in world.writers)
            mongod.restart()
            world.start_load()
            deadline = time.monotonic() + soak_seconds
            while time.monotonic() < deadline:
                world.let_pass(world.rng.randint(100, 1500))
                mongod.kill()
                world.let_pass(world.rng.randint(0, 1500))
                mongod.restart()
            world.settle()
            assert world.queues.redriven == 0
            assert world.watch.timeline.stale_inserts == []


def test_killed_primaries(make_world: MakeWorld, tmp_path: Path, soak_seconds: float) -> None:
    """Of three members, the primary dies while writers drain a backlog; another one takes over (P3, P4).

    The first time it lost its secondaries before, so its last writes are on no other member and are rolled
    back: only what a majority has may be acknowledged.
    """
    with (
        ReplicaSet(tmp_path) as replica_set,
        make_world(Options(mongodb_uri=replica_set.uri, receives=1)) as world,
    ):
        world.begin()
        world.let_pass(2_000)
        world.start_writers(2)
        _wait_for_writes(world, 1)
        _kill_a_lonely_primary(world, replica_set)
        deadline = time.monotonic() + soak_seconds
        while time.monotonic() < deadline:
            _wait_for_writes(world, world.rng.randint(1, 500))
            primary = replica_set.primary()
            primary.kill()
            replica_set.primary()
            world.let_pass(world.rng.randint(0, 500))
            primary.restart()
        world.settle()
        assert world.queues.redriven == 0
        assert world.watch.timeline.stale_inserts == []


def test_broken_connections_to_sqs(
    make_world: MakeWorld, stack: Stack, rng: random.Random, soak_seconds: float
) -> None:
    """Connections to SQS are reset, stall, or lose answers, for the Lambda and for writers (P3, P4)."""
    with (
        Proxy(stack.endpoint_url.removeprefix("http://"), rng) as proxy,
        make_world(Options(endpoint_url=f"http://{proxy.address}", visibility=5)) as world,
    ):
        world.start_writers(2)
        world.begin()
        _wait_for_writes(world, 1)  # the Lambda has its client: without one it fails as a whole
        world.let_pass(world.rng.randint(0, 500))
        proxy.refuse()
        world.wait_for(lambda: world.function.partial, "an invocation that gives up")
        proxy.flow()
        deadline = time.monotonic() + soak_seconds
        while time.monotonic() < deadline:
            world.let_pass(world.rng.randint(0, 500))
            match world.rng.choice(["reset", "stall", "lose"]):
                case "reset":
                    proxy.reset()
                case "stall":
                    proxy.stall()
                    world.let_pass(world.rng.randint(0, 500))
                    proxy.reset()
                    proxy.flow()
                case _:
                    proxy.lose_answers(world.rng.uniform(0.1, 0.6))
                    world.let_pass(world.rng.randint(100, 1000))
                    proxy.lose_answers(0)
        world.settle()


def _kill_a_lonely_primary(world: World, replica_set: ReplicaSet) -> None:
    primary = replica_set.primary()
    secondaries = [member for member in replica_set.members if member is not primary]
    for member in secondaries:
        member.kill()
    world.wait_for(lambda: primary.roles() == {"secondary"}, "the primary to find itself alone")
    primary.kill()
    for member in secondaries:
        member.restart()
    replica_set.primary()
    primary.restart()


def _wait_for_writes(world: World, number: int) -> None:
    goal = world.watch.timeline.events + number
    world.wait_for(lambda: world.watch.timeline.events >= goal, "some writes")


def _is_ready(writer: WriterProcess) -> bool:
    address = urlsplit(writer.status_url)
    return answers(address.hostname or "", address.port or 0, "/readyz")
