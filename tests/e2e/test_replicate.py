"""The fixture of users' tests: what it waits for, what it refuses, what it leaves behind."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import pytest

from replicator_testing import ParkedError, Replicate
from shared.errors import FatalError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from replicator_testing.replicate import Pipelines

MAPPING = "tables: {fruit: {collection: berries, key: [id], fields: {picked: {convert: epoch_seconds}}}}"


@pytest.fixture
def nothing_left(replicator_pipelines: Pipelines) -> Iterator[None]:
    """Use it before `replicate`, so that it checks after the cleanup."""
    yield
    assert replicator_pipelines.get(MAPPING).documents("berries") == []


@pytest.mark.usefixtures("nothing_left")
def test_documents_come_in_the_order_of_the_items(replicate: Replicate) -> None:
    """Not in the order of arrival or of `_id`; from the collection that the mapping names."""
    documents = replicate([{"id": 2}, {"id": 1, "sweet": True}], table="fruit", mapping=MAPPING)
    assert documents == [{"_id": 2, "id": 2}, {"_id": 1, "id": 1, "sweet": True}]


def test_a_put_that_changes_nothing_is_not_waited_for(replicate: Replicate) -> None:
    """DynamoDB makes no stream record for it: the document exists already."""
    for _ in range(2):
        assert replicate([{"id": 1}], table="fruit", mapping=MAPPING) == [{"_id": 1, "id": 1}]


def test_the_items_are_gone_after_the_test(replicator_pipelines: Pipelines) -> None:
    """From the table and from MongoDB, parked ones too; the pipeline keeps running for the next test."""
    replicate = Replicate(replicator_pipelines)
    replicate([{"id": 1}], table="fruit", mapping=MAPPING)
    with pytest.raises(ParkedError, match="bad-conversion"):
        replicate([{"id": 2, "picked": "ripe"}], table="fruit", mapping=MAPPING)
    replicate.clean_up()
    pipeline = replicator_pipelines.get(MAPPING)
    assert pipeline.documents("berries") == []
    assert pipeline.stack.client("dynamodb").scan(TableName="fruit")["Items"] == []


def test_what_cannot_work_is_refused_at_once(replicate: Replicate, tmp_path: Path) -> None:
    """Nobody waits a minute for a document that cannot come."""
    with pytest.raises(ValueError, match="two items have the same key"):
        replicate([{"id": 1}, {"id": 1, "a": "b"}], table="fruit", mapping=MAPPING)
    with pytest.raises(ValueError, match="the key of vegetables is not known"):
        replicate([{"id": 1}], table="vegetables", mapping=MAPPING)
    with pytest.raises(ValueError, match="there is no item to replicate"):
        replicate([], table="fruit", mapping=MAPPING)
    with pytest.raises(ValueError, match="item 2 has no attribute 'id', which belongs to the table's key"):
        replicate([{"id": 1}, {"kex": 1}], table="fruit", mapping=MAPPING)
    with pytest.raises(
        ValueError, match=r"item 1, attribute 'price': Float types are not supported. Use Decimal"
    ):
        replicate([{"id": 1, "price": [{"eur": 1.5}]}], table="fruit", mapping=MAPPING)
    with pytest.raises(TypeError, match="item 1 is a str; give a list of dicts"):
        replicate({"id": 1}, table="fruit", mapping=MAPPING)  # type: ignore[arg-type]  # a mistake
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("tables: {fruit: {kex: [id]}}")
    with pytest.raises(FatalError, match=r"wrong\.yaml.*kex") as caught:
        replicate([{"id": 1}], table="fruit", mapping=wrong)
    assert [entry.name for entry in caught.traceback.filter(caught)] == [
        "test_what_cannot_work_is_refused_at_once"
    ]


def test_another_mapping_is_another_pipeline(replicate: Replicate) -> None:
    """The rules of the mapping before no longer apply; the key may be given instead of a mapping."""
    [picked] = replicate([{"id": 1, "picked": 0}], table="fruit", mapping=MAPPING)
    assert picked
    assert picked["picked"] == dt.datetime.fromtimestamp(0, dt.UTC)
    [picked] = replicate([{"id": 1, "picked": 0}], table="fruit", key=["id"])
    assert picked
    assert picked["picked"] == 0
