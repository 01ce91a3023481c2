"""`replicator logs` of a deployed Lambda."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.commands import replicator

if TYPE_CHECKING:
    from collections.abc import Callable

    from replicator_testing import Pipeline


@pytest.mark.usefixtures("aws_environment")
def test_what_the_lambda_logs(
    pipeline: Pipeline, needs: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Found by the name of the stack, in the log group of the template."""
    needs("log_groups")
    monkeypatch.delenv("REPLICATOR_LOG_GROUPS", raising=False)
    table = pipeline.create_table(id="N")
    pipeline.put(table, {"id": {"N": "1"}})

    def forwarded() -> list[dict[str, Any]]:
        filtered = ("--since", "10m", "--filter", "event forwarded", "--json")
        lines = replicator("logs", "--stack", pipeline.deployment.name, *filtered).out.splitlines()
        return [json.loads(line) for line in lines]

    (entry, *_) = pipeline.wait_until(forwarded, bool)
    assert entry["message"] == "event forwarded"
    assert entry["fields"]["records"] >= 1
    assert (
        " lambda  INFO     event forwarded  records="
        in replicator("logs", "--function", pipeline.deployment.function_name).out
    )
