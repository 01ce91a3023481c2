"""Which metrics there are, and which ones dashboards, alarms and documents name."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from follow.watching import Behind
from local.pipeline.templates import load
from ops.migration.verify.metrics import Metrics as VerifyMetrics
from ops.migration.verify.verifier import Counts
from producer_lambda import invocation_log as telling
from shared.emf import NAMESPACE
from tests.support.fake_clock import FakeClock
from writer.telemetry import state_log
from writer.telemetry.health import Health, TableWait
from writer.telemetry.metrics import Metrics
from writer.telemetry.observer import Backlog, Batch, Counted, Facts, Lag, Operation, Result

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

EMF_NAMES = {
    telling.DIMENSION: frozenset(telling.UNITS),
    f"{telling.DIMENSION},{telling.TABLE_DIMENSION}": frozenset({telling.TABLE_METRIC}),
    state_log.DIMENSION: frozenset(state_log.UNITS),
}
"""The metrics of the namespace `Replicator` in CloudWatch, by their dimensions."""

Named = tuple[str, str]
"""Dimensions, with commas between them, and a metric."""


def prometheus_names() -> dict[str, frozenset[str]]:
    """The samples of `/metrics` and their labels; `le` of buckets included."""
    clock = FakeClock()
    health = Health(clock)
    health.refused(("", "t"), TableWait("t", "13", "no right", 0.0))
    metrics = Metrics(Facts("1", "", 1, 2), health, clock)
    metrics.backlog(Backlog(1, 1, 1))
    counted = [Counted("t", Operation.PUT, Result.APPLIED, 1)]
    metrics.batch(Batch(messages=1, changes=1, counted=counted, lags=[Lag("t", 1.0, 1)]))
    return {
        sample.name: frozenset(sample.labels)
        for family in metrics.registry.collect()
        for sample in family.samples
        if not sample.name.endswith("_created")
    }


def families() -> frozenset[str]:
    """The names that a person knows: a histogram is one."""
    return frozenset(re.sub("_(bucket|sum|count)$", "", name) for name in prometheus_names())


def verify_names() -> frozenset[str]:
    """The metrics of `replicator verify --metrics-port`."""
    families = VerifyMetrics("t", last=Counts(), at=datetime.now(UTC)).collect()
    return frozenset(sample.name for family in families for sample in family.samples)


def follow_names() -> frozenset[str]:
    """What a process that follows streams has beside the writer's."""
    families = Behind(lambda: {"t": 1.0}).collect()
    return frozenset(sample.name for family in families for sample in family.samples)


def cloudwatch_names(template: Path) -> Iterator[Named]:
    """The metrics of our namespace that a CloudFormation template names: in alarms, and in dashboards."""
    for namespace, dimensions, name in metrics_of(load(template.read_text(encoding="utf-8"))):
        if namespace == NAMESPACE:
            yield dimensions, name


def metrics_of(part: Any) -> Iterator[tuple[str, str, str]]:
    """All metrics that a part of a template names: namespace, dimensions with commas between them, name."""
    if isinstance(part, dict):
        if "Namespace" in part and "MetricName" in part:
            dimensions = ",".join(each["Name"] for each in part.get("Dimensions", []))
            yield part["Namespace"], dimensions, part["MetricName"]
        for name, inner in part.items():
            yield from _names_on_dashboard(inner) if name == "DashboardBody" else metrics_of(inner)
    elif isinstance(part, list):
        for inner in part:
            yield from metrics_of(inner)


def _names_on_dashboard(body: Any) -> Iterator[tuple[str, str, str]]:
    """Source: Amazon CloudWatch User Guide, "Dashboard body structure and syntax"."""
    text = body["Fn::Sub"]
    # What `Fn::Sub` fills in stands in strings, or is a number.
    for widget in json.loads(re.sub(r"(?<=[:\[,])\s*\$\{[A-Za-z:.]+\}", "0", text))["widgets"]:
        before: list[Any] = []
        for row in widget.get("properties", {}).get("metrics", []):
            if isinstance(row[0], dict):
                for namespace, dimensions, names in _SEARCH.findall(row[0].get("expression", "")):
                    for name in _WORD.findall(names):
                        yield namespace, dimensions, name
                continue
            full = _filled(row, before)
            yield full[0], ",".join(full[2::2]), full[1]
            before = full


# SEARCH('{Namespace,Dimension} … MetricName=("a" OR "b")', …)
_SEARCH = re.compile(r"\{([\w/]+),([\w,]+)\}[^']*?MetricName=(\([^)]*\)|\"?\w+)")
_WORD = re.compile(r"\b(?!OR\b)\w+")


def _filled(row: list[Any], before: list[Any]) -> list[Any]:
    """A row of a widget; `.` stands for what was there in the row before, `...` for all but the end."""
    cells = [cell for cell in row if isinstance(cell, str)]
    if cells[0] == "...":
        return before[: len(before) - len(cells) + 1] + cells[1:]
    return [before[place] if cell == "." else cell for place, cell in enumerate(cells)]
