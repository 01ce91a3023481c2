"""Servers for the tests, started only when the first test asks for them and stopped at the end by pid."""

from __future__ import annotations

import gc
import json
import logging
import signal
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pymongo
import pytest
from hypothesis import settings
from hypothesis import strategies as st

from tests.support.lambda_environment import end_execution_environment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from types_boto3_sqs.literals import QueueAttributeNameType

    from local.stack import Stack

    DeployLambda = Callable[..., None]

pytest_plugins = ["replicator_testing.plugin"]

# How long an example takes depends on the machine. This also lifts the limit that Hypothesis sets for drawing
# ten examples, from 1 s to 30 s; the strategies here draw one in milliseconds.
settings.register_profile("any-machine", deadline=None)
settings.load_profile("any-machine")


def pytest_configure() -> None:
    """Lets Ctrl-C be tested wherever the tests run: what a shell runs in the background ignores it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Does once, before any test, what would otherwise take its time in the middle of one.

    On a fresh clone Hypothesis makes its table of the characters of UTF-8, which takes more than a second.

    Modules and collected tests stay, so the garbage collector need not go through them again and again: the
    writer collects after each error of an outage, and some tests have thousands of those. With all unit tests
    in the process a collection takes 180 ms of CPU time, and 0.05 ms if they are left out.
    """
    if any(item.get_closest_marker("hypothesis") for item in session.items):
        st.text().validate()
    _spare_the_collector()


def _spare_the_collector() -> None:
    gc.collect()
    gc.freeze()
    gc.set_threshold(4000)  # with Python's own 700, collections are a fifth of the contract tests' CPU time


@pytest.fixture(scope="module", autouse=True)
def _collector_is_spared() -> Iterator[None]:
    """Does so again after a module that undid it: `gc.unfreeze` is for all objects of the process."""
    yield
    if not gc.get_freeze_count():
        _spare_the_collector()


@dataclass(frozen=True)
class Queues:
    """A FIFO queue and its dead-letter queue, as the template makes them."""

    url: str
    dead_letter_url: str


@pytest.fixture(scope="session")
def stack(replicator_stack: Stack) -> Stack:
    """An AWS emulator and a MongoDB: those that the environment names, or embedded ones on free ports.

    Shared by the whole session: use names of your own, and do not stop its servers.
    """
    return replicator_stack


@pytest.fixture
def aws_environment(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leads the AWS clients that this process makes to the emulator, and nowhere else."""
    for name, value in stack.environment().items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def unique() -> str:
    """A word that no other test uses, for names of queues, tables and databases."""
    return f"t{uuid.uuid4().hex[:12]}"


@pytest.fixture
def database(stack: Stack, unique: str) -> Iterator[str]:
    """The name of an empty database of this test's own; dropped afterwards."""
    yield unique
    with pymongo.MongoClient[dict[str, object]](stack.mongodb_uri) as client:
        client.drop_database(unique)


@pytest.fixture
def queues(stack: Stack, unique: str) -> Iterator[Queues]:
    """An empty FIFO queue (visibility timeout 30 s, 5 receives) with its dead-letter queue."""
    sqs = stack.client("sqs")
    common: dict[QueueAttributeNameType, str] = {
        "FifoQueue": "true",
        "MaximumMessageSize": "1048576",
        "MessageRetentionPeriod": "1209600",
    }
    dead = sqs.create_queue(QueueName=f"{unique}-dead.fifo", Attributes=common)["QueueUrl"]
    described = sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"]
    policy = json.dumps({"deadLetterTargetArn": described["QueueArn"], "maxReceiveCount": 5})
    common |= {"VisibilityTimeout": "30", "RedrivePolicy": policy}
    url = sqs.create_queue(QueueName=f"{unique}.fifo", Attributes=common)["QueueUrl"]
    yield Queues(url, dead)
    sqs.delete_queue(QueueUrl=url)
    sqs.delete_queue(QueueUrl=dead)


@pytest.fixture
def deploy_lambda(
    aws_environment: None,  # noqa: ARG001 - needed for its effect
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[DeployLambda]:
    """`deploy_lambda(queue_url, dead_letter_url, …)`: makes this process the environment of the Lambda."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level

    def deploy(
        queue_url: str, dead_letter_url: str, endpoint_url: str | None = None, old_image_fields: str = ""
    ) -> None:
        end_execution_environment()
        settings = {
            "QUEUE_URL": queue_url,
            "DEAD_LETTER_QUEUE_URL": dead_letter_url,
            "LOG_LEVEL": "WARNING",
            "OLD_IMAGE_FIELDS": old_image_fields,
        }
        if endpoint_url:
            settings["AWS_ENDPOINT_URL"] = endpoint_url
        for name, value in settings.items():
            monkeypatch.setenv(name, value)
        monkeypatch.delenv("LANES", raising=False)

    yield deploy
    end_execution_environment()
    root.handlers[:], root.level = handlers, level
