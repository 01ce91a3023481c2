"""Programs that some tests need and a machine may lack: such tests are skipped, and say what installs them.

Where CI=true nothing is skipped: there the test fails.
"""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, NoReturn

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

PACKAGES = {
    "java": "openjdk-17-jre-headless",
    "npm": "npm",
    "openssl": "openssl",
    "chromium": "chromium",
}
"""The package of Debian and Ubuntu that each program comes with."""

OTHER_NAMES = {"chromium": ("chromium-browser", "google-chrome", "google-chrome-stable")}


def find(program: str) -> str | None:
    """The path of a program, under whichever name; None if it is not on the PATH."""
    names = (program, *OTHER_NAMES.get(program, ()))
    return next((found for name in names if (found := shutil.which(name))), None)


def need(*programs: str, find: Callable[[str], str | None] = find) -> None:
    """Does nothing if all are there; otherwise ends the test as `give_up` does, with what installs them.

    Args:
        programs: keys of `PACKAGES`.
        find: tells where a program is.
    """
    if missing := [program for program in programs if find(program) is None]:
        packages = " ".join(PACKAGES[program] for program in missing)
        give_up(f"there is no {' and no '.join(missing)}; on Debian and Ubuntu: apt-get install {packages}")


def give_up(reason: str) -> NoReturn:
    """Skips the test; where CI=true it fails."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)
