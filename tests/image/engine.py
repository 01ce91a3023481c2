"""podman and buildah with a storage of their own, in namespaces of their own, that end with this process.

Nothing of it is the machine's: images and state are in one folder, which is removed. Mounts and processes
live in namespaces, and the kernel ends those with the first process in them, also if this process is killed.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Self

from local.paths import ROOT
from local.polling import HANG_TIMEOUT_S
from local.processes.child import Child, base_environment

if TYPE_CHECKING:
    from collections.abc import Sequence

FOLDER = ROOT / "build" / "image"
BUILD_TIMEOUT_S = 10 * HANG_TIMEOUT_S
"""A build downloads packages."""

# The first process of the namespaces; it waits for whoever has lost its parent. What podman keeps outside its
# folders, it keeps in memory here.
_HOLD = """
for folder in /run/netns /run/containers; do mkdir -p $folder && mount -t tmpfs tmpfs $folder || exit; done
ip link set lo up || exit
echo ready
sleep infinity & wait
"""

_NEW_NAMESPACES = ("unshare", "--mount", "--pid", "--net", "--fork", "--mount-proc", "--kill-child")

# The limits are those that a container of CI may set.
_CONTAINERS = """\
[containers]
log_driver = "k8s-file"
default_ulimits = ["nofile=4096:4096", "nproc=4096:4096"]

[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
lock_type = "file"
runtime = "runc"
tmp_dir = "{folder}/state"
volume_path = "{folder}/volumes"

[network]
network_backend = "netavark"
network_config_dir = "{folder}/networks"
"""

_STORAGE = """\
[storage]
driver = "{driver}"
graphroot = "{folder}/storage"
runroot = "{folder}/run"
"""


class Engine:
    """podman and buildah, for the time of its block."""

    def __init__(self, folder: Path = FOLDER) -> None:
        """Choose the folder, and start nothing yet; what a killed run left in it is removed."""
        self.folder = folder
        self._lock = -1

    def __enter__(self) -> Self:
        self.folder.parent.mkdir(exist_ok=True)
        self._lock = os.open(self.folder.with_suffix(".lock"), os.O_CREAT | os.O_RDWR)
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        shutil.rmtree(self.folder, ignore_errors=True)
        (self.folder / "tmp").mkdir(parents=True)
        (self.folder / "containers.conf").write_text(_CONTAINERS.format(folder=self.folder))
        self.environment = base_environment() | {
            "CONTAINERS_CONF": str(self.folder / "containers.conf"),
            "CONTAINERS_STORAGE_CONF": str(self.folder / "storage.conf"),
            # As a container of CI allows; as one layer; with the health check, which the OCI's format lacks.
            "BUILDAH_ISOLATION": "chroot",
            "BUILDAH_LAYERS": "false",
            "BUILDAH_FORMAT": "docker",
            "TMPDIR": str(self.folder / "tmp"),
        }
        self._holder = Child(
            "The namespaces",
            [*_NEW_NAMESPACES, "sh", "-c", _HOLD],
            environment=self.environment,
            log=self.folder / "namespaces.log",
            directory=self.folder,
        )
        self._holder.wait_until(
            lambda: (self.folder / "namespaces.log").read_text() == "ready\n", what="namespaces"
        )
        pid = self._holder.pid
        self._first = Path(f"/proc/{pid}/task/{pid}/children").read_text().strip()
        self._choose_driver()
        return self

    def _choose_driver(self) -> None:
        """Layers on top of each other where the file system can do it; copies where it cannot."""
        for driver in ("overlay", "vfs"):
            (self.folder / "storage.conf").write_text(_STORAGE.format(driver=driver, folder=self.folder))
            if not self.run(["podman", "info"], check=False).returncode:
                break
            shutil.rmtree(self.folder / "storage", ignore_errors=True)

    def __exit__(self, *_: object) -> None:
        self._holder.kill()
        shutil.rmtree(self.folder)
        os.close(self._lock)

    def inside(self, command: Sequence[str | Path], *, own_network: bool = False) -> list[str]:
        """The command line that runs a command in the namespaces.

        Args:
            command: The command; it runs in the top folder of the repository.
            own_network: In a network that has nothing but its containers; otherwise in that of the machine.
        """
        namespaces = ["--mount", "--pid", *(["--net"] if own_network else [])]
        enter = ["nsenter", f"--target={self._first}", *namespaces, "sh", "-c", 'cd "$0" && exec "$@"']
        return [*enter, str(ROOT), *map(str, command)]

    def run(
        self,
        command: Sequence[str | Path],
        *,
        own_network: bool = False,
        check: bool = True,
        timeout_s: float = HANG_TIMEOUT_S,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command to its end.

        Raises:
            AssertionError: It failed, and `check` is set; with all that it wrote.
        """
        result = subprocess.run(  # noqa: S603 - the test's own command, no shell
            self.inside(command, own_network=own_network),
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout_s,
        )
        assert not check or result.returncode == 0, f"{command}\n{result.stdout}\n{result.stderr}"
        return result

    def podman(self, *arguments: str | Path) -> str:
        """What podman answers, without white space around it."""
        return self.run(["podman", *arguments]).stdout.strip()

    def build(self, dockerfile: Path, context: Path, *tags: str, **arguments: str) -> None:
        """Build an image of nothing but what is here: no registry is asked."""
        command: list[str | Path] = ["buildah", "bud", "--pull=never", "--file", dockerfile]
        command += [f"--build-arg={name}={value}" for name, value in arguments.items()]
        command += [f"--tag={tag}" for tag in tags]
        self.run([*command, context], timeout_s=BUILD_TIMEOUT_S)
