"""`replicator logs` on a real CloudWatch Logs API: several groups are one stream, complete and in order."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from ops.logs.events import PAGE
from tests.support.commands import replicator

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    Write = Callable[[str, Sequence[tuple[int, str]]], str]


@pytest.fixture
def write(
    aws_environment: None,  # noqa: ARG001 - needed for its effect
    unique: str,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Write]:
    """`write(name, events) -> group`: makes a log group with these times (milliseconds) and lines."""
    for name in ("REPLICATOR_STACK", "REPLICATOR_FUNCTION", "REPLICATOR_LOG_GROUPS", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    make: Any = boto3.session.Session().client  # for one service, without its types
    logs = make("logs")
    groups = []

    def write(name: str, events: Sequence[tuple[int, str]]) -> str:
        group = f"/{unique}/{name}"
        logs.create_log_group(logGroupName=group)
        groups.append(group)
        for number in range(2):  # two streams, as two processes make them
            stream = f"stream-{number}"
            logs.create_log_stream(logGroupName=group, logStreamName=stream)
            own = [{"timestamp": at, "message": text} for at, text in events[number::2]]
            for start in range(0, len(own), 10_000):
                logs.put_log_events(
                    logGroupName=group, logStreamName=stream, logEvents=own[start : start + 10_000]
                )
        return group

    yield write
    for group in groups:
        logs.delete_log_group(logGroupName=group)


def ago(seconds: float) -> int:
    return round((time.time() - seconds) * 1000)


def test_groups_are_one_stream(write: Write) -> None:
    """In the order of time, whichever group and stream a line is in; only those of the time asked for."""
    begin = ago(3600)
    writers = write("writers", [(begin + 10 * n, f'{{"level":"INFO","message":"w{n}"}}') for n in range(6)])
    others = write("others", [(begin + 10 * n + 5, f"o{n}") for n in range(6)])
    early = write("early", [(ago(7200), "too early"), (ago(60), "too late")])
    groups = ("--group", writers, "--group", others, "--group", early)
    result = replicator("logs", "--since", "90m", "--until", "30m", *groups)
    assert (result.status, result.err) == (0, f"12 lines in {writers}, {others}, {early}.\n")
    assert [line.split()[-1] for line in result.out.splitlines()] == [
        f"{name}{n}" for n in range(6) for name in ("w", "o")
    ]
    assert "  writers  INFO     w0\n" in result.out
    assert "  others            o0\n" in result.out
    filtered = replicator("logs", "--since", "2h", "--filter", "w3", *groups, "--json")
    (line,) = filtered.out.splitlines()
    assert json.loads(line)["message"] == "w3"


def test_more_than_a_page(write: Write) -> None:
    """Every line once, also where many have the same time at the end of a page."""
    begin, number = ago(600), PAGE * 2 + 500
    group = write("long", [(begin + n // 40, f"line {n:06}") for n in range(number)])
    other = write("short", [(begin + number // 80, "in the middle")])
    result = replicator("logs", "--since", "1h", "--group", group, "--group", other)
    lines = [line.partition("line ")[2] for line in result.out.splitlines() if "line " in line]
    assert sorted(lines) == [f"{n:06}" for n in range(number)]
    at = [line[:23] for line in result.out.splitlines()]
    assert at == sorted(at)
    assert result.out.count("in the middle") == 1


def test_no_lines_are_no_error(write: Write) -> None:
    """Nothing is printed but where was looked."""
    group = write("empty", [])
    assert replicator("logs", "--group", group) == replicator("logs", "--group", group, "--json")
    result = replicator("logs", "--group", group)
    assert (result.status, result.out, result.err) == (0, "", f"No line in {group}.\n")


def test_lines_of_the_platform_are_left_out(write: Write) -> None:
    """And counted; --all shows them."""
    lines = ["START RequestId: 1 Version: 1", "ours", "REPORT RequestId: 1\tStatus: timeout"]
    group = write("lambda", [(ago(9), text) for text in lines])
    result = replicator("logs", "--group", group)
    assert sorted(line.split("  ")[-1].strip() for line in result.out.splitlines()) == [
        "REPORT RequestId: 1\tStatus: timeout",
        "ours",
    ]
    assert result.err == f"2 lines in {group}, and 1 line of the Lambda platform hidden (--all shows them).\n"
    assert "START RequestId" in replicator("logs", "--group", group, "--all").out


def test_following(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines of one time, lines that arrive late, equal lines: each once, until Ctrl-C, which is 130."""
    at = ago(5)
    group = write("followed", [(at, "first"), (at, "same"), (at, "same")])
    make: Any = boto3.session.Session().client  # for one service, without its types
    logs = make("logs")
    arrivals = [[(at, "second")], [], [(at - 1000, "late"), (at + 1, "third")]]

    def pause(_: float) -> None:
        """Between two looks: what has arrived then."""
        if not arrivals:
            raise KeyboardInterrupt
        for time_of, text in arrivals.pop(0):
            event = {"timestamp": time_of, "message": text}
            logs.put_log_events(logGroupName=group, logStreamName="stream-0", logEvents=[event])

    monkeypatch.setattr("ops.logs.logs.time.sleep", pause)
    result = replicator("logs", "--group", group, "--follow")
    assert result.status == 130
    assert result.err.startswith(f"Following {group}; Ctrl-C ends.\n")
    said = [line.split()[-1] for line in result.out.splitlines()]
    assert sorted(said[:3]) == ["first", "same", "same"]
    assert said[3:] == ["second", "late", "third"]


def test_wrong_use_is_said(write: Write) -> None:
    """In a sentence, with exit status 2."""
    group = write("g", [(ago(1), "x")])
    for arguments, sentence in (
        (["--group", f"{group}-missing"], f"there is no log group {group}-missing: check the name"),
        (["--group", group, "--since", "yesterday"], "'yesterday' is neither a duration, such as 90s"),
        (["--group", group, "--since", "1h", "--until", "2h"], "--since is later than --until"),
        (["--group", group, "--follow", "--until", "0s"], "--follow has no end: leave out --until"),
        ([], "which logs? Give --stack NAME, --function NAME or --group NAME"),
    ):
        result = replicator("logs", *arguments)
        assert (result.status, result.out) == (2, "")
        assert result.err.startswith(f"replicator: {sentence}")
