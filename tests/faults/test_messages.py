"""Messages arrive twice, in another order, or much later."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from tests.faults.workload import REFUSED
from tests.faults.world import Options

if TYPE_CHECKING:
    from tests.faults.conftest import MakeWorld
    from tests.faults.world import World


def test_retried_lambda(make_world: MakeWorld, soak_seconds: float) -> None:
    """Invocations fail before or after their work, are bisected and repeated, and old records come again."""
    world = make_world(Options())
    faults = world.faults
    faults.fail, faults.forget, faults.cold, faults.repeat = 0.2, 0.2, 0.1, 0.7
    world.start_writers(2)
    world.begin()
    deadline = time.monotonic() + soak_seconds
    while time.monotonic() < deadline:
        world.let_pass(500)
    world.settle()
    assert world.function.failures > 0
    assert world.queues.redriven == 0
    assert world.watch.timeline.stale_inserts == []


def test_redriven_dead_letters(make_world: MakeWorld, soak_seconds: float) -> None:
    """Dead letters of both kinds are redriven long after newer changes arrived: they change nothing.

    MongoDB refuses some documents, so the writers park them. A killed writer leaves messages that SQS itself
    parks, because they were received once.
    """
    world = make_world(Options(visibility=5, receives=1, refused=0.1))
    _refuse(world, {REFUSED: {"$exists": False}})
    world.start_writers(2)
    world.begin()
    deadline = time.monotonic() + soak_seconds
    while time.monotonic() < deadline:
        world.let_pass(world.rng.randint(100, 1000))
        world.kill(world.rng.choice(world.writers))
        world.start_writer()
        for _ in range(world.rng.randrange(5)):
            world.queues.redrive()
    world.wait_for(lambda: world.queues.letters() > 20, "a number of dead letters")
    _refuse(world, {})
    world.settle()
    assert world.queues.redriven > 20
    assert world.watch.timeline.stale_inserts == []


def _refuse(world: World, validator: dict[str, Any]) -> None:
    for table in world.tables:
        world.target.command("collMod", table.name, validator=validator)
