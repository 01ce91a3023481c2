"""Credentials that cannot be got are an outage, at the start and later: the writer says what it waits for."""

from __future__ import annotations

import json
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from local.polling import wait_until
from tests.contract.test_writer_process import documents, running, send
from tests.support.credentials_endpoint import SECRET, credentials, credentials_endpoint
from tests.support.quick_writer import quick_writer
from tests.support.writer_settings import writer_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from local.stack import Stack
    from tests.conftest import Queues
    from tests.contract.test_writer_process import Running
    from tests.support.credentials_endpoint import CredentialsEndpoint

BAD: dict[str, Callable[[CredentialsEndpoint], None]] = {
    "status 500": lambda endpoint: endpoint.give(SECRET, 500),
    "status 403": lambda endpoint: endpoint.give(SECRET, 403),
    "html": lambda endpoint: endpoint.give(f"<html>{SECRET}</html>"),
    "cut json": lambda endpoint: endpoint.give(credentials()[:60]),
    "list": lambda endpoint: endpoint.give(f'["{SECRET}"]'),
    "incomplete": lambda endpoint: endpoint.give(json.dumps({"AccessKeyId": "test", "Token": SECRET})),
    "expired": lambda endpoint: endpoint.give(credentials(minutes=-5)),
    "silence": lambda endpoint: endpoint.give("", hangs=True),
}

IMPATIENT = quick_writer("botocore.utils.ContainerMetadataFetcher.SLEEP_TIME=0")
"""A writer whose SDK does not pause for a second after each of its three tries."""


@pytest.fixture
def endpoint() -> Iterator[CredentialsEndpoint]:
    with credentials_endpoint() as endpoint:
        yield endpoint


@dataclass
class World:
    """An endpoint, the settings of a writer that uses it, and what it works on."""

    endpoint: CredentialsEndpoint
    environment: dict[str, str]
    stack: Stack
    queues: Queues
    database: str

    def send(self, number: int) -> None:
        send(self.stack, self.queues, number)

    def documents(self) -> set[int]:
        return documents(self.stack, self.database)


@pytest.fixture
def world(stack: Stack, queues: Queues, database: str, endpoint: CredentialsEndpoint) -> World:
    environment = (
        endpoint.environment(stack.environment())
        | writer_settings(stack, queues, database)
        | {"LOG_LEVEL": "DEBUG"}
    )
    return World(endpoint, environment, stack, queues, database)


def is_waited_for(writer: Running, healthz: int) -> None:
    wait_until(lambda: writer.waits_for("sqs"), what="it to say that it waits for SQS")
    reason = writer.answer("/readyz")[1]["waiting_for"]["sqs"]["reason"]
    assert (
        "the AWS credentials" in reason or "no answer that can be read" in reason or "TimeoutError" in reason
    )
    assert writer.answer("/healthz")[0] == healthz


def ends_well(writer: Running) -> None:
    assert writer.stop() == 0
    assert "Traceback" not in writer.output
    assert SECRET not in writer.output


def test_at_the_start(tmp_path: Path, world: World) -> None:
    """Whatever the endpoint does, the writer waits; as soon as there are credentials it is ready (P4)."""
    with ExitStack() as stack:
        writers = []
        for name, bad in BAD.items():  # all at the same time: the SDK takes some seconds until it gives up
            endpoint = stack.enter_context(credentials_endpoint())
            bad(endpoint)
            environment = endpoint.environment(world.environment)
            writers.append((endpoint, stack.enter_context(running(tmp_path / name, environment, IMPATIENT))))
        for endpoint, writer in writers:
            is_waited_for(writer, healthz=503)
            endpoint.over.set()
            endpoint.give(credentials())
        for _, writer in writers:
            wait_until(writer.ready, what="the writer to be ready")
            ends_well(writer)


def test_later(tmp_path: Path, world: World) -> None:
    """Credentials that cannot be renewed: it waits, and goes on; nothing is lost and nothing ends it (P4)."""
    endpoint = world.endpoint
    soon = 5.0  # minutes: the SDK renews what expires in ten with each call
    endpoint.give(credentials(minutes=soon))
    with running(tmp_path / "log", world.environment, IMPATIENT) as writer:
        wait_until(writer.ready, what="the writer to be ready")
        for number, (name, bad) in enumerate(BAD.items(), 1):
            bad(endpoint)
            is_waited_for(writer, healthz=200)
            world.send(number)
            endpoint.over.set()
            endpoint.give(credentials(minutes=soon))
            expected = set(range(1, number + 1))
            wait_until(
                lambda expected=expected: world.documents() == expected,  # type: ignore[misc]
                what=f"the document after {name}",
            )
            endpoint.over.clear()
        ends_well(writer)


def test_no_credentials_at_all(tmp_path: Path, world: World) -> None:
    """A source can come later; the reason says what is missing."""
    without = {name: text for name, text in world.environment.items() if "CONTAINER" not in name}
    with running(tmp_path / "log", without) as writer:
        wait_until(lambda: writer.waits_for("sqs"), what="it to say that it waits for SQS")
        assert "no AWS credentials" in writer.answer("/readyz")[1]["waiting_for"]["sqs"]["reason"]
        ends_well(writer)
