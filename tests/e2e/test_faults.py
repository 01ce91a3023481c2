"""Parts fail while changes are on their way, and recover: nothing is lost, nothing happens twice."""

from __future__ import annotations

import json
import zipfile
from importlib.util import cache_from_source
from typing import TYPE_CHECKING, Any

import pytest

from replicator_testing import Pipeline
from tests.support.commands import replicator

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from local.stack import Stack
    from replicator_testing import Item

    StartWrapped = Callable[[str], Pipeline]

HANDLER, GENUINE = "producer_lambda/handler.py", "producer_lambda/genuine_handler.py"
# `first` decides the outcome of the first invocation with several records; from that one on, the sequence
# numbers of each invocation are recorded.
WRAPPER = """
import json, os, tempfile
from pathlib import Path
from producer_lambda.genuine_handler import lambda_handler as genuine

NOTES = Path(tempfile.gettempdir()) / os.environ["AWS_LAMBDA_FUNCTION_NAME"]

def lambda_handler(event, context):
    if event == "invocations":
        return [json.loads(line) for line in NOTES.read_text().splitlines()]
    is_first = not NOTES.exists()
    if is_first and len(event["Records"]) < 2:
        return genuine(event, context)
    with NOTES.open("a") as notes:
        notes.write(json.dumps([each["dynamodb"]["SequenceNumber"] for each in event["Records"]]) + "\\n")
    return first(event["Records"], context) if is_first else genuine(event, context)

"""
RAISES_BEFORE = """
def first(records, context):
    raise RuntimeError("before anything was sent")
"""
RAISES_AFTER = """
def first(records, context):
    genuine({"Records": records}, context)
    raise RuntimeError("after everything was sent")
"""
REPORTS_THE_SECOND_HALF = """
def first(records, context):
    half = len(records) // 2
    genuine({"Records": records[:half]}, context)
    return {"batchItemFailures": [{"itemIdentifier": records[half]["dynamodb"]["SequenceNumber"]}]}
"""


@pytest.fixture
def start_wrapped(stack: Stack, replicator_package: Path, tmp_path: Path) -> Iterator[StartWrapped]:
    """Deploys the real package with a wrapper around its handler that decides the first invocation."""
    started: list[Pipeline] = []

    def start(first: str) -> Pipeline:
        package = tmp_path / "wrapped.zip"
        with zipfile.ZipFile(replicator_package) as genuine, zipfile.ZipFile(package, "w") as wrapped:
            for entry in genuine.infolist():
                if entry.filename == cache_from_source(
                    HANDLER
                ):  # bytecode that would be used in place of the wrapper
                    continue
                renamed = GENUINE if entry.filename == HANDLER else entry.filename
                wrapped.writestr(renamed, genuine.read(entry))
            wrapped.writestr(HANDLER, WRAPPER + first)
        started.append(Pipeline.start(stack, tmp_path, package=package, mapping=""))
        return started[0]

    yield start
    for pipeline in started:
        with pipeline:
            pass


def changes(pipeline: Pipeline) -> list[dict[str, Any]]:
    """Puts, replaces and deletes items in the example table; returns the expected documents."""
    dynamodb = pipeline.stack.client("dynamodb")
    for turn in range(2):
        pipeline.put(pipeline.table, *({"id": {"N": str(n)}, "turn": {"N": str(turn)}} for n in range(20)))
    for number in range(0, 20, 4):
        dynamodb.delete_item(TableName=pipeline.table, Key={"id": {"N": str(number)}})
    return [{"_id": number, "id": number, "turn": 1} for number in range(20) if number % 4]


@pytest.mark.parametrize("first", [RAISES_BEFORE, RAISES_AFTER], ids=["before", "after"])
def test_an_invocation_that_raises_is_repeated(start_wrapped: StartWrapped, first: str) -> None:
    """Lambda retries it from the same record; each change counts once, whether it was sent before or not."""
    pipeline = start_wrapped(first)
    expected = changes(pipeline)
    pipeline.wait_for_documents(pipeline.table, expected)
    # What was sent before the error arrives before the retry, which must change nothing.
    noted = pipeline.wait_until(lambda: pipeline.invoke("invocations"), lambda found: len(found) > 1)
    failed, repeated = noted[:2]
    assert repeated[0] == failed[0]
    pipeline.wait_until_drained()
    assert pipeline.documents(pipeline.table) == expected
    assert pipeline.dead_letters() == []


def test_a_reported_failure_is_repeated_from_there(
    start_wrapped: StartWrapped, needs: Callable[[str], None]
) -> None:
    """The next invocation sends the rest of a partly sent batch, and no change is missing."""
    needs("partial_batches")
    pipeline = start_wrapped(REPORTS_THE_SECOND_HALF)
    expected = changes(pipeline)
    pipeline.wait_for_documents(pipeline.table, expected)
    failed, repeated = pipeline.invoke("invocations")[:2]
    assert repeated[0] == failed[len(failed) // 2] != failed[0]


@pytest.mark.parametrize("ending", ["stop", "kill"])
def test_a_writer_comes_back(pipeline: Pipeline, ending: str) -> None:
    """Changes while no writer runs, or that a dying writer holds, arrive with the next writer."""
    table = pipeline.create_table(id="N")
    items: list[Item] = [{"id": {"N": str(number)}, "turn": {"N": "1"}} for number in range(100)]
    pipeline.put(table, *items)
    if ending == "kill":
        pipeline.writer.kill()
    else:
        assert pipeline.writer.stop() == 0
    pipeline.put(table, *({**item, "turn": {"N": "2"}} for item in items[:50]))
    dynamodb = pipeline.stack.client("dynamodb")
    for item in items[:10]:
        dynamodb.delete_item(TableName=table, Key={"id": item["id"]})
    pipeline.start_writer()
    expected = [{"_id": n, "id": n, "turn": 2 if n < 50 else 1} for n in range(10, 100)]
    pipeline.wait_for_documents(table, expected)


@pytest.mark.usefixtures("aws_environment")
def test_redrive(pipeline: Pipeline, second_table: str) -> None:
    """A dead letter is redriven after its cause was fixed: it arrives, unless a newer change was faster."""
    table = second_table
    which = ("--table", table, "--stack", pipeline.deployment.name)
    wrong = {"created_at": {"S": "yesterday"}}
    pipeline.put(table, {"id": {"N": "1"}, **wrong}, {"id": {"N": "2"}, **wrong}, {"id": {"N": "3"}})

    def listed() -> list[str]:
        return replicator("dlq", "list", "--json", *which).out.splitlines()

    listing = pipeline.wait_until(listed, lambda found: len(found) == 2)
    assert {json.loads(line)["code"] for line in listing} == {"bad-conversion"}
    pipeline.put(table, {"id": {"N": "2"}, "name": {"S": "newer"}})
    third = {"_id": 3, "id": 3, "age": None}
    newer = {"_id": 2, "id": 2, "name": "newer", "age": None}
    pipeline.wait_for_documents(table, [newer, third])

    assert pipeline.writer.stop() == 0
    before, rule, _ = pipeline.replication_file.read_text().partition(f"{table}: {{")
    pipeline.start_writer(f"{before}{rule}key: [id]}}\n")
    assert replicator("dlq", "redrive", *which).out == "2 letters redriven.\n"
    first = {"_id": 1, "id": 1, "created_at": "yesterday"}
    pipeline.wait_for_documents(table, [first, newer, third])
    pipeline.wait_until_drained()
    assert pipeline.documents(table) == [first, newer, third]
    assert pipeline.dead_letters() == []
