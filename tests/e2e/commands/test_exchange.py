"""A unique index in MongoDB, and items that exchange what is unique: by the pipeline, and by `repair`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pymongo
import pytest

from tests.e2e.commands.test_docs_migration import environment_of, run, wait_for_record

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from replicator_testing import Pipeline

FUTURE = "9999-01-01T00:00:00.000 01 1"


@pytest.fixture
def target(pipeline: Pipeline) -> Iterator[Any]:
    with pymongo.MongoClient[dict[str, Any]](pipeline.stack.mongodb_uri) as client:
        yield client[pipeline.database]


def item(key: int, email: str) -> dict[str, Any]:
    return {"id": {"N": str(key)}, "email": {"S": email}}


def filled(pipeline: Pipeline, target: Any, table: str, emails: str) -> None:
    """A table with a unique index on the address, and an item for each letter."""
    pipeline.create_table(table, id="N")
    target[table].create_index("email", unique=True)
    pipeline.put(table, *(item(key, email) for key, email in enumerate(emails)))
    wait_for(pipeline, target[table], emails)
    pipeline.wait_until_drained()
    wait_for_record(target, table)


def wait_for(pipeline: Pipeline, collection: Any, emails: str) -> None:
    pipeline.wait_until(
        lambda: "".join(each["email"] for each in collection.find().sort("_id")),
        lambda found: found == emails,
    )


def test_items_exchange_a_value(pipeline: Pipeline, target: Any, unique: str) -> None:
    """In one transaction of DynamoDB: their documents follow, and nothing is parked."""
    table = f"people-{unique}"
    filled(pipeline, target, table, "abc")
    puts: Any = [{"Put": {"TableName": table, "Item": item(*pair)}} for pair in enumerate("bca")]
    pipeline.stack.client("dynamodb").transact_write_items(TransactItems=puts)
    wait_for(pipeline, target[table], "bca")
    pipeline.wait_until_drained()
    assert pipeline.dead_letters() == []


def test_repair_exchanges_values(pipeline: Pipeline, target: Any, unique: str) -> None:
    """Documents that need each other's values are mended; what cannot be is left, with index and key."""
    table = f"people-{unique}"
    filled(pipeline, target, table, "abcdef")
    collection = target[table]
    found = {each["_id"]: each for each in collection.find()}
    collection.delete_many({})
    # A pair, a chain to a document that is missing, and one whose value somebody else has.
    wrong = {0: "b", 1: "a", 2: "d", 3: "e", 5: "x"}
    collection.insert_many([{**found[key], "email": email} for key, email in wrong.items()])
    collection.insert_one({"_id": "theirs", "email": "f"})
    environment = environment_of(pipeline, pipeline.database)
    did, _ = run(environment, "repair", table, "--yes", "--settle", "0.5", status=1)
    assert (did["repaired"], did["moved_on"], did["left"]) == (5, 0, 2)
    expected: dict[Any, str] = {0: "a", 1: "b", 2: "c", 3: "d", 4: "e", 5: "x", "theirs": "f"}
    assert {each["_id"]: each["email"] for each in collection.find()} == expected
    theirs, blocked = did["left_examples"]
    assert theirs.startswith('{"_id": "theirs"}: ')
    assert blocked.startswith(
        '{"id": {"N": "5"}}: another document has its value in the unique index on email'
    )
    collection.delete_one({"_id": "theirs"})
    did, _ = run(environment, "repair", table, "--yes", "--settle", "0.5", status=0)
    assert (did["repaired"], did["left"]) == (1, 0)


def test_repair_brings_impossible_versions_down(
    pipeline: Pipeline, target: Any, unique: str, tmp_path: Path
) -> None:
    """Documents and tombstones that would win for ever: afterwards changes are replicated again."""
    table = f"people-{unique}"
    filled(pipeline, target, table, "abcde")
    collection, tombstones = target[table], target["_replicator_tombstones"]
    collection.update_one({"_id": 0}, {"$set": {"_ddb.v": FUTURE, "email": "old"}})
    collection.update_one({"_id": 1}, {"$set": {"_ddb.v": "no time at all"}})
    collection.delete_many({"_id": {"$in": [2, 3]}})
    for key in (2, 3, 77):
        tombstones.insert_one({"_id": {"c": table, "k": key}, "v": FUTURE, "f": "_ddb"})
    collection.insert_one({"_id": 99, "email": "extra", "_ddb": {"v": FUTURE}})
    pipeline.put(table, item(0, "A"), item(2, "C"))
    pipeline.wait_until_drained()
    assert {each["_id"]: each["email"] for each in collection.find()} == {
        0: "old", 1: "b", 4: "e", 99: "extra"
    }  # fmt: skip
    environment = environment_of(pipeline, pipeline.database)
    report = str(tmp_path / "report.jsonl")
    found, _ = run(environment, "verify", table, "--settle", "0.5", "--report", report, status=1)
    kinds = {name: found[name] for name in ("missing", "different", "extra", "impossible")}
    assert kinds == {"missing": 2, "different": 0, "extra": 0, "impossible": 6}
    run(environment, "repair", table, "--report", report, "--dry-run", status=1)
    did, _ = run(environment, "repair", table, "--report", report, "--yes", status=0)
    assert did["left"] == 0
    assert run(environment, "verify", table, "--settle", "0.5", status=0)[0]["clean"]
    versions = [each["_ddb"]["v"] for each in collection.find()]
    assert not [version for version in versions if version.startswith(("9", "no"))]
    pipeline.put(table, item(0, "1"), item(1, "2"), item(2, "3"), item(3, "4"), item(77, "5"))
    wait_for(pipeline, target[table], "1234e5")
