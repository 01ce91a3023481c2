"""A reader of a table, whose DynamoDB answers as a test has scripted it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from ops.migration.retry import Retry
from ops.migration.source.pace import Pace
from ops.migration.source.table import Reader

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def said() -> list[str]:
    """What the command says."""
    return []


@pytest.fixture
def reader_of(said: list[str], monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], Reader]:
    """A reader of the table t by a client, which does not wait between tries."""

    async def at_once(_: float) -> None:
        pass

    monkeypatch.setattr("asyncio.sleep", at_once)
    return lambda client: Reader(client, "t", Pace(), Retry(said.append))
