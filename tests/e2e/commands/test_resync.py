"""A gap in the stream, several tables in one command, and the question before something is written."""

from __future__ import annotations

import contextlib
import itertools
import json
import threading
from typing import TYPE_CHECKING, Any

import pymongo
import pytest

from ops.migration.backfill.checkpoints import COLLECTION as BACKFILLS
from tests.e2e.commands.test_docs_migration import environment_of, wait_for_record
from tests.support import command_processes as commands
from tests.support.terminal_session import CTRL_C, END_OF_INPUT, TerminalSession

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator
    from pathlib import Path

    from pymongo.collection import Collection

    from replicator_testing import Pipeline

NEW_IMAGES: Any = {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}
SOON = ("--settle", "0.5")


@pytest.fixture
def environment(pipeline: Pipeline) -> dict[str, str]:
    """Of the command; it names no pipeline."""
    return environment_of(pipeline, pipeline.database)


@pytest.fixture
def target(pipeline: Pipeline) -> Iterator[Any]:
    with pymongo.MongoClient[dict[str, Any]](pipeline.stack.mongodb_uri) as client:
        yield client[pipeline.database]


def item(key: int, value: str) -> dict[str, Any]:
    return {"id": {"N": str(key)}, "value": {"S": value}}


def filled(pipeline: Pipeline, name: str, number: int) -> str:
    """A table with items that are replicated."""
    pipeline.create_table(name, id="N")
    pipeline.put(name, *(item(key, "old") for key in range(number)))
    pipeline.wait_until(lambda: len(pipeline.documents(name)), lambda found: found == number)
    with pymongo.MongoClient[dict[str, Any]](pipeline.stack.mongodb_uri) as client:
        wait_for_record(client[pipeline.database], name)
    return name


def values(collection: Collection[dict[str, Any]]) -> dict[Any, str]:
    return {each["_id"]: each["value"] for each in collection.find()}


def values_of_items(pipeline: Pipeline, table: str) -> dict[int, str]:
    pages = pipeline.stack.client("dynamodb").get_paginator("scan").paginate(TableName=table)
    return {int(each["id"]["N"]): each["value"]["S"] for page in pages for each in page["Items"]}


def make_gap(pipeline: Pipeline, table: str, number: int) -> None:
    """Items are created, changed and deleted while the stream is off; then it is on again, and read."""
    dynamodb, functions = pipeline.stack.client("dynamodb"), pipeline.stack.client("lambda")
    pipeline.wait_until_drained()
    functions.delete_event_source_mapping(UUID=pipeline.tables.pop(table))
    dynamodb.update_table(TableName=table, StreamSpecification={"StreamEnabled": False})
    for key in range(number):
        if key % 3 == 0:
            dynamodb.delete_item(TableName=table, Key={"id": {"N": str(key)}})
        elif key % 3 == 1:
            pipeline.put(table, item(key, "new"))
    pipeline.put(table, *(item(key, "created") for key in range(number, number + 10)))
    dynamodb.update_table(TableName=table, StreamSpecification=NEW_IMAGES)
    stream = dynamodb.describe_table(TableName=table)["Table"]["LatestStreamArn"]
    mapping = functions.create_event_source_mapping(
        EventSourceArn=stream,
        FunctionName=pipeline.deployment.function_name,
        StartingPosition="TRIM_HORIZON",
        FunctionResponseTypes=["ReportBatchItemFailures"],
    )
    pipeline.tables[table] = mapping["UUID"]


@contextlib.contextmanager
def items_that_change(pipeline: Pipeline, table: str, number: int) -> Iterator[None]:
    """Items are created, changed and deleted, one after the other, until the block ends."""
    stop, dynamodb = threading.Event(), pipeline.stack.client("dynamodb")

    def change() -> None:
        for count in itertools.count(1):
            if stop.is_set():
                return
            key = count * 7 % number
            if count % 5:
                dynamodb.put_item(TableName=table, Item=item(key, f"live {count}"))
            else:
                dynamodb.delete_item(TableName=table, Key={"id": {"N": str(key)}})

    load = threading.Thread(target=change)
    load.start()
    try:
        yield
    finally:
        stop.set()
        load.join()


def test_after_a_gap(
    pipeline: Pipeline, environment: dict[str, str], target: Any, unique: str, tmp_path: Path
) -> None:
    """A backfill leaves stale documents and those of deleted items, and names resync, which makes all equal.

    It is killed in the middle and run again, while items change (P1, P8).
    """
    number = 90
    table = filled(pipeline, f"gap-{unique}", number)
    commands.run(environment, "backfill", table)
    make_gap(pipeline, table, number)

    again = commands.run(environment, "backfill", table)
    assert again["was_finished"]
    assert f"replicator resync {table}" in again["advice"]
    anew = run(environment, "backfill", table, "--restart")
    assert anew.returncode == 0
    assert f"{table} -> {target[table].full_name}: all items were read" in anew.stdout
    assert "complete" not in anew.stdout
    assert "10  copied" in anew.stdout
    assert "60 documents were there already" in anew.stdout
    assert f"run replicator resync {table}" in anew.stdout
    stale = values(target[table])
    assert stale != values_of_items(pipeline, table)
    assert (stale[0], stale[1]) == ("old", "old")  # one of a deleted item, one of a changed item

    refused = run(environment, "resync", table, *SOON)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "--yes" in refused.stderr
    would = commands.run(environment, "resync", table, "--dry-run", *SOON, status=1)
    assert {name: would["repairs"][name] for name in ("to_write", "to_delete", "repaired")} == {
        "to_write": 30, "to_delete": 30, "repaired": 0
    }  # fmt: skip
    assert would["after"] is None
    assert values(target[table]) == stale

    with items_that_change(pipeline, table, number + 20):
        log = tmp_path / "resync.log"
        child = commands.start(environment, log, "resync", table, "--yes", *SOON)
        child.wait_until(lambda: "to write" in log.read_text(), what="it to have begun to write")
        child.kill()
        done = commands.run(environment, "resync", table, "--yes", "--settle", "3")
    last = done["after"] or done["before"]  # the killed one may have come to its end
    assert (last["clean"], last["complete"]) == (True, True)
    pipeline.wait_until_drained()
    pipeline.wait_until(
        lambda: values(target[table]), lambda found: found == values_of_items(pipeline, table)
    )
    nothing = commands.run(environment, "resync", table, "--yes", *SOON)
    assert (nothing["before"]["clean"], nothing["after"]) == (True, None)


