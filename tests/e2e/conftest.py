"""One deployed pipeline with one writer for most end-to-end tests; each test uses tables of its own."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import boto3
import pymongo
import pytest

from replicator_testing import Pipeline
from writer.names import WRITERS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from local.stack import Stack


SECOND = "-second"


@pytest.fixture(scope="session")
def running_pipeline(
    stack: Stack, replicator_package: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Pipeline]:
    """The pipeline of deploy/pipeline.yaml with a writer, on the stack that the tests use.

    Its mapping names the example table, and a second table like it that does not exist yet.
    """
    table = f"example-{uuid.uuid4().hex[:8]}"
    rule = "{key: [id], fields: {age: {default: null}, created_at: {convert: epoch_seconds}}}"
    mapping = f"tables:\n  {table}: {rule}\n  {table}{SECOND}: {rule}\n"
    with Pipeline.start(
        stack,
        tmp_path_factory.mktemp("pipeline"),
        package=replicator_package,
        mapping=mapping,
        table=table,
    ) as pipeline:
        yield pipeline
        assert pipeline.writer.stop() == 0


@pytest.fixture
def pipeline(running_pipeline: Pipeline) -> Iterator[Pipeline]:
    """That pipeline. The tables that the test creates are deleted after it."""
    yield running_pipeline
    running_pipeline.remove_tables()


@pytest.fixture
def new_writer(pipeline: Pipeline, aws_environment: None) -> None:  # noqa: ARG001 - its effect
    """A new writer, the only one: old ones tell of 15 minutes, and those that were killed left records.

    CloudWatch has an age for the invocations of other tests, which an emulator counts without measuring it.
    """
    assert pipeline.writer.stop() == 0
    with pymongo.MongoClient[dict[str, Any]](pipeline.stack.mongodb_uri) as client:
        client[pipeline.database][WRITERS].drop()
    pipeline.start_writer()
    metrics: Any = boto3.client  # one service, untyped
    name = pipeline.deployment.function_name
    age = {"MetricName": "IteratorAge", "Dimensions": [{"Name": "FunctionName", "Value": name}], "Value": 0.0}
    metrics("cloudwatch").put_metric_data(
        Namespace="AWS/Lambda", MetricData=[{**age, "Timestamp": datetime.now(UTC)}]
    )


@pytest.fixture
def second_table(pipeline: Pipeline) -> str:
    """The second table that the mapping names, for one test."""
    return pipeline.create_table(pipeline.table + SECOND, id="N")


@pytest.fixture
def needs(stack: Stack) -> Callable[[str], None]:
    """`needs("number_keys")`: on an emulator without that capability, skips the test with the reason."""

    def check(capability: str) -> None:
        if reason := getattr(stack.capabilities, capability):
            pytest.skip(reason)

    return check
