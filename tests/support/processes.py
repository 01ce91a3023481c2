"""The processes of this machine."""

from __future__ import annotations

import contextlib
from pathlib import Path


def processes_in(folder: Path) -> list[int]:
    """Those with their working directory in a folder, as every server and function of a run has."""
    found = []
    for link in Path("/proc").glob("[0-9]*/cwd"):
        with contextlib.suppress(OSError):  # it has ended, or belongs to another user
            if Path(str(link.readlink()).removesuffix(" (deleted)")).is_relative_to(folder):
                found.append(int(link.parent.name))
    return found
