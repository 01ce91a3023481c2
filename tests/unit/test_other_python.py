"""Tests on another Python: which one is found, and what the copy of the checkout holds."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests import other_python
from tests.other_python import copy_checkout, find_python, main

if TYPE_CHECKING:
    from pathlib import Path

THIS = f"{sys.version_info.major}.{sys.version_info.minor}"


@pytest.fixture(autouse=True)
def no_pyenv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "none"))


def script(path: Path, body: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


def test_a_command_that_is_another_python_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As pyenv's commands, which run what is chosen, or nothing; then pyenv's own folder is looked into."""
    script(tmp_path / "first" / f"python{THIS}", "exit 127")
    script(tmp_path / "second" / "python2.7", f'exec {sys.executable} "$@"')
    path = f"{tmp_path / 'first'}:{tmp_path / 'second'}"
    assert find_python(THIS, path) is None
    assert find_python("2.7", path) is None
    script(
        tmp_path / "pyenv" / "versions" / f"{THIS}.1" / "bin" / f"python{THIS}", f'exec {sys.executable} "$@"'
    )
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "pyenv"))
    found = find_python(THIS, path)
    assert found is not None
    assert str(found) == sys.executable


def test_a_python_that_is_not_there_is_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One sentence, and an exit status of its own."""
    monkeypatch.setenv("PATH", "")
    assert main(["3.99", ""]) == 2
    assert capsys.readouterr().err == "There is no python3.99 on the PATH, and pyenv has none.\n"


def test_the_copy_is_the_checkout_as_it_is_now(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """New files are in it, what is ignored or gone is not; its own environments stay."""
    origin, copy = tmp_path / "origin", tmp_path / "copy"
    for name in ("kept.py", "gone.py", "new/new.py", "ignored.log", ".gitignore"):
        (origin / name).parent.mkdir(parents=True, exist_ok=True)
        (origin / name).write_text("*.log" if name == ".gitignore" else name)
    for command in (["git", "init", "--quiet"], ["git", "add", "kept.py", "gone.py"]):
        subprocess.run(command, cwd=origin, check=True)  # noqa: S603 - git
    monkeypatch.setattr(other_python, "ROOT", origin)
    copy_checkout(copy)
    (origin / "gone.py").unlink()
    (copy / ".venv" / "bin").mkdir(parents=True)
    copy_checkout(copy)
    found = {str(path.relative_to(copy)) for path in copy.rglob("*") if ".git/" not in f"{path}/"}
    assert found == {"kept.py", "new", "new/new.py", ".gitignore", ".venv", ".venv/bin"}
