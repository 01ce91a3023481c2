"""A container of the writer's image, with the rights that docs/docker.md and deploy/writer.yaml give it."""

from __future__ import annotations

import subprocess
import uuid
from typing import TYPE_CHECKING, Self

from local.polling import HANG_TIMEOUT_S, wait_until
from tests.image.compose import WRITER

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from tests.image.engine import Engine

RIGHTS = (
    *("--network=host", "--no-healthcheck", "--stop-timeout=30"),
    # Without the folders in memory that podman adds by itself.
    *("--read-only", "--read-only-tmpfs=false", "--cap-drop=ALL", "--security-opt=no-new-privileges"),
)


class Container:
    """One container, for the time of its block; its output goes to a file."""

    def __init__(
        self,
        engine: Engine,
        log: Path,
        environment: Mapping[str, str],
        *options: str,
        image: str = WRITER,
        command: Sequence[str] = (),
    ) -> None:
        """Start it.

        Args:
            engine: Has the image.
            log: A new file.
            environment: Its settings.
            options: More options of `podman run`, such as volumes.
            image: The image's name.
            command: What follows the image's entry point.
        """
        self._engine, self.log = engine, log
        self.name = f"writer-{uuid.uuid4().hex[:12]}"
        settings = [f"--env={name}={value}" for name, value in environment.items()]
        run = ["podman", "run", f"--name={self.name}", *RIGHTS, *settings, *options, image, *command]
        with log.open("wb") as output:
            self._process = subprocess.Popen(  # noqa: S603 - the test's own command, no shell
                engine.inside(run),
                env=engine.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )

    @property
    def output(self) -> str:
        """What it has written so far."""
        return self.log.read_text(encoding="utf-8")

    def run(self, command: Sequence[str]) -> int:
        """The exit status of a command beside its first process."""
        return self._engine.run(["podman", "exec", self.name, *command], check=False).returncode

    def wait_for(self, message: str) -> None:
        """Wait until it has written this; an error if it ends before."""

        def written() -> bool:
            assert self._process.poll() is None, self.output
            return message in self.output

        wait_until(written, what=f"{message!r} of the container")

    def terminate(self) -> None:
        """Send SIGTERM to its first process, as an orchestrator does."""
        self._engine.podman("kill", "--signal=TERM", self.name)

    def wait(self) -> int:
        """Wait for its end; its exit status."""
        return self._process.wait(HANG_TIMEOUT_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._engine.podman("rm", "--force", "--time=0", self.name)
        self._process.wait(HANG_TIMEOUT_S)
