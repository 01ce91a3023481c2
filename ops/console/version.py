"""The version of this program, and the commit that it was made of, if that is known."""

import json
import shutil
import subprocess
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

_NAME = "dynamodb-mongodb-replicator"
_ROOT = Path(__file__).parents[2]


def version_text() -> str:
    """Such as `replicator 0.1.0 (commit 0123456789ab)`."""
    try:
        found = distribution(_NAME)
    except PackageNotFoundError:  # run from its folder
        version, commit = "of an unknown version", _commit_of_checkout()
    else:
        version, commit = found.version, _commit_installed(found.read_text("direct_url.json"))
    return f"replicator {version}" + (f" (commit {commit[:12]})" if commit else "")


def _commit_installed(origin: str | None) -> str:
    """The commit that pip notes (PEP 610), or that of the folder that it runs from."""
    info = json.loads(origin or "{}").get("vcs_info", {})
    return str(info.get("commit_id", "")) or _commit_of_checkout()


def _commit_of_checkout() -> str:
    git = shutil.which("git")
    if git is None or not (_ROOT / ".git").exists():
        return ""
    asked = [git, "-C", str(_ROOT), "rev-parse", "HEAD"]
    answer = subprocess.run(asked, capture_output=True, text=True, check=False)  # noqa: S603 - no input
    return answer.stdout.strip() if answer.returncode == 0 else ""
