"""What a writer does on a sharded cluster: on a stand-in for its router, and on the cluster of MONGODB_URI.

How a document is found and moved by its shard key is in `test_shard_keys_contract`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest

from shared.errors import TransientError
from tests.contract.worlds import SHARDED, ShardedWorld, world_of
from tests.support.builders import LABEL, MIB, TABLE, delete, message, put
from tests.support.mapped_changes import apply, documents, mapping
from writer.mongodb import bulk
from writer.names import TOMBSTONES
from writer.planning.plan import make_plan
from writer.ports import FailureKind

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from shared.change import Change
    from writer.mapping.rules import Rules
    from writer.ports import Failure

KEYS = range(20)
"""Enough to have documents on every shard."""


@pytest.fixture(params=SHARDED)
async def world(request: pytest.FixtureRequest) -> AsyncIterator[ShardedWorld]:
    """An empty one for each test."""
    async with world_of(request) as made:
        yield cast("ShardedWorld", made)


@pytest.fixture(params=SHARDED[:1])
async def stand_in(request: pytest.FixtureRequest) -> AsyncIterator[ShardedWorld]:
    """The one that answers as it is told."""
    async with world_of(request) as made:
        yield cast("ShardedWorld", made)


def changed(sequence: int, key: int, **image: Any) -> Change:
    return put(sequence, key, table=TABLE, stream=LABEL, **image)


def numbers(world: ShardedWorld, field: str = "n") -> dict[int, Any]:
    found = documents(world)
    assert len({document["_id"] for document in found}) == len(found)
    return {document["_id"]: document.get(field) for document in found}


async def failures(world: ShardedWorld, rules: Rules, *changes: Change) -> Mapping[int, Failure]:
    made = make_plan([message(change, number=n) for n, change in enumerate(changes)], rules, MIB)
    return (await world.sink.apply(made.writes)).failures


@pytest.mark.parametrize("look", [1, 1000], ids=["looking first", "upserting"])
@pytest.mark.parametrize("key", [{"_id": "hashed"}, {"_id": 1}, {"id": "hashed"}], ids=repr)
async def test_puts_and_deletes(
    world: ShardedWorld, key: Mapping[str, Any], look: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every document is found on its shard: replaced, left alone by what is older, and deleted."""
    monkeypatch.setattr(bulk, "WORTH_A_LOOK", look)
    rules = mapping() if "_id" in key else mapping(key="[id]", shard_key="[id]")
    world.shard(TABLE, **key)
    first = [changed(1, n, n=1) for n in KEYS]
    assert await apply(world, rules, *first)
    assert await apply(world, rules, *(changed(3, n, n=3) for n in KEYS if n % 2))
    assert await apply(world, rules, *(changed(2, n, n=2) for n in KEYS))
    assert numbers(world) == {n: 3 if n % 2 else 2 for n in KEYS}
    gone = [delete(4, n) for n in KEYS if n % 3]
    assert await apply(world, rules, *gone)
    assert await apply(world, rules, *first)
    assert numbers(world) == {n: 3 if n % 2 else 2 for n in KEYS if n % 3 == 0}


@pytest.mark.parametrize("key", ["_id", "region"])
async def test_merged_documents(world: ShardedWorld, key: str) -> None:
    """An application's fields stay, and what left the item goes."""
    shard_key = {"shard_key": "[region]"} if key == "region" else {}
    rules = mapping(mode="merge", **shard_key)
    world.shard(TABLE, **{key: "hashed"})
    assert await apply(world, rules, *(changed(1, n, region=f"r{n}", n=1, old=1) for n in KEYS))
    world.database[TABLE].update_many({}, {"$set": {"note": "theirs"}})
    same = [changed(2, n, region=f"r{n}", n=2)._replace(old={"region": f"r{n}"}) for n in KEYS]
    assert await apply(world, rules, *same)
    assert numbers(world) == dict.fromkeys(KEYS, 2)
    assert numbers(world, "note") == dict.fromkeys(KEYS, "theirs")
    assert numbers(world, "old") == dict.fromkeys(KEYS)


