"""Lines of logs: ours with their fields, others as they are."""

from __future__ import annotations

import io
import json
import logging

import pytest

from ops.logs.entries import data_of, is_of_platform, line_of
from ops.logs.events import Event
from shared.logs import configure


def shown(text: str, source: str = "lambda") -> str:
    event = Event(1588268842395, "/aws/lambda/f", "s", text)
    return line_of(event, source, 6).plain


def test_a_line_of_ours() -> None:
    """As the writer and the Lambda log it: level, message, then the fields by name; a traceback below."""
    root, stream = logging.getLogger(), io.StringIO()
    handlers, level = list(root.handlers), root.level
    try:
        configure("INFO", stream)
        logging.getLogger("writer").warning(
            "batch applied",
            extra={"changes": 12, "lag_ms": 8.5, "reason": "two words", "code": "x", "none": None},
        )
        try:
            raise ValueError("so it is")
        except ValueError:
            logging.getLogger("writer").exception("broken")
    finally:
        root.handlers[:], root.level = handlers, level
    applied, broken = stream.getvalue().splitlines()
    assert shown(applied) == (
        "2020-04-30 17:47:22.395  lambda  WARNING  batch applied  changes=12  lag_ms=8.5  "
        'reason="two words"  code=x  none=null'
    )
    head, first, *_, last = shown(broken).splitlines()
    assert head == "2020-04-30 17:47:22.395  lambda  ERROR    broken"
    assert (first, last) == ("    Traceback (most recent call last):", "    ValueError: so it is")


def test_other_lines() -> None:
    """Lambda's own, JSON without a message, and what would command the terminal."""
    assert shown("START RequestId: 1 Version: $LATEST", "w") == (
        "2020-04-30 17:47:22.395  w                START RequestId: 1 Version: $LATEST"
    )
    assert shown('{"level":"INFO"}').endswith('  {"level":"INFO"}')
    assert shown("[1, 2]").endswith("  [1, 2]")
    assert shown("a\u009b31mb").endswith("  a\\x9b31mb")


def test_for_scripts() -> None:
    """The same parts by name."""
    text = '{"level":"INFO","logger":"w","time":"x","message":"m","changes":3}'
    assert data_of(Event(1588268842395, "g", "s", text)) == {
        "time": "2020-04-30T17:47:22.395+00:00",
        "group": "g",
        "stream": "s",
        "level": "INFO",
        "message": "m",
        "fields": {"changes": 3},
    }
    assert data_of(Event(0, "g", "s", "START"))["level"] is None


STARTED = '{"time":"x","type":"platform.start","record":{"requestId":"1","version":"$LATEST"}}'
WELL = '{"time":"x","type":"platform.report","record":{"status":"success","metrics":{}}}'
TIMED_OUT = '{"time":"x","type":"platform.report","record":{"status":"timeout","metrics":{}}}'


@pytest.mark.parametrize(
    "text",
    [
        *(
            "START RequestId: 1 Version: $LATEST",
            "END RequestId: 1",
            "INIT_START Runtime Version: python:3.13",
        ),
        "REPORT RequestId: 1\tDuration: 1.2 ms\tMax Memory Used: 99 MB",
        *(STARTED, WELL),
    ],
)
def test_lines_of_the_platform(text: str) -> None:
    """They say nothing but that Lambda ran."""
    assert is_of_platform(Event(0, "g", "s", text))


@pytest.mark.parametrize(
    "text",
    [
        '{"level":"INFO","message":"START RequestId: 1"}',
        "REPORT RequestId: 1\tDuration: 3000.00 ms\tStatus: timeout",
        "INIT_REPORT Init Duration: 9.9 ms\tPhase: init\tStatus: error\tError Type: Runtime.ExitError",
        "1 Task timed out after 3.00 seconds",
        *(
            TIMED_OUT,
            '{"type":"platform.fault","record":"x"}',
            '{"type":5}',
            "[1]",
            "RESTART RequestId: 1",
            "",
        ),
    ],
)
def test_lines_that_are_shown(text: str) -> None:
    """Ours, those of others, and an end that is not a good one (P8)."""
    assert not is_of_platform(Event(0, "g", "s", text))


def test_what_tells_cloudwatch_of_metrics() -> None:
    """Longer than the line itself, and for nobody to read."""
    event = Event(0, "g", "s", json.dumps({"message": "state", "lag": 3, "_aws": {"CloudWatchMetrics": []}}))
    assert line_of(event, "w", 1).plain.endswith("  state  lag=3")
    assert data_of(event)["fields"] == {"lag": 3}
    assert "_aws=" in line_of(event, "w", 1, metrics=True).plain
    assert data_of(event, metrics=True)["fields"].keys() == {"lag", "_aws"}
