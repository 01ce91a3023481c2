"""The commands in README.md and docs/operations.md: each runs as it is printed."""

from __future__ import annotations

import json
import re
import shlex
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from local.paths import ROOT
from shared.dead_letter import DeadLetter
from tests.support.builders import MIB, body_of, put
from tests.support.commands import replicator

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from local.stack import Stack
    from replicator_testing import Pipeline

PAGES = ("README.md", "docs/operations.md", "docs/mapping.md")
BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SHOWN_ID = "59994f17"
SHOWN_TABLES = {"orders": "{}", "people-*": "{}*"}


def shown() -> Iterator[list[str]]:
    """The arguments of each command that starts with `replicator`."""
    for page in PAGES:
        for block in BLOCK.findall((ROOT / page).read_text()):
            for line in block.splitlines():
                if line.startswith("replicator "):
                    yield shlex.split(line, comments=True)[1:]


@pytest.mark.parametrize("arguments", list(shown()), ids=" ".join)
def test_a_shown_command_is_one(arguments: list[str]) -> None:
    """Its name and all its options exist."""
    assert replicator(*arguments, "--help").status == 0


@pytest.mark.usefixtures("aws_environment")
def test_the_shown_commands_run(
    pipeline: Pipeline, stack: Stack, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """In their order, on a pipeline with dead letters; another test covers watching."""
    monkeypatch.chdir(tmp_path)
    for module in ("ops.queues.queue_browser", "ops.queues.peek"):
        monkeypatch.setattr(f"{module}.WAIT_SECONDS", 0)  # emulators miss no message
    group = f"/ecs/{pipeline.database}"
    make: Any = boto3.session.Session().client  # one service, untyped
    make("logs").create_log_group(logGroupName=group)
    for name, value in (
        ("REPLICATOR_STACK", pipeline.deployment.name),
        ("REPLICATOR_WRITERS", pipeline.writer.status_url),
        ("REPLICATOR_LOG_GROUPS", group),
        ("MONGODB_URI", stack.mongodb_uri),
        ("MONGODB_DATABASE", pipeline.database),
    ):
        monkeypatch.setenv(name, value)
    for code in ("bad-conversion", "bad-envelope"):
        body = body_of(put(1, 3, table="orders")) if code == "bad-conversion" else "{"
        letter: Any = DeadLetter(body, "orders/1", code, "r", message_id="m").entry("", MIB)
        del letter["Id"]
        stack.client("sqs").send_message(QueueUrl=pipeline.deployment.dead_letter_queue_url, **letter)
    (tmp_path / "replication.yaml").write_text(f"tables:\n  {pipeline.table}: {{}}\n")
    ids = [json.loads(line)["id"] for line in replicator("dlq", "list", "--json").out.splitlines()]
    pipeline.create_table("replicator-smoke-test", id="S")
    ran = set()
    for arguments in shown():
        if "--watch" in arguments:
            continue
        real = [pipeline.deployment.name if each == "replicator" else each for each in arguments]
        real = [ids[0] if each == SHOWN_ID else each for each in real]
        real = [SHOWN_TABLES[each].format(pipeline.table) if each in SHOWN_TABLES else each for each in real]
        if arguments[0] == "init":
            (tmp_path / "replication.yaml").unlink()  # it keeps a file that is there
        result = replicator(*real, typed="y\n")
        assert result.status in (0, 1, 3), (real, result)
        ran.add(arguments[0])
    assert ran == {"check-config", "doctor", "init", "smoke-test", "status", "dlq", "peek", "logs"}
    make("logs").delete_log_group(logGroupName=group)
    pipeline.wait_until_drained()
    pipeline.dead_letters()
