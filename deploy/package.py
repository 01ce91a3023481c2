"""The Lambda's package: our code and the producer's dependencies in one zip, the same bytes every time.

    python -m deploy.package build/producer.zip

What goes in is decided by requirements/producer.txt alone. Where the files of a distribution come from is a
`DistributionSource`; the one here takes them from the running interpreter's environment, so that packaging
needs no network and fits an emulator that runs functions with this very Python.

Two things are made here so that no cold start makes them (docs/performance.md): bytecode, and botocore's list
of endpoints cut down to the one service that is spoken to.
"""

import argparse
import importlib.metadata
import json
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Final, Protocol

from packaging.requirements import Requirement

ROOT: Final = Path(__file__).resolve().parent.parent
LOCK_FILE: Final = ROOT / "requirements" / "producer.txt"
OUR_PACKAGES: Final = ("producer_lambda", "shared")
# The oldest time that a zip can hold: times would make two packages of the same code differ.
TIMESTAMP: Final = (1980, 1, 1, 0, 0, 0)
READ_ONLY_FILE: Final = 0o100644 << 16
# Not needed to run: bytecode as it happens to lie there, sources of compiled modules, typing information.
LEFT_OUT_SUFFIXES: Final = frozenset({".pyc", ".pyi", ".pyx", ".pxd", ".c", ".h", ".typed"})
# botocore describes 400 services (25 MB); the producer speaks to one. The loose files are what every client
# reads: endpoints, partitions, retry rules and defaults.
COMPILE: Final = ("-S", "-m", "compileall", "-qq", "--invalidation-mode", "unchecked-hash")
BOTOCORE_DATA: Final = PurePosixPath("botocore/data")
SERVICES: Final = frozenset({"sqs"})
ENDPOINTS: Final = BOTOCORE_DATA / "endpoints.json"


class PackageError(Exception):
    """The package cannot be built; the message says why."""


class DistributionSource(Protocol):
    """Where the files of a locked dependency come from."""

    def files(self, requirement: Requirement) -> Iterator[tuple[PurePosixPath, bytes]]:
        """The files of one distribution, each with its path as in site-packages.

        Raises:
            PackageError: There is no such distribution, or not in the version that is asked for.
        """
        ...


class InstalledDistributions:
    """The distributions of the running interpreter's environment."""

    def files(self, requirement: Requirement) -> Iterator[tuple[PurePosixPath, bytes]]:
        """See `DistributionSource.files`."""
        try:
            distribution = importlib.metadata.distribution(requirement.name)
        except importlib.metadata.PackageNotFoundError as error:
            raise PackageError(f"{requirement} is not installed in {sys.prefix}.") from error
        if not requirement.specifier.contains(distribution.version, prereleases=True):
            raise PackageError(
                f"{requirement} is needed, and {distribution.version} is installed in {sys.prefix}."
            )
        for path in distribution.files or ():
            if is_packaged(PurePosixPath(path)):
                yield PurePosixPath(path), path.read_binary()


def is_packaged(path: PurePosixPath) -> bool:
    """Whether a file of site-packages is needed to run the producer."""
    if path.suffix in LEFT_OUT_SUFFIXES or ".." in path.parts:  # "../../../bin/…": console scripts
        return False
    if path.parts[0].endswith(".dist-info"):  # nothing that the producer imports looks itself up
        return False
    if path.is_relative_to(BOTOCORE_DATA):
        within = path.relative_to(BOTOCORE_DATA)
        return len(within.parts) == 1 or within.parts[0] in SERVICES
    return True


def locked_requirements(lock_file: Path) -> list[Requirement]:
    """The requirements of a hashed lock file that apply to the running interpreter."""
    lines = (line.strip().removesuffix("\\").strip() for line in lock_file.read_text().splitlines())
    requirements = [Requirement(line) for line in lines if line and not line.startswith(("#", "--"))]
    return [each for each in requirements if each.marker is None or each.marker.evaluate()]


def our_files(packages: Iterable[str]) -> Iterator[tuple[PurePosixPath, bytes]]:
    """The Python files of our own packages."""
    for package in packages:
        for path in (ROOT / package).rglob("*.py"):
            yield PurePosixPath(path.relative_to(ROOT).as_posix()), path.read_bytes()


def endpoints_of(services: Iterable[str], content: bytes) -> bytes:
    """The `endpoints.json` of botocore with these services only; every client reads all 1.2 MB of it."""
    endpoints = json.loads(content)
    for partition in endpoints["partitions"]:
        known = partition["services"]
        partition["services"] = {name: known[name] for name in sorted(services) if name in known}
    return json.dumps(endpoints).encode()


def bytecode_of(sources: Mapping[PurePosixPath, bytes]) -> dict[PurePosixPath, bytes]:
    """The modules compiled by this Python, where this version of Python looks for them.

    Lambda cannot write to /var/task: without them it compiles every module at every cold start. They are not
    checked against their sources, whose times and places are others there. What a compiler writes depends a
    little on what else its process holds, so it gets a process of its own. A file that this version cannot
    compile stays as it is.
    """
    with tempfile.TemporaryDirectory(prefix="bytecode-") as name:
        folder = Path(name)
        for path, content in sources.items():
            file = folder / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
        subprocess.run(  # noqa: S603 - the standard library's own
            [sys.executable, *COMPILE, "-s", name, name], check=False, env={"PYTHONHASHSEED": "0"}
        )
        compiled = {
            PurePosixPath(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*.pyc")
        }
    if sources and not compiled:
        raise PackageError(f"{sys.executable} compiled nothing; what it says is above.")
    return compiled


def build(target: Path, *, lock_file: Path = LOCK_FILE, source: DistributionSource | None = None) -> None:
    """Write the package.

    Args:
        target: The zip to write; its folder is made.
        lock_file: What to pack beside our code.
        source: Where to take that from; this interpreter's environment if not given.

    Raises:
        PackageError: A dependency is missing or of another version, or two of them bring the same file.
    """
    chosen = source or InstalledDistributions()
    contents: dict[PurePosixPath, bytes] = dict(our_files(OUR_PACKAGES))
    for requirement in locked_requirements(lock_file):
        for path, content in chosen.files(requirement):
            if contents.setdefault(path, content) != content:
                raise PackageError(f"{requirement.name} brings another {path} than what is already packed.")
    if ENDPOINTS in contents:
        contents[ENDPOINTS] = endpoints_of(SERVICES, contents[ENDPOINTS])
    contents |= bytecode_of({path: content for path, content in contents.items() if path.suffix == ".py"})
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_suffix(".unfinished")
    with zipfile.ZipFile(unfinished, "w", zipfile.ZIP_DEFLATED) as package:
        for path in sorted(contents):
            entry = zipfile.ZipInfo(str(path), TIMESTAMP)
            entry.external_attr = READ_ONLY_FILE
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = 3  # Unix, wherever it is built
            package.writestr(entry, contents[path])
    unfinished.replace(target)


def main(arguments: Sequence[str] | None = None) -> int:
    """Build the package and say how large it is."""
    parser = argparse.ArgumentParser(
        prog="python -m deploy.package", description="Package the producer for Lambda."
    )
    parser.add_argument("target", type=Path, help="the zip to write")
    target: Path = parser.parse_args(arguments).target
    try:
        build(target)
    except PackageError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(f"{target}: {target.stat().st_size / 1e6:.1f} MB\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
