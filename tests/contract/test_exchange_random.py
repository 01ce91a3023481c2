"""Random exchanges by several writers at once: every document ends as its item is, under a unique index."""

from __future__ import annotations

import asyncio
import itertools
import random
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.builders import delete, put, write

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from shared.change import Change
    from tests.contract.worlds import World
    from writer.write import Write

WRITERS = 3
ROUNDS = 3

Items = dict[int, int]
numbers = itertools.count()


def story(rng: random.Random, keys: int, moments: int) -> tuple[list[Change], Items]:
    """Changes of items whose values are unique after each moment, and the items at the end."""
    items: Items = {key: key for key in range(keys)}
    sequence, fresh = 1, keys
    changes = [put(sequence, key, email=value) for key, value in items.items()]
    for _ in range(moments):
        before = dict(items)
        some = rng.sample(sorted(items), rng.randint(0, len(items)))
        items.update(zip(some, rng.sample([items[key] for key in some], len(some)), strict=True))
        if items and rng.random() < 0.5:  # its value becomes free, and another item may take it
            free = items.pop(rng.choice(sorted(items)))
            if items and rng.random() < 0.5:
                items[rng.choice(sorted(items))] = free
        if rng.random() < 0.5:
            items[rng.randrange(keys)] = fresh
            fresh += 1
        for key in before.keys() | items.keys():
            sequence += 1
            if key not in items:
                changes.append(delete(sequence, key))
            elif items[key] != before.get(key):
                changes.append(put(sequence, key, email=items[key]))
    return changes, items


def batch_of(changes: Iterable[Change], collection: str) -> list[Write]:
    """Of each item the newest change, as a plan has it."""
    newest: dict[Any, Change] = {}
    for change in changes:
        key = change.key["id"]
        if key not in newest or newest[key].version < change.version:
            newest[key] = change
    return [write(change, collection=collection) for change in newest.values()]


async def deliver(world: World, changes: Sequence[Change], collection: str) -> list[Change]:
    """Applies a batch; returns the changes that come again."""
    batch = batch_of(changes, collection)
    outcome = await world.sink.apply(batch)
    failed = {batch[index].change.key["id"] for index in outcome.failures}
    return [change for change in changes if change.key["id"] in failed]


@pytest.mark.asyncio(loop_scope="module")
@settings(max_examples=60)  # each of some dozens of transactions
@given(st.integers(0, 2**32), st.integers(2, 6), st.integers(1, 5))
async def test_random_exchanges(shared_world: World, seed: int, keys: int, moments: int) -> None:
    """In any order, cut in any way, delivered again: as soon as one writer has all that is left (P1, P2)."""
    # What is left after a round is up to the server: Hypothesis cannot draw after it.
    world, rng = shared_world, random.Random(seed)  # noqa: S311 - not for secrets
    collection = f"items{next(numbers)}"  # what the writer remembers of other examples is not of this one
    world.make_unique(collection, "email")
    changes, items = story(rng, keys, moments)
    pending = [*changes, *rng.choices(changes, k=3)]
    for _ in range(ROUNDS):
        rng.shuffle(pending)
        late, now = pending[: len(pending) // 4], pending[len(pending) // 4 :]
        left = await asyncio.gather(*(deliver(world, now[n::WRITERS], collection) for n in range(WRITERS)))
        pending = [*late, *(change for some in left for change in some)]
    # What was applied already comes again, too: an old message, a redrive.
    assert await deliver(world, [*pending, *rng.choices(changes, k=2)], collection) == []
    assert {each["_id"]: each["email"] for each in world.documents(collection)} == items
