"""A mapping that loses changes is found by every command that depends on it, with what helps."""

from __future__ import annotations

import json
import re
import shlex
from typing import TYPE_CHECKING, Any

import pytest

from local.polling import wait_until
from tests.support.commands import replicator
from tests.support.deployments import mapping_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from replicator_testing import Pipeline

QUEUE = "arn:aws:sqs:us-east-1:000000000000:failures"
WELL: dict[str, Any] = {
    "FunctionResponseTypes": ["ReportBatchItemFailures"],
    "FilterCriteria": {"Filters": []},
    "MaximumRetryAttempts": -1,
    "MaximumRecordAgeInSeconds": -1,
    "DestinationConfig": {"OnFailure": {}},
}
LOSING: list[tuple[dict[str, Any], str]] = [
    ({"FunctionResponseTypes": []}, "lacks ReportBatchItemFailures"),
    ({"FilterCriteria": {"Filters": [{"Pattern": '{"eventName":["INSERT"]}'}]}}, "has a filter, which drops"),
    ({"MaximumRetryAttempts": 3}, "after 3 retries"),
    ({"MaximumRecordAgeInSeconds": 3600}, "after 3,600 s"),
]
OPTIONS: dict[str, Callable[[str], dict[str, Any]]] = {
    "--function-response-types": lambda text: {"FunctionResponseTypes": [text]},
    "--filter-criteria": lambda text: {"FilterCriteria": json.loads(text)},
    "--maximum-retry-attempts": lambda text: {"MaximumRetryAttempts": int(text)},
    "--maximum-record-age-in-seconds": lambda text: {"MaximumRecordAgeInSeconds": int(text)},
}
"""Of `aws lambda update-event-source-mapping`, as parameters of the API."""


@pytest.fixture(autouse=True)
def environment(
    aws_environment: None,  # noqa: ARG001 - its effect
    new_writer: None,  # noqa: ARG001 - its address
    monkeypatch: pytest.MonkeyPatch,
    pipeline: Pipeline,
) -> None:
    """As an operator has it."""
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    for name, value in {
        "REPLICATOR_STACK": pipeline.deployment.name,
        "REPLICATOR_WRITERS": pipeline.writer.status_url,
        "MONGODB_URI": pipeline.stack.mongodb_uri,
        "MONGODB_DATABASE": pipeline.database,
        "REPLICATION_FILE": str(pipeline.replication_file),
    }.items():
        monkeypatch.setenv(name, value)


class Mapping:
    """The event source mapping of the pipeline's table, which a test changes."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._functions = pipeline.stack.client("lambda")
        self.id = mapping_of(pipeline.stack, pipeline.deployment, pipeline.deployment.streams[0])

    def update(self, changes: dict[str, Any]) -> None:
        """Changes it, and waits until it is on again: an update takes its time."""
        self._functions.update_event_source_mapping(UUID=self.id, Enabled=True, **changes)
        wait_until(
            lambda: self._functions.get_event_source_mapping(UUID=self.id)["State"] == "Enabled",
            what="the event source mapping to be on again",
        )

    def follow(self, advice: str) -> None:
        """Does what a command of the AWS CLI in a sentence does."""
        words = shlex.split(re.split(r"aws lambda update-event-source-mapping ", advice)[1].rstrip("."))
        options = dict(zip(words[::2], words[1::2], strict=True))
        assert options.pop("--uuid") == self.id
        for name, text in options.items():
            self.update(OPTIONS[name](text))


@pytest.fixture
def mapping(pipeline: Pipeline, needs: Callable[[str], None]) -> Iterator[Mapping]:
    needs("mapping_restarts")
    found = Mapping(pipeline)
    yield found
    found.update(WELL)


def status() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(replicator("status", "--max-behind", "1000", "--json").out)
    return found


def test_what_loses_changes_is_found_and_the_advice_helps(pipeline: Pipeline, mapping: Mapping) -> None:
    """`status` names each, and is well again after what it says was done."""
    for changes, said in LOSING:
        mapping.update(changes)
        (problem,) = status()["problems"]
        assert said in problem.lower() or said in problem
        assert f" of the table {pipeline.table}" in problem
        mapping.follow(problem)
        assert status()["problems"] == []


def test_several_at_once(pipeline: Pipeline, mapping: Mapping) -> None:
    """`status`, `backfill` and `plan-cutover` say the same; nothing is copied."""
    for changes, _ in LOSING:
        mapping.update(changes)
    assert len(status()["problems"]) == 3  # retries and age are one
    refused = replicator("backfill", pipeline.table)
    assert refused.status == 3
    planned = json.loads(replicator("plan-cutover", pipeline.table, "--json").out)
    (live,) = [each for each in planned["checks"] if each["check"] == "live replication"]
    assert (planned["ready"], live["well"]) == (False, False)
    for said in ("lacks ReportBatchItemFailures", "has a filter", "after 3 retries or 3,600 s"):
        assert said in " ".join(refused.err.split())
        assert said in live["text"]
    for advice in live["advice"].split("; "):
        mapping.follow(advice)
    assert status()["problems"] == []


def test_what_is_given_up_with_somebody_told_is_a_choice(mapping: Mapping) -> None:
    """As the template allows it."""
    mapping.update({"MaximumRetryAttempts": 5, "DestinationConfig": {"OnFailure": {"Destination": QUEUE}}})
    found = status()
    assert (found["problems"], found["well"]) == ([], True)
    assert found["notes"][0].startswith("After 5 retries Lambda gives up on changes of the table ")
