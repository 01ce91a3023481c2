import re
from dataclasses import replace

import pytest

from local.running.next_steps import Running, next_steps

RUNNING = Running(
    endpoint_url="http://127.0.0.1:24566",
    region="us-east-1",
    access_key="test",
    status_url="http://127.0.0.1:28080",
    mongodb_uri="mongodb://127.0.0.1:27017/?replicaSet=rs0",
    stack_name="replicator",
    replication_file="my.yaml",
    programs=".venv/bin",
    table="orders",
    place=("replicator", "orders"),
    item={"customer": {"S": "9"}, "number": {"N": "9"}},
    has_aws=True,
)


@pytest.mark.parametrize("has_aws", [True, False])
def test_no_line_of_a_command_is_wrapped_by_a_narrow_terminal(has_aws: bool) -> None:  # noqa: FBT001
    """Copied from a terminal of 80 columns, it is what was printed."""
    sections = next_steps(replace(RUNNING, has_aws=has_aws))
    lines = [line for section in sections for command in section.commands for line in command.splitlines()]
    assert [line for line in lines if len(f"    {line}") > 80] == []
    assert any(line.startswith("aws ") for line in lines) == has_aws


def test_the_order() -> None:
    """The page, two commands, a dead letter, its redrive, the end."""
    sections = next_steps(RUNNING)
    assert [re.split(r"[ :]", section.title)[0] for section in sections] == [
        "The",
        "Check",
        "Make",
        "Redrive",
        "Stop",
    ]
    assert [each for each in sections[1].commands if not each.startswith("export ")] == [
        ".venv/bin/replicator status",
        ".venv/bin/replicator verify orders",
    ]


def test_without_a_pipeline_no_command_asks_for_one() -> None:
    """Dead letters of `replicator follow` are in MongoDB."""
    commands = [each for section in next_steps(replace(RUNNING, stack_name="")) for each in section.commands]
    assert not [each for each in commands if "STACK" in each or "WRITERS" in each]
    assert [each for each in commands if each.startswith(".venv/bin/replicator")] == [
        ".venv/bin/replicator verify orders",
        ".venv/bin/replicator dlq list --mongodb",
        ".venv/bin/replicator dlq redrive --all --mongodb",
    ]


def test_aws_goes_to_the_emulator_whichever_version_it_is() -> None:
    """`aws sqs` of version 1 does not read AWS_ENDPOINT_URL: no line relies on it."""
    commands = [command for section in next_steps(RUNNING) for command in section.commands]
    calls = [command for command in commands if command.startswith("aws ")]
    assert calls
    assert all("--endpoint-url http://127.0.0.1:24566" in each for each in calls)


def test_a_password_is_not_printed_and_no_line_needs_it() -> None:
    """Every line works as it is printed: the reader sets a MONGODB_URI that holds a password."""
    with_password = next_steps(replace(RUNNING, mongodb_uri=None))[1]
    assert "MONGODB_URI" in with_password.title
    assert [each for each in with_password.commands if "MONGODB_URI" in each] == []
    without = next_steps(RUNNING)[1]
    assert "MONGODB_URI" not in without.title
    assert f"export MONGODB_URI='{RUNNING.mongodb_uri}'" in without.commands
