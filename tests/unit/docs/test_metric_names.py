"""Dashboards, alarms and documents name only metrics that are there."""

from __future__ import annotations

import json
import re
from itertools import combinations
from typing import TYPE_CHECKING, Any

import promql_parser
import pytest

from local.paths import ROOT
from tests.support.metric_names import (
    EMF_NAMES,
    cloudwatch_names,
    families,
    follow_names,
    prometheus_names,
    verify_names,
)
from writer.telemetry.observer import Result

if TYPE_CHECKING:
    from pathlib import Path

DASHBOARD = json.loads((ROOT / "deploy/grafana-dashboard.json").read_text(encoding="utf-8"))
TEMPLATES = sorted((ROOT / "deploy").glob("*.yaml"))
PAGES = [*sorted((ROOT / "docs").rglob("*.md")), ROOT / "README.md"]
MONITORING = (ROOT / "docs/monitoring.md").read_text(encoding="utf-8")
FROM_THE_SCRAPE = {"instance", "job"}
NO_METRICS = {"replicator_testing", "replicator_pipelines", "replicator_stack"}  # a package and its fixtures
TEMPLATE = """
Resources:
  Alarm:
    Type: AWS::CloudWatch::Alarm
    Properties: {Namespace: Replicator, MetricName: lag_p99_ms, Dimensions: [{Name: Queue, Value: !Ref Q}]}
  Composed:
    Properties:
      Metrics:
        - MetricStat:
            Metric: {Namespace: Replicator, MetricName: ready, Dimensions: [{Name: Queue, Value: q}]}
  Foreign: {Properties: {Namespace: AWS/SQS, MetricName: NumberOfMessagesSent}}
  Board:
    Properties:
      DashboardBody: !Sub |
        {"widgets": [{"properties": {"period": ${Period}, "metrics": [
          ["Replicator", "applied", "Queue", "${AWS::StackName}", {"stat": "Sum"}],
          [".", "stale", ".", "."], ["...", "other"],
          ["AWS/Lambda", "Errors", "FunctionName", "${Producer}"],
          [{"expression": "SEARCH('{Replicator,FunctionName} MetricName=\\"bytes\\"', 'Sum', 60)"}]
        ]}}, {"type": "text"}]}
"""


def queries() -> list[tuple[str, str]]:
    return [
        (panel["title"], target["expr"])
        for panel in DASHBOARD["panels"]
        for target in panel.get("targets", [])
    ]


def filled(query: str) -> str:
    """As Grafana fills in its variables."""
    return query.replace("$__rate_interval", "1m").replace("$instance", ".*").replace("$table", ".*")


def selectors(node: Any) -> list[Any]:
    """All parts of a query that name a metric."""
    if isinstance(node, promql_parser.VectorSelector):
        return [node]
    found = []
    for name in ("expr", "lhs", "rhs", "vector_selector", "args"):
        inner = getattr(node, name, None)
        for each in inner if isinstance(inner, list) else [inner]:
            if each is not None:
                found += selectors(each)
    return found


def grouping(node: Any) -> set[str]:
    """The labels that any aggregation in a query groups by."""
    found: set[str] = set()
    modifier = getattr(node, "modifier", None)
    if modifier is not None and isinstance(node, promql_parser.AggregateExpr):
        found |= set(modifier.labels)
    for name in ("expr", "lhs", "rhs", "args"):
        inner = getattr(node, name, None)
        for each in inner if isinstance(inner, list) else [inner]:
            if each is not None:
                found |= grouping(each)
    return found


@pytest.mark.parametrize("query", sorted({query for _, query in queries()}))
def test_queries_ask_for_what_is_there(query: str) -> None:
    """Each parses as PromQL, and names metrics and labels of `/metrics`."""
    there = prometheus_names()
    parsed = promql_parser.parse(filled(query))
    found = selectors(parsed)
    assert found
    labels: set[str] = set()
    for selector in found:
        assert selector.name in there
        labels |= there[selector.name]
        assert {matcher.name for matcher in selector.matchers.matchers} <= there[
            selector.name
        ] | FROM_THE_SCRAPE
    assert grouping(parsed) <= labels | FROM_THE_SCRAPE


