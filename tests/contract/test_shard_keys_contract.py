"""A document is found and moved by its shard key: one suite for the fake, a real MongoDB and a sharded one.

On the shards of the fake and of a sharded collection, documents with the same `_id` can stand side by side; a
collection that is not sharded refuses a second one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.contract.worlds import KINDS, SHARDED, world_of
from tests.support.builders import LABEL, TABLE, delete, put
from tests.support.mapped_changes import apply, documents, mapping, only

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from shared.change import Change
    from tests.contract.worlds import World


@pytest.fixture(params=[*KINDS, *SHARDED])
async def world(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    """An empty one for each test."""
    async with world_of(request) as made:
        yield made


def moved(sequence: int, old: str | None, new: Any, **image: Any) -> Change:
    change = put(sequence, 1, table=TABLE, stream=LABEL, region=new, **image)
    return change._replace(old=None if old is None else {"region": old})


async def test_a_changed_shard_key_leaves_one_document(world: World) -> None:
    """The document leaves its old place, and no old change brings it back there."""
    rules = mapping(shard_key="[region]")
    world.shard(TABLE, region="hashed")
    first, second = moved(1, None, "eu"), moved(2, "eu", "us")
    for changes in ([first], [second], [second], [first], [first, second]):
        assert await apply(world, rules, *changes)
    assert [document["region"] for document in documents(world)] == ["us"]


async def test_moves_in_one_batch(world: World) -> None:
    """Every place on the way is left, also that of a deletion before the item was created anew."""
    rules = mapping(shard_key="[region]")
    world.shard(TABLE, region="hashed")
    await apply(world, rules, moved(1, None, "eu"))
    gone = delete(3)._replace(old={"region": "us"})
    assert await apply(world, rules, moved(2, "eu", "us"), gone, moved(4, None, "ap"), moved(5, "ap", "sa"))
    assert [document["region"] for document in documents(world)] == ["sa"]


@pytest.mark.parametrize("old", [{"region": "eu"}, None], ids=["old value", "none"])
async def test_a_deletion_finds_the_document(world: World, old: Mapping[str, Any] | None) -> None:
    """By the old value of the shard key; by `_id` alone where that is not known."""
    rules = mapping(shard_key="[region]")
    world.shard(TABLE, region="hashed")
    await apply(world, rules, moved(1, None, "eu"))
    await apply(world, rules, delete(2)._replace(old=old))
    assert documents(world) == []


async def test_a_move_that_mongodb_refuses_leaves_the_document(world: World) -> None:
    """Where it is, as it is: one bad record parks one record; and an older change in the batch is applied."""
    rules = mapping(shard_key="[region]")
    world.require(TABLE, "ok")
    world.shard(TABLE, region="hashed")
    first, refused = moved(1, None, "eu", ok=1), moved(2, "eu", "us")
    await apply(world, rules, first)
    assert not await apply(world, rules, refused)
    assert [document["region"] for document in documents(world)] == ["eu"]
    assert await apply(world, rules, first)
    assert [document["region"] for document in documents(world)] == ["eu"]


async def test_a_document_whose_move_was_parked(world: World) -> None:
    """A later change does not find it where its old values say; it is not in the way, nothing is stuck."""
    rules = mapping(shard_key="[region]", fields="{n: {convert: int}}")
    world.shard(TABLE, region="hashed")
    await apply(world, rules, moved(1, None, "eu"))
    assert await apply(world, rules, moved(3, "us", "us", n=3))
    assert {"us"} <= {document["region"] for document in documents(world)}
    # The parked change, redriven: nothing is left where it should have gone from.
    assert await apply(world, rules, moved(2, "eu", "us", n=2))
    assert [(document["region"], document["n"]) for document in documents(world)] == [("us", 3)]


@pytest.mark.parametrize(
    "value", [{"$gt": 5}, {"$eq": 3}, {"$regex": "x"}, {"$foo": 1}, {"a": {"$in": []}}, {}], ids=repr
)
async def test_a_shard_key_that_looks_like_an_operator(world: World, value: Any) -> None:
    """It is a value: found again, replaced, deleted."""
    rules = mapping(shard_key="[region]")
    world.shard(TABLE, region="hashed")
    for sequence in (1, 2):
        assert await apply(world, rules, moved(sequence, None, value, n=sequence))
    assert [document["n"] for document in documents(world)] == [2]
    assert await apply(world, rules, delete(3)._replace(old={"region": value}))
    assert documents(world) == []


async def test_a_shard_key_that_changes_only_its_type(world: World) -> None:
    """1 and true are two places."""
    rules = mapping(shard_key="[region]")
    world.shard(TABLE, region="hashed")
    await apply(world, rules, moved(1, None, 1))
    change = moved(2, None, True)._replace(old={"region": 1})  # noqa: FBT003 - a value
    assert await apply(world, rules, change)
    assert [document["region"] for document in documents(world)] == [True]
    assert documents(world)[0]["region"] is True


async def test_a_shard_key_that_is_part_of_the_key(world: World) -> None:
    """Needs no old values."""
    rules = mapping(key="[id]", shard_key="[id]")
    world.shard(TABLE, id="hashed")
    await apply(world, rules, put(1))
    await apply(world, rules, delete(2))
    assert documents(world) == []


async def test_an_item_without_the_shard_key(world: World) -> None:
    """Null, as MongoDB takes it; and the field is not made up."""
    rules = mapping(shard_key="[region]", mode="merge")
    world.shard(TABLE, region="hashed")
    await apply(world, rules, put(1))
    await apply(world, rules, put(2)._replace(old={}))
    assert only(world) == {}
    assert await apply(world, rules, put(3, region="eu")._replace(old={}))
    assert only(world) == {"region": "eu"}
