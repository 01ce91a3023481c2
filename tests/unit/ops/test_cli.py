"""The command line as a whole: its help, its name, and what a shell completes."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from local.paths import ROOT
from tests.support.commands import plain, replicator

if TYPE_CHECKING:
    from pathlib import Path

COMMANDS = ["status", "peek", "logs", "dlq list", "dlq show", "dlq redrive", "dlq drop", "dlq restore"]


@pytest.mark.parametrize("command", COMMANDS)
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
