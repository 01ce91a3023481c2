"""Reads the lock files of requirements/, as `make lock` writes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from packaging.requirements import Requirement

from local.paths import ROOT

if TYPE_CHECKING:
    from pathlib import Path

FOLDER = ROOT / "requirements"


class Locked(NamedTuple):
    """One entry: name, exact version and marker; and the hashes of the files that may be installed for it."""

    requirement: Requirement
    hashes: list[str]


def read(lock_file: Path) -> list[Locked]:
    """All entries, in the order of the file."""
    lines = (line.split("#", 1)[0] for line in lock_file.read_text().splitlines())
    entries = "\n".join(lines).replace("\\\n", " ").splitlines()
    words = (entry.split(" --hash=") for entry in entries if entry.strip())
    return [Locked(Requirement(first), [each.strip() for each in rest]) for first, *rest in words]
