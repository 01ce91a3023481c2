"""`follow --on-gap resync`: what a gap in a stream has lost is repaired, and the stream followed further."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.support.oracle import compare
from writer.names import STREAMS

if TYPE_CHECKING:
    from tests.contract.follow.test_process import People

GONE = "shards.shardId-00000000000000000001-gone"
RESYNC = ("--on-gap", "resync")


def state(people: People) -> dict[str, Any]:
    found: dict[str, Any] = people.target[STREAMS].find_one()
    return found


def assert_same(people: People) -> None:
    items: Any = people.dynamodb.scan(TableName=people.name, ConsistentRead=True)["Items"]
    comparison = compare(items, people.target[people.name].find(), ["id"])
    assert comparison.is_same, str(comparison)


@pytest.fixture
def behind(people: People) -> People:
    """A table that was replicated, and a gap since: one document is stale, one missing, one too many."""
    people.switch(on=True)
    for key in ("stale", "missing", "same"):
        people.put(key, n={"N": "1"})
    people.once()
    documents = people.target[people.name]
    deleted = documents.find_one({"_id": "same"}) | {"_id": "deleted", "id": "deleted"}
    documents.insert_one(deleted)
    documents.update_one({"_id": "stale"}, {"$set": {"n": 0}})
    documents.delete_one({"_id": "missing"})
    people.target[STREAMS].update_one({}, {"$set": {GONE: {"after": "7", "done": False}}})
    return people


def test_a_gap_is_repaired(behind: People) -> None:
    """And the stream is followed from then on, as by a process that had no gap."""
    printed = behind.once(*RESYNC)
    assert "has a gap: comparing" in printed
    assert "compared after the gap: " in printed
    assert_same(behind)
    assert "gap" not in state(behind)
    assert GONE.split(".")[1] not in state(behind)["shards"]
    behind.put("later", n={"N": "2"})
    behind.once()
    assert_same(behind)


def test_a_process_that_is_killed_in_the_resync(behind: People) -> None:
    """The gap is known until the resync has ended: nobody goes on as if nothing was lost (P8)."""
    child = behind.follow(*RESYNC)
    child.wait_until(lambda: state(behind).get("gap") and state(behind).get("shards"), what="reading anew")
    behind.put("meanwhile", n={"N": "3"})
    child.kill()
    behind.target[STREAMS].update_many({}, {"$unset": {"owner": ""}})
    assert "gap" in state(behind)
    assert behind.documents()["stale"] == {"n": 0}
    assert "follow with --on-gap resync" in behind.once(status=2)
    assert "gap" in state(behind)
    assert "owner" not in state(behind), "what is never read is given back, too"
    behind.once(*RESYNC)
    assert_same(behind)
    assert "gap" not in state(behind)


def test_a_stream_that_was_off_for_a_while(people: People) -> None:
    """What changed while the table had no stream is in none: its next stream begins with a gap."""
    people.switch(on=True)
    for key in ("deleted", "changed", "same"):
        people.put(key, n={"N": "1"})
    people.once()
    people.switch(on=False)
    people.delete("deleted")
    people.put("changed", n={"N": "2"})
    people.switch(on=True)
    people.once(*RESYNC)
    assert_same(people)
    assert not any("gap" in each for each in people.target[STREAMS].find())


def test_a_table_that_is_new_has_no_gap(people: People) -> None:
    """It is copied, and nothing is compared."""
    people.switch(on=True)
    people.put("first", n={"N": "1"})
    assert "compared" not in people.once(*RESYNC)
    assert_same(people)
