"""`replicator init` on real tables: the writer takes what it writes, MongoDB makes and uses the indexes."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pymongo
import pytest

from local.pipeline.writer_process import WriterProcess
from local.polling import wait_until
from tests.support.builders import body_of, put
from tests.support.commands import replicator
from tests.support.mongosh_commands import read_commands
from tests.support.refusing_proxy import refusing_proxy
from writer.mapping.parser import parse_replication

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from local.stack import Stack
    from tests.conftest import Queues

pytestmark = pytest.mark.usefixtures("aws_environment")


@pytest.fixture
def tables(stack: Stack, unique: str) -> Iterator[str]:
    """The beginning of the names of two tables: `-orders` with all that there is, and `-people`."""
    dynamodb: Any = stack.client("dynamodb")

    def schema(*names: str) -> list[dict[str, str]]:
        return [{"AttributeName": n, "KeyType": k} for n, k in zip(names, ("HASH", "RANGE"), strict=False)]

    def index(name: str, *key: str) -> dict[str, Any]:
        return {"IndexName": name, "KeySchema": schema(*key), "Projection": {"ProjectionType": "KEYS_ONLY"}}

    dynamodb.create_table(
        TableName=f"{unique}-orders",
        # In the order of their names the sort key would be first.
        KeySchema=schema("tenant", "number"),
        AttributeDefinitions=[
            {"AttributeName": name, "AttributeType": "N" if name == "number" else "S"}
            for name in ("tenant", "number", "state", "day")
        ],
        LocalSecondaryIndexes=[index("by-day", "tenant", "day")],
        GlobalSecondaryIndexes=[index("by-state", "state", "number")],
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
        BillingMode="PAY_PER_REQUEST",
    )
    dynamodb.update_time_to_live(
        TableName=f"{unique}-orders",
        TimeToLiveSpecification={"Enabled": True, "AttributeName": "expires.at"},
    )
    dynamodb.create_table(
        TableName=f"{unique}-people",
        KeySchema=schema("id"),
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "N"}],
        BillingMode="PAY_PER_REQUEST",
    )
    yield unique
    for name in ("orders", "people"):
        dynamodb.delete_table(TableName=f"{unique}-{name}")


def test_the_file_is_valid_and_has_the_keys_in_order(tables: str, tmp_path: Path) -> None:
    """Of all tables of a pattern, each once; `check-config` and the writer's parser take it."""
    file = tmp_path / "replication.yaml"
    result = replicator("init", f"{tables}-*", f"{tables}-people", "--output", str(file))
    assert result.status == 0, result
    checked = replicator("check-config", str(file))
    assert checked.status == 0, checked
    rules = parse_replication(file.read_text(), str(file)).tables
    assert {name: rule.key for name, rule in rules.items()} == {
        f"{tables}-orders": ("tenant", "number"),
        f"{tables}-people": ("id",),
    }
    text = file.read_text()
    assert text.count(f"  {tables}-people:\n") == 1
    assert "# Its stream is on: NEW_AND_OLD_IMAGES." in text
    assert f"aws dynamodb update-table --table-name={tables}-people" in text
    assert '#   "expires\\\\.at": {convert: epoch_seconds}' in text
    assert replicator("init", f"{tables}-*").out == text


def test_the_writer_takes_it(
    stack: Stack, tables: str, queues: Queues, database: str, tmp_path: Path
) -> None:
    """It starts with the file, and makes `_id` of the key as DynamoDB has it; other tables are refused."""
    file = tmp_path / "replication.yaml"
    assert replicator("init", f"{tables}-orders", "--output", str(file)).status == 0
    deployment: Any = SimpleNamespace(queue_url=queues.url, dead_letter_queue_url=queues.dead_letter_url)
    for table in (f"{tables}-orders", f"{tables}-people"):
        stack.client("sqs").send_message(
            QueueUrl=queues.url,
            MessageBody=body_of(put(1, {"number": 7, "tenant": "t"}, table=table)),
            MessageGroupId=table,
            MessageDeduplicationId=table,
        )
    writer = WriterProcess(
        stack,
        deployment,
        log=tmp_path / "log",
        replication_file=file,
        settings={"MONGODB_DATABASE": database},
    )
    try:
        writer.wait()
        with pymongo.MongoClient[dict[str, Any]](stack.mongodb_uri) as client:
            found = wait_until(client[database][f"{tables}-orders"].find_one, what="the document")
        assert list(found["_id"].items()) == [("tenant", "t"), ("number", 7)]
        wait_until(lambda: "unnamed-table" in writer.log.read_text(), what="the other table's refusal")
    finally:
        writer.stop()


