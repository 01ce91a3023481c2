"""The command line as a whole: its help, its name, and what a shell completes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from typing import TYPE_CHECKING

import pytest

from local.paths import ROOT
from ops.cli import COMMANDS, load
from tests.support.commands import plain, replicator

if TYPE_CHECKING:
    from pathlib import Path

ENTRIES = {name: entry for entries in COMMANDS.values() for name, entry in entries.items()}
HEAVY = {
    *(
        "aiobotocore",
        "aiohttp",
        "asyncio",
        "boto3",
        "botocore",
        "bson",
        "motor",
        "orjson",
        "prometheus_client",
    ),
    *("pydantic", "pymongo", "writer", "yaml"),
}
"""What takes long to import; the commands that use it do so when they run."""

DRIVERS = {"aiobotocore", "aiohttp", "boto3", "motor", "prometheus_client", "pymongo"}

WITH_STATUS = [
    "status",
    "peek",
    "logs",
    "dlq list",
    "dlq show",
    "dlq redrive",
    "dlq drop",
    "dlq restore",
    "follow",
]


@pytest.mark.parametrize("command", WITH_STATUS)
def test_help_says_what_the_exit_status_means(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """For scripts."""
    monkeypatch.setenv("COLUMNS", "80")
    result = replicator(*command.split(), "--help")
    assert result.status == 0
    assert "Exit status: 0" in plain(result.out)


@pytest.mark.parametrize("arguments", [["no-such"], ["dlq", "no-such"], ["dlq", "list", "--limit", "0"]])
def test_wrong_use(arguments: list[str]) -> None:
    """Exit status 2."""
    assert replicator(*arguments).status == 2


def loaded_by(*arguments: str) -> tuple[str, list[str]]:
    """What `replicator` prints, and the modules that it has imported at its end."""
    script = """
import sys
from ops.cli import main
try:
    main()
finally:
    print(*sys.modules, file=sys.stderr)
"""
    ran = subprocess.run(  # noqa: S603 - our own script
        [sys.executable, "-c", script, *arguments], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert "typer" in ran.stderr.split()
    return ran.stdout, ran.stderr.split()


@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_help_imports_no_command(flag: str) -> None:
    """Nobody waits for drivers to read a list; the time is what the imports take."""
    printed, loaded = loaded_by(flag)
    assert "plan-cutover" in printed
    assert {name.partition(".")[0] for name in loaded} & HEAVY == set()
    assert [name for name in loaded if name in {entry.module for entry in ENTRIES.values()}] == []


@pytest.mark.parametrize("command", ENTRIES)
def test_the_help_of_a_command_imports_no_driver(command: str) -> None:
    """Nor what serves metrics: a driver is imported where its connection is made."""
    printed, loaded = loaded_by(command, "--help")
    assert f"replicator {command}" in printed
    assert {name.partition(".")[0] for name in loaded} & DRIVERS == set()


@pytest.mark.parametrize("name", ENTRIES)
def test_summary(name: str) -> None:
    """What the list says of a command is how its own help begins."""
    command = load(name, ENTRIES[name])
    assert command.name == name
    assert command.help.startswith(ENTRIES[name].summary)


@pytest.mark.parametrize("command", [*ENTRIES, "dlq list", "dlq redrive"])
def test_help_names_a_flag_and_no_type(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A flag takes no value; -h is --help everywhere."""
    monkeypatch.setenv("COLUMNS", "80")
    result = replicator(*command.split(), "-h")
    assert (result.status, result.err) == (0, "")
    assert "--help" in plain(result.out)
    assert "bool" not in plain(result.out).lower()
    assert re.findall(r"<[a-z]+.*?>", plain(result.out)) == []


@pytest.mark.parametrize("command", [name for name in ENTRIES if name not in {"dlq", "config-schema"}])
def test_one_family_of_options(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An option has the same name, variable and words wherever it is."""
    monkeypatch.setenv("COLUMNS", "200")
    said = plain(replicator(command, "--help").out)
    if command != "check-config":
        assert "--endpoint-url" in said
        assert "[env var: AWS_REGION, AWS_DEFAULT_REGION]" in said
    for option, variable in (
        ("--stack", "REPLICATOR_STACK"),
        ("--mongodb-uri", "MONGODB_URI"),
        ("--mongodb-database", "MONGODB_DATABASE"),
        ("--replication-file", "REPLICATION_FILE"),
    ):
        if (command, option) != ("check-config", "--replication-file"):  # that is its argument
            assert (f" {option} " in said) == (f"[env var: {variable}]" in said)


def test_version() -> None:
    """The version, and the commit in a checkout."""
    assert re.fullmatch(r"replicator \S+( \(commit [0-9a-f]{12}(-dirty)?\))?\n", replicator("--version").out)


def shell(home: Path, script: str) -> str:
    """What bash prints, with a `replicator` on its path, and a home of its own."""
    commands = home / "bin"
    commands.mkdir(exist_ok=True)
    command = commands / "replicator"
    command.write_text(f'#!/bin/sh\nPYTHONPATH="{ROOT}" exec "{sys.executable}" -m ops "$@"\n')
    command.chmod(0o755)
    return subprocess.run(  # noqa: S603 - our own script
        ["bash", "--norc", "-c", f"{script}\ntrue"],  # noqa: S607 - whichever bash is there
        env={"HOME": str(home), "PATH": f"{commands}{os.pathsep}{os.environ['PATH']}", "LANG": "C.UTF-8"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout


def test_a_shell_completes_commands_and_options(tmp_path: Path) -> None:
    """After `replicator --install-completion`, in a new bash; nothing but the words is printed."""
    said = shell(tmp_path, "replicator --install-completion")
    assert "bash completion installed in" in said
    completed = """
    source ~/.bashrc
    complete -p replicator
    for line in "replicator dl" "replicator dlq re" "replicator status --wat"; do
        COMP_WORDS=($line) COMP_CWORD=$((${#COMP_WORDS[@]} - 1)) COMPREPLY=()
        _replicator_completion replicator "${COMP_WORDS[COMP_CWORD]}"
        echo "${COMPREPLY[@]}"
    done
    """
    words = shell(tmp_path, completed).splitlines()
    assert words[0].endswith("_replicator_completion replicator")
    assert words[1:] == ["dlq", "redrive restore", "--watch"]


def test_ctrl_c_while_it_starts(tmp_path: Path) -> None:
    """In the middle of its imports: 130 as at any other time, and no traceback."""
    (tmp_path / "typer.py").write_text("import signal\nsignal.raise_signal(signal.SIGINT)\n")
    ran = subprocess.run(
        [sys.executable, "-m", "ops", "--help"],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.returncode, ran.stdout, ran.stderr) == (130, "", "")


def test_the_program_is_the_module() -> None:
    """What is installed begins where `python -m ops` does: Ctrl-C is dealt with first."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["scripts"] == {"replicator": "ops.__main__:main"}
