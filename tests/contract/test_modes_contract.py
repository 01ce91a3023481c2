"""What mappings make of changes, from the plan to the database: one suite for the fake and a real MongoDB.

The fake behaves like a sharded collection, on whose shards documents with the same `_id` can stand side by
side; the real one is not sharded, and refuses a second one.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.support.builders import LABEL, TABLE, delete, put
from tests.support.mapped_changes import apply, documents, mapping, only

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shared.change import Change
    from tests.contract.worlds import Document, World

DELETES = ("delete", "mark", "keep")
AT = datetime(2020, 4, 29, 13, 22, 22, tzinfo=UTC).replace(tzinfo=None)

RANDOM = settings(max_examples=60)  # of thousands of small steps


def app(world: World, document: Document) -> None:
    world.insert(document, TABLE)


def put_of(sequence: int, *names: str) -> Change:
    fields: dict[str, Any] = dict.fromkeys(names, 1)
    return put(sequence, 1, table=TABLE, stream=LABEL, **fields)


def expired(change: Change) -> Change:
    return change._replace(ttl=True)


async def test_merging_keeps_what_applications_added(world: World) -> None:
    """And replaces what came from the item, at the top level."""
    rules = mapping(mode="merge")
    app(world, {"_id": 1, "score": 5, "name": "old", "nested": {"app": 1}})
    await apply(world, rules, put(1, name="new", nested={"item": 2}))
    assert only(world) == {"score": 5, "name": "new", "nested": {"item": 2}}


@pytest.mark.parametrize("names", [("a", "b"), ("$a", "b.c"), ("a.b", "a")])
async def test_merging_removes_what_left_the_item(world: World, names: tuple[str, str]) -> None:
    """Whatever the names; and although the change that removed it was never applied (parked, or late)."""
    first, second = names
    rules = mapping(mode="merge")
    app(world, {"_id": 1, "score": 5})
    await apply(world, rules, put_of(1, first, second))
    removal = put_of(2, first)._replace(gone=frozenset({second}))
    await apply(world, rules, put_of(3, first, "c"))
    assert only(world) == {"score": 5, first: 1, "c": 1}
    await apply(world, rules, removal)
    assert only(world) == {"score": 5, first: 1, "c": 1}


async def test_merging_into_a_document_of_another_replication(world: World) -> None:
    """It says nothing of the names that it wrote; the change knows what left the item."""
    app(world, {"_id": 1, "age": 5, "score": 5})
    change = put(2, name="x")._replace(gone=frozenset({"age"}))
    await apply(world, mapping(mode="merge"), change)
    assert only(world) == {"score": 5, "name": "x"}


@pytest.mark.parametrize("rule", ["exclude: [status]", "include: [id, x]", "fields: {status: {drop: true}}"])
async def test_an_attribute_that_is_not_replicated_takes_nothing_away(world: World, rule: str) -> None:
    """When it leaves the item, the application's field of the same name stays."""
    name, _, value = rule.partition(": ")
    rules = mapping(mode="merge", **{name: value})
    await apply(world, rules, put(1, status="item"))
    enriched(world, status="app")
    await apply(world, rules, put(2, x=1)._replace(gone=frozenset({"status"})))
    assert only(world) == {"status": "app", "x": 1}


async def test_a_field_that_is_renamed_in_the_mapping_later(world: World) -> None:
    """The old name was ours, so it goes."""
    await apply(world, mapping(mode="merge"), put(1, Name="x"))
    await apply(world, mapping(mode="merge", fields="{Name: {rename: name}}"), put(2, Name="y"))
    assert only(world) == {"name": "y"}


async def test_a_stale_merge_changes_nothing(world: World) -> None:
    """The same guard (P2)."""
    rules = mapping(mode="merge")
    await apply(world, rules, put(5, a=5))
    await apply(world, rules, put(4, a=4, b=4))
    assert only(world) == {"a": 5}


async def test_a_recreated_item_is_merged_into_nothing(world: World) -> None:
    """Deleted and created again in one batch: what applications added to the former document is gone."""
    rules = mapping(mode="merge")
    app(world, {"_id": 1, "score": 5})
    await apply(world, rules, put(1, a=1))
    await apply(world, rules, delete(2), put(3, b=3))
    assert only(world) == {"b": 3}


