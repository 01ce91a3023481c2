"""Packages for a platform that need not be this one, from wheels made here: no network is asked."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import subprocess
import tempfile
import zipfile
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import pytest
from packaging.requirements import Requirement
from packaging.tags import parse_tag

from deploy import lock_file as locks
from deploy import package
from deploy.errors import PackageError
from deploy.sources import Wheels
from deploy.target import GLIBC, MACHINES, Target
from local.paths import ROOT, TEMPLATE
from local.pipeline.templates import load

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    MakeWheel = Callable[..., str]

X86_64, AARCH64 = 62, 183
ANOTHER = next(Target(runtime) for runtime in reversed(GLIBC) if not Target(runtime).is_this_python)
ARM = Target(ANOTHER.runtime, "arm64")


def library(machine: int, *, magic: bytes = b"\x7fELF\x02\x01") -> bytes:
    """The start of a compiled module."""
    return magic.ljust(18, b"\0") + machine.to_bytes(2, "little")


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of wheels, the only thing that pip looks at."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


@pytest.fixture
def make_wheel(wheels: Path) -> MakeWheel:
    """Makes a wheel and returns its line for a lock file."""

    def make(name: str, tag: str, files: Mapping[str, bytes]) -> str:
        path = wheels / f"{name}-1.0-{tag}.whl"
        info = f"{name}-1.0.dist-info"
        with zipfile.ZipFile(path, "w") as archive:
            for file, content in files.items():
                archive.writestr(file, content)
            archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
            archive.writestr(f"{info}/WHEEL", f"Wheel-Version: 1.0\nTag: {tag}\n")
            archive.writestr(f"{info}/RECORD", "")
        return f"{name}==1.0 --hash=sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"

    return make


def lock(folder: Path, *lines: str) -> Path:
    path = folder / "lock.txt"
    path.write_text("\n".join(lines) + "\n")
    return path


def contents(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_a_package_for_another_platform(
    make_wheel: MakeWheel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What that platform needs and nothing else, the same bytes from any folder under any umask."""
    module = f"fast/_fast.cpython-{ARM.abi[2:]}-aarch64-linux-gnu.so"
    tag = f"{ARM.abi}-{ARM.abi}-manylinux_2_17_aarch64"
    fast = make_wheel("fast", tag, {"fast/__init__.py": b"", module: library(AARCH64)})
    make_wheel("fast", tag.replace("aarch64", "x86_64"), {"wrong.py": b""})
    requirement, _, hashes = make_wheel("pure", "py3-none-any", {"pure.py": b"x = 1\n"}).partition(" ")
    python = "{}.{}".format(*ARM.version)
    lock_file = lock(
        tmp_path,
        fast,
        f"{requirement} ; python_full_version >= '{python}' and platform_machine == 'aarch64' {hashes}",
        f"not-for-it==1.0 ; python_full_version < '{python}' --hash=sha256:00",
        "not-there==1.0 ; sys_platform == 'win32' --hash=sha256:00",
    )
    first, second = tmp_path / "first.zip", tmp_path / "elsewhere" / "second.zip"
    assert package.build_for(ARM, first, lock_file=lock_file) is False
    (tmp_path / "scratch").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "scratch"))
    umask = os.umask(0o077)
    try:
        package.build_for(ARM, second, lock_file=lock_file)
    finally:
        os.umask(umask)
    packed = contents(first)
    assert {name for name in packed if not name.startswith(("producer_lambda/", "shared/"))} == {
        "fast/__init__.py",
        module,
        "pure.py",
    }
    assert not [name for name in packed if name.endswith(".pyc")]
    assert first.read_bytes() == second.read_bytes()


