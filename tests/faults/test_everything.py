"""All faults at once."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tests.faults.proxy import Proxy
from tests.faults.replica_set import ReplicaSet
from tests.faults.world import Options

if TYPE_CHECKING:
    import random
    from pathlib import Path

    from local.stack import Stack
    from tests.faults.conftest import MakeWorld
    from tests.faults.world import World

_VISIBILITY = 5


def test_everything_at_once(
    make_world: MakeWorld, stack: Stack, tmp_path: Path, rng: random.Random, soak_seconds: float
) -> None:
    """Whatever fails at the same time: at the end both sides are equal, and no document went back (P1-P3)."""
    with (
        ReplicaSet(tmp_path) as replica_set,
        Proxy(stack.endpoint_url.removeprefix("http://"), rng) as proxy,
        make_world(
            Options(
                mongodb_uri=replica_set.uri,
                endpoint_url=f"http://{proxy.address}",
                visibility=_VISIBILITY,
                receives=3,
            )
        ) as world,
    ):
        faults = world.faults
        faults.fail, faults.forget, faults.cold, faults.repeat = 0.05, 0.05, 0.02, 0.3
        world.start_writers(3)
        world.begin()
        strikes = (_kill_a_writer, _freeze_a_writer, _kill_the_primary, _break_sqs, _redrive)
        deadline = time.monotonic() + 2 * soak_seconds
        while time.monotonic() < deadline:
            world.let_pass(world.rng.randint(0, 500))
            world.rng.choice(strikes)(world, replica_set, proxy)
        world.settle()


def _kill_a_writer(world: World, _: ReplicaSet, __: Proxy) -> None:
    world.kill(world.rng.choice(world.writers))
    world.start_writer()


def _freeze_a_writer(world: World, _: ReplicaSet, __: Proxy) -> None:
    writer = world.rng.choice(world.writers)
    world.freeze(writer)
    world.let_run(world.rng.uniform(0.2, 1.5) * _VISIBILITY)
    world.thaw(writer)


def _kill_the_primary(world: World, replica_set: ReplicaSet, _: Proxy) -> None:
    primary = replica_set.primary()
    primary.kill()
    world.let_pass(world.rng.randint(0, 1000))
    primary.restart()


def _break_sqs(world: World, _: ReplicaSet, proxy: Proxy) -> None:
    proxy.lose_answers(world.rng.uniform(0.1, 0.5))
    world.let_pass(world.rng.randint(0, 500))
    proxy.reset()
    proxy.lose_answers(0)


def _redrive(world: World, _: ReplicaSet, __: Proxy) -> None:
    world.queues.redrive()
