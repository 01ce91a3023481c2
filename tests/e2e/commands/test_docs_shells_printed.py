"""Every line for the AWS CLI that commands print: it runs, and what it was printed for is well afterwards."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from local.paths import ROOT
from ops.event_source_checks import judge, stream_problem
from ops.event_sources import read_mapping
from tests.support.commands import replicator
from tests.support.second_terminal import Terminal
from tests.support.tools import need

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from local.stack import Stack
    from ops.event_sources import EventSourceMapping

PRINTED = {
    "local/running/next_steps.py": {"aws dynamodb put-item"},
    "ops/doctor/queues.py": {"aws sqs set-queue-attributes"},
    "ops/doctor/tables.py": {"aws lambda get-event-source-mapping"},
    "ops/event_source_checks.py": {
        "aws dynamodb update-table",
        "aws lambda get-event-source-mapping",
        "aws lambda update-event-source-mapping",
    },
    "ops/init/mapping_text.py": {"aws dynamodb update-table"},
}
"""What the sources have. That of `make run` is in the documents, too, and runs in `test_docs_shells`."""
IN_THE_DOCUMENTS = ("local/running/next_steps.py",)

_CALL = re.compile(r"(?<![.\w])aws [a-z0-9-]+ [a-z0-9-]+")
_LINE = re.compile(r"\baws [a-z].*?(?=, (?:then|and) |\. |\.?$)")

BAD_ATTRIBUTES = {
    "FifoQueue": "true",
    "DeduplicationScope": "queue",
    "FifoThroughputLimit": "perQueue",
    "VisibilityTimeout": "1",
    "MessageRetentionPeriod": "3600",
    "MaximumMessageSize": "1024",
    "SqsManagedSseEnabled": "false",
}


def lines(texts: Iterable[str]) -> list[str]:
    """The lines in sentences, without what follows them in the sentence."""
    return [found for text in texts for found in _LINE.findall(text)]


def test_every_line_is_known() -> None:
    """A new line in a command fails here until a test runs it."""
    found: dict[str, set[str]] = {}
    theirs = ("producer_lambda", "replicator_testing", "shared", "writer")
    for folder in ("deploy", "follow", "local", "ops", *theirs):
        for path in (ROOT / folder).rglob("*"):
            if path.suffix in {".py", ".yaml"} and (calls := set(_CALL.findall(path.read_text()))):
                found[str(path.relative_to(ROOT))] = calls
    assert found == PRINTED


class Operator:
    """Somebody with a table, a function and queues, all of them not as they should be."""

    def __init__(self, stack: Stack, terminal: Terminal, unique: str, package: Path) -> None:
        """Makes them."""
        self.terminal, self.table, self.function = terminal, f"{unique}-orders", unique
        self.ran: set[str] = set()
        make: Any = stack.client
        self.dynamodb, self.functions, sqs = make("dynamodb"), make("lambda"), make("sqs")
        for name, keys_only in ((self.table, True), (f"{unique}-people", False)):
            stream = {"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"}
            described = self.dynamodb.create_table(
                TableName=name,
                AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "N"}],
                KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
                BillingMode="PAY_PER_REQUEST",
                **({"StreamSpecification": stream} if keys_only else {}),
            )["TableDescription"]
            if keys_only:
                source = described["LatestStreamArn"]
        self.functions.create_function(
            FunctionName=self.function,
            Runtime=f"python3.{sys.version_info.minor}",
            Role="arn:aws:iam::000000000000:role/any",
            Handler="producer_lambda.handler.lambda_handler",
            Code={"ZipFile": package.read_bytes()},
        )
        self.mapping = self.functions.create_event_source_mapping(
            FunctionName=self.function,
            EventSourceArn=source,
            StartingPosition="TRIM_HORIZON",
            Enabled=False,
            MaximumRetryAttempts=3,
            MaximumRecordAgeInSeconds=3600,
            BisectBatchOnFunctionError=False,
            TumblingWindowInSeconds=10,
            FilterCriteria={"Filters": [{"Pattern": '{"eventName":["INSERT"]}'}]},
        )["UUID"]
        self.queues = [
            sqs.create_queue(QueueName=f"{unique}{kind}.fifo", Attributes=BAD_ATTRIBUTES)["QueueUrl"]
            for kind in ("", "-dead")
        ]

    def run(self, *texts: str) -> None:
        """Runs the lines in these texts, in their order."""
        for line in lines(texts):
            self.terminal.run(line)
            self.ran |= set(_CALL.findall(line))

    def described(self) -> EventSourceMapping:
        """The event source mapping as it is now."""
        return read_mapping(self.functions.get_event_source_mapping(UUID=self.mapping))

    def doctor(self) -> dict[str, list[str]]:
        """What the command advises, by check."""
        queue, dead = self.queues
        options = ("--function", self.function, "--queue-url", queue, "--dead-letter-queue-url", dead)
        found: dict[str, list[str]] = {}
        for each in json.loads(replicator("doctor", *options, "--json").out)["checks"]:
            if lines([each["advice"] or ""]):
                found.setdefault(each["check"], []).append(each["advice"])
        return found


@pytest.fixture
def operator(
    stack: Stack,
    needs: Callable[[str], None],
    replicator_package: Path,
    unique: str,
    tmp_path: Path,
) -> Iterator[Operator]:
    need("aws")
    needs("mapping_restarts")
    terminal = Terminal(
        tmp_path,
        endpoint_url=stack.endpoint_url,
        mongodb_uri=stack.mongodb_uri,
        package=replicator_package,
    )
    made = Operator(stack, terminal, unique, replicator_package)
    yield made
    made.functions.delete_event_source_mapping(UUID=made.mapping)
    made.functions.delete_function(FunctionName=made.function)
    for name in (made.table, f"{unique}-people"):
        made.dynamodb.delete_table(TableName=name)
    for url in made.queues:
        stack.client("sqs").delete_queue(QueueUrl=url)


@pytest.mark.usefixtures("aws_environment")
def test_the_lines_help(operator: Operator, unique: str) -> None:
    """Of `init`, `doctor` and what `status` and others say of event source mappings."""
    commented = replicator("init", f"{unique}-*").out
    operator.run(*commented.splitlines())
    again = replicator("init", f"{unique}-*").out
    assert (lines(again.splitlines()), again.count("# Its stream is on: NEW_AND_OLD_IMAGES.")) == ([], 2)

    advised = operator.doctor()
    assert len(advised) == 9, advised
    operator.run(*(text for texts in advised.values() for text in texts))
    assert operator.doctor() == {}

    mapping = operator.described()
    operator.run(*judge(mapping).notes, *judge(replace(mapping, filters=None)).unknown)
    assert not judge(operator.described()).notes
    people = f"{unique}-people"
    operator.dynamodb.update_table(TableName=people, StreamSpecification={"StreamEnabled": False})
    operator.run(str(stream_problem(people, "")))
    assert operator.dynamodb.describe_table(TableName=people)["Table"]["StreamSpecification"]["StreamEnabled"]
    assert operator.ran == set().union(
        *(calls for path, calls in PRINTED.items() if path not in IN_THE_DOCUMENTS)
    )
