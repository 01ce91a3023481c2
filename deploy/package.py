"""The Lambda's package: our code and the producer's dependencies in one zip, the same bytes every time.

    python -m deploy.package build/producer.zip                                # for this very Python
    python -m deploy.package build/producer.zip --runtime python3.13 --architecture arm64

What goes in is decided by requirements/producer.txt alone. Where the files of a distribution come from is a
`DistributionSource` (deploy/sources.py): the running interpreter's environment, or wheels for the runtime and
the architecture that are named.

Two things are made here so that no cold start makes them (docs/performance.md): bytecode, and botocore's list
of endpoints cut down to the one service that is spoken to.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Final

from packaging.requirements import Requirement

from deploy import lock_file as locks
from deploy.errors import PackageError
from deploy.sources import DistributionSource, InstalledDistributions, download
from deploy.target import Target

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


def build(target: Path, *, lock_file: Path | None = None, source: DistributionSource | None = None) -> None:
    """Write the package for the running interpreter.

    Args:
        target: The zip to write; its folder is made.
        lock_file: What to pack beside our code; requirements/producer.txt if not given.
        source: Where to take that from; this interpreter's environment if not given.

    Raises:
        PackageError: A dependency is missing or of another version, or two of them bring the same file.
    """
    needed = [each.requirement for each in locks.read(lock_file or LOCK_FILE) if each.applies(None)]
    contents = collect(needed, source or InstalledDistributions())
    write(target, contents | bytecode_of(modules(contents)))


def build_for(platform: Target, target: Path, *, lock_file: Path | None = None) -> bool:
    """Write the package for one of Lambda's platforms, from wheels that are downloaded for it.

    Args:
        platform: What it shall run on.
        target: The zip to write; its folder is made.
        lock_file: As for `build`; its markers are asked about the platform.

    Returns:
        Whether there is bytecode in it: only Python of its version makes bytecode that it can read.

    Raises:
        PackageError: A wheel cannot be had, brings a file that another one brings too, or holds a compiled
            module that the platform cannot load.
    """
    needed = [each for each in locks.read(lock_file or LOCK_FILE) if each.applies(platform.markers)]
    with tempfile.TemporaryDirectory(prefix="wheels-") as folder:
        wheels = download(needed, platform, Path(folder))
        contents = collect([each.requirement for each in needed], wheels)
    for path, content in contents.items():
        platform.check_compiled(path, content)
    if platform.is_this_python:
        contents |= bytecode_of(modules(contents))
    write(target, contents)
    return platform.is_this_python


def collect(requirements: Iterable[Requirement], source: DistributionSource) -> dict[PurePosixPath, bytes]:
    """Our code and what it needs: path in the package → content.

    Raises:
        PackageError: A dependency is missing or of another version, or two of them bring the same file.
    """
    contents: dict[PurePosixPath, bytes] = dict(our_files(OUR_PACKAGES))
    for requirement in requirements:
        for path, content in source.files(requirement):
            if is_packaged(path) and contents.setdefault(path, content) != content:
                raise PackageError(f"{requirement.name} brings another {path} than what is already packed.")
    if ENDPOINTS in contents:
        contents[ENDPOINTS] = endpoints_of(SERVICES, contents[ENDPOINTS])
    return contents


def modules(contents: Mapping[PurePosixPath, bytes]) -> dict[PurePosixPath, bytes]:
    """The sources among the files."""
    return {path: content for path, content in contents.items() if path.suffix == ".py"}


def write(target: Path, contents: Mapping[PurePosixPath, bytes]) -> None:
    """Write the zip: the same bytes for the same contents, and never half of them under its name."""
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
    """Build the package and say what it is for and how large it is."""
    parser = argparse.ArgumentParser(
        prog="python -m deploy.package",
        description="Package the producer for Lambda: for this very Python, or for the runtime and the "
        "architecture that are named, from wheels that are downloaded for them.",
    )
    parser.add_argument("target", type=Path, help="the zip to write")
    parser.add_argument("--runtime", help="as the template's Runtime: python3.11, python3.12 or python3.13")
    parser.add_argument("--architecture", help="as the template's Architecture: x86_64 or arm64")
    options = parser.parse_args(arguments)
    target: Path = options.target
    named = {name: value for name in ("runtime", "architecture") if (value := getattr(options, name))}
    try:
        if named:
            platform = Target(**named)
            told = f" for {platform}"
            if not build_for(platform, target):
                told += (
                    f"; without bytecode, which only {platform.runtime} could make: each cold start compiles "
                    "what it imports (docs/docker.md)"
                )
        else:
            build(target)
            told = ""
    except PackageError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except OSError as error:
        sys.stderr.write(f"{target} cannot be written: {error}\n")
        return 1
    sys.stdout.write(f"{target}: {target.stat().st_size / 1e6:.1f} MB{told}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
