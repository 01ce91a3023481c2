"""compose.yaml without Docker: what its services run, in what their images hold, with their settings."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import sys
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pymongo
import pytest

from deploy.healthcheck import problem
from local.example.scenario import TABLE
from local.paths import ROOT
from local.pipeline.deployment import delete, find
from local.polling import wait_until
from local.processes import ports
from local.processes.child import Child
from local.running.pipeline_run import STACK_NAME
from tests.support import images

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from local.stack import Stack


@pytest.fixture
def _pipeline_of_compose(stack: Stack) -> Iterator[None]:
    """Its stack has a fixed name; whatever the test made of it is undone."""
    if find(stack, STACK_NAME):
        pytest.skip(f"the emulator has a stack {STACK_NAME}, which is not the test's to remove")
    yield
    if deployment := find(stack, STACK_NAME):
        delete(stack, replace(deployment, example_table=TABLE))
        sqs = stack.client("sqs")
        for url in (deployment.queue_url, deployment.dead_letter_queue_url):
            with contextlib.suppress(sqs.exceptions.QueueDoesNotExist):
                sqs.delete_queue(QueueUrl=url)


class Container:
    """What a container of one of our images would run, with nothing but what the image has."""

    def __init__(self, folder: Path, dockerfile: Path, lock: str) -> None:
        """Lay the image out in a folder."""
        self.folder = folder
        images.stage(dockerfile, folder / "app")
        images.environment_of(lock, folder / "site-packages")
        (folder / "bin").mkdir()
        python = folder / "bin" / "python"
        python.write_text(
            f'#!/bin/sh\nexec {sys.executable} -S "$@"\n'
        )  # without the project's own .pth file
        python.chmod(0o755)

    def run(self, command: list[str], environment: Mapping[str, str]) -> Child:
        """Start a command in it."""
        return Child(
            "The container",
            command,
            environment={
                **environment,
                "PATH": f"{self.folder / 'bin'}:/usr/bin:/bin",
                "PYTHONPATH": str(self.folder / "site-packages"),
            },
            log=self.folder / "log",
            directory=self.folder / "app",
        )


@pytest.mark.usefixtures("_pipeline_of_compose")
def test_the_services_make_a_pipeline(
    stack: Stack, database: str, replicator_package: Path, tmp_path: Path
) -> None:
    """Deploying hands the queues on to the writer, and SIGTERM reaches that through its shell."""
    services = images.compose()["services"]
    (tmp_path / "volume").mkdir()
    places = {
        "/pipeline": str(tmp_path / "volume"),
        "/app/": f"{tmp_path}/writer/app/",
        "localstack:4566": urlsplit(stack.endpoint_url).netloc,
        "mongodb:27017": urlsplit(stack.mongodb_uri).netloc,
        "producer.zip": str(replicator_package),
    }

    def placed(text: str) -> str:
        return re.sub("|".join(map(re.escape, places)), lambda match: places[match[0]], text)

    def settings(name: str) -> dict[str, str]:
        return {key: placed(value) for key, value in services[name]["environment"].items()}

    entrypoint, arguments = (
        each.exec_form for each in images.instructions(images.PIPELINE) if each.name in {"ENTRYPOINT", "CMD"}
    )
    pipeline = Container(tmp_path / "pipeline", images.PIPELINE, "local.txt")
    child = pipeline.run([placed(word) for word in entrypoint + arguments], settings("pipeline"))
    wait_until(lambda: not child.running, what="the pipeline")
    assert child.stop() == 0, (pipeline.folder / "log").read_text()

    image = Container(tmp_path / "writer", images.WRITER, "writer.txt")
    shutil.copy(ROOT / "replication.yaml", image.folder / "app")
    with ports.free_port(0) as status:
        changed = {"MONGODB_DATABASE": database, "STATUS_PORT": str(status.number), "STATUS_HOST": ports.HOST}
        command = [placed(word) for word in services["writer"]["entrypoint"]]
        writer = image.run(command, settings("writer") | changed)
        try:
            stack.client("dynamodb").put_item(TableName=TABLE, Item={"id": {"N": "1"}, "Name": {"S": "Ann"}})
            with pymongo.MongoClient[dict[str, object]](stack.mongodb_uri) as client:
                collection = client[database][TABLE]
                writer.wait_until(
                    lambda: collection.find_one({"_id": 1, "Name": "Ann", "age": None}),
                    what="the item to arrive",
                )
            assert problem(changed) == ""
            os.kill(writer.pid, signal.SIGTERM)
            # It would go on until its last long poll ends; that it then ends in order is tested elsewhere.
            writer.wait_until(
                lambda: "draining" in (image.folder / "log").read_text(),
                what="the writer to drain",
            )
        finally:
            writer.kill()
