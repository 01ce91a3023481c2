"""docs/migration.md: its commands run in order on a pipeline, and print what the page says.

A shell runs each block `sh`; `sh exit=1` has that exit status. A block `text` after it is its output, where
times are ignored.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import textwrap
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pymongo

from local.paths import ROOT
from local.polling import wait_until
from local.processes.child import base_environment
from tests.support.command_processes import of_one_table
from tests.support.exports import write_export
from writer.names import MAPPINGS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from local.stack import Stack
    from replicator_testing import Pipeline

PAGE = (ROOT / "docs" / "migration.md").read_text()
BLOCK = re.compile(r"^( *)```(sh|text)(?: exit=(\d))?\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
TABLE, DATABASE = "people", "shop"
ITEMS = 300


def steps() -> Iterator[tuple[str, int, str | None]]:
    """The page's commands, their exit statuses, and their output where the page has it."""
    blocks = [match.groups() for match in BLOCK.finditer(PAGE)]
    for (_, kind, status, text), after in zip(blocks, [*blocks[1:], None], strict=True):
        if kind == "sh":
            told = after[3] if after is not None and after[1] == "text" else None
            yield textwrap.dedent(text), int(status or 0), told


def without_times(text: str) -> str:
    return re.sub(r"\b\d+ (s|min)\b", "… s", text)


def upload(stack: Stack, folder: Path, bucket: str) -> str:
    """Uploads an export to the emulator's S3; returns its address."""
    s3 = stack.client("s3")
    s3.create_bucket(Bucket=bucket)
    for path in folder.rglob("*.*"):
        key = f"exports/AWSDynamoDB/0158-abc/{path.relative_to(folder)}"
        s3.put_object(Bucket=bucket, Key=key, Body=path.read_bytes())
    return f"s3://{bucket}/exports/AWSDynamoDB/0158-abc"


def wait_for_record(database: Any, table: str) -> None:
    """Waits until the writer has recorded the mapping of a table, which it does after the first batch."""
    wait_until(lambda: database[MAPPINGS].find_one({"_id.table": table}), what="the record of the mapping")


def environment_of(pipeline: Pipeline, database: str) -> dict[str, str]:
    """The environment of the command."""
    scripts = Path(sys.executable).parent
    return {
        **base_environment(),
        **pipeline.stack.environment(),
        "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "MONGODB_URI": pipeline.stack.mongodb_uri,
        "MONGODB_DATABASE": database,
        "QUEUE_URL": pipeline.deployment.queue_url,
        "DEAD_LETTER_QUEUE_URL": pipeline.deployment.dead_letter_queue_url,
    }


def leave_as_after_a_gap(pipeline: Pipeline, table: str) -> None:
    """Documents are as changes that never arrive leave them."""
    with pymongo.MongoClient[dict[str, Any]](pipeline.stack.mongodb_uri) as client:
        documents = client[pipeline.database][table]
        documents.delete_many({"_id": {"$in": [1, 2]}})
        documents.update_one({"_id": 3}, {"$set": {"name": "stale"}})
        version = {"v": "2020-04-30T17:47:21.395 21 512340000000000639090"}
        documents.insert_many([{"_id": ITEMS + number, "_ddb": version} for number in range(3)])


