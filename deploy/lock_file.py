"""Reading a hashed lock file of requirements/, as `make lock` writes it. Nothing is resolved here."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement


@dataclass(frozen=True)
class Locked:
    """One entry.

    Attributes:
        requirement: name, exact version and, where the entry is not for all platforms, its marker.
        hashes: "sha256:…" of every file that may be installed for it.
    """

    requirement: Requirement
    hashes: tuple[str, ...]

    def applies(self, environment: Mapping[str, str] | None) -> bool:
        """Whether an environment needs this entry.

        Args:
            environment: The values of the marker's variables (PEP 508); None: of the running interpreter.
        """
        marker = self.requirement.marker
        return marker is None or marker.evaluate(dict(environment) if environment else None)

    @property
    def line(self) -> str:
        """The entry for pip, without its marker: pip asks markers about the interpreter that runs it."""
        return " ".join(
            [f"{self.requirement.name}{self.requirement.specifier}", *map("--hash={}".format, self.hashes)]
        )


def read(lock_file: Path) -> list[Locked]:
    """All entries, in the order of the file."""
    lines = (line.split("#", 1)[0] for line in lock_file.read_text(encoding="utf-8").splitlines())
    entries = "\n".join(lines).replace("\\\n", " ").splitlines()
    return [_locked(entry.split(" --hash=")) for entry in map(str.strip, entries) if entry]


def _locked(parts: list[str]) -> Locked:
    requirement, *hashes = (part.strip() for part in parts)
    return Locked(Requirement(requirement), tuple(hashes))
