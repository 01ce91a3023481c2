"""Programs that some tests need and a machine may lack: such tests are skipped, and say what installs them.

Where CI=true nothing is skipped: there the test fails.
"""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, NoReturn

import pytest

from local.paths import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PACKAGES_IN_CI = {
    "java": "openjdk-17-jre-headless",
    "npm": "npm",
    "openssl": "openssl",
    "chromium": "chromium",
}
"""The package of Debian and Ubuntu that each program comes with."""

PACKAGES = {
    **PACKAGES_IN_CI,
    # For `make test-image`, which CI leaves to `make test-all`.
    "mmdebstrap": "mmdebstrap",
    "buildah": "buildah",
    "podman": "podman",
    "runc": "runc",
    "netavark": "netavark",
    "aardvark-dns": "aardvark-dns",
    "iptables": "iptables",
    "ip": "iproute2",
}

OTHER_NAMES = {
    "chromium": ("chromium-browser", "google-chrome", "google-chrome-stable"),
    "netavark": ("/usr/lib/podman/netavark", "/usr/libexec/podman/netavark"),
    "aardvark-dns": ("/usr/lib/podman/aardvark-dns", "/usr/libexec/podman/aardvark-dns"),
}

MADE: dict[str, tuple[Path, str]] = {
    "aws": (ROOT / ".venv-awscli" / "bin" / "aws", "make .venv-awscli/awscli.txt"),
    "cdk": (ROOT / ".venv-cdk" / "bin" / "python", "apt-get install npm && make .venv-cdk/cdk.txt"),
    "mongosh": (
        ROOT / ".mongosh" / "node_modules" / ".bin" / "mongosh",
        "apt-get install npm && make .mongosh/mongosh.json",
    ),
}
"""Programs of this checkout: where each is, and the line that installs it. One on the PATH is not used: what
was run is the locked version."""


def find(program: str) -> str | None:
    """The path of a program, under whichever name; None if it is not there."""
    if program in MADE:
        path, _ = MADE[program]
        return str(path) if path.exists() else None
    names = (program, *OTHER_NAMES.get(program, ()))
    return next((found for name in names if (found := shutil.which(name))), None)


def need(*programs: str, find: Callable[[str], str | None] = find) -> None:
    """Does nothing if all are there; otherwise ends the test as `give_up` does, with what installs them.

    Args:
        programs: keys of `PACKAGES` or of `MADE`.
        find: tells where a program is.
    """
    missing = [program for program in programs if find(program) is None]
    if not missing:
        return
    packages = [PACKAGES[program] for program in missing if program in PACKAGES]
    lines = [f"apt-get install {' '.join(packages)}"] if packages else []
    lines += [MADE[program][1] for program in missing if program in MADE]
    give_up(f"there is no {' and no '.join(missing)}; on Debian and Ubuntu: {' && '.join(lines)}")


def give_up(reason: str) -> NoReturn:
    """Skips the test; where CI=true it fails."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)
