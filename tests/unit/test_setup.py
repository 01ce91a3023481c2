"""What make installs and when, with a Python and a uv that only write down what they are asked for."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from local.paths import ROOT

if TYPE_CHECKING:
    from pathlib import Path

PYTHON = """#!/bin/sh
case "$*" in
  "-m venv"*)
    rm -rf .venv
    mkdir -p .venv/bin .venv/lib/python3.11/site-packages
    cp "$0" .venv/bin/python
    cp uv .venv/bin/uv
    echo new .venv >> calls ;;
esac
"""
OLD_PYTHON = """#!/bin/sh
test "$1" = --version && echo Python 3.9.2 || exit 1
"""
PYTHON_WITHOUT_VENV = """#!/bin/sh
case "$2" in *venv*) exit 1 ;; esac
"""
# It fails at the lock file that the file `failing` names: before anything is installed, or in between.
UV = """#!/bin/sh
for lock_file; do :; done
case "$1 $2" in
  "pip sync")
    echo "$lock_file" >> calls
    if [ -e failing ] && read name kind < failing && [ "requirements/$name" = "$lock_file" ]; then
      [ "$kind" = unreachable ] || touch -d "now + 1 hour" .venv/lib/python3.11/site-packages
      exit 2
    fi ;;
  "venv "*) mkdir -p "$lock_file" ;;
esac
"""
LONG_AGO = 1_000_000_000


class Checkout:
    """A folder with our Makefile and lock files."""

    def __init__(self, folder: Path) -> None:
        """Make it."""
        self.folder = folder
        shutil.copy(ROOT / "Makefile", folder)
        shutil.copytree(ROOT / "requirements", folder / "requirements")
        self.script("python", PYTHON)
        self.script("uv", UV)

    def script(self, name: str, text: str) -> None:
        path = self.folder / name
        path.write_text(text)
        path.chmod(0o755)

    def make(self, *targets: str) -> subprocess.CompletedProcess[str]:
        """Run make some time after the last call: what was written until then is old."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
        command = ["make", "PYTHON=./python", *targets]
        return subprocess.run(  # noqa: S603 - make of this project
            command,
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )

    def installed_by(self, target: str) -> list[str]:
        """What make installs for a target, in its order: lock files, and `new .venv`."""
        calls = self.folder / "calls"
        calls.write_text("")
        result = self.make(target)
        assert (result.returncode != 0) == (self.folder / "failing").exists(), result.stderr
        for path in (self.folder, *self.folder.rglob("*")):
            if path.name not in {"site-packages", "unfinished"}:
                os.utime(path, (LONG_AGO, LONG_AGO), follow_symlinks=False)
        return [line.removeprefix("requirements/") for line in calls.read_text().splitlines()]

    def change(self, lock_file: str, text: str = "") -> None:
        with (self.folder / "requirements" / lock_file).open("a") as file:
            file.write(text)
        os.utime(file.name)


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


def test_running_needs_no_tools(checkout: Checkout) -> None:
    """The tools are seven times as large as all the rest; they come on top when they are asked for."""
    assert checkout.installed_by("run") == ["new .venv", "producer.txt", "run.txt", "stack.txt"]
    assert checkout.installed_by("run") == []
    assert checkout.installed_by(".venv/dev.txt") == ["dev.txt"]
    assert checkout.installed_by("run") == []


def test_packaging_needs_only_uv(checkout: Checkout) -> None:
    """Whoever deploys need not install what replicates."""
    assert checkout.installed_by("package") == ["new .venv"]


def test_what_changed_is_installed_again_and_nothing_else(checkout: Checkout) -> None:
    """Files that have not changed get new times, for instance by git."""
    checkout.installed_by("run")
    for name in ("uv", "producer", "run", "stack"):
        checkout.change(f"{name}.txt")
    assert checkout.installed_by("run") == []
    checkout.change("run.txt", "# another version\n")
    assert checkout.installed_by("run") == ["run.txt"]
    assert checkout.installed_by(".venv/dev.txt") == ["dev.txt"]
    checkout.change("run.txt", "# and another one\n")
    assert checkout.installed_by(".venv/dev.txt") == [
        "run.txt",
        "dev.txt",
    ]  # the first removes what is not its own
    checkout.change("uv.txt", "# another version\n")
    assert checkout.installed_by("run") == ["new .venv", "producer.txt", "run.txt"]


@pytest.mark.parametrize("name", ["run.txt", "dev.txt"])
def test_an_installation_that_was_cut_short_is_made_anew(checkout: Checkout, name: str) -> None:
    """Half a package would be taken for a whole one, by `make run` too after an interrupted `make test`."""
    (checkout.folder / "failing").write_text(f"{name} interrupted\n")
    checkout.installed_by(".venv/dev.txt")
    (checkout.folder / "failing").unlink()
    assert checkout.installed_by("run") == ["new .venv", "producer.txt", "run.txt", "stack.txt"]
    assert checkout.installed_by(".venv/dev.txt") == ["dev.txt"]


def test_a_failed_download_leaves_what_is_there(checkout: Checkout) -> None:
    """Without a network, what could be run before can still be run."""
    checkout.installed_by("run")
    (checkout.folder / "failing").write_text("dev.txt unreachable\n")
    assert checkout.installed_by(".venv/dev.txt") == ["dev.txt"]
    (checkout.folder / "failing").unlink()
    assert checkout.installed_by("run") == []
    assert checkout.installed_by(".venv/dev.txt") == ["dev.txt"]


def test_an_emulator_that_was_cut_short_is_installed_again(checkout: Checkout) -> None:
    """It has an environment of its own, which is emptied first."""
    (checkout.folder / "failing").write_text("stack.txt unreachable\n")
    checkout.installed_by("run")
    (checkout.folder / "failing").unlink()
    assert checkout.installed_by("run") == ["stack.txt"]


def test_another_mongodb_is_found_by_the_beginning_of_its_version(checkout: Checkout) -> None:
    """Each version beside the others, with a program that finds its libraries; an unknown one is named."""
    assert checkout.installed_by(".mongodb/mongodb-6.0.27.txt") == ["new .venv", "mongodb-6.0.27.txt"]
    assert checkout.installed_by(".mongodb/mongodb-5.0.4.txt") == ["mongodb-5.0.4.txt"]
    assert {each.name for each in checkout.folder.glob(".mongodb/*/bin/mongod")} == {"mongod"}
    for version in ("5", "5.0", "5.0.4"):
        assert "/.mongodb/5.0.4/bin:" in checkout.make("-n", "test-mongodb", f"VERSION={version}").stdout
    result = checkout.make("test-mongodb", "VERSION=7.0")
    assert result.returncode != 0
    assert result.stderr.startswith(
        "There is no requirements/mongodb-7.0*.txt: there are 5.0.4 and 6.0.27.\n"
    )


@pytest.mark.parametrize(
    ("python", "reason"),
    [
        (
            OLD_PYTHON,
            "Python 3.11 or later is needed; ./python is Python 3.9.2. Name another one: make PYTHON=",
        ),
        (
            PYTHON_WITHOUT_VENV,
            "Python's venv module is missing. On Debian and Ubuntu: apt-get install",
        ),
    ],
)
def test_a_python_that_cannot_be_used_is_named(checkout: Checkout, python: str, reason: str) -> None:
    """Each with what helps."""
    checkout.script("python", python)
    result = checkout.make("run")
    assert result.returncode != 0
    assert reason in result.stderr
    assert not (checkout.folder / ".venv").exists()