async def test_a_deletion_that_is_delivered_again(world: World) -> None:
    """Coalesced with a newer put, it takes nothing from the document that came after it."""
    rules = mapping(mode="merge")
    await apply(world, rules, delete(2), put(3, b=3))
    enriched(world, score=5)
    await apply(world, rules, delete(2), put(3, b=3), put(4, b=4))
    assert only(world) == {"b": 4, "score": 5}


def enriched(world: World, **fields: Any) -> None:
    """An application adds fields, without touching the rest."""
    (document,) = documents(world)
    world.replace({**document, **fields}, TABLE)


# --- marks and kept documents -----------------------------------------------------------------------


async def test_a_marked_document_stays_with_its_last_image(world: World) -> None:
    """With the time of the deletion, and its version; put and deleted one by one or in one batch."""
    rules = mapping(deletes="mark")
    await apply(world, rules, put(1, 1, n=1))
    await apply(world, rules, put(2, 1, n=2), delete(3, 1), put(1, 2), delete(2, 2))
    await apply(world, rules, delete(3, 1))
    for document, put_version, version in zip(documents(world), (2, 1), (3, 2), strict=True):
        mark = {"v": delete(version).version, "at": AT}
        assert document["_ddb"] == {"v": put(put_version).version, "deleted": mark}
    assert documents(world)[0]["n"] == 2


async def test_a_deletion_without_a_time_marks_with_null(world: World) -> None:
    """The mark and its version are there, whichever of put and deletion comes first."""
    rules = mapping(deletes="mark")
    timeless = delete(3, 1)._replace(at=None)
    await apply(world, rules, put(1, 1))
    await apply(world, rules, timeless, delete(3, 2)._replace(at=None))
    await apply(world, rules, put(1, 2))
    mark = {"v": timeless.version, "at": None}
    assert [document["_ddb"]["deleted"] for document in documents(world)] == [mark, mark]


async def test_an_item_that_comes_back_is_not_marked(world: World) -> None:
    """A newer put takes the mark away; an older one, or the same, does not."""
    rules = mapping(deletes="mark")
    await apply(world, rules, put(1, n=1))
    await apply(world, rules, delete(3))
    await apply(world, rules, put(2, n=2))
    assert only(world) == {"n": 2}
    assert "deleted" in documents(world)[0]["_ddb"]
    await apply(world, rules, put(4, n=4))
    assert documents(world)[0]["_ddb"] == {"v": put(4).version}


async def test_a_put_that_comes_after_its_deletion_is_marked(world: World) -> None:
    """Also where there is no document yet: the archive shall have it (P1)."""
    rules = mapping(deletes="mark")
    await apply(world, rules, delete(3))
    assert documents(world) == []
    await apply(world, rules, put(2, n=2))
    assert only(world) == {"n": 2}
    assert documents(world)[0]["_ddb"]["deleted"]["v"] == delete(3).version


async def test_kept_documents(world: World) -> None:
    """A deletion is nothing at all."""
    rules = mapping(deletes="keep")
    await apply(world, rules, put(1, n=1), delete(2))
    await apply(world, rules, delete(2))
    assert documents(world) == [{"_id": 1, "id": 1, "n": 1, "_ddb": {"v": put(1).version}}]


@pytest.mark.parametrize("deletes", DELETES)
@pytest.mark.parametrize("ttl_deletes", DELETES)
async def test_expiries_have_a_setting_of_their_own(world: World, deletes: str, ttl_deletes: str) -> None:
    """An archive keeps what expired, and drops what an application deleted; or the other way round."""
    rules = mapping(deletes=deletes, ttl_deletes=ttl_deletes)
    await apply(world, rules, put(1, 1), put(1, 2))
    await apply(world, rules, delete(2, 1), expired(delete(2, 2)))
    ends = {
        document["_id"]: "mark" if "deleted" in document["_ddb"] else "keep" for document in documents(world)
    }
    assert {1: "delete", 2: "delete"} | ends == {1: deletes, 2: ttl_deletes}


