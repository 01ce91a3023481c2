"""The worlds in which contract suites run, and a client to look at what is really stored."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pymongo
import pytest
import pytest_asyncio

from tests.contract.worlds import KINDS, Document, world_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from local.stack import Stack
    from tests.contract.worlds import World


@pytest.fixture(params=KINDS)
async def world(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    """An empty one for each test."""
    async with world_of(request) as made:
        yield made


@pytest_asyncio.fixture(params=KINDS, scope="module", loop_scope="module")
async def shared_world(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    """One for all examples of a module's random tests, which clear it first.

    Such a test is marked `asyncio(loop_scope="module")`, as the connection lives in the module's event loop.
    """
    async with world_of(request) as made:
        yield made


@pytest.fixture
def mongodb(stack: Stack) -> Iterator[pymongo.MongoClient[Document]]:
    with pymongo.MongoClient[Document](stack.mongodb_uri) as client:
        yield client
