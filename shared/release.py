"""Which version of this program runs, and which commit it was made of.

The Lambda's package, the image and the distribution have the commit in a file that their build writes. In a
checkout git is asked.
"""

import shutil
import subprocess
from functools import cache
from pathlib import Path

VERSION = "0.2.0"
"""As in pyproject.toml, which a test compares: nothing is installed in the Lambda and in the image."""

COMMIT_FILE = Path(__file__).with_name("commit.txt")
"""Written by the builds only: `deploy.package`, `deploy.dist`, `deploy/Dockerfile`."""


@cache
def commit() -> str:
    """The first twelve digits, with `-dirty` where something was changed since; empty: not known."""
    try:
        return COMMIT_FILE.read_text(encoding="utf-8").strip()
    except OSError:
        return commit_of_checkout(Path(__file__).parents[1])


def commit_of_checkout(folder: Path) -> str:
    """What `commit` returns for a folder with a git repository; empty without one, or without git."""
    git = shutil.which("git")
    if git is None or not (folder / ".git").exists():
        return ""
    asked = [git, "-C", str(folder), "describe", "--always", "--abbrev=12", "--exclude=*", "--dirty"]
    answer = subprocess.run(asked, capture_output=True, text=True, check=False)  # noqa: S603 - no input
    return answer.stdout.strip() if answer.returncode == 0 else ""


def release() -> str:
    """Such as `0.2.0 (commit 0123456789ab)`."""
    return f"{VERSION} (commit {commit()})" if commit() else VERSION