@pytest.mark.parametrize(
    ("old", "documents_left"),
    [
        ({"expires": 0}, 1),  # seconds after the deletion
        ({"expires": 1}, 0),
        ({"expires": -5 * 366 * 86_400 - 1}, 0),  # DynamoDB leaves what expired so long ago
        ({"expires": "1"}, 0),
        ({}, 0),
        (None, 0),
    ],
)
async def test_an_expiry_in_another_region(
    world: World, old: dict[str, Any] | None, documents_left: int
) -> None:
    """The replica of a global table: a deletion after the time to live counts as one by it, and no other."""
    rules = mapping(ttl_deletes="keep", ttl_attribute="expires")
    at = 1_700_000_000_000
    if old and isinstance(old.get("expires"), int):
        old = {"expires": at // 1000 + old["expires"]}
    await apply(world, rules, put(1))
    await apply(world, rules, delete(2)._replace(old=old, at=at))
    assert len(documents(world)) == documents_left


# --- random -----------------------------------------------------------------------------------------

Story = list["Change"]


@st.composite
def stories(draw: st.DrawFn) -> Story:
    """What happens to one item, as the Lambda tells it: images, old values, what left it."""
    told: Story = []
    item: dict[str, Any] | None = None
    for sequence in range(1, draw(st.integers(1, 7)) + 1):
        old = None if item is None else {"region": item["region"]} if "region" in item else {}
        if item is not None and draw(st.booleans()):
            told.append(delete(sequence)._replace(old=old, ttl=draw(st.booleans())))
            item = None
            continue
        values = {"a": st.just(sequence), "b": st.just(1), "region": st.sampled_from(["eu", "us"])}
        fields: dict[str, Any] = draw(st.fixed_dictionaries({}, optional=values))
        gone = frozenset() if item is None else frozenset(item.keys() - fields.keys())
        told.append(put(sequence, 1, table=TABLE, stream=LABEL, **fields)._replace(old=old, gone=gone))
        item = fields
    return told


modes = st.sampled_from(["replace", "merge"])
rulesets = st.one_of(
    st.fixed_dictionaries(
        {"mode": modes, "deletes": st.sampled_from(DELETES)},
        optional={"ttl_deletes": st.sampled_from(DELETES)},
    ),
    st.fixed_dictionaries({"mode": modes, "shard_key": st.just("[region]")}),
)


@pytest.mark.asyncio(loop_scope="module")
@RANDOM
@given(
    rule=rulesets,
    story=stories(),
    cuts=st.lists(st.booleans(), min_size=8, max_size=8),
    enrich=st.booleans(),
)
@example(
    rule={"mode": "merge", "deletes": "delete"},
    story=[put(1, a=1), delete(2), put(3, b=3)],
    cuts=[False] * 8,
    enrich=True,
)
async def test_the_outcome_is_that_of_one_by_one(
    shared_world: World, rule: dict[str, str], story: Story, cuts: list[bool], *, enrich: bool
) -> None:
    """However changes are cut into batches, and whatever the mapping: the same documents.

    Fields of applications do not move to another shard with their document: that case is left out.
    """
    world = shared_world
    enrich = enrich and "shard_key" not in rule
    ends = []
    for one_by_one in (True, False):
        world.clear()
        if enrich:
            app(world, {"_id": 1, "app": 0})
        batch: Story = []
        for change, cut in zip(story, cuts, strict=False):
            batch.append(change)
            if one_by_one or cut or change is story[-1]:
                await apply(world, mapping(**rule), *batch)
                batch = []
            if cut and enrich:
                for document in documents(world):
                    world.replace({**document, "app": change.sequence}, TABLE)
        ends.append(documents(world))
    assert ends[0] == ends[1]


@pytest.mark.asyncio(loop_scope="module")
@RANDOM
@given(rulesets, stories(), st.data())
async def test_any_order_ends_the_same(
    shared_world: World, rule: dict[str, str], story: Story, data: st.DataObject
) -> None:
    """Batches that are delivered in any order, and again, end where the changes in order end (P1)."""
    world = shared_world
    world.clear()
    rules = mapping(**rule)
    for change in story:
        await apply(world, rules, change)
    expected = documents(world)
    world.clear()
    again = data.draw(st.lists(st.sampled_from(story), max_size=4))
    waiting: Sequence[Change] = data.draw(st.permutations([*story, *again]))
    rounds = 0
    while waiting:  # what is refused is delivered again
        waiting = [change for change in waiting if not await apply(world, rules, change)]
        rounds += 1
        assert rounds <= len(story) + 1
    assert documents(world) == expected
