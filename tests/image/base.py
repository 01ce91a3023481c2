"""The base of both images, made of Debian's packages: it is not Docker Hub's, and has its name here."""

from __future__ import annotations

import hashlib
import shutil
import ssl
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from local.paths import ROOT
from tests.image.engine import BUILD_TIMEOUT_S
from tests.support import images

if TYPE_CHECKING:
    from tests.image.engine import Engine

NAME = next(each.value.split("=", 1)[1] for each in images.instructions(images.WRITER) if each.name == "ARG")
"""As the Dockerfiles call it."""
SUITE = NAME.rpartition("-")[2]
PYTHON = ".".join(NAME.rpartition(":")[2].split(".")[:2])

_OPTIONS = [
    "--variant=minbase",
    "--include=ca-certificates,python3,python3-pip",
    "--dpkgopt=force-unsafe-io",
    *(f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in ("doc", "man", "locale")),
    '--aptopt=Apt::Install-Recommends "false"',
]


def archive() -> Path:
    """A root folder with Debian's Python, as a tar file; made once, and kept under build/."""
    key = hashlib.sha256("\n".join([SUITE, *_OPTIONS]).encode()).hexdigest()[:12]
    path = ROOT / "build" / f"debian-{SUITE}-{key}.tar"
    if not path.exists():
        path.parent.mkdir(exist_ok=True)
        partial = path.with_suffix(".partial.tar")
        command = ["mmdebstrap", "--quiet", *_OPTIONS, SUITE, str(partial), *_archive_of_this_machine()]
        subprocess.run(command, check=True, timeout=BUILD_TIMEOUT_S)  # noqa: S603 - a command of our own
        partial.rename(path)
    return path


def _archive_of_this_machine() -> list[str]:
    """Where apt has its packages from here; nothing if that is unknown, and mmdebstrap asks Debian's own."""
    asked = ["apt-get", "indextargets", "--format", "$(SITE)", "Created-By: Packages", "Origin: Debian"]
    told = subprocess.run(asked, capture_output=True, text=True, check=True)  # noqa: S603 - a command of our own
    return told.stdout.split()[:1]


def build(engine: Engine) -> None:
    """Make the image with the base's name."""
    context = engine.folder / "base"
    context.mkdir()
    trusted = ssl.get_default_verify_paths().cafile or "/etc/ssl/certs/ca-certificates.crt"
    shutil.copy(trusted, context / "ca-certificates.crt")
    engine.podman("import", "--quiet", archive(), "debian-root")
    engine.build(Path(__file__).with_name("base.Dockerfile"), context, NAME)
    shutil.rmtree(context)