def test_a_missing_wheel_is_named_and_nothing_is_built_from_sources(
    make_wheel: MakeWheel, wheels: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One sentence and exit status 1; sources are no way out, they would compile for this machine."""
    line = make_wheel("fast", f"{ANOTHER.abi}-{ANOTHER.abi}-manylinux_2_17_x86_64", {"fast.py": b""})
    (wheels / "fast-1.0.tar.gz").write_bytes(b"sources")
    lock_file = lock(tmp_path, line)
    with pytest.raises(PackageError, match=f"for {ARM.runtime} on arm64 cannot be downloaded.*fast==1.0"):
        package.build_for(ARM, tmp_path / "package.zip", lock_file=lock_file)
    assert not (tmp_path / "package.zip").exists()
    assert package.main([str(tmp_path / "package.zip"), "--runtime", "python2.7"]) == 1
    assert capsys.readouterr().err == "RUNTIME=python2.7 is none of python3.11, python3.12, python3.13.\n"


def test_another_file_than_the_locked_one_is_refused(make_wheel: MakeWheel, tmp_path: Path) -> None:
    """What is deployed is what was locked, or nothing is."""
    make_wheel("pure", "py3-none-any", {"pure.py": b""})
    lock_file = lock(tmp_path, f"pure==1.0 --hash=sha256:{'0' * 64}")
    with pytest.raises(PackageError, match="none of the hashes in the lock file"):
        package.build_for(ANOTHER, tmp_path / "package.zip", lock_file=lock_file)


def test_an_index_that_is_not_there_is_named(
    wheels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Offline, nobody should look for a missing wheel."""
    assert wheels.exists()
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    lock_file = lock(tmp_path, f"pure==1.0 --hash=sha256:{'0' * 64}")
    with pytest.raises(PackageError, match="the package index cannot be reached"):
        package.build_for(ANOTHER, tmp_path / "package.zip", lock_file=lock_file)


def test_a_package_for_this_python_has_bytecode(
    make_wheel: MakeWheel,
    wheels: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Bytecode is of a version of Python, not of a machine; whoever gets none is told."""
    monkeypatch.setattr(
        package, "LOCK_FILE", lock(tmp_path, make_wheel("pure", "py3-none-any", {"a.py": b""}))
    )
    monkeypatch.setattr(package, "download", lambda _, platform, __: Wheels(wheels, platform))
    path = tmp_path / "package.zip"
    for target in map(Target, GLIBC):
        assert package.main([str(path), "--runtime", target.runtime]) == 0
        assert (importlib.util.cache_from_source("a.py") in contents(path)) == target.is_this_python
        assert ("without bytecode" in capsys.readouterr().out) != target.is_this_python


@pytest.mark.parametrize(
    ("tag", "runtimes"),
    [
        ("cp313-cp313-manylinux_2_34_x86_64", ["python3.13"]),
        ("cp311-cp311-manylinux_2_28_x86_64", []),
        ("cp311-cp311-manylinux2014_x86_64.manylinux_2_17_x86_64", ["python3.11"]),
        ("cp39-abi3-manylinux_2_26_x86_64", ["python3.11", "python3.12", "python3.13"]),
        ("cp39-abi3-manylinux_2_28_x86_64", ["python3.12", "python3.13"]),
        ("py2.py3-none-any", ["python3.11", "python3.12", "python3.13"]),
        ("cp313-cp313-manylinux_2_35_x86_64", []),
        ("cp313-cp313-musllinux_1_2_x86_64", []),
        ("cp313-cp313t-manylinux_2_28_x86_64", []),
        ("cp313-cp313-manylinux_2_28_aarch64", []),
        ("cp313-cp313-macosx_11_0_arm64", []),
    ],
)
def test_wheels_are_those_that_the_runtime_loads(tag: str, runtimes: list[str]) -> None:
    """python3.11 has the glibc of Amazon Linux 2, the later ones that of Amazon Linux 2023."""
    assert [runtime for runtime in GLIBC if parse_tag(tag) & Target(runtime).tags] == runtimes


def test_a_wheel_for_another_platform_is_refused(make_wheel: MakeWheel, wheels: Path) -> None:
    """Whoever put it there."""
    make_wheel("fast", f"{ANOTHER.abi}-{ANOTHER.abi}-manylinux_2_17_x86_64", {"fast.py": b""})
    with pytest.raises(PackageError, match=r"x86_64\.whl is not for python3\.\d+ on arm64"):
        list(Wheels(wheels, ARM).files(Requirement("fast==1.0")))
    with pytest.raises(PackageError, match=r"no wheel of other==1\.0"):
        list(Wheels(wheels, ARM).files(Requirement("other==1.0")))


def test_a_wheel_is_read_as_an_installer_would(make_wheel: MakeWheel, wheels: Path) -> None:
    """A wheel may keep parts aside, and name its folders: an empty file of that name hides a package."""
    files = {
        "a/": b"",
        "a/__init__.py": b"1",
        "odd-1.0.data/purelib/b.py": b"2",
        "odd-1.0.data/platlib/c/d.py": b"3",
        "odd-1.0.data/scripts/tool": b"4",
    }
    make_wheel("odd", "py3-none-any", files)
    found = dict(Wheels(wheels, ARM).files(Requirement("odd==1.0")))
    assert {path: content for path, content in found.items() if "dist-info" not in str(path)} == {
        PurePosixPath("a/__init__.py"): b"1",
        PurePosixPath("b.py"): b"2",
        PurePosixPath("c/d.py"): b"3",
    }


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("m.so", library(X86_64), "compiled for another machine"),
        ("m.cpython-310-aarch64-linux-gnu.so", library(AARCH64), "compiled for another Python"),
        ("m.cpython-313t-aarch64-linux-gnu.so", library(AARCH64), "compiled for another Python"),
        ("m.so", library(AARCH64, magic=b"\xcf\xfa\xed\xfe"), "not a 64-bit Linux library"),
        ("m.so", library(AARCH64, magic=b"\x7fELF\x01\x01"), "not a 64-bit Linux library"),
        ("m.pyd", b"MZ", "not a 64-bit Linux library"),
    ],
)
def test_a_module_that_cannot_be_loaded_is_refused(name: str, content: bytes, reason: str) -> None:
    """A wheel may be named for a platform and hold another one's module: the function fails at its start."""
    target = Target("python3.13", "arm64")
    with pytest.raises(PackageError, match=reason):
        target.check_compiled(PurePosixPath("a") / name, content)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("m.cpython-313-aarch64-linux-gnu.so", library(AARCH64)),
        ("m.abi3.so", library(AARCH64)),
        ("lib.so", library(AARCH64)),
        ("m.py", b"1"),
    ],
)
def test_a_module_that_can_be_loaded_is_taken(name: str, content: bytes) -> None:
    """Also those that do not name a version."""
    Target("python3.13", "arm64").check_compiled(PurePosixPath(name), content)


