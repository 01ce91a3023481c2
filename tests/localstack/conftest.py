"""Tests of the LocalStack that is started here, and of its plugins; they run in `make test-localstack`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from local.servers.localstack import LocalStack

if TYPE_CHECKING:
    from local.stack import Stack


@pytest.fixture(autouse=True)
def _on_localstack(request: pytest.FixtureRequest) -> None:
    if request.config.getoption("--stack") != "localstack":
        pytest.skip("it needs .venv-localstack, Java and npm: make test-localstack")


@pytest.fixture
def localstack(stack: Stack) -> LocalStack:
    """The LocalStack of this session."""
    if not isinstance(stack.emulator, LocalStack):
        pytest.skip("the environment names a LocalStack: these are tests of the one that is started here")
    return stack.emulator
