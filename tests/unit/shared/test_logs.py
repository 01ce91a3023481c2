"""Logs are JSON lines that say what happened and never what is in a document."""

import asyncio
import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from aiohttp import web

from shared import logs
from shared.log_sampling import MOST

log = logging.getLogger("replicator.test")
QUIET = ("aiobotocore", "aiohttp.server", "botocore", "pymongo")


@pytest.fixture(autouse=True)
def restored_logging() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    levels = {name: logging.getLogger(name).level for name in QUIET}
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


def test_metrics_stand_where_cloudwatch_looks_for_them() -> None:
    """`_aws` at the top, as it is; the name that Python's logging takes is not in the line."""
    stream = io.StringIO()
    logs.configure("INFO", stream)
    log.info("x", extra={"emf": {"Timestamp": 1, "CloudWatchMetrics": [{"Dimensions": [["a"]]}]}})
    (line,) = lines(stream)
    assert line["_aws"] == {"Timestamp": 1, "CloudWatchMetrics": [{"Dimensions": [["a"]]}]}
    assert "emf" not in line


def at(second: float, wording: str = "parked %s", level: int = logging.WARNING, **fields: object) -> None:
    """A line of that moment."""
    record = log.makeRecord(log.name, level, "f", 1, wording, (second,), None, extra=fields)
    record.created = second
    log.handle(record)


def test_the_same_warning_is_written_a_few_times_a_minute() -> None:
    """Whatever line comes after that minute, one before it says how many were kept back."""
    stream = io.StringIO()
    logs.configure("INFO", stream)
    for second in range(20):
        at(second, code="c")
    at(20, "lost %s")
    at(20, level=logging.ERROR)
    at(59.9)
    assert len(lines(stream)) == MOST + 2
    at(60, "tick %s", logging.INFO)
    *_, kept, tick = lines(stream)
    assert (kept["repeated"], kept["message"], kept["level"]) == (16, "parked 59.9", "WARNING")
    assert tick["message"] == "tick 60"
    at(61)
    assert lines(stream)[-1]["message"] == "parked 61"
    assert "repeated" not in lines(stream)[-1]


def test_what_was_kept_back_is_told_at_the_end() -> None:
    """A process that ends within the minute says it, too."""
    stream = io.StringIO()
    logs.configure("INFO", stream)
    for second in range(MOST + 2):
        at(second)
    logging.getLogger().handlers[0].close()
    assert lines(stream)[-1]["repeated"] == 2


def test_work_is_always_told() -> None:
    """Only warnings and errors are kept back."""
    stream = io.StringIO()
    logs.configure("DEBUG", stream)
    for second in range(3 * MOST):
        at(second, level=logging.INFO)
        at(second, level=logging.DEBUG)
    assert len(lines(stream)) == 6 * MOST


def test_warnings_that_all_differ_take_no_room() -> None:
    """Of wordings without end the first are remembered; the others are written each time."""
    stream = io.StringIO()
    logs.configure("INFO", stream)
    for number in range(1_100):
        at(0, f"wording {number} %s")
    for _ in range(2 * MOST):
        at(1, "wording 1099 %s")
    assert len(lines(stream)) == 1_100 + 2 * MOST


async def test_what_is_no_request_is_not_logged() -> None:
    """Its headers would be written, credentials included, with a traceback at ERROR: for any port scanner."""
    stream = io.StringIO()
    logs.configure("DEBUG", stream)
    app = web.AppRunner(web.Application(), access_log=None)
    await app.setup()
    await web.TCPSite(app, "127.0.0.1", 0).start()
    reader, writer = await asyncio.open_connection(*app.addresses[0])
    writer.write(b"GET / HTTP/1.1\r\nAuthorization: Bearer secret-token\x00\r\n\r\n")
    assert b" 400 " in await reader.readline()
    writer.close()
    await writer.wait_closed()
    await app.cleanup()
    assert "secret-token" not in stream.getvalue()
    assert "ERROR" not in stream.getvalue()