async def test_marked_documents(world: ShardedWorld) -> None:
    """A deletion that leaves the document finds it, and the item that is created anew, too."""
    rules = mapping(deletes="mark")
    world.shard(TABLE, _id="hashed")
    await apply(world, rules, *(changed(1, n, n=1) for n in KEYS))
    assert await apply(world, rules, *(delete(2, n) for n in KEYS))
    assert all("deleted" in document["_ddb"] for document in documents(world))
    assert await apply(world, rules, *(changed(3, n, n=3) for n in KEYS))
    assert numbers(world) == dict.fromkeys(KEYS, 3)
    assert not any("deleted" in document["_ddb"] for document in documents(world))


async def test_moves_beside_what_stays(world: ShardedWorld) -> None:
    """One bulk write moves, changes and deletes on all shards; nothing is left at an old place."""
    rules = mapping(shard_key="[region]")
    world.shard(TABLE, region="hashed")
    await apply(world, rules, *(changed(1, n, region=f"r{n}", n=1) for n in KEYS))
    later: list[Change] = []
    for n in KEYS:
        place = {"region": f"r{n}"}
        change = delete(2, n) if n % 3 == 0 else changed(2, n, region=f"{'s' if n % 3 == 1 else 'r'}{n}", n=2)
        later.append(change._replace(old=place))
    for _ in range(2):
        assert await apply(world, rules, *later)
        assert numbers(world) == {n: 2 for n in KEYS if n % 3}
        assert numbers(world, "region") == {n: f"{'s' if n % 3 == 1 else 'r'}{n}" for n in KEYS if n % 3}


async def test_sharded_tombstones(world: ShardedWorld) -> None:
    """They are found on their shards, and what they outrank does not come back."""
    world.shard(TOMBSTONES, _id="hashed")
    world.shard(TABLE, _id="hashed")
    rules = mapping()
    assert await apply(world, rules, *(delete(2, n) for n in KEYS))
    assert await apply(world, rules, *(changed(1, n) for n in KEYS))
    assert numbers(world) == {}


async def swept_now(world: ShardedWorld) -> int:
    """How many documents the sweep removes."""
    return int(await cast("Any", world.sink).sweep(3600))


async def swept(world: ShardedWorld, key: str) -> None:
    rules = mapping() if key == "_id" else mapping(shard_key="[region]")
    world.shard(TABLE, **{key: "hashed"})
    await apply(world, rules, *(changed(1, n, region=f"r{n}") for n in KEYS))
    left = {n: found for n, found in ((each["_id"], each) for each in documents(world)) if n % 2}
    gone = [delete(2, n)._replace(old={"region": f"r{n}"}) for n in left]
    await apply(world, rules, *gone)
    # What a writer leaves that was frozen before its insertion.
    for document in left.values():
        world.insert(document, TABLE)
    assert await swept_now(world) == len(left)
    assert set(numbers(world)) == {n for n in KEYS if n % 2 == 0}


@pytest.mark.parametrize("key", ["_id", "region"])
async def test_the_sweep(world: ShardedWorld, key: str) -> None:
    """It removes what is older than its tombstone from every shard."""
    await swept(world, key)