def test_a_module_for_another_machine_stops_the_build(
    make_wheel: MakeWheel, wheels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The check is part of the build."""
    line = make_wheel("fast", f"{ARM.abi}-{ARM.abi}-manylinux_2_17_aarch64", {"fast.so": library(X86_64)})
    monkeypatch.setattr(package, "download", lambda _, platform, __: Wheels(wheels, platform))
    with pytest.raises(PackageError, match=r"fast\.so is compiled for another machine"):
        package.build_for(ARM, tmp_path / "package.zip", lock_file=lock(tmp_path, line))


def test_the_defaults_are_those_of_the_template() -> None:
    """`make package` and a deployment without parameters fit each other."""
    parameters = load(TEMPLATE.read_text())["Parameters"]
    assert Target() == Target(parameters["Runtime"]["Default"], parameters["Architecture"]["Default"])
    assert list(GLIBC) == parameters["Runtime"]["AllowedValues"]
    assert list(MACHINES) == parameters["Architecture"]["AllowedValues"]


def made(*variables: str) -> str:
    command = ["make", "--dry-run", "package", *variables]
    environment = {
        name: value for name, value in os.environ.items() if name not in {"RUNTIME", "ARCHITECTURE"}
    }
    return subprocess.run(  # noqa: S603 - make of this project
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    ).stdout


def test_make_package_hands_its_variables_on() -> None:
    """Without any, it names the defaults: never the machine that it runs on."""
    assert f"--runtime {Target().runtime} --architecture {Target().architecture}" in made()
    asked = made("RUNTIME=python3.12", "ARCHITECTURE=arm64")
    assert "--runtime python3.12 --architecture arm64" in asked


def test_a_lock_file_is_read_as_it_is_written(tmp_path: Path) -> None:
    """Hashes, continued lines and comments; what does not apply is left out."""
    path = lock(
        tmp_path,
        "orjson==3.13.0 \\",
        "    --hash=sha256:01 \\",
        "    --hash=sha256:02",
        "    # via the project",
        "ancient[extra]==1 ; python_full_version < '3.0' \\",
        "    --hash=sha256:03",
    )
    first, second = locks.read(path)
    assert (str(first.requirement), first.hashes) == ("orjson==3.13.0", ("sha256:01", "sha256:02"))
    assert first.line == "orjson==3.13.0 --hash=sha256:01 --hash=sha256:02"
    assert (first.applies(None), second.applies(None), second.applies(Target().markers)) == (
        True,
        False,
        False,
    )
