"""Lines of logs: ours with their fields, others as they are."""

from __future__ import annotations

import io
import logging

from ops.logs.entries import data_of, line_of
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