@pytest.mark.parametrize("key", ["_id", "region"])
async def test_the_sweep_before_5_1(
    stand_in: ShardedWorld, key: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Where the database does not join sharded collections, the writer does."""
    assert stand_in.router
    stand_in.router.joins_shards = False
    await swept(stand_in, key)
    assert "left out" not in caplog.text


async def test_a_list_in_the_shard_key(world: ShardedWorld) -> None:
    """No shard takes it: that record is at fault, alone, and its neighbours are written."""
    rules = mapping(shard_key="[region]")
    world.shard(TABLE, region="hashed")
    batch = [changed(1, n, region=["eu", "us"] if n == 3 else f"r{n}", n=1) for n in KEYS]
    found = await failures(world, rules, *batch)
    assert {n: failure.kind for n, failure in found.items()} == {3: FailureKind.PERMANENT}
    assert set(numbers(world)) == set(KEYS) - {3}
    (alone,) = (await failures(world, rules, batch[3])).values()
    assert alone.kind is FailureKind.PERMANENT


@pytest.mark.parametrize("rule", [{}, {"shard_key": "[country]"}], ids=["none", "another"])
async def test_a_shard_key_that_the_mapping_does_not_name(
    stand_in: ShardedWorld, rule: dict[str, str]
) -> None:
    """Nothing is parked, not even a record that comes alone: the table waits until the mapping is right.

    (From 7.0 on a router may find the shard by itself.)
    """
    stand_in.shard(TABLE, region="hashed")
    for batch in ([changed(1, 1, region="eu")], [changed(1, n, region=f"r{n}") for n in (2, 3, 4)]):
        found = await failures(stand_in, mapping(**rule), *batch)
        assert len(found) == len(batch)
        assert {(failure.kind, failure.of_place) for failure in found.values()} == {
            (FailureKind.TRANSIENT, True)
        }
        assert "sharded by other fields" in found[0].reason
        assert await apply(stand_in, mapping(shard_key="[region]"), *batch)


STALE, OBSOLETE_STALE, NO_PROGRESS, UNAVAILABLE = 13388, 63, 82, 83


@pytest.mark.parametrize("code", [STALE, OBSOLETE_STALE, NO_PROGRESS, UNAVAILABLE])
@pytest.mark.parametrize("place", [TABLE, TOMBSTONES])
async def test_a_shard_that_does_not_take_its_writes(stand_in: ShardedWorld, code: int, place: str) -> None:
    """The others take theirs. Nothing is parked or counted: the batch comes again until all have taken it."""
    assert stand_in.router
    stand_in.shard(TABLE, _id="hashed")
    rules = mapping()
    await apply(stand_in, rules, *(changed(1, n, n=1) for n in KEYS))
    batch = [*(changed(2, n, n=2) for n in KEYS if n % 2), *(delete(2, n) for n in KEYS if n % 2 == 0)]
    stand_in.router.refuse_write = lambda _, command, n: (
        code if n % 3 == 1 and place in command.values() else None
    )
    for _ in range(2):
        with pytest.raises(TransientError):
            await failures(stand_in, rules, *batch)
    assert stand_in.router.refused
    stand_in.router.heal()
    assert await apply(stand_in, rules, *batch)
    assert numbers(stand_in) == {n: 2 for n in KEYS if n % 2}


@pytest.mark.parametrize("code", [STALE, OBSOLETE_STALE, NO_PROGRESS, UNAVAILABLE])
@pytest.mark.parametrize("refused", ["find", "update", "delete", "aggregate"])
async def test_a_router_that_knows_no_better(stand_in: ShardedWorld, code: int, refused: str) -> None:
    """A whole command is refused: the batch, or the sweep, comes again."""
    assert stand_in.router
    stand_in.shard(TABLE, _id="hashed")
    rules = mapping()
    await apply(stand_in, rules, *(changed(1, n, n=1) for n in KEYS))
    batch = [*(changed(2, n, n=2) for n in KEYS if n % 2), *(delete(2, n) for n in KEYS if n % 2 == 0)]
    stand_in.router.refuse_command = lambda name, _: code if name == refused else None
    with pytest.raises(TransientError):
        await (swept_now(stand_in) if refused == "aggregate" else failures(stand_in, rules, *batch))
    stand_in.router.heal()
    assert await apply(stand_in, rules, *batch)
    assert numbers(stand_in) == {n: 2 for n in KEYS if n % 2}
