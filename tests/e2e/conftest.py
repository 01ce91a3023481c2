"""One deployed pipeline with one writer for all end-to-end tests; each test uses tables of its own."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import pytest

from deploy.package import build
from local.deployment import delete, deploy
from local.writer_process import WriterProcess
from tests.pipeline import Pipeline

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from local.stack import Stack


@pytest.fixture(scope="session")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Lambda's package."""
    path = tmp_path_factory.mktemp("package") / "producer.zip"
    build(path)
    return path


@pytest.fixture(scope="session")
def pipeline(stack: Stack, package: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    """The pipeline of deploy/pipeline.yaml with a writer, on whatever stack the tests run on."""
    suffix = uuid.uuid4().hex[:8]
    deployment = deploy(
        stack,
        f"e2e-{suffix}",
        package=package,
        parameters={"CreateExampleTable": "true", "VisibilityTimeout": "10"},
    )
    folder = tmp_path_factory.mktemp("writer")
    mapping = folder / "replication.yaml"
    mapping.write_text(
        f"""
tables:
  {deployment.table_name}:
    key: [id]
    fields:
      age: {{default: null}}
      created_at: {{convert: epoch_seconds}}
"""
    )
    database = f"e2e_{suffix}"
    writer = WriterProcess(
        stack,
        deployment,
        log=folder / "writer.log",
        replication_file=mapping,
        settings={"MONGODB_DATABASE": database},
    )
    with writer:
        writer.wait()
        pipeline = Pipeline(stack, deployment, writer, database)
        yield pipeline
        pipeline.remove_tables()
        assert writer.stop() == 0
    delete(stack, deployment)
