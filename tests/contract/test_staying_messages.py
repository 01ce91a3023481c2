"""Messages that stay and are delivered again, behind others that were acknowledged, change nothing.

This is why what is durable is acknowledged, whatever stays before it. One suite for the fake and a real
MongoDB.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.contract.test_modes_contract import Story, rulesets, stories
from tests.support.builders import TABLE, put
from tests.support.mapped_changes import apply, documents, mapping

if TYPE_CHECKING:
    from tests.contract.worlds import World


@pytest.mark.asyncio(loop_scope="module")
@settings(max_examples=60)
@given(
    rule=rulesets, story=stories(), staying=st.lists(st.booleans(), min_size=8, max_size=8), data=st.data()
)
async def test_what_stays_of_a_batch_changes_nothing_later(
    shared_world: World, rule: dict[str, str], story: Story, staying: list[bool], data: st.DataObject
) -> None:
    """All changes of a batch were written, and any of them come again, in any order, cut in any way (P1, P2).

    Merging begins with a document that another replication wrote, of whose fields only the changes know which
    have left the item.
    """
    world = shared_world
    world.clear()
    rules = mapping(**rule)
    if rule["mode"] == "merge" and "shard_key" not in rule:
        world.insert({"_id": 1, "app": 0, "a": 0, "b": 0}, TABLE)
    assert await apply(world, rules, *story)
    expected = documents(world)
    again = [change for change, stays in zip(story, staying, strict=False) if stays]
    waiting = list(data.draw(st.permutations(again)))
    while waiting:
        size = data.draw(st.integers(1, len(waiting)))
        assert await apply(world, rules, *waiting[:size])
        del waiting[:size]
    assert documents(world) == expected


async def test_the_changes_of_a_document_stay_together(world: World) -> None:
    """Where the order does matter: a change that comes after a newer one does not say what left the item.

    So a document's changes of a batch are one write, and within a group nothing of a later slice is written
    before a message that stays.
    """
    rules = mapping(mode="merge")
    world.insert({"_id": 1, "age": 5, "app": 0}, TABLE)
    left = put(1, name="x")._replace(gone=frozenset({"age"}))
    await apply(world, rules, put(2, name="y"))
    await apply(world, rules, left)
    assert "age" in documents(world)[0]
    world.clear()
    world.insert({"_id": 1, "age": 5, "app": 0}, TABLE)
    await apply(world, rules, left, put(2, name="y"))
    assert "age" not in documents(world)[0]
