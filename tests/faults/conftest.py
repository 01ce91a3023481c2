"""Fixtures of the fault suite. One seed determines everything random, and is shown."""

from __future__ import annotations

import os
import random
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from local.errors import StackError
from local.servers.dynamodb_local import FOLDER, DynamoDBLocal
from tests.faults.source import Source
from tests.faults.world import Options, World
from tests.support.tools import give_up, need

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from local.stack import Stack
    from tests.conftest import DeployLambda

    MakeWorld = Callable[[Options], World]

_DEFAULT_SOAK_SECONDS = 5.0


def _seed(config: pytest.Config) -> str:
    """FAULTS_SEED, or else that of the whole run."""
    return os.environ.get("FAULTS_SEED") or str(config.getoption("randomly_seed"))


def pytest_report_collectionfinish(config: pytest.Config) -> str:
    """Shows the seed."""
    return f"fault suite: FAULTS_SEED={_seed(config)}"


def pytest_itemcollected(item: pytest.Item) -> None:
    """Lets aiohttp send a full batch of messages: here, where the Lambda runs, its warning is an error."""
    item.add_marker(pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning"))


@pytest.fixture(scope="session")
def dynamodb_local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Source]:
    """The source of genuine stream records."""
    need("java", *(() if FOLDER.exists() else ("npm",)))
    try:
        server = DynamoDBLocal(tmp_path_factory.mktemp("dynamodb"))
    except StackError as error:
        give_up(f"no source of true stream records: {error}")
    with server:
        server.wait()
        yield Source(server)


@pytest.fixture
def rng(request: pytest.FixtureRequest) -> random.Random:
    """The test's own random generator."""
    seed = _seed(request.config)
    print(f"FAULTS_SEED={seed}")  # noqa: T201 - shown if the test fails
    return random.Random(f"{seed} {request.node.nodeid}")  # noqa: S311 - reproducible


@pytest.fixture
def soak_seconds() -> float:
    """How long a random scenario lasts."""
    return float(os.environ.get("SOAK_SECONDS") or _DEFAULT_SOAK_SECONDS)


@pytest.fixture
def make_world(
    stack: Stack, dynamodb_local: Source, tmp_path: Path, rng: random.Random, deploy_lambda: DeployLambda
) -> Iterator[MakeWorld]:
    """`make_world(options)`: makes the world of this test."""
    with ExitStack() as resources:

        def make(options: Options) -> World:
            world = resources.enter_context(World(stack, dynamodb_local, tmp_path, rng, options))
            deploy_lambda(world.queues.url, world.queues.dead_letter_url, world.endpoint_url)
            return world

        yield make
