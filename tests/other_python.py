"""Runs tests on another Python: in a copy of this checkout under build/, which has environments of its own.

`make test-python` is this. The copy has what git knows and what is new, as it is now.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from local.paths import ROOT
from tests.run import SHARED_OUT

if TYPE_CHECKING:
    from collections.abc import Sequence

PARTS = "tests/unit tests/property"
_TELL = "import sys; print(sys.executable if sys.version_info[:2] == (%s) else '')"


def find_python(version: str, search_path: str | None = None) -> Path | None:
    """The interpreter of a version, as "3.13": that on the PATH, or one of those that pyenv has."""
    name = f"python{version}"
    question = _TELL % version.replace(".", ", ")
    for folder in os.get_exec_path({"PATH": search_path} if search_path is not None else None):
        if shutil.which(name, path=folder) and (found := _said(str(Path(folder) / name), "-c", question)):
            return Path(found)
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    for candidate in sorted(pyenv.glob(f"{version}.*/bin/{name}"), reverse=True):
        if found := _said(str(candidate), "-c", question):
            return Path(found)
    return None


def _said(*command: str) -> str:
    result = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - a Python
    return result.stdout.strip() if result.returncode == 0 else ""


def copy_checkout(folder: Path) -> None:
    """Makes a folder a copy of this checkout; its environments and its build/ stay."""
    folder.mkdir(parents=True, exist_ok=True)
    for each in folder.iterdir():
        if not each.name.startswith((".venv", "build")):
            shutil.rmtree(each) if each.is_dir() else each.unlink()
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--deduplicate"]
    listed = subprocess.run(listing, cwd=ROOT, capture_output=True, text=True, check=True)  # noqa: S603 - git
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    # Some tests ask git what belongs to the project.
    for command in (["git", "init", "--quiet"], ["git", "add", "--all"]):
        subprocess.run(command, cwd=folder, check=True)  # noqa: S603 - git


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs them.

    Returns:
        The exit status of make; 2 if there is no such Python.
    """
    parser = argparse.ArgumentParser(prog="make test-python", description=__doc__)
    parser.add_argument("version", help="for example 3.13")
    parser.add_argument("tests", help="arguments of pytest")
    chosen = parser.parse_args(arguments)
    python = find_python(chosen.version)
    if python is None:
        print(f"There is no python{chosen.version} on the PATH, and pyenv has none.", file=sys.stderr)  # noqa: T201 - for the person who asked
        return 2
    folder = ROOT / "build" / f"python{chosen.version}"
    copy_checkout(folder)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    spread = f"--numprocesses=auto --maxprocesses=4 {SHARED_OUT}"
    command = ["make", f"PYTHON={python}", "test", f"ARGS={spread} {chosen.tests or PARTS}"]
    return subprocess.run(command, cwd=folder, env=environment, check=False).returncode  # noqa: S603 - make of this project


if __name__ == "__main__":
    sys.exit(main())