def test_a_gap_of_a_stream_that_is_off(pipeline: Pipeline, environment: dict[str, str], unique: str) -> None:
    """Changes would be lost again: nothing begins, and the sentence says what to do."""
    table = filled(pipeline, f"off-{unique}", 1)
    functions = pipeline.stack.client("lambda")
    functions.delete_event_source_mapping(UUID=pipeline.tables.pop(table))
    done = run(environment, "resync", table, "--yes", *SOON)
    pipeline.stack.client("dynamodb").delete_table(TableName=table)
    assert (done.returncode, done.stdout) == (3, "")
    assert "not started: no Lambda reads the stream" in done.stderr


def run(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return commands.typed(environment, *arguments)


def test_several_tables(
    pipeline: Pipeline, environment: dict[str, str], target: Any, unique: str, tmp_path: Path
) -> None:
    """One after the other; what is wrong with one does not end the others; the summary has all of them."""
    first, second = (filled(pipeline, f"{unique}-{name}", 3) for name in "ab")
    target[second].delete_one({"_id": 1})
    stack = ("--stack", pipeline.deployment.name)
    pattern = f"{unique}-*"

    found = commands.run(environment, "verify", pattern, *stack, *SOON, status=1)
    assert [(each["table"], each["status"]) for each in found["tables"]] == [(first, 0), (second, 1)]
    assert found["status"] == 1

    report = str(tmp_path / "report.jsonl")
    broken = run(environment, "verify", first, f"{unique}-none", second, *SOON, "--report", report)
    assert broken.returncode == 2
    summary = [line.split(maxsplit=2) for line in broken.stdout.splitlines()[-3:]]
    assert [line[:2] for line in summary] == [
        [first, "ok"], [f"{unique}-none", "failed"], [second, "found"]
    ]  # fmt: skip
    assert summary[2][2] == "1 missing"
    assert f"{unique}-none" in broken.stderr
    lines = [json.loads(line) for line in (tmp_path / "report.jsonl").read_text().splitlines()]
    assert [line["table"] for line in lines] == [second]

    # The tables of the report, and no others.
    other = run(environment, "repair", first, "--report", report, "--yes")
    assert other.returncode == 2
    assert "has no differences of this table" in other.stderr
    assert run(environment, "repair", "--report", report, "--yes").returncode == 0
    assert values(target[second]) == dict.fromkeys(range(3), "old")

    copied = commands.run(environment, "backfill", pattern, "--function", pipeline.deployment.function_name)
    assert [(each["table"], each["read"]) for each in copied["tables"]] == [(first, 3), (second, 3)]
    every = commands.run(environment, "verify", *stack, "--sample", "1", "--settle", "0", status=None)
    assert {each["table"] for each in every["tables"]} == {pipeline.table, first, second}

    guess = run(environment, "verify", pattern, *SOON)  # what any Lambda of the account reads is not taken
    assert (guess.returncode, guess.stdout) == (2, "")
    assert "which tables? " in guess.stderr
    wrong = run(environment, "backfill", f"{unique}-aa*", *stack)
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert f"matches '{unique}-aa*'; there are '{first}'" in wrong.stderr
    nothing = run(environment, "repair", "--yes")
    assert (nothing.returncode, nothing.stdout) == (2, "")
    assert "--stack NAME (REPLICATOR_STACK)" in nothing.stderr
    export = run(environment, "backfill", first, second, "--from-export", "folder")
    assert export.returncode == 2
    assert "--from-export is for one table" in " ".join(export.stderr.split())
    target[BACKFILLS].delete_many({"_id": {"$in": [first, second]}})


def test_repair_asks(pipeline: Pipeline, environment: dict[str, str], target: Any, unique: str) -> None:
    """It says what it will do; only a yes writes, and whatever else is typed changes nothing."""
    table = filled(pipeline, f"asked-{unique}", 1)
    target[table].delete_one({"_id": 0})
    target[table].insert_one({"_id": 7, "value": "extra", "_ddb": {"v": ""}})
    typed = [("n\r", 1), ("\r", 1), ("yo\r", 1), (END_OF_INPUT, 1), (CTRL_C, 130), ("y\r", 0)]
    sessions = [TerminalSession(environment, "repair", table, "--settle", "0") for _ in typed]
    with contextlib.ExitStack() as stack:
        for session in sessions:
            stack.enter_context(session)
        for session in sessions:
            session.wait_for("1 document to write, 1 to delete. Continue? [y/N]")
        for session, (keys, status) in zip(sessions, typed, strict=True):
            assert values(target[table]) == {7: "extra"}
            session.type(keys)
            assert session.end() == status, session.shown
            assert "Traceback" not in session.shown
            assert ("Nothing was written." in session.shown) is (status == 1)
            assert ("2  repaired" in session.shown) is (status == 0)
    assert values(target[table]) == {0: "old"}
