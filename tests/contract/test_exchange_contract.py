"""Items that exchange a unique value: their documents do, too, if all of them are in hand (P1, P5).

One suite for the fake and a real MongoDB. What the real one alone can show is in `test_exchange_mongodb`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.support.builders import TABLE, delete, put, write
from tests.support.mapped_changes import apply, mapping
from writer.ports import FailureKind, Outcome

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.contract.worlds import World
    from writer.write import Write


def emails(world: World, collection: str = "items") -> dict[Any, Any]:
    """The field with the unique index, by `_id`."""
    return {document["_id"]: document.get("email") for document in world.documents(collection)}


@pytest.fixture
async def people(world: World) -> World:
    """Documents 1 to 4 with the addresses a to d; the index is unique."""
    world.make_unique("items", "email")
    await world.sink.apply(
        [write(put(1, key, email=email)) for key, email in zip((1, 2, 3, 4), "abcd", strict=True)]
    )
    return world


def moves(**wanted: str) -> Sequence[Write]:
    """Writes of one moment: `_1="b"` is document 1 with the address b."""
    return [write(put(2, int(name[1:]), email=email)) for name, email in wanted.items()]


@pytest.mark.parametrize(
    "wanted",
    [
        {"_1": "b", "_2": "a"},
        {"_1": "b", "_2": "c", "_3": "a"},
        {"_1": "b", "_2": "a", "_3": "d", "_4": "c"},
        {"_1": "b", "_2": "c", "_3": "d", "_4": "e"},
        {"_9": "a", "_1": "b", "_2": "e"},
    ],
    ids=["two", "a ring of three", "two pairs", "a chain", "a new item takes the place"],
)
async def test_what_is_exchanged(people: World, wanted: dict[str, str]) -> None:
    """Every document gets its value, nothing fails, and every document counts once."""
    before = emails(people)
    outcome = await people.sink.apply(moves(**wanted))
    after = {int(name[1:]): email for name, email in wanted.items()}
    assert emails(people) == before | after
    new = len(after.keys() - before.keys())
    assert outcome == Outcome(inserted=new, modified=len(after) - new)


async def test_neighbours_are_not_concerned(people: World) -> None:
    """Beside an exchange, a write that is really blocked fails alone; all others are written (P5)."""
    people.insert({"_id": "theirs", "email": "x"})
    outcome = await people.sink.apply([*moves(_1="b", _2="a", _3="x", _4="e"), write(put(2, 5, email="f"))])
    assert {n: (f.kind, f.code) for n, f in outcome.failures.items()} == {2: (FailureKind.HEALABLE, "11000")}
    assert (outcome.inserted, outcome.modified) == (1, 3)
    assert emails(people) == {1: "b", 2: "a", 3: "c", 4: "e", 5: "f", "theirs": "x"}


async def test_a_foreign_document_in_the_way(people: World) -> None:
    """What waits for somebody else's value fails, and what waits for that; the documents stay as they are."""
    people.insert({"_id": "theirs", "email": "x"})
    before = people.documents()
    outcome = await people.sink.apply(moves(_1="b", _2="c", _3="x"))
    assert list(outcome.failures) == [0, 1, 2]
    assert people.documents() == before


async def test_only_one_of_the_two_is_in_hand(people: World) -> None:
    """It fails, alone, and comes again; once both have come, both are written."""
    one, two = moves(_1="b", _2="a")
    assert list((await people.sink.apply([one])).failures) == [0]
    assert emails(people) == {1: "a", 2: "b", 3: "c", 4: "d"}
    assert not (await people.sink.apply([one, two])).failures
    assert emails(people) == {1: "b", 2: "a", 3: "c", 4: "d"}


async def test_both_want_the_same(people: World) -> None:
    """Values that are not unique any more: one of them stays as it was, and fails."""
    outcome = await people.sink.apply(moves(_1="b", _2="e", _3="b"))
    (failed,) = outcome.failures
    assert failed in (0, 2)
    assert emails(people) == {1: "a", 2: "e", 3: "c", 4: "d"} | ({3: "b"} if failed == 0 else {1: "b"})


async def test_the_newer_document_stays(people: World) -> None:
    """A put that is older than the document is stale, and no failure, whatever it wants (P2)."""
    await people.sink.apply([write(put(5, 2, email="b", n=5))])
    outcome = await people.sink.apply(moves(_1="b", _2="a", _3="d", _4="c"))
    assert list(outcome.failures) == [0]
    assert (outcome.modified, outcome.stale) == (2, 1)
    assert emails(people) == {1: "a", 2: "b", 3: "d", 4: "c"}


async def test_again_changes_nothing(people: World) -> None:
    """The same writes are stale, as ever."""
    await people.sink.apply(moves(_1="b", _2="a"))
    assert await people.sink.apply(moves(_1="b", _2="a")) == Outcome(stale=2)


async def test_the_value_of_a_deleted_item(people: World) -> None:
    """An item under another key takes over all values of one that is deleted in the same batch."""
    outcome = await people.sink.apply(
        [write(put(2, 9, email="a")), write(delete(2, 1)), *moves(_2="c", _3="b")]
    )
    assert outcome == Outcome(inserted=1, modified=2, deleted=1)
    assert emails(people) == {9: "a", 2: "c", 3: "b", 4: "d"}


async def test_a_put_that_is_older_than_its_tombstone(people: World) -> None:
    """It is no part of an exchange: the item stays deleted (P2)."""
    await people.sink.apply([write(delete(9, 2))])
    outcome = await people.sink.apply(moves(_1="b", _2="a"))
    assert not outcome.failures
    assert emails(people) == {1: "b", 3: "c", 4: "d"}


async def test_several_versions_of_a_document(people: World) -> None:
    """The newest takes part; the older ones are nothing new any more at the next try."""
    writes = [*moves(_1="b"), write(put(3, 2, email="a", n=3)), *moves(_2="a")]
    await people.sink.apply(writes)
    assert {each["_id"]: each.get("n") for each in people.documents()}[2] == 3
    assert not (await people.sink.apply(writes)).failures
    assert emails(people) == {1: "b", 2: "a", 3: "c", 4: "d"}


async def test_what_applications_added_stays_when_merging(world: World) -> None:
    """The documents are those that a guarded put would have made, with the names that it wrote."""
    rules = mapping(mode="merge")
    world.make_unique(TABLE, "email")
    await apply(world, rules, put(1, 1, email="a", left=1), put(1, 2, email="b"))
    for document in world.documents(TABLE):
        world.replace({**document, "score": document["_id"]}, TABLE)
    assert await apply(world, rules, put(2, 1, email="b"), put(2, 2, email="a"))
    found = {document.pop("_id"): document for document in world.documents(TABLE)}
    assert {key: (each["email"], each["score"], "left" in each) for key, each in found.items()} == {
        1: ("b", 1, False),
        2: ("a", 2, False),
    }
    assert sorted(found[1]["_ddb"]["names"]) == ["email", "id"]


async def test_marks_stay_marks(world: World) -> None:
    """A document that is marked after its put takes part, and is marked."""
    rules = mapping(deletes="mark")
    world.make_unique(TABLE, "email")
    await apply(world, rules, put(1, 1, email="a"), put(1, 2, email="b"))
    assert await apply(world, rules, put(2, 1, email="b"), put(2, 2, email="a"), delete(3, 2))
    found = {each["_id"]: (each["email"], "deleted" in each["_ddb"]) for each in world.documents(TABLE)}
    assert found == {1: ("b", False), 2: ("a", True)}