def test_every_metric_has_a_panel() -> None:
    """Also what became of changes, but for results that are no cause to look."""
    asked = " ".join(expression for _, expression in queries())
    ours = {name for name in families() if name.startswith("replicator_")}
    assert {name for name in ours if name not in asked} == set()
    assert {result.value for result in Result} - set(re.findall(r'result="(\w+)"', asked)) == {"coalesced"}


def test_panels_have_a_place_of_their_own() -> None:
    """No two have one id, none covers another, none leaves the 24 columns."""
    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    places = [panel["gridPos"] for panel in panels]
    assert all(place["x"] + place["w"] <= 24 for place in places)
    for one, other in combinations(places, 2):
        assert (
            one["x"] + one["w"] <= other["x"]
            or other["x"] + other["w"] <= one["x"]
            or one["y"] + one["h"] <= other["y"]
            or other["y"] + other["h"] <= one["y"]
        )
    for panel in panels:
        ids = [target["refId"] for target in panel.get("targets", [])]
        assert len(set(ids)) == len(ids)
        assert bool(ids) == (panel["type"] != "row")


def test_the_dashboard_names_no_data_source_of_ours() -> None:
    """Data source, writers and tables are variables, and the variables ask for metrics that are there."""
    variables = {each["name"]: each for each in DASHBOARD["templating"]["list"]}
    assert variables.keys() == {"datasource", "instance", "table"}
    there = prometheus_names()
    for name in ("instance", "table"):
        (metric, label) = re.findall(r"label_values\((\w+), (\w+)\)", variables[name]["query"]["query"])[0]
        assert label in there[metric] | FROM_THE_SCRAPE
    sources = {json.dumps(each["datasource"]) for each in DASHBOARD["panels"] if "datasource" in each}
    assert sources == {'{"type": "prometheus", "uid": "${datasource}"}'}


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_templates_name_metrics_that_are_written(template: Path) -> None:
    """An alarm on a metric that nobody writes never rings."""
    there = {(dimension, name) for dimension, names in EMF_NAMES.items() for name in names}
    assert set(cloudwatch_names(template)) <= there


def test_names_in_templates_are_found(tmp_path: Path) -> None:
    """In alarms, in their expressions, and in the dashboard's rows and searches."""
    (tmp_path / "t.yaml").write_text(TEMPLATE, encoding="utf-8")
    found = list(cloudwatch_names(tmp_path / "t.yaml"))
    writers = "lag_p99_ms", "ready", "applied", "stale", "stale"
    assert found == [*(("Queue", name) for name in writers), ("FunctionName", "bytes")]


def test_documents_name_metrics_that_are_there() -> None:
    """Every word that looks like one of ours is one."""
    named = {
        word
        for page in PAGES
        for word in re.findall(r"(?<!\w)replicator_[a-z_]+", page.read_text(encoding="utf-8"))
    }
    there = families() | prometheus_names().keys() | verify_names() | follow_names()
    assert named - there - NO_METRICS == set()


def column(heading: str) -> list[str]:
    """The names in the first column of the table behind a heading of docs/monitoring.md."""
    table = MONITORING.split(f"\n{heading}\n", 1)[1].split("\n#", 1)[0]
    rows = re.findall(r"^\| (`[^|]*) \|", table, re.MULTILINE)
    return [name for row in rows for name in re.findall(r"`([a-z_0-9]+)[`{]", row)]


def test_every_metric_is_documented() -> None:
    """Each once, and no other."""
    ours = [name for name in column("## Prometheus") if name.startswith("replicator_")]
    assert sorted(ours) == sorted(name for name in families() if name.startswith("replicator_"))
    assert sorted(column("### Of the Lambda")) == sorted(EMF_NAMES["FunctionName"])
    assert sorted(column("### Of the writer")) == sorted(EMF_NAMES["Queue"])