def test_the_page(pipeline: Pipeline, unique: str, tmp_path: Path) -> None:
    """From the first command to the last."""
    people, bucket = f"{TABLE}-{unique}", f"bucket-{unique}"
    items = [{"id": {"N": str(number)}, "name": {"S": f"Name {number}"}} for number in range(ITEMS)]
    pipeline.create_table(people, id="N")
    pipeline.put(people, *items)
    pipeline.wait_until(lambda: len(pipeline.documents(people)), lambda number: number == ITEMS)
    pipeline.wait_until_drained()
    with pymongo.MongoClient[dict[str, Any]](pipeline.stack.mongodb_uri) as client:
        wait_for_record(client[pipeline.database], people)
        # As if they had existed before the stream.
        client[pipeline.database][people].drop()
    dynamodb = pipeline.stack.client("dynamodb")
    described = dynamodb.describe_table(TableName=people)["Table"]
    write_export(tmp_path / "export", described, items, datetime.now(UTC))
    environment = environment_of(pipeline, pipeline.database)
    environment["EXPORT"] = upload(pipeline.stack, tmp_path / "export", bucket)
    environment["STACK"] = pipeline.deployment.name
    count = 0
    for commands, status, told in steps():
        script = commands.replace(f" {TABLE} ", f" {people} ").replace(f" {TABLE}\n", f" {people}\n")
        if "resync" in commands:
            leave_as_after_a_gap(pipeline, people)
        done = subprocess.run(  # noqa: S603 - the page's own commands
            ["/bin/bash", "-euo", "pipefail", "-c", script],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == status, f"{commands}{done.stdout}{done.stderr}"
        if told is not None:
            said = done.stdout.replace(people, TABLE).replace(pipeline.database, DATABASE)
            assert without_times(said) == without_times(told)
        count += 1
    assert count == 9
    s3 = pipeline.stack.client("s3")
    for each in s3.list_objects_v2(Bucket=bucket)["Contents"]:
        s3.delete_object(Bucket=bucket, Key=each["Key"])
    s3.delete_bucket(Bucket=bucket)


def run(environment: dict[str, str], *arguments: str, status: int) -> tuple[dict[str, Any], str]:
    """What a command prints with --json, and its messages."""
    done = subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-m", "ops", *arguments, "--json"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == status, done.stdout + done.stderr
    return of_one_table(json.loads(done.stdout or "{}")), done.stderr


def test_exports_that_are_refused(pipeline: Pipeline, unique: str, tmp_path: Path) -> None:
    """One that would bring back deleted items, and a damaged one; rejects are reported by key."""
    table = f"people-{unique}"
    environment = environment_of(pipeline, f"{pipeline.database}_exports")
    items = [{"id": {"N": str(number)}} for number in range(10)] + [{"name": {"S": "without a key"}}]
    old, new = tmp_path / "old", tmp_path / "new"
    pipeline.create_table(table, id="N")
    described = pipeline.stack.client("dynamodb").describe_table(TableName=table)["Table"]
    write_export(old, described, items, datetime.now(UTC) - timedelta(minutes=5))
    with pymongo.MongoClient[dict[str, Any]](pipeline.stack.mongodb_uri) as client:
        client[f"{pipeline.database}_exports"].create_collection(table)  # as if a writer had started
    backfill = ("backfill", table, "--no-mapping", "--from-export")
    assert "would come back" in run(environment, *backfill, str(old), status=3)[1]
    rejects = tmp_path / "rejects.jsonl"
    accepted = (*backfill, str(old), "--accept-missed-deletes", "--rejects", str(rejects))
    found, said = run(environment, *accepted, status=1)
    assert "Warning" in said
    assert (found["read"], found["copied"], found["rejected"]) == (11, 10, 1)
    assert [json.loads(line)["code"] for line in rejects.read_text().splitlines()] == ["bad-key"]

    write_export(new, described, items[:10], datetime.now(UTC))
    assert "has begun" not in run(environment, *backfill, str(new), "--restart", status=0)[1]
    file = new / "data" / "0.json.gz"
    whole = file.read_bytes()
    file.write_bytes(whole[:-1] + b"\x01")
    assert "is damaged" in run(environment, *backfill, str(new), "--restart", status=2)[1]
    file.write_bytes(whole)
    assert run(environment, *backfill, str(new), status=0)[0]["existing"] == 10  # it continues with the file
    assert "--restart" in run(environment, "backfill", table, "--no-mapping", status=2)[1]
    with pymongo.MongoClient[dict[str, Any]](pipeline.stack.mongodb_uri) as client:
        client.drop_database(f"{pipeline.database}_exports")


def test_a_table_without_live_replication_is_not_copied(pipeline: Pipeline, unique: str) -> None:
    """The message says what is missing and what to do."""
    table = f"people-{unique}"
    environment = environment_of(pipeline, pipeline.database)
    dynamodb = pipeline.stack.client("dynamodb")
    dynamodb.create_table(
        TableName=table,
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "N"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        BillingMode="PAY_PER_REQUEST",
    )
    backfill = ("backfill", table, "--no-mapping")
    assert "has no stream" in run(environment, *backfill, status=3)[1]
    assert run(environment, *backfill, "--no-live", status=0)[0]["finished"]
    dynamodb.delete_table(TableName=table)


def test_a_stack_names_the_queues(pipeline: Pipeline) -> None:
    """For plan-cutover, too; one that does not exist is wrong use."""
    environment = environment_of(pipeline, pipeline.database)
    del environment["QUEUE_URL"], environment["DEAD_LETTER_QUEUE_URL"]

    def unknown(*options: str) -> set[str]:
        found, _ = run(environment, "plan-cutover", pipeline.table, "--no-mapping", *options, status=1)
        return {check["check"] for check in found["checks"] if check["text"] == "unknown: give its URL"}

    queues = {"lag of the writers", "messages in the queue", "dead letters"}
    assert unknown() == queues
    assert not unknown("--stack", pipeline.deployment.name)
    said = run(environment, "plan-cutover", pipeline.table, "--stack", "no-such", status=2)[1]
    assert "there is no CloudFormation stack no-such" in said
