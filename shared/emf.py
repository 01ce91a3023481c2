"""Log lines from which CloudWatch makes metrics. Pure.

Such a line has a member `_aws` that says which of its other members are metrics. CloudWatch Logs finds it in
the log group; no request is needed.

Source: Amazon CloudWatch User Guide, "Specification: Embedded metric format".
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, NamedTuple

NAMESPACE = "Replicator"

FIELD = "emf"
"""The field of a log record that `shared.logs` writes as `_aws`; names that begin with `_` are skipped."""


class Unit(StrEnum):
    """The units of CloudWatch that are used here."""

    BYTES = "Bytes"
    COUNT = "Count"
    MILLISECONDS = "Milliseconds"


class Split(NamedTuple):
    """One metric that is made a second time, with one dimension more.

    Attributes:
        metric: its name.
        dimension: the name of the other dimension.
        value: its value, 1 to 1,024 characters.
    """

    metric: str
    dimension: str
    value: str


def with_metrics(  # noqa: PLR0913 - what a line is made of
    fields: Mapping[str, Any],
    units: Mapping[str, Unit],
    dimension: str,
    value: str | None,
    now: float,
    *,
    split: Split | None = None,
) -> dict[str, Any]:
    """The fields of a log line, with the member `_aws` added.

    Args:
        fields: of the line; None is left out, because a metric must be a number.
        units: which of them are metrics (100 at most), and their units.
        dimension: name of the one dimension of all of them.
        value: its value, 1 to 1,024 characters; None: no metrics.
        now: seconds since the epoch.
        split: a metric that is made by another dimension, too.
    """
    known = {name: figure for name, figure in fields.items() if figure is not None}
    if value is None:
        return known
    metrics = [{"Name": name, "Unit": unit.value} for name, unit in units.items() if name in known]
    directives = [{"Namespace": NAMESPACE, "Dimensions": [[dimension]], "Metrics": metrics}]
    dimensions = {dimension: value}
    if split is not None:
        dimensions[split.dimension] = split.value
        again = [metric for metric in metrics if metric["Name"] == split.metric]
        directives.append({"Namespace": NAMESPACE, "Dimensions": [list(dimensions)], "Metrics": again})
    return {
        **known,
        **dimensions,
        FIELD: {"Timestamp": round(now * 1000), "CloudWatchMetrics": directives},
    }
