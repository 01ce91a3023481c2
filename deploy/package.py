"""The Lambda's package: our code and the producer's dependencies in one zip, the same bytes every time.

    python -m deploy.package build/producer.zip --runtime python3.13 --architecture arm64

What goes in is decided by requirements/producer.txt alone, and uv installs it: for the runtime and the
architecture that are named or, for the emulators, for the Python of .venv.

Two things are made here so that no cold start makes them (docs/performance.md): bytecode, and botocore's list
of endpoints cut down to the one service that is spoken to.
"""

import argparse
import importlib.metadata
import json
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Final

from deploy.errors import PackageError
from deploy.target import Target
from shared.release import COMMIT_FILE, commit

ROOT: Final = Path(__file__).resolve().parent.parent
LOCK_FILE: Final = ROOT / "requirements" / "producer.txt"
# What make has installed from it, and the copy of it that make leaves beside that.
INSTALLED: Final = ROOT / ".venv" / "producer"
INSTALLED_FROM: Final = INSTALLED.with_suffix(".txt")
OUR_PACKAGES: Final = ("producer_lambda", "shared")
# The oldest time that a zip can hold: times would make two packages of the same code differ.
TIMESTAMP: Final = (1980, 1, 1, 0, 0, 0)
READ_ONLY_FILE: Final = 0o100644 << 16
# Not needed to run: bytecode as it happens to lie there, sources of compiled modules, typing information.
LEFT_OUT_SUFFIXES: Final = frozenset({".pyc", ".pyi", ".pyx", ".pxd", ".c", ".h", ".typed"})
UV: Final = (sys.executable, "-m", "uv", "--quiet", "--color=never")
COMPILE: Final = ("-S", "-m", "compileall", "-qq", "--invalidation-mode", "unchecked-hash")
# botocore describes 400 services (25 MB); the producer speaks to one. The loose files are what every client
# reads: endpoints, partitions, retry rules and defaults.
BOTOCORE_DATA: Final = PurePosixPath("botocore/data")
SERVICES: Final = frozenset({"sqs"})
ENDPOINTS: Final = BOTOCORE_DATA / "endpoints.json"


def is_packaged(path: PurePosixPath) -> bool:
    """Whether a file that uv has installed is needed to run the producer."""
    if path.suffix in LEFT_OUT_SUFFIXES or path.parts[0] == "bin":  # console scripts
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


def build(target: Path) -> None:
    """Write the package for this very Python and this machine, from what make has installed for it.

    It needs no network, and fits an emulator that runs functions with this very Python.

    Args:
        target: The zip to write; its folder is made.

    Raises:
        PackageError: It was installed from another lock file than there is now, or not at all, or two
            distributions bring the same file.
    """
    if not INSTALLED_FROM.is_file() or INSTALLED_FROM.read_bytes() != LOCK_FILE.read_bytes():
        raise PackageError(f"{INSTALLED} does not hold what {LOCK_FILE} names.")
    contents = collect(INSTALLED)
    write(target, contents | bytecode_of(modules(contents)))


def build_for(platform: Target, target: Path) -> bool:
    """Write the package for one of Lambda's platforms, from wheels that are downloaded for it.

    Args:
        platform: What it shall run on.
        target: The zip to write; its folder is made.

    Returns:
        Whether there is bytecode in it: only Python of its version makes bytecode that it can read.

    Raises:
        PackageError: A wheel cannot be had, or brings a file that another one brings too, or holds a
            compiled module that the platform cannot load.
    """
    with tempfile.TemporaryDirectory(prefix="producer-") as folder:
        install(platform, Path(folder))
        contents = collect(Path(folder))
    for path, content in contents.items():
        platform.check_compiled(path, content)
    if platform.is_this_python:
        contents |= bytecode_of(modules(contents))
    write(target, contents)
    return platform.is_this_python


def install(platform: Target, folder: Path) -> None:
    """Install what the lock file names for a platform into a folder: wheels, checked by their hashes.

    It is uv that does it, with the index, proxy and cache that it is configured for (UV_DEFAULT_INDEX …).

    Raises:
        PackageError: The index cannot be reached, or has no such wheel for the platform, or another one.
    """
    what = ["--require-hashes", "--only-binary=:all:", str(LOCK_FILE)]
    where = ["--python", sys.executable, "--target", str(folder)]
    runs_on = ["--python-version", platform.version, "--python-platform", platform.platform]
    result = subprocess.run(  # noqa: S603 - uv of this interpreter
        [*UV, "pip", "sync", *what, *where, *runs_on],
        env=os.environ | {"COLUMNS": "10000"},  # it would break its lines there
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode != 0:
        raise PackageError(f"The wheels for {platform} cannot be downloaded: {_reason(result.stderr)}.")


def _reason(output: str) -> str:
    """What uv says went wrong, and the first cause that it names for it."""
    lines = [line.strip().partition(": ") for line in output.splitlines()]
    said = [text for kind, _, text in lines if kind in {"error", "cause"}]
    return ": ".join(said[:2] or [output.strip()]).removesuffix(".")


def collect(folder: Path) -> dict[PurePosixPath, bytes]:
    """Our code and what is installed in the folder: path in the package → content.

    Raises:
        PackageError: Two distributions bring the same file; one has overwritten the other.
    """
    contents = dict(our_files(OUR_PACKAGES))
    contents[PurePosixPath(COMMIT_FILE.relative_to(ROOT).as_posix())] = commit().encode()
    for distribution in importlib.metadata.distributions(path=[str(folder)]):
        for path in map(PurePosixPath, distribution.files or ()):
            if is_packaged(path):
                if path in contents:
                    raise PackageError(f"{path} comes from {distribution.name} and from elsewhere.")
                contents[path] = (folder / path).read_bytes()
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
        description="Package the producer for Lambda, from wheels that are downloaded for its platform.",
    )
    parser.add_argument("target", type=Path, help="the zip to write")
    parser.add_argument(
        "--runtime",
        default=Target.runtime,
        help="as the template's Runtime: python3.11, python3.12, python3.13 or python3.14",
    )
    parser.add_argument(
        "--architecture", default=Target.architecture, help="as the template's Architecture: x86_64 or arm64"
    )
    options = parser.parse_args(arguments)
    target: Path = options.target
    try:
        platform = Target(options.runtime, options.architecture)
        told = f" for {platform}"
        if not build_for(platform, target):
            told += (
                f"; without bytecode, which only {platform.runtime} could make: each cold start compiles "
                "what it imports (docs/docker.md)"
            )
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
