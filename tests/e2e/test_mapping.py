"""The settings of a mapping that the example does not use, from DynamoDB to MongoDB."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pymongo
import pytest
from bson.decimal128 import Decimal128

from replicator_testing import Pipeline

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from local.stack import Stack
    from replicator_testing import Replicate
    from replicator_testing.replicate import Pipelines

HOOK = '''
def wanted(document, change):
    """Orders of customers, with their table; test orders are left out."""
    return None if document.get("test") else {**document, "source": change.table}
'''
MAPPING = """
tables:
  "shop-*":
    database: {database}
    collection: "*"
    key: [id]
    deletes: mark
    metadata_field: _replica
    id_attribute: former_id
    exclude: [customer.card]
    fields:
      lines.price: {{convert: decimal}}
      placed: {{rename: placed_at, convert: iso8601}}
    hook: shop_hooks:wanted
  members: {{key: [id], mode: merge}}
"""


@pytest.fixture
def mapping(unique: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stack: Stack) -> Iterator[str]:
    """The mapping, with its own database; its hook is beside this test's modules."""
    (tmp_path / "shop_hooks.py").write_text(HOOK)
    monkeypatch.syspath_prepend(tmp_path)
    database = f"shop-{unique}"
    yield MAPPING.format(database=database)
    with pymongo.MongoClient[dict[str, Any]](stack.mongodb_uri) as client:
        client.drop_database(database)


def test_fields_hook_and_pattern(replicate: Replicate, mapping: str) -> None:
    """An order becomes what the mapping says; one that the hook drops does not exist, or no longer."""
    order = {
        "id": 1,
        "_id": "A-1",
        "placed": "2020-04-29T15:22:22+02:00",
        "customer": {"name": "Ann", "card": "4111"},
        "lines": [{"price": "12.50", "sku": "a"}, {"price": Decimal(3), "sku": "b"}],
    }
    documents = replicate([order, {"id": 2, "test": True}], table="shop-orders", mapping=mapping)
    assert documents == [
        {
            "_id": 1,
            "id": 1,
            "former_id": "A-1",
            "placed_at": dt.datetime(2020, 4, 29, 13, 22, 22, tzinfo=dt.UTC),
            "customer": {"name": "Ann"},
            "lines": [
                {"price": Decimal128("12.50"), "sku": "a"},
                {"price": Decimal128("3"), "sku": "b"},
            ],
            "source": "shop-orders",
        },
        None,  # the hook drops it
    ]
    assert replicate([{**order, "test": True}], table="shop-orders", mapping=mapping) == [None]


def test_an_item_that_changes_its_shard(stack: Stack, replicator_package: Path, tmp_path: Path) -> None:
    """The Lambda sends the old value, so the writer finds the document to remove.

    This MongoDB is not sharded, and would refuse a second document of the same `_id`.
    """
    mapping = "tables: {'*': {key: [id], shard_key: [region]}}"
    with Pipeline.start(
        stack,
        tmp_path,
        package=replicator_package,
        mapping=mapping,
        parameters={"OldImageFields": "region"},
    ) as pipeline:
        table = pipeline.table

        def item(number: int, region: str) -> dict[str, Any]:
            return {"id": {"N": str(number)}, "region": {"S": region}}

        for region in ("eu", "us", "us", "ap"):
            pipeline.put(table, item(1, region), item(2, region))
            expected = [{"_id": number, "id": number, "region": region} for number in (1, 2)]
            pipeline.wait_for_documents(table, expected)
        for region in ("eu", "us", "sa"):  # in one batch or several
            pipeline.put(table, item(1, region))
        stack.client("dynamodb").delete_item(TableName=table, Key={"id": {"N": "2"}})
        pipeline.wait_for_documents(table, [{"_id": 1, "id": 1, "region": "sa"}])
        assert pipeline.dead_letters() == []


def test_fields_of_applications_and_marks(
    replicate: Replicate, replicator_pipelines: Pipelines, mapping: str
) -> None:
    """What an application adds stays, what leaves the item is removed; a deleted order stays, marked."""
    replicate([{"id": 1, "name": "Ann", "age": 40}], table="members", mapping=mapping)
    pipeline = replicator_pipelines.get(mapping)
    with pymongo.MongoClient[dict[str, Any]](pipeline.stack.mongodb_uri) as client:
        members = client[pipeline.database]["members"]
        members.update_one({"_id": 1}, {"$set": {"score": 7}})
        assert replicate([{"id": 1, "name": "Ann"}], table="members", mapping=mapping) == [
            {"_id": 1, "id": 1, "name": "Ann", "score": 7}
        ]
        replicate([{"id": 3, "n": 1}], table="shop-orders", mapping=mapping)
        pipeline.stack.client("dynamodb").delete_item(TableName="shop-orders", Key={"id": {"N": "3"}})
        orders = client[mapping.split("database: ")[1].split("\n", maxsplit=1)[0]]["orders"]
        live = {"_replica.deleted": {"$exists": False}}
        pipeline.wait_until(lambda: orders.count_documents({"_id": 3, **live}), lambda count: count == 0)
        (order,) = orders.find({"_id": 3})
        assert (order["n"], type(order["_replica"]["deleted"]["at"])) == (1, dt.datetime)
