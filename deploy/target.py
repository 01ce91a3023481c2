"""What the Lambda's package is built for: a runtime and an instruction set. Pure."""

import re
import sys
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

from deploy.errors import PackageError

# Runtime → the newest wheels that uv may take for it, by the glibc that they need (PEP 600). python3.11 is
# the last on Amazon Linux 2, the later ones run on Amazon Linux 2023 (AWS Lambda developer guide, "Lambda
# runtimes"). Amazon Linux 2 has glibc 2.26, Amazon Linux 2023 has 2.34 (Amazon Linux 2023 user guide,
# "Comparing AL2 and AL2023"). uv has no name between 2.17 and 2.28.
MANYLINUX: Final = {
    "python3.11": "manylinux_2_17",
    "python3.12": "manylinux_2_34",
    "python3.13": "manylinux_2_34",
    "python3.14": "manylinux_2_34",
}
# Lambda's name → that of Linux, and of the GNU toolchain.
MACHINES: Final = {"x86_64": "x86_64", "arm64": "aarch64"}
# The machine in an ELF header (gABI, e_machine): EM_X86_64 and EM_AARCH64.
ELF_MACHINES: Final = {"x86_64": 62, "aarch64": 183}
ELF_64_LITTLE: Final = b"\x7fELF\x02\x01"
COMPILED_SUFFIXES: Final = frozenset({".so", ".pyd", ".dylib"})
# "_speedups.cpython-313-x86_64-linux-gnu.so": built for one version of CPython; ".abi3.so" names none.
_CPYTHON_TAG: Final = re.compile(r"\.cpython-(\d+[a-z]*)-")


@dataclass(frozen=True)
class Target:
    """One of Lambda's platforms.

    Attributes:
        runtime: Lambda's name for it, "python3.13": the template's parameter `Runtime`.
        architecture: "x86_64" or "arm64": the template's parameter `Architecture`.
    """

    runtime: str = "python3.13"
    architecture: str = "x86_64"

    def __post_init__(self) -> None:
        """Check the names.

        Raises:
            PackageError: Lambda, or the template, has no such platform.
        """
        if self.runtime not in MANYLINUX:
            raise PackageError(f"RUNTIME={self.runtime} is not one of {', '.join(MANYLINUX)}.")
        if self.architecture not in MACHINES:
            raise PackageError(f"ARCHITECTURE={self.architecture} is not one of {', '.join(MACHINES)}.")

    def __str__(self) -> str:
        return f"{self.runtime} on {self.architecture}"

    @property
    def machine(self) -> str:
        """What Linux calls the architecture."""
        return MACHINES[self.architecture]

    @property
    def version(self) -> str:
        """Of Python, as "3.13"; which patch release runs is Lambda's choice."""
        return self.runtime.removeprefix("python")

    @property
    def is_this_python(self) -> bool:
        """Whether bytecode that the running interpreter makes is bytecode for it."""
        return sys.implementation.name == "cpython" and sys.version.startswith(f"{self.version}.")

    @property
    def platform(self) -> str:
        """What uv calls it: "aarch64-manylinux_2_34"."""
        return f"{self.machine}-{MANYLINUX[self.runtime]}"

    def check_compiled(self, path: PurePosixPath, content: bytes) -> None:
        """Do nothing if a file is no compiled module, or one that this platform loads.

        Raises:
            PackageError: It is a library of another machine or system, or a module for another CPython.
        """
        if path.suffix not in COMPILED_SUFFIXES:
            return
        if not content.startswith(ELF_64_LITTLE):
            raise PackageError(f"{path} is not a 64-bit Linux library, so {self} cannot load it.")
        machine = int.from_bytes(content[18:20], "little")
        if machine != ELF_MACHINES[self.machine]:
            raise PackageError(f"{path} is compiled for another machine, so {self} cannot load it.")
        built_for = _CPYTHON_TAG.search(path.name)
        if built_for and built_for[1] != self.version.replace(".", ""):
            raise PackageError(f"{path} is compiled for another Python, so {self} cannot load it.")
