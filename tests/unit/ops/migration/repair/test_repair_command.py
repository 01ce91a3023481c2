"""`replicator repair` without a report: what its own comparison could not know is not well."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from ops.cli import app
from ops.migration.repair import repair
from ops.migration.repair.repair_run import Repairs
from ops.migration.verify.verifier import Counts

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.mark.parametrize(("in_flight", "status"), [(0, 0), (3, 3)])
def test_keys_that_kept_changing_are_not_known(
    monkeypatch: pytest.MonkeyPatch, in_flight: int, status: int
) -> None:
    """Nothing is to be done about the rest: that alone is not well."""

    async def done(*_: Any, **__: Any) -> Any:
        return None

    @asynccontextmanager
    async def session(*_: Any) -> AsyncIterator[Any]:
        mapping = {"file": None, "hash": "h", "recorded": None}
        yield SimpleNamespace(
            retry=SimpleNamespace(until_done=done),
            store=SimpleNamespace(open=None),
            mapping=SimpleNamespace(data=mapping),
        )

    async def compare(*_: Any, **__: Any) -> Any:
        return SimpleNamespace(counts=Counts(items=9, in_flight=in_flight))

    async def repair_report(*_: Any, **__: Any) -> Repairs:
        return Repairs(dry_run=True)

    for name, stub in (("open_session", session), ("compare", compare), ("repair_report", repair_report)):
        monkeypatch.setattr(repair, name, stub)
    target = ("--mongodb-uri", "mongodb://h", "--mongodb-database", "d", "--no-mapping")
    command = ("repair", "people", "--dry-run", *target)
    shown = CliRunner().invoke(app, command)
    assert shown.exit_code == status
    assert ("3 more kept changing and could not be compared" in shown.output) is bool(in_flight)
    (table,) = json.loads(CliRunner().invoke(app, [*command, "--json"]).stdout)["tables"]
    assert (table["status"], table["in_flight"]) == (status, in_flight)
