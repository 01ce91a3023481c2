"""The pytest plugin: `pytest_plugins = ["replicator_testing.plugin"]` in a project's `conftest.py`.

Servers start when the first test asks for them, and are stopped, by their process ids, after the last.
"""

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.errors import PackageError
from deploy.package import build
from local import paths
from local.errors import StackError
from local.stack import Stack
from replicator_testing.replicate import Pipelines, Replicate


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.getgroup("replicator").addoption(
        "--stack",
        choices=["embedded", "localstack"],
        help="What replicator tests run on. By default the LocalStack that AWS_ENDPOINT_URL or "
        "LOCALSTACK_HOST names, or else the embedded emulator. embedded: that one in any case. localstack: "
        "the named one, or else one that is started. MONGODB_URI names a MongoDB; else one is started.",
    )


@pytest.fixture(scope="session")
def replicator_stack(request: pytest.FixtureRequest) -> Iterator[Stack]:
    """An AWS emulator and a MongoDB for the whole session: use unique names, and do not stop them."""
    _check_installation()
    with contextlib.ExitStack() as resources:
        try:
            stack = resources.enter_context(Stack(request.config.getoption("--stack")))
        except StackError as error:
            pytest.fail(f"{error}\n{error.log_tail}", pytrace=False)
        yield stack


def _check_installation() -> None:
    """The servers and the package need the checkout's environments, which are for one version of Python."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    if not (paths.ENVIRONMENT / "lib" / version).is_dir():
        pytest.fail(
            f"There is no {paths.ENVIRONMENT} for {version}. Install the replicator from a checkout "
            f"(pip install -e), and in the checkout run: make install PYTHON={version}",
            pytrace=False,
        )


@pytest.fixture(scope="session")
def replicator_package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Lambda's package, with the locked versions of its dependencies."""
    path = tmp_path_factory.mktemp("package") / "producer.zip"
    try:
        build(path)
    except PackageError as error:
        pytest.fail(f"The Lambda cannot be packaged: {error}", pytrace=False)
    return path


@pytest.fixture(scope="session")
def replicator_pipelines(
    replicator_stack: Stack, replicator_package: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Pipelines]:
    """Pipelines by their mapping: `replicator_pipelines.get(Path("replication.yaml"))`."""
    pipelines = Pipelines(replicator_stack, replicator_package, tmp_path_factory.mktemp("replicator"))
    yield pipelines
    pipelines.close()


@pytest.fixture
def replicate(replicator_pipelines: Pipelines) -> Iterator[Replicate]:
    """`replicate(items, table=…, mapping=…) -> documents`; see `Replicate.__call__`."""
    replicate = Replicate(replicator_pipelines)
    yield replicate
    replicate.clean_up()
