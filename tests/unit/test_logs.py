"""Logs are JSON lines that say what happened and never what is in a document."""

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from shared import logs

log = logging.getLogger("replicator.test")


@pytest.fixture(autouse=True)
def restored_logging() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    levels = {name: logging.getLogger(name).level for name in ("aiobotocore", "botocore", "pymongo")}
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    for name, previous in levels.items():
        logging.getLogger(name).setLevel(previous)


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().split("\n")[:-1]]


def test_one_object_a_line() -> None:
    """Level, logger, message, time and the fields of the event; a line stays one line."""
    stream = io.StringIO()
    logs.configure("INFO", stream)
    log.info("batch\napplied: %s", "é\u2028", extra={"changes": 12, "lag": 1.5, "table": "t"})
    (line,) = lines(stream)
    assert line.pop("time")
    assert line == {
        "level": "INFO",
        "logger": "replicator.test",
        "message": "batch\napplied: é\u2028",
        "changes": 12,
        "lag": 1.5,
        "table": "t",
    }


def test_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    """Lambda and containers collect what is written there."""
    logs.configure("INFO")
    log.info("x")
    out, err = capsys.readouterr()
    assert json.loads(out)["message"] == "x"
    assert err == ""


def test_levels() -> None:
    """What is below the level is not written; names of levels are words."""
    stream = io.StringIO()
    logs.configure("WARNING", stream)
    for level in (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR, logging.CRITICAL):
        log.log(level, "x")
    assert [line["level"] for line in lines(stream)] == ["WARNING", "ERROR", "CRITICAL"]


def test_errors_carry_their_traceback() -> None:
    """An exception stands in its own field of the same line."""
    stream = io.StringIO()
    logs.configure("INFO", stream)
    try:
        raise ValueError("broken")
    except ValueError:
        log.exception("failed")
    (line,) = lines(stream)
    assert line["message"] == "failed"
    assert line["level"] == "ERROR"
    assert "Traceback" in line["error"]
    assert line["error"].endswith("ValueError: broken")


def test_configured_again_replaces() -> None:
    """Lambda's own handler, or an earlier call, does not write a second line."""
    first, second = io.StringIO(), io.StringIO()
    logging.getLogger().addHandler(logging.StreamHandler(first))
    logs.configure("INFO", first)
    logs.configure("INFO", second)
    log.info("once")
    assert first.getvalue() == ""
    assert len(lines(second)) == 1


@pytest.mark.parametrize(("level", "written"), [("DEBUG", ["WARNING", "ERROR"]), ("ERROR", ["ERROR"])])
def test_sdk_details_stay_out(level: str, written: list[str]) -> None:
    """The SDKs write requests with their content at lower levels: never here, whatever our level is."""
    stream = io.StringIO()
    logs.configure(level, stream)
    for name in ("botocore.endpoint", "aiobotocore.httpsession", "pymongo.command"):
        for sdk_level in (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR):
            logging.getLogger(name).log(sdk_level, "x")
    assert [line["level"] for line in lines(stream)] == written * 3
