"""The images without Docker: their Dockerfiles as instructions, and the files that a build would see."""

from __future__ import annotations

import fnmatch
import importlib.metadata
import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from local.paths import ROOT
from tests.support import lock_files

WRITER = ROOT / "deploy" / "Dockerfile"
PIPELINE = ROOT / "local" / "Dockerfile"


@dataclass(frozen=True)
class Instruction:
    """One instruction of a Dockerfile: its name in capitals, and what follows it."""

    name: str
    value: str

    @property
    def words(self) -> list[str]:
        """The value's words, without options."""
        return [word for word in self.value.split() if not word.startswith("--")]

    @property
    def exec_form(self) -> list[str]:
        """The list of its exec form; an error if there is a shell between."""
        words: list[str] = json.loads(self.value[self.value.index("[") :])
        return words


def instructions(dockerfile: Path) -> list[Instruction]:
    """All instructions, continued lines joined."""
    lines = [line for line in dockerfile.read_text().splitlines() if not line.startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ").splitlines()
    return [Instruction(*line.split(maxsplit=1)) for line in joined if line.strip()]


def copied(dockerfile: Path) -> dict[str, str]:
    """What is copied from the context: source → destination."""
    copies = [
        each for each in instructions(dockerfile) if each.name == "COPY" and "--from=" not in each.value
    ]
    return {source: each.words[-1] for each in copies for source in each.words[:-1]}


def context() -> list[PurePosixPath]:
    """The files that git knows and .dockerignore lets in."""
    command = ["git", "ls-files"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)  # noqa: S603 - git
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    patterns = [line for line in lines if line and not line.startswith("#")]
    return [path for path in map(PurePosixPath, listed.stdout.splitlines()) if _is_let_in(path, patterns)]


def _is_let_in(path: PurePosixPath, patterns: list[str]) -> bool:
    """As Docker reads the file: the last pattern that a path or a folder of it matches decides."""
    let_in = True
    for pattern in patterns:
        wanted = pattern.removeprefix("!")
        if any(_matches(part, wanted) for part in (path, *path.parents)):
            let_in = pattern.startswith("!")
    return let_in


def _matches(path: PurePosixPath, pattern: str) -> bool:
    if pattern.startswith("**/"):
        return fnmatch.fnmatch(path.name, pattern.removeprefix("**/"))
    return len(path.parts) == len(PurePosixPath(pattern).parts) and fnmatch.fnmatch(str(path), pattern)


def stage(dockerfile: Path, folder: Path) -> None:
    """Copy into a folder what the Dockerfile copies from the context to /app."""
    files = context()
    for source, destination in copied(dockerfile).items():
        target = PurePosixPath(destination)
        if target.is_absolute() and not target.is_relative_to("/app"):
            continue
        target = target.relative_to("/app") if target.is_absolute() else target
        for path in files:
            if path.is_relative_to(source):
                within = path.relative_to(source)
                name = path.name if destination.endswith("/") else ""
                place = folder / target / (name if str(within) == "." else within)
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / path, place)


def environment_of(lock: str, folder: Path) -> Path:
    """Make a folder of exactly the locked distributions, as links to those that are installed here."""
    folder.mkdir()
    for requirement, _ in lock_files.read(lock_files.FOLDER / lock):
        if requirement.marker and not requirement.marker.evaluate():
            continue
        distribution = importlib.metadata.distribution(requirement.name)
        record = (distribution.read_text("RECORD") or "").splitlines()
        for top in {re.split("[/,]", line)[0] for line in record} - {"..", "__pycache__"}:
            if not (folder / top).exists():
                (folder / top).symlink_to(str(distribution.locate_file(top)))
    return folder


def compose() -> dict[str, Any]:
    """compose.yaml."""
    read: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
    return read
