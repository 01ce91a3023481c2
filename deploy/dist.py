"""The wheel and the source distribution of the command, the writer and the producer: `make dist`.

`local`, `replicator_testing` and the templates need the files of a checkout, and are in neither.
"""

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from deploy.errors import PackageError
from shared.release import COMMIT_FILE, commit

ROOT: Final = Path(__file__).resolve().parent.parent
PACKAGES: Final = ("shared", "producer_lambda", "writer", "ops", "follow")
FILES: Final = ("pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md")
BUILD: Final = (sys.executable, "-m", "uv", "build", "--quiet", "--offline", "--no-build-isolation")


def build(target: Path) -> list[Path]:
    """Writes both into a folder, which is made anew. It needs no network: `.venv` has the build backend.

    Raises:
        PackageError: The build backend failed; its words are in it.
    """
    shutil.rmtree(target, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix="dist-") as name:
        folder = Path(name)
        for package in PACKAGES:
            shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
        for file in FILES:
            shutil.copy(ROOT / file, folder)
        (folder / COMMIT_FILE.relative_to(ROOT)).write_text(commit(), encoding="utf-8")
        command = [*BUILD, "--python", sys.executable, "--out-dir", str(target.resolve()), name]
        built = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own uv
    if built.returncode != 0:
        raise PackageError(f"The distribution cannot be built:\n{built.stderr.strip()}")
    return sorted(path for path in target.iterdir() if path.suffix in {".whl", ".gz"})


def main(arguments: Sequence[str] | None = None) -> int:
    """Builds into the folder that is named, and says what."""
    (target,) = sys.argv[1:] if arguments is None else arguments
    try:
        for path in build(Path(target)):
            sys.stdout.write(f"{Path(target) / path.name}: {path.stat().st_size / 1e6:.2f} MB\n")
    except PackageError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
