"""`replicator doctor` on a running pipeline: well where it is, and each fault is found beside the others."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pymongo
import pytest

from tests.support.commands import Result, replicator
from tests.support.refusing_proxy import Proxy, refusing_proxy
from writer.names import TOMBSTONES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from local.stack import Stack
    from replicator_testing import Pipeline


@dataclass
class Doctor:
    """The command with all its settings; `found` is what the last run found."""

    settings: dict[str, str]
    found: list[dict[str, Any]]

    def options(self, **settings: str) -> list[str]:
        return [f"--{name.replace('_', '-')}={value}" for name, value in (self.settings | settings).items()]

    def look(self, **settings: str) -> Result:
        result = replicator("doctor", "--json", *self.options(**settings))
        data = json.loads(result.out)
        self.found = data["checks"]
        states = {each["well"] for each in self.found}
        expected = 1 if False in states else 3 if None in states else 0
        assert result.status == expected, result
        assert data["well"] is {0: True, 1: False, 3: None}[expected]
        assert result.err == ""
        return result

    def states(self, check: str) -> set[bool | None]:
        return {each["well"] for each in self.found if each["check"] == check}

    def texts(self, well: bool | None) -> list[str]:  # noqa: FBT001 - as in the JSON
        return [f"{each['text']} {each['advice']}" for each in self.found if each["well"] is well]


@pytest.fixture
def doctor(
    aws_environment: None,  # noqa: ARG001 - its effect
    pipeline: Pipeline,
    stack: Stack,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Doctor:
    for name in ("REPLICATOR_STACK", "QUEUE_URL", "DEAD_LETTER_QUEUE_URL", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    file = tmp_path / "replication.yaml"
    rule = "{key: [id], fields: {age: {default: null}, created_at: {convert: epoch_seconds}}}"
    file.write_text(f"tables:\n  {pipeline.table}: {rule}\n")
    settings = {
        "stack": pipeline.deployment.name,
        "mongodb_uri": stack.mongodb_uri,
        "mongodb_database": pipeline.database,
        "replication_file": str(file),
    }
    return Doctor(settings, [])


@pytest.fixture
def proxy(stack: Stack) -> Iterator[Proxy]:
    with refusing_proxy(str(stack.environment()["AWS_ENDPOINT_URL"])) as found:
        yield found


def test_a_pipeline_that_is_well(doctor: Doctor, pipeline: Pipeline, stack: Stack) -> None:
    """All of it, and nothing is left behind; for people it says the same."""
    with pymongo.MongoClient[dict[str, Any]](stack.mongodb_uri) as client:
        tombstones = client[pipeline.database][TOMBSTONES]
        before = tombstones.count_documents({})
        assert doctor.look().status == 0, doctor.found
        assert tombstones.count_documents({}) == before
    assert {each["subject"] for each in doctor.found} == {
        *("AWS", "Pipeline", "Tables", "Queues", "MongoDB", "Mapping")
    }
    shown = replicator("doctor", *doctor.options())
    assert shown.out.endswith("No problems found. To see how it runs: replicator status.\n")
    assert all(each["text"] in shown.out for each in doctor.found)


PERMISSIONS = {
    "cloudformation:DescribeStacks": {"stack", "function", "tables", "queue", "dead-letters"},
    "dynamodb:DescribeTable": {"table-stream"},
    "lambda:GetFunctionConfiguration": {"function"},
    "lambda:ListEventSourceMappings": {"tables", "mongodb-collections"},
    "sqs:GetQueueAttributes": {"queue", "dead-letters"},
}


@pytest.mark.parametrize("action", PERMISSIONS)
def test_a_refused_permission_is_not_known(doctor: Doctor, proxy: Proxy, action: str) -> None:
    """It is named, and hides nothing but what depends on it."""
    proxy.refused = {action}
    assert doctor.look(endpoint_url=proxy.url).status == 3
    unknown = {each["check"] for each in doctor.found if each["well"] is None}
    assert (
        PERMISSIONS[action] <= unknown <= PERMISSIONS[action] | {"tables", "mongodb-collections", "function"}
    )
    assert f"the permission {action} is missing. Allow {action}." in " ".join(doctor.texts(None))
    assert doctor.states("mongodb-rights") == {True}
    assert doctor.states("aws-credentials") == {True}


def test_a_wrong_clock(doctor: Doctor, proxy: Proxy) -> None:
    """Of AWS by its Date; that of MongoDB is right."""
    proxy.time = time.time() - 3600
    assert doctor.look(endpoint_url=proxy.url).status == 1
    assert doctor.states("aws-clock") == {False}
    assert doctor.states("mongodb-clock") == {True}


def test_a_mapping_that_does_not_fit_the_table(doctor: Doctor, pipeline: Pipeline, tmp_path: Path) -> None:
    """A wrong key, a table that nobody reads, one that is refused; each with what to write."""
    file = tmp_path / "other.yaml"
    file.write_text(f"tables:\n  {pipeline.table}: {{key: [name]}}\n  nobody: {{}}\n")
    assert doctor.look(replication_file=str(file)).status == 1
    said = " ".join(doctor.texts(well=False))
    assert f"The key of the table {pipeline.table} is [id], but the mapping says [name]" in said
    assert "names the table nobody, which the function does not read" in said
    file.write_text("unnamed_tables: refuse\n")
    doctor.look(replication_file=str(file))
    assert doctor.states("mapping-recorded") == {None}
    assert f"replicator init {pipeline.table}" in " ".join(doctor.texts(well=False))
    file.write_text("tables: {t: {mode: mirror}}\n")
    doctor.look(replication_file=str(file))
    assert doctor.states("mapping") == {False}
    assert doctor.states("queue-fifo") == {True}


def test_another_mapping_than_the_writers(doctor: Doctor, pipeline: Pipeline, tmp_path: Path) -> None:
    """What the writers have recorded decides; both hashes are shown."""
    file = tmp_path / "other.yaml"
    file.write_text(f"tables:\n  {pipeline.table}: {{key: [id]}}\n")
    assert doctor.look(replication_file=str(file)).status == 1
    (text,) = doctor.texts(well=False)
    assert f"The writers use different rules for the table {pipeline.table}" in text
    doctor.look(mongodb_database=f"{pipeline.database}-none")
    assert doctor.states("mapping-recorded") == {None}
    assert f"(did you mean {pipeline.database}?)" in " ".join(doctor.texts(None))


def test_a_disabled_event_source_mapping(
    doctor: Doctor, pipeline: Pipeline, stack: Stack, needs: Callable[[str], None]
) -> None:
    """The advice is the command that helps."""
    needs("mapping_restarts")
    table = pipeline.create_table(id="N")
    functions = stack.client("lambda")
    identity = pipeline.tables[table]
    functions.update_event_source_mapping(UUID=identity, Enabled=False)
    doctor.look()
    (text,) = [each for each in doctor.texts(well=False) if "event source mapping" in each]
    assert f"of the table {table} is Disabled" in text
    assert f"aws lambda update-event-source-mapping --uuid {identity} --enabled" in text
    functions.update_event_source_mapping(UUID=identity, Enabled=True)
    doctor.look()
    assert not [each for each in doctor.texts(well=False) if "is Disabled" in each]
