"""`replicator smoke-test` on a running pipeline: well where it is, and where it is not."""

from __future__ import annotations

import itertools
import json
import re
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pymongo
import pytest

from local.paths import ROOT
from local.pipeline.deployment import message_count
from local.polling import wait_until
from ops.smoke_test import smoke_test
from ops.smoke_test.items import KEY, MARK, Run, Step
from tests.e2e.commands.test_docs_migration import environment_of
from tests.support.commands import Result, replicator
from tests.support.refusing_proxy import Proxy, refusing_proxy
from tests.support.terminal_session import CTRL_C, TerminalSession
from writer.names import MAPPINGS, WRITERS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from local.stack import Stack
    from replicator_testing import Pipeline

LONG_AGO = 1_500_000_000
NEVER = "1000"
"""Seconds that no test waits for: those that run out of time move the clock."""


@dataclass
class Smoke:
    """The command on a table of its own; `found` is what the last run printed."""

    pipeline: Pipeline
    table: str
    settings: dict[str, str]
    found: dict[str, Any] = field(default_factory=dict)

    def run(self, table: str = "", **settings: str) -> Result:
        result = replicator("smoke-test", table or self.table, "--json", *self.options(**settings))
        self.found = json.loads(result.out) if result.out else {}
        return result

    def options(self, **settings: str) -> list[str]:
        given = self.settings | settings
        return [f"--{name.replace('_', '-')}={value}" for name, value in given.items()]

    def checks(self, *names: str) -> list[tuple[str, bool | None]]:
        """Check and state of what was found, in order; of these checks, or of all."""
        every = [(each["check"], each["well"]) for each in self.found["checks"]]
        return [each for each in every if not names or each[0] in names]

    def said(self, check: str) -> str:
        """What was found by a check, with what to do."""
        return " ".join(
            f"{each['text']} {each['advice']}" for each in self.found["checks"] if each["check"] == check
        )

    def items(self) -> list[dict[str, Any]]:
        scan: Any = self.pipeline.stack.client("dynamodb").scan(TableName=self.table)
        return list(scan["Items"])


