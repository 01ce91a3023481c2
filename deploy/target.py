"""What the Lambda's package is built for: a runtime and an instruction set. Pure."""

import re
import sys
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

from packaging.tags import Tag, compatible_tags, cpython_tags

from deploy.errors import PackageError

# Runtime → the glibc 2.x of its operating system. python3.11 is the last on Amazon Linux 2, the later ones
# run on Amazon Linux 2023 (AWS Lambda developer guide, "Lambda runtimes"). Amazon Linux 2 has glibc 2.26,
# Amazon Linux 2023 has 2.34 (Amazon Linux 2023 user guide, "Comparing AL2 and AL2023").
GLIBC: Final = {"python3.11": 26, "python3.12": 34, "python3.13": 34}
# Lambda's name → that of Linux, and of the GNU toolchain.
MACHINES: Final = {"x86_64": "x86_64", "arm64": "aarch64"}
# The machine in an ELF header (gABI, e_machine): EM_X86_64 and EM_AARCH64.
ELF_MACHINES: Final = {"x86_64": 62, "aarch64": 183}
ELF_64_LITTLE: Final = b"\x7fELF\x02\x01"
COMPILED_SUFFIXES: Final = frozenset({".so", ".pyd", ".dylib"})
# "_speedups.cpython-313-x86_64-linux-gnu.so": built for one version of CPython; ".abi3.so" names none.
_CPYTHON_TAG: Final = re.compile(r"\.cpython-(\d+[a-z]*)-")
# The oldest wheels that are still about name these; they need glibc 2.17, 2.12 and 2.5.
_LEGACY_TAGS: Final = {
    "x86_64": ("manylinux2014", "manylinux2010", "manylinux1"),
    "aarch64": ("manylinux2014",),
}
_OLDEST_GLIBC: Final = {"x86_64": 5, "aarch64": 17}


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
        if self.runtime not in GLIBC:
            raise PackageError(f"RUNTIME={self.runtime} is none of {', '.join(GLIBC)}.")
        if self.architecture not in MACHINES:
            raise PackageError(f"ARCHITECTURE={self.architecture} is none of {', '.join(MACHINES)}.")

    def __str__(self) -> str:
        return f"{self.runtime} on {self.architecture}"

    @property
    def machine(self) -> str:
        """What Linux calls the architecture."""
        return MACHINES[self.architecture]

    @property
    def version(self) -> tuple[int, int]:
        """Major and minor version of Python."""
        major, minor = self.runtime.removeprefix("python").split(".")
        return int(major), int(minor)

    @property
    def abi(self) -> str:
        """The tag of its CPython in the names of wheels: "cp313"."""
        return "cp{}{}".format(*self.version)

    @property
    def is_this_python(self) -> bool:
        """Whether bytecode that the running interpreter makes is bytecode for it."""
        return sys.implementation.name == "cpython" and sys.version_info[:2] == self.version

    @property
    def platforms(self) -> list[str]:
        """The platform tags of wheels that run there, best first (PEP 600)."""
        newest, oldest = GLIBC[self.runtime], _OLDEST_GLIBC[self.machine]
        perennial = [f"manylinux_2_{minor}" for minor in range(newest, oldest - 1, -1)]
        return [f"{name}_{self.machine}" for name in (*perennial, *_LEGACY_TAGS[self.machine])]

    @property
    def tags(self) -> frozenset[Tag]:
        """The tags of all wheels that run there."""
        interpreter = self.abi
        return frozenset(
            {
                *cpython_tags(self.version, [self.abi], self.platforms),
                *compatible_tags(self.version, interpreter, self.platforms),
            }
        )

    @property
    def markers(self) -> dict[str, str]:
        """The values of environment markers there (PEP 508). Which patch release runs is Lambda's choice."""
        version = "{}.{}".format(*self.version)
        return {
            "implementation_name": "cpython",
            "implementation_version": f"{version}.0",
            "os_name": "posix",
            "platform_machine": self.machine,
            "platform_python_implementation": "CPython",
            "platform_release": "",
            "platform_system": "Linux",
            "platform_version": "",
            "python_full_version": f"{version}.0",
            "python_version": version,
            "sys_platform": "linux",
        }

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
        if built_for and f"cp{built_for[1]}" != self.abi:
            raise PackageError(f"{path} is compiled for another Python, so {self} cannot load it.")
