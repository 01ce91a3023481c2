"""Where the files of a locked dependency come from: this interpreter's environment, or downloaded wheels."""

import importlib.metadata
import subprocess
import sys
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Final, Protocol

from packaging.requirements import Requirement
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename

from deploy.errors import PackageError
from deploy.lock_file import Locked
from deploy.target import Target

# The parts of a wheel's "name-version.data" that belong into site-packages; others are scripts and headers.
SITE_PACKAGES: Final = frozenset({"purelib", "platlib"})


class DistributionSource(Protocol):
    """Where the files of a locked dependency come from."""

    def files(self, requirement: Requirement) -> Iterator[tuple[PurePosixPath, bytes]]:
        """The files of one distribution, each with its path as in site-packages.

        Raises:
            PackageError: There is no such distribution, or not in the version that is asked for.
        """
        ...


class InstalledDistributions:
    """The distributions of the running interpreter's environment.

    Packaging needs no network then, and fits an emulator that runs functions with this very Python.
    """

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
            yield PurePosixPath(path), path.read_binary()


class Wheels:
    """The distributions in a folder of wheels, for a platform that need not be this one."""

    def __init__(self, folder: Path, target: Target) -> None:
        """Read from that folder, for that platform."""
        self._folder = folder
        self._target = target

    def files(self, requirement: Requirement) -> Iterator[tuple[PurePosixPath, bytes]]:
        """See `DistributionSource.files`."""
        with zipfile.ZipFile(self._wheel(requirement)) as wheel:
            for entry in wheel.infolist():
                path = None if entry.is_dir() else _in_site_packages(PurePosixPath(entry.filename))
                if path:
                    yield path, wheel.read(entry)

    def _wheel(self, requirement: Requirement) -> Path:
        found = [path for path in sorted(self._folder.iterdir()) if _is_of(path, requirement)]
        for path in found:
            if not self._target.tags.isdisjoint(parse_wheel_filename(path.name)[3]):
                return path
        if found:
            raise PackageError(f"{found[0].name} is not for {self._target}.")
        raise PackageError(f"There is no wheel of {requirement} in {self._folder}.")


def _is_of(path: Path, requirement: Requirement) -> bool:
    try:
        name, version, _, _ = parse_wheel_filename(path.name)
    except InvalidWheelFilename:
        return False
    return name == canonicalize_name(requirement.name) and requirement.specifier.contains(
        version, prereleases=True
    )


def _in_site_packages(path: PurePosixPath) -> PurePosixPath | None:
    """Where in site-packages an installer would put a file of a wheel; None: elsewhere."""
    if not path.parts[0].endswith(".data"):
        return path
    kind, *rest = path.parts[1:]
    return PurePosixPath(*rest) if kind in SITE_PACKAGES and rest else None


def download(locked: Iterable[Locked], target: Target, folder: Path) -> Wheels:
    """Download the wheels of locked dependencies, checked by their hashes; nothing is built from sources.

    It is pip that does it, with the index, proxy and cache that it is configured for (PIP_INDEX_URL …).

    Args:
        locked: What the target needs; the caller has asked the markers.
        target: What the wheels must run on.
        folder: Existing folder that they go to.

    Raises:
        PackageError: The index cannot be reached, or has no such wheel for the target, or another one.
    """
    wanted = folder / "requirements.txt"
    wanted.write_text("".join(f"{each.line}\n" for each in locked), encoding="utf-8")
    options = [
        "--only-binary=:all:",
        "--no-deps",
        "--require-hashes",
        f"--requirement={wanted}",
        f"--dest={folder}",
    ]
    platform = ["--implementation=cp", f"--python-version={target.runtime.removeprefix('python')}"]
    platform += [f"--abi={target.abi}", *(f"--platform={tag}" for tag in target.platforms)]
    quiet = ["--quiet", "--disable-pip-version-check", "--no-input", "--retries=1", "--progress-bar=off"]
    result = subprocess.run(  # noqa: S603 - pip of this interpreter
        [sys.executable, "-m", "pip", "download", *quiet, *options, *platform],
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode != 0:
        raise PackageError(_reason(result.stderr, target))
    return Wheels(folder, target)


def _reason(output: str, target: Target) -> str:
    """The failure of pip in a sentence. It tells its kinds of failure apart by their text only."""
    if "connection broken" in output:
        return f"The wheels for {target} cannot be downloaded: the package index cannot be reached."
    if "DO NOT MATCH THE HASHES" in output:
        return f"The wheels for {target} cannot be used: one of them has none of the hashes in the lock file."
    errors = [line.removeprefix("ERROR: ") for line in output.splitlines() if line.startswith("ERROR: ")]
    reason = errors[-1] if errors else f"pip says {output.strip()!r}"
    return f"The wheels for {target} cannot be downloaded: {reason}."
