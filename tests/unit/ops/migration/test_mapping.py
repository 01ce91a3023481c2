"""Where the writers are that replicate a table: a table of the same name elsewhere is another one."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from ops.migration.cutover.checks import Light, mapping_check
from ops.migration.mapping import GivenMapping, compare, owner_doubt, owner_problem, region_problem
from ops.migration.source.table import Source
from shared.errors import FatalError
from writer.records import Fingerprint, Found, MappingRecord

NOW = datetime(2026, 1, 1, tzinfo=UTC)
RULES = '{"collection":"people","database":"shop"}'
GIVEN = GivenMapping("people", "", is_none=True, fingerprint=Fingerprint("1", RULES), namespace="shop.people")
SOURCE = Source("people", "id", {"id": "N"}, 0, "", "")


def record(queue: str, rules: str = RULES, digest: str = "1") -> MappingRecord:
    return MappingRecord("people", queue, digest, rules, "1", NOW, NOW, "w")


def regions_of(*records: MappingRecord) -> frozenset[str]:
    return compare(GIVEN, Found(records, 0), "shop").regions


@pytest.mark.parametrize(
    ("queue", "regions"),
    [
        ("https://sqs.eu-central-1.amazonaws.com/123456789012/q.fifo", {"eu-central-1"}),
        ("https://sqs-fips.us-east-1.amazonaws.com/123456789012/q.fifo", {"us-east-1"}),
        ("https://vpce-1.sqs.eu-west-1.vpce.amazonaws.com/123456789012/q.fifo", {"eu-west-1"}),
        ("https://sqs.cn-north-1.amazonaws.com.cn/123456789012/q.fifo", {"cn-north-1"}),
        ("http://127.0.0.1:4566/000000000000/q.fifo", set()),
        ("http://sqs.us-east-1.localhost.localstack.cloud:4566/000000000000/q.fifo", set()),
        ("https://sqs.eu-central-1.amazonaws.com.example.org/1/q.fifo", set()),
        ("http://[", set()),
    ],
)
def test_the_region_of_a_queue(queue: str, regions: set[str]) -> None:
    """As far as its URL says."""
    assert regions_of(record(queue)) == regions


def test_all_pipelines_of_the_collection_count() -> None:
    """One of an earlier region does not stand in the way; one of another collection says nothing."""
    two = [record(f"https://sqs.{region}.amazonaws.com/1/q.fifo") for region in ("eu-west-1", "us-east-1")]
    other = '{"collection":"archive","database":"shop"}'
    assert regions_of(*two, replace(two[0], queue="https://sqs.r.amazonaws.com/1/q", rules=other)) == {
        "eu-west-1",
        "us-east-1",
    }


def test_a_table_in_another_region_is_another_one() -> None:
    """An empty one there would make a repair delete every document."""
    problem = region_problem("people", "eu-west-1", {"eu-central-1"})
    assert problem is not None
    assert "give --region eu-central-1 (AWS_REGION)" in problem
    for region, regions in (("", {"eu-central-1"}), ("eu-west-1", set()), ("r", {"r", "s"})):
        assert region_problem("people", region, regions) is None


def test_a_collection_of_another_table() -> None:
    """All of its documents would be without an item, and a repair would delete them."""
    mine, other = record("q"), replace(record("q"), table="persons")
    elsewhere = replace(other, rules='{"collection":"people","database":"archive"}')
    problem = owner_problem(GIVEN, [other, elsewhere])
    assert problem is not None
    assert problem.startswith("the writers fill the collection shop.people from persons, and have recorded")
    for records in ([], [mine], [mine, other], [elsewhere]):
        assert owner_problem(GIVEN, records) is None


def test_a_record_that_cannot_be_read_is_not_passed_over() -> None:
    """Beside one that can be read: it may be of the writer that started last (P8)."""
    compared = compare(GIVEN, Found((record("q"),), 1), "shop")
    assert not compared.is_known
    assert compared.lines[-1].endswith("1 of 2 records of people in the database shop cannot be read.")
    check = mapping_check(compared)
    assert (check.light, check.found) == (Light.UNKNOWN, compared.why_unknown)
    with pytest.raises(FatalError, match="no mapping is given, and 1 of 2 records"):
        compare(replace(GIVEN, is_none=False), Found((record("q"),), 1), "shop")
    with pytest.raises(FatalError, match="the writers use a different one for people"):
        compare(replace(GIVEN, is_none=False), Found((record("q", digest="2"),), 1), "shop")


def test_a_collection_whose_tables_cannot_be_read() -> None:
    """It may be another table's; where one of the readable records is ours, it is known."""
    other = replace(record("q"), table="persons", rules='{"collection":"people","database":"archive"}')
    doubt = owner_doubt(GIVEN, Found((other,), 2))
    assert doubt is not None
    assert "fill shop.people from another table: of 3 records, 2 cannot be read" in doubt
    assert owner_doubt(GIVEN, Found((record("q"), other), 2)) is None
    assert owner_doubt(GIVEN, Found((other,), 0)) is None


@pytest.mark.parametrize(
    ("arn", "region", "where"),
    [
        (
            "arn:aws:dynamodb:eu-west-1:123456789012:table/people",
            "eu-west-1",
            "eu-west-1, account 123456789012",
        ),
        ("arn:aws:dynamodb:ddblocal:000000000000:table/people", "ddblocal", "ddblocal, account 000000000000"),
        ("", "", ""),
        ("x", "", ""),
    ],
)
def test_where_a_table_is(arn: str, region: str, where: str) -> None:
    source = replace(SOURCE, arn=arn)
    assert (source.region, source.where) == (region, where)