def test_an_existing_file_is_kept(tables: str, tmp_path: Path) -> None:
    """Unless `--force` says otherwise; nor is a directory one."""
    file = tmp_path / "replication.yaml"
    file.write_text("mine")
    refused = replicator("init", f"{tables}-people", "--output", str(file))
    assert (refused.status, refused.out, file.read_text()) == (2, "", "mine")
    assert "--force" in refused.err
    assert replicator("init", f"{tables}-people", "--output", str(file), "--force").status == 0
    assert "key: [id]" in file.read_text()
    printed = replicator("init", f"{tables}-people", "--output", "-")
    assert printed.out == replicator("init", f"{tables}-people").out
    refused = replicator("init", f"{tables}-people", "--output", str(tmp_path), "--force")
    assert (refused.status, "is a directory" in refused.err) == (2, True)


def test_mongodb_makes_and_uses_the_indexes(stack: Stack, tables: str, database: str, tmp_path: Path) -> None:
    """Each serves the query that DynamoDB's serves: by the partition key, in the order of the sort key."""
    arguments = ("--output", str(tmp_path / "r.yaml"), "--mongodb-database", database)
    printed = replicator("init", f"{tables}-orders", *arguments).out
    commands = list(read_commands(printed.splitlines()))
    assert [dict(each.keys) for each in commands] == [
        {"tenant": 1, "number": 1},
        {"tenant": 1, "day": 1},
        {"state": 1, "number": 1},
    ]
    with pymongo.MongoClient[dict[str, Any]](stack.mongodb_uri) as client:
        for each in commands:
            collection = client[each.database][each.collection]
            name = collection.create_index(each.keys, **each.options)
            (first, _), (second, _) = each.keys
            plan = collection.find({first: "x", second: {"$gt": 1}}).sort(second, 1).explain()
            assert f"'indexName': '{name}'" in str(plan["queryPlanner"]["winningPlan"])


def test_what_may_not_be_seen_is_not_known(stack: Stack, tables: str) -> None:
    """The mapping is written all the same; its comment and the exit status say what is missing."""
    with refusing_proxy(str(stack.environment()["AWS_ENDPOINT_URL"])) as proxy:
        proxy.refused = {"dynamodb:DescribeTimeToLive"}
        result = replicator("init", f"{tables}-orders", "--endpoint-url", proxy.url)
        proxy.refused = {"dynamodb:DescribeTable"}
        refused = replicator("init", f"{tables}-orders", "--endpoint-url", proxy.url)
    assert result.status == 3
    missing = "the permission dynamodb:DescribeTimeToLive is missing"
    assert f"# Time to live: unknown: {missing}." in result.out
    assert missing in result.err
    assert "key: [tenant, number]" in result.out
    assert (refused.status, refused.out) == (2, "")
    assert "DescribeTable is missing" in refused.err


def test_a_table_that_does_not_exist(tables: str) -> None:
    """Nothing is written for the others either; the sentence names it and where it was looked for."""
    result = replicator("init", f"{tables}-people", f"{tables}-persons")
    assert (result.status, result.out) == (2, "")
    assert result.err.count("\n") == 1
    assert f"there is no table '{tables}-persons' in the region us-east-1" in result.err
    assert "no table matches the pattern" in replicator("init", f"{tables}-none-*").err