@pytest.fixture
def smoke(
    aws_environment: None,  # noqa: ARG001 - its effect
    pipeline: Pipeline,
    monkeypatch: pytest.MonkeyPatch,
) -> Smoke:
    for name in ("REPLICATOR_STACK", "QUEUE_URL", "DEAD_LETTER_QUEUE_URL", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    settings = {
        "stack": pipeline.deployment.name,
        "mongodb_uri": pipeline.stack.mongodb_uri,
        "mongodb_database": pipeline.database,
    }
    return Smoke(pipeline, pipeline.create_table(id="S"), settings)


@pytest.fixture
def proxy(stack: Stack) -> Iterator[Proxy]:
    with refusing_proxy(str(stack.environment()["AWS_ENDPOINT_URL"])) as found:
        yield found


def end_writer(pipeline: Pipeline) -> None:
    """Ends it at once, and nothing tells of it."""
    pipeline.writer.kill()
    with pymongo.MongoClient[dict[str, Any]](pipeline.stack.mongodb_uri) as client:
        client[pipeline.database][WRITERS].drop()


def out_of_time(monkeypatch: pytest.MonkeyPatch, when: Callable[[], object]) -> None:
    """The command's time is over as soon as something is so, and not before."""
    monkeypatch.setattr(smoke_test, "clock", lambda: float(NEVER) + 1 if when() else 0.0)


def test_a_pipeline_that_is_well(smoke: Smoke, stack: Stack) -> None:
    """Each step arrives, whole; nothing is left in table, queues and MongoDB; the report names no account."""
    result = smoke.run()
    assert smoke.checks("arrival") == [("arrival", True)] * 3, smoke.found
    assert all(seconds > 0 for seconds in smoke.found["seconds"].values())
    assert not [each for each in smoke.checks() if each[1] is False], smoke.found
    names = ("event-source-mapping", "queue-empty", "dead-letters")
    assert smoke.checks(*names) == [(name, True) for name in names]
    assert smoke.checks("dashboard") == [("dashboard", None if stack.capabilities.dashboards else True)]
    # An emulator evaluates no alarms, and most say that they have no data.
    (alarms,) = smoke.checks("alarms")
    assert result.status == (3 if stack.capabilities.dashboards or not alarms[1] else 0)
    assert smoke.items() == []
    assert smoke.pipeline.documents(smoke.table) == []
    assert not re.search(r"\d{12}|arn:|://|127\.0\.0\.1", result.out)


def test_the_report_for_people(smoke: Smoke) -> None:
    """It says the same, with version, region and time."""
    shown = replicator("smoke-test", smoke.table, *smoke.options()).out
    assert shown.startswith("replicator ")
    for step in Step:
        assert f"The {step} of 3 items arrived in MongoDB after" in shown
    assert "Nothing is left in the queue." in shown


def test_items_of_earlier_runs(smoke: Smoke) -> None:
    """Those that a killed run left are deleted; those of a run that may go on stay."""
    old, other = Run("old", LONG_AGO), Run("other", round(time.time()) + 3600)
    smoke.pipeline.put(smoke.table, *(run.item(key, Step.PUT) for run in (old, other) for key in run.keys))
    smoke.run()
    assert smoke.checks("arrival") == [("arrival", True)] * 3
    assert "3 items left by an earlier run" in smoke.said("left-over")
    assert "3 items may belong to another run" in smoke.said("left-over")
    assert {each[KEY]["S"] for each in smoke.items()} == set(other.keys)


def test_a_table_with_items_of_somebody_else(smoke: Smoke) -> None:
    """One such item, and nothing is written: also if it has the mark, but not the key."""
    stranger = {KEY: {"S": "1"}, MARK: {"N": str(LONG_AGO)}}
    smoke.pipeline.put(smoke.table, stranger)
    result = smoke.run()
    assert (result.status, smoke.items()) == (2, [stranger])
    assert "has items that are not from a smoke test" in result.err


def test_a_table_that_is_not_one_for_it(smoke: Smoke) -> None:
    """Another key, no such table, one that the Lambda does not read: it says so, and writes nothing."""
    result = smoke.run(smoke.pipeline.table)
    assert (result.status, smoke.found) == (2, {})
    assert "is not a smoke-test table" in result.err
    result = smoke.run("no-such-table")
    assert result.status == 2
    assert "there is no table 'no-such-table'" in result.err
    mapping = smoke.pipeline.tables.pop(smoke.table)
    functions = smoke.pipeline.stack.client("lambda")
    functions.delete_event_source_mapping(UUID=mapping)
    listed: Any = functions.list_event_source_mappings
    wait_until(
        lambda: mapping not in str(listed(FunctionName=smoke.pipeline.deployment.function_name)),
        what="the event source mapping to go",
    )
    try:
        assert smoke.run().status == 1
        assert f"does not read the table {smoke.table}" in smoke.said("tables")
        assert smoke.checks("arrival") == [("arrival", None)]
        assert smoke.found["seconds"] == {"put": None, "change": None, "delete": None}
    finally:
        smoke.pipeline.stack.client("dynamodb").delete_table(TableName=smoke.table)


def test_without_a_writer(smoke: Smoke, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says that the change is perhaps in the queue, and its items go once a writer runs."""
    queue = smoke.pipeline.deployment.queue_url
    smoke.pipeline.wait_until_drained()
    end_writer(smoke.pipeline)
    try:
        out_of_time(monkeypatch, lambda: message_count(smoke.pipeline.stack, queue))
        assert smoke.run(timeout=NEVER).status == 1
        assert smoke.checks("arrival", "clean-up") == [("arrival", False), ("clean-up", True)]
        said = smoke.said("arrival")
        assert "The put did not arrive in MongoDB within 1000 seconds: it may be in the queue" in said
        assert "no writers of this queue found. Start the writers" in said
        assert smoke.items() == []
    finally:
        smoke.pipeline.start_writer()
    smoke.pipeline.wait_until_drained()
    smoke.pipeline.wait_for_documents(smoke.table, [])


def test_a_change_that_is_parked(smoke: Smoke, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mapping that does not name the table, a likely first mistake. Code and reason are shown."""
    pipeline = smoke.pipeline
    before = pipeline.replication_file.read_text()
    pipeline.wait_until_drained()
    end_writer(pipeline)
    pipeline.start_writer(f"unnamed_tables: refuse\n{before}")
    try:
        dead = pipeline.deployment.dead_letter_queue_url
        out_of_time(monkeypatch, lambda: message_count(pipeline.stack, dead))
        assert smoke.run(timeout=NEVER).status == 1
        assert "it is parked (unnamed-table): " in smoke.said("arrival")
        assert smoke.checks("arrival", "dead-letters")[-1] == ("dead-letters", False)
        assert smoke.items() == []
        pipeline.wait_until_drained()
    finally:
        end_writer(pipeline)
        pipeline.start_writer(before)
        assert pipeline.dead_letters()


def test_another_database_than_the_writers(smoke: Smoke, monkeypatch: pytest.MonkeyPatch) -> None:
    """The change has left the queue, and is not where it was looked for."""
    smoke.pipeline.wait_until_drained()
    queue = smoke.pipeline.deployment.queue_url

    def is_elsewhere() -> bool:
        return bool(smoke.pipeline.documents(smoke.table)) and not message_count(smoke.pipeline.stack, queue)

    out_of_time(monkeypatch, is_elsewhere)
    assert smoke.run(timeout=NEVER, mongodb_database=f"{smoke.pipeline.database}-other").status == 1
    said = smoke.said("arrival")
    assert f"elsewhere than to {smoke.pipeline.database}-other.{smoke.table}" in said
    assert "MONGODB_DATABASE" in said
    smoke.pipeline.wait_for_documents(smoke.table, [])


def test_rules_for_the_table(smoke: Smoke) -> None:
    """The writers have recorded rules that change documents: refused, with their names."""
    pipeline = smoke.pipeline
    before = pipeline.replication_file.read_text()

    def recorded() -> Any:
        with pymongo.MongoClient[dict[str, Any]](pipeline.stack.mongodb_uri) as client:
            found = client[pipeline.database][MAPPINGS].find_one({"_id.table": smoke.table})
        return found and found["hash"]

    other_rules = recorded()
    end_writer(pipeline)
    pipeline.start_writer(f"{before}  {smoke.table}: {{exclude: [step], mode: merge}}\n")
    wait_until(lambda: recorded() not in {None, other_rules}, what="the writer to record its rules")
    try:
        result = smoke.run()
        assert (result.status, smoke.items()) == (2, [])
        assert "has rules for the table" in result.err
        assert "(exclude, mode)" in result.err
    finally:
        end_writer(pipeline)
        pipeline.start_writer(before)
        with pymongo.MongoClient[dict[str, Any]](pipeline.stack.mongodb_uri) as client:
            client[pipeline.database][MAPPINGS].delete_many({"_id.table": smoke.table})


@pytest.mark.parametrize("action", ["dynamodb:Scan", "dynamodb:PutItem", "dynamodb:DeleteItem"])
def test_without_a_right_on_the_table(smoke: Smoke, proxy: Proxy, action: str) -> None:
    """It is named, with exit status 2; where items could not be deleted, it says until when."""
    proxy.refused = {action}
    result = smoke.run(endpoint_url=proxy.url)
    assert (result.status, smoke.found) == (2, {})
    assert f"the permission for {action.partition(':')[2]} is missing" in result.err
    if action == "dynamodb:DeleteItem":
        assert "Cannot tell whether the test's items were deleted:" in result.err
        assert len(smoke.items()) == 3
    else:
        assert smoke.items() == []


def documented() -> set[str]:
    """The permissions that docs/operations.md names for the command."""
    page = (ROOT / "docs" / "operations.md").read_text()
    (row,) = re.findall(r"^\| `smoke-test` \|(.*)\|$", page, re.MULTILINE)
    service, found = "", set()
    for name in re.findall(r"`([^`]+)`", row):
        service = name.partition(":")[0] if ":" in name else service
        found.add(name if ":" in name else f"{service}:{name}")
    return found


def test_the_permissions_that_it_needs(
    smoke: Smoke, proxy: Proxy, monkeypatch: pytest.MonkeyPatch, pipeline: Pipeline
) -> None:
    """Also when a change is late and there is a dead letter: what it asks AWS for is documented."""
    pipeline.stack.client("sqs").send_message(
        QueueUrl=pipeline.deployment.dead_letter_queue_url,
        MessageBody="{",
        MessageGroupId="g",
        MessageDeduplicationId=smoke.table,
    )
    smoke.run(endpoint_url=proxy.url)
    looks = itertools.count()
    out_of_time(monkeypatch, lambda: next(looks))
    monkeypatch.setattr(Run, "document", lambda *_: {"never": "this"})
    assert smoke.run(endpoint_url=proxy.url, timeout=NEVER).status == 1
    asked = {action.replace("VisibilityBatch", "Visibility") for action in proxy.asked}
    assert asked == documented() | {"cloudformation:DescribeStacks"}
    pipeline.wait_until_drained()
    assert pipeline.dead_letters()


UNSEEN = {
    "cloudformation:ListStackResources": {"alarms"},
    "cloudwatch:DescribeAlarms": {"alarms"},
    "cloudwatch:GetDashboard": {"dashboard"},
    "lambda:ListEventSourceMappings": {"tables"},
}


@pytest.mark.parametrize("action", UNSEEN)
def test_what_may_not_be_seen_is_not_known(smoke: Smoke, proxy: Proxy, action: str) -> None:
    """The permission is named, and the changes are made all the same."""
    proxy.refused = {action}
    assert smoke.run(endpoint_url=proxy.url).status == 3
    assert smoke.checks("arrival") == [("arrival", True)] * 3
    (check,) = UNSEEN[action]
    assert smoke.checks(check) == [(check, None)]
    assert f"the permission {action} is missing" in smoke.said(check)


def test_ctrl_c_cleans_up(smoke: Smoke) -> None:
    """The items that it has put are deleted, and it says so."""
    smoke.pipeline.wait_until_drained()
    end_writer(smoke.pipeline)
    try:
        environment = environment_of(smoke.pipeline, smoke.pipeline.database)
        arguments = (
            "smoke-test",
            smoke.table,
            f"--stack={smoke.pipeline.deployment.name}",
            f"--timeout={NEVER}",
        )
        with TerminalSession(environment, *arguments) as session:
            wait_until(lambda: len(smoke.items()) == 3, what="the items")
            session.type(CTRL_C)
            assert session.end() == 130, session.shown
            assert "items are deleted" in session.shown
        assert smoke.items() == []
    finally:
        smoke.pipeline.start_writer()
    smoke.pipeline.wait_until_drained()
    smoke.pipeline.wait_for_documents(smoke.table, [])
