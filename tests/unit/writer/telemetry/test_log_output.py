"""Log lines on a real pipe, whose reader does what it wants."""

from __future__ import annotations

import fcntl
import json
import os
from typing import Any

import pytest

from local.polling import HANG_TIMEOUT_S
from shared import logs
from writer.telemetry.log_output import LogOutput

LINE = json.dumps({"message": "x" * 83}) + "\n"
FULL = 4096


class Pipe:
    """A pipe that holds 4 KB."""

    def __init__(self) -> None:
        self.reads, self.writes = os.pipe()
        self.room = fcntl.fcntl(self.writes, fcntl.F_SETPIPE_SZ, FULL)

    def read_all(self) -> list[dict[str, Any]]:
        """Reads until the other end is closed, and closes this one."""
        with os.fdopen(self.reads) as text:
            return [json.loads(line) for line in text]


@pytest.fixture
def pipe() -> Pipe:
    """Its two ends are closed by the test, in the order that it tries."""
    return Pipe()


def dropped(lines: list[dict[str, Any]]) -> list[int]:
    """The numbers in the lines that say so."""
    return [line["lines"] for line in lines if line["message"] == "log lines were dropped"]


def test_all_is_written_in_order(pipe: Pipe) -> None:
    """To the end, if there is a reader."""
    output = LogOutput(pipe.writes, logs.formatter())
    output.write('{"message": "\u00e9 \ud800"}\n')
    for number in range(20):
        output.write(f'{{"message": {number}}}\n')
    output.close(HANG_TIMEOUT_S)
    os.close(pipe.writes)
    assert [line["message"] for line in pipe.read_all()] == ["é \ud800", *range(20)]
    assert output.dropped == 0


def test_nobody_waits_for_a_reader(pipe: Pipe) -> None:
    """Lines wait up to a bound; those beyond it are dropped and counted; a line says so in their place."""
    output = LogOutput(pipe.writes, logs.formatter(), most=100 * len(LINE))
    for _ in range(1_000):
        output.write(LINE)
    lost = output.dropped
    in_pipe = pipe.room // len(LINE) + 1
    assert 1_000 - 100 - in_pipe <= lost <= 900
    output.close(0)
    lines: list[dict[str, Any]] = []
    with os.fdopen(pipe.reads) as text:
        while sum(dropped(lines)) < lost:
            lines.append(json.loads(text.readline()))
    os.close(pipe.writes)
    assert sum(dropped(lines)) == lost
    assert sum(line["message"] == "x" * 83 for line in lines) == 1_000 - lost


def test_after_a_loss_lines_come_again(pipe: Pipe) -> None:
    """Not one by one, each with a note of what was lost before it: there must be some room first."""
    output = LogOutput(pipe.writes, logs.formatter(), most=400 * len(LINE))
    while not output.dropped:
        output.write(LINE)
    found = os.read(pipe.reads, 10 * len(LINE))
    for _ in range(5):
        output.write(LINE)
    assert output.dropped == 6
    while b"were dropped" not in found or not found.endswith(b"\n"):
        found += os.read(pipe.reads, FULL)
    output.write('{"message": "again"}\n')
    output.close(HANG_TIMEOUT_S)
    os.close(pipe.writes)
    lines = [json.loads(line) for line in found.splitlines()] + pipe.read_all()
    assert dropped(lines) == [6]
    assert lines[-1] == {"message": "again"}
    assert output.dropped == 6


def test_a_reader_that_has_gone_is_no_error(pipe: Pipe) -> None:
    """Nothing is raised, and the end comes at once; lines are counted as lost."""
    output = LogOutput(pipe.writes, logs.formatter())
    os.close(pipe.reads)
    for _ in range(10):
        output.write(LINE)
    output.close(HANG_TIMEOUT_S)
    assert output.dropped == 10
    os.close(pipe.writes)


def test_a_pipe_that_does_not_wait_loses_nothing(pipe: Pipe) -> None:
    """Whoever shares it can make it so (O_NONBLOCK is of the pipe, and not of the process)."""
    os.set_blocking(pipe.writes, False)
    output = LogOutput(pipe.writes, logs.formatter())
    for _ in range(100):
        output.write(LINE)
    with os.fdopen(pipe.reads) as text:
        for _ in range(100):
            assert json.loads(text.readline())
        output.close(HANG_TIMEOUT_S)
    os.close(pipe.writes)
    assert output.dropped == 0
