"""compose.yaml by podman-compose, with stand-ins for the images of LocalStack and MongoDB."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from local.paths import ENVIRONMENT, ROOT
from tests.image import base
from tests.image.engine import BUILD_TIMEOUT_S
from tests.support import images

if TYPE_CHECKING:
    import subprocess

    from tests.image.engine import Engine

PROJECT: str = images.compose()["name"]
WRITER = f"localhost/{PROJECT}_writer"
PIPELINE = f"localhost/{PROJECT}_pipeline"
"""As podman-compose calls what it builds."""

COMMIT = "0123456789ab"
"""The writer's image is built with it, as docs/docker.md says."""

_HEALTH_CHECK = next(each for each in images.instructions(images.WRITER) if each.name == "HEALTHCHECK")

# A health check at an interval is a timer of systemd's; here it is run by whoever waits for it. To change its
# interval, podman wants the writer's own check repeated. LocalStack's stand-in starts no containers, so it
# needs no socket. mongosh is that of `make`.
_CHANGED = f"""
services:
  localstack:
    volumes: !reset []
    healthcheck: {{interval: disable}}
  mongodb:
    volumes: ["{ROOT}/.mongosh:/opt/mongosh:ro"]
    healthcheck: {{interval: disable}}
  writer:
    build: {{args: {{COMMIT: "{COMMIT}"}}}}
    healthcheck: {{test: {["CMD", *_HEALTH_CHECK.exec_form]}, interval: disable}}
"""


class Compose:
    """compose.yaml in an engine; its containers have a network that nothing else has."""

    def __init__(self, engine: Engine) -> None:
        """Nothing is built or started yet."""
        self.engine = engine
        self._changed = engine.folder / "changed.yaml"
        self._changed.write_text(_CHANGED)

    def _command(self, *arguments: str) -> list[str | Path]:
        program = ENVIRONMENT / "bin" / "podman-compose"
        podman = Path(__file__).with_name("podman_for_compose.sh")
        files: list[str | Path] = ["-f", ROOT / "compose.yaml", "-f", self._changed]
        return [program, "--podman-path", podman, *files, *arguments]

    def __call__(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run one command of podman-compose.

        Raises:
            AssertionError: It failed.
        """
        return self.engine.run(self._command(*arguments), own_network=True, timeout_s=BUILD_TIMEOUT_S)

    def build(self) -> None:
        """Build what compose.yaml builds, with the network that pip needs."""
        self.engine.run(self._command("build"), timeout_s=BUILD_TIMEOUT_S)

    def build_stand_ins(self) -> None:
        """Build one image with the names of both that are not built here."""
        services = images.compose()["services"]
        context = self.engine.folder / "stand-ins"
        context.mkdir()
        shutil.copy(ROOT / "requirements" / "stack.txt", context)
        self.engine.build(
            Path(__file__).with_name("stand_ins.Dockerfile"),
            context,
            *(services[name]["image"] for name in ("localstack", "mongodb")),
            PYTHON_IMAGE=base.NAME,
        )

    def container(self, service: str, number: int = 1) -> str:
        """The name of a service's container."""
        return f"{PROJECT}_{service}_{number}"

    def inspect(self, *containers: str) -> list[dict[str, Any]]:
        """What podman knows of containers."""
        found: list[dict[str, Any]] = yaml.safe_load(
            self.engine.podman("container", "inspect", *containers)
        )  # JSON
        return found
