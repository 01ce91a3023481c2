"""Log lines as CloudWatch reads them."""

from __future__ import annotations

import json
import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import jsonschema

from shared import logs

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest

_NAME = {"type": "string", "minLength": 1, "maxLength": 1024}
_METRIC = {
    "type": "object",
    "required": ["Name"],
    "additionalProperties": False,
    "properties": {
        "Name": _NAME,
        "Unit": {"enum": ["Seconds", "Milliseconds", "Bytes", "Count", "Percent", "None"]},
    },
}
_DIMENSIONS = {"type": "array", "minItems": 1, "maxItems": 30, "items": {**_NAME, "maxLength": 250}}
SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["_aws"],
    "properties": {
        "_aws": {
            "type": "object",
            "required": ["Timestamp", "CloudWatchMetrics"],
            "additionalProperties": False,
            "properties": {
                "Timestamp": {"type": "integer"},
                "CloudWatchMetrics": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "required": ["Namespace", "Dimensions", "Metrics"],
                        "additionalProperties": False,
                        "properties": {
                            "Namespace": _NAME,
                            "Dimensions": {"type": "array", "minItems": 1, "items": _DIMENSIONS},
                            "Metrics": {"type": "array", "maxItems": 100, "items": _METRIC},
                        },
                    },
                },
            },
        }
    },
}
"""What is used of the schema in the Amazon CloudWatch User Guide, "Specification: Embedded metric format"."""


@contextmanager
def lines_of(capsys: pytest.CaptureFixture[str], level: str = "INFO") -> Iterator[list[dict[str, Any]]]:
    """The lines that the two parts write to standard output while the context is open."""
    root = logging.getLogger()
    handlers, before = list(root.handlers), root.level
    lines: list[dict[str, Any]] = []
    logs.configure(level)
    try:
        yield lines
        root.handlers[0].close()
        lines += map(json.loads, capsys.readouterr().out.splitlines())
    finally:
        root.handlers[:] = handlers
        root.setLevel(before)


def figures_of(line: dict[str, Any], dimension: str, value: str) -> dict[str, float]:
    """The metrics that CloudWatch makes of a line; fails if it would refuse it, or take it for another's."""
    jsonschema.validate(line, SCHEMA)
    directive, *_ = line["_aws"]["CloudWatchMetrics"]
    assert (directive["Namespace"], directive["Dimensions"]) == ("Replicator", [[dimension]])
    assert line[dimension] == value
    figures = {metric["Name"]: line[metric["Name"]] for metric in directive["Metrics"]}
    assert all(type(figure) in (int, float) for figure in figures.values())
    return figures
