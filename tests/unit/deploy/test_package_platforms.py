"""Packages for a platform that need not be this one, from wheels made here: no network is asked."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import os
import subprocess
import tempfile
import zipfile
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import pytest

from deploy import package
from deploy.errors import PackageError
from deploy.target import MACHINES, MANYLINUX, Target
from local.paths import ROOT, TEMPLATE
from local.pipeline.templates import load

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    MakeWheel = Callable[..., str]

X86_64, AARCH64 = 62, 183
ANOTHER = next(Target(runtime) for runtime in reversed(MANYLINUX) if not Target(runtime).is_this_python)
ARM = Target(ANOTHER.runtime, "arm64")


def library(machine: int, *, magic: bytes = b"\x7fELF\x02\x01") -> bytes:
    """The start of a compiled module."""
    return magic.ljust(18, b"\0") + machine.to_bytes(2, "little")


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of wheels, the only thing that uv looks at."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    for name in [name for name in os.environ if name.startswith("UV_")]:
        monkeypatch.delenv(name)
    for name in ("UV_NO_CONFIG", "UV_NO_CACHE", "UV_OFFLINE"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("UV_FIND_LINKS", str(folder))
    return folder


@pytest.fixture
def make_wheel(wheels: Path) -> MakeWheel:
    """Makes a wheel and returns its line for a lock file."""

    def make(name: str, tag: str, files: Mapping[str, bytes]) -> str:
        path = wheels / f"{name}-1.0-{tag}.whl"
        information = f"{name}-1.0.dist-info"
        metadata = {
            f"{information}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n".encode(),
            f"{information}/WHEEL": f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n".encode(),
        }
        record = f"{information}/RECORD"
        with zipfile.ZipFile(path, "w") as archive:
            for file, content in (metadata | dict(files)).items():
                archive.writestr(file, content)
            archive.writestr(record, "".join(f"{file},,\n" for file in [*metadata, *files, record]))
        return f"{name}==1.0 --hash=sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"

    return make


@pytest.fixture
def lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Makes these lines the lock file."""

    def make(*lines: str) -> None:
        path = tmp_path / "lock.txt"
        path.write_text("\n".join(lines) + "\n")
        monkeypatch.setattr(package, "LOCK_FILE", path)

    return make


def contents(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_a_package_for_another_platform(
    make_wheel: MakeWheel, lock: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What that platform needs and nothing else, the same bytes from any folder under any umask."""
    version = ARM.version.replace(".", "")
    module = f"fast/_fast.cpython-{version}-aarch64-linux-gnu.so"
    tag = f"cp{version}-cp{version}-manylinux_2_17_aarch64"
    fast = make_wheel("fast", tag, {"fast/__init__.py": b"", module: library(AARCH64)})
    make_wheel("fast", tag.replace("aarch64", "x86_64"), {"wrong.py": b""})
    requirement, _, hashes = make_wheel("pure", "py3-none-any", {"pure.py": b"x = 1\n"}).partition(" ")
    lock(
        fast,
        f"{requirement} ; python_full_version >= '{ARM.version}' and platform_machine == 'aarch64' {hashes}",
        f"not-for-it==1.0 ; python_full_version < '{ARM.version}' --hash=sha256:{'0' * 64}",
        f"not-there==1.0 ; sys_platform == 'win32' --hash=sha256:{'0' * 64}",
    )
    first, second = tmp_path / "first.zip", tmp_path / "elsewhere" / "second.zip"
    assert package.build_for(ARM, first) is False
    (tmp_path / "scratch").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "scratch"))
    umask = os.umask(0o077)
    try:
        package.build_for(ARM, second)
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
    make_wheel: MakeWheel,
    lock: Callable[..., None],
    wheels: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """One sentence and exit status 1; sources are no way out, they would compile for this machine."""
    lock(make_wheel("fast", "py3-none-manylinux_2_17_x86_64", {"fast.py": b""}))
    (wheels / "fast-1.0.tar.gz").write_bytes(b"sources")
    command = [str(tmp_path / "package.zip"), "--runtime", ARM.runtime, "--architecture", "arm64"]
    assert package.main(command) == 1
    (reason,) = capsys.readouterr().err.splitlines()
    assert reason.startswith(f"The wheels for {ARM} cannot be downloaded: ")
    assert "fast==1.0 has no usable wheels" in reason
    assert not (tmp_path / "package.zip").exists()


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (
            ["--runtime", "python2.7"],
            "RUNTIME=python2.7 is not one of python3.11, python3.12, python3.13, python3.14.\n",
        ),
        (["--architecture", "sparc"], "ARCHITECTURE=sparc is not one of x86_64, arm64.\n"),
    ],
)
def test_a_platform_that_lambda_does_not_have_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], reason: str
) -> None:
    """By the variable of make, with those that there are."""
    assert package.main([str(tmp_path / "package.zip"), *options]) == 1
    assert capsys.readouterr().err == reason


def test_another_file_than_the_locked_one_is_refused(
    make_wheel: MakeWheel, lock: Callable[..., None], tmp_path: Path
) -> None:
    """What is deployed is what was locked, or nothing is."""
    make_wheel("pure", "py3-none-any", {"pure.py": b""})
    lock(f"pure==1.0 --hash=sha256:{'0' * 64}")
    with pytest.raises(PackageError, match=r"Hash mismatch for `pure==1\.0`"):
        package.build_for(ANOTHER, tmp_path / "package.zip")
    lock("pure==1.0")
    with pytest.raises(PackageError, match=r"all requirements must have a hash, .* for: pure==1\.0\.$"):
        package.build_for(ANOTHER, tmp_path / "package.zip")


@pytest.mark.usefixtures("wheels")
def test_an_index_that_cannot_be_reached_is_named(
    lock: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Offline, nobody should look for a missing wheel."""
    monkeypatch.delenv("UV_OFFLINE")
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    monkeypatch.setenv("COLUMNS", "20")
    monkeypatch.setenv("UV_DEFAULT_INDEX", "http://127.0.0.1:9/simple")
    lock(f"pure==1.0 --hash=sha256:{'0' * 64}")
    with pytest.raises(PackageError, match=r"Failed to fetch: http://127\.0\.0\.1:9/simple/pure/"):
        package.build_for(ANOTHER, tmp_path / "package.zip")


def test_whatever_uv_says_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """For instance that there is none."""
    monkeypatch.setattr(package, "UV", ("sh", "-c", "echo No module named uv >&2; exit 1"))
    with pytest.raises(PackageError, match=r"cannot be downloaded: No module named uv\.$"):
        package.build_for(ANOTHER, tmp_path / "package.zip")


def test_a_package_for_this_python_has_bytecode(
    make_wheel: MakeWheel,
    lock: Callable[..., None],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Bytecode is of a version of Python, not of a machine; whoever gets none is told."""
    lock(make_wheel("pure", "py3-none-any", {"a.py": b""}))
    path = tmp_path / "build" / "package.zip"
    for target in map(Target, MANYLINUX):
        assert package.main([str(path), *(["--runtime", target.runtime] if target != Target() else [])]) == 0
        assert (importlib.util.cache_from_source("a.py") in contents(path)) == target.is_this_python
        told = capsys.readouterr().out
        assert told.startswith(f"{path}: ")
        assert f" for {target}" in told
        assert ("without bytecode" in told) != target.is_this_python


@pytest.mark.parametrize(
    ("tag", "runtimes"),
    [
        ("cp313-cp313-manylinux_2_34_x86_64", ["python3.13"]),
        ("cp311-cp311-manylinux_2_28_x86_64", []),
        ("cp311-cp311-manylinux2014_x86_64.manylinux_2_17_x86_64", ["python3.11"]),
        ("cp39-abi3-manylinux1_x86_64", ["python3.11", "python3.12", "python3.13", "python3.14"]),
        ("cp39-abi3-manylinux_2_28_x86_64", ["python3.12", "python3.13", "python3.14"]),
        ("py2.py3-none-any", ["python3.11", "python3.12", "python3.13", "python3.14"]),
        ("cp313-cp313-manylinux_2_35_x86_64", []),
        ("cp313-cp313-musllinux_1_2_x86_64", []),
        ("cp313-cp313t-manylinux_2_28_x86_64", []),
        ("cp313-cp313-manylinux_2_28_aarch64", []),
        ("cp313-cp313-macosx_11_0_arm64", []),
    ],
)
def test_wheels_are_those_that_the_runtime_loads(
    make_wheel: MakeWheel, lock: Callable[..., None], tmp_path: Path, tag: str, runtimes: list[str]
) -> None:
    """python3.11 has the glibc of Amazon Linux 2, the later ones that of Amazon Linux 2023."""
    lock(make_wheel("fast", tag, {"fast.py": b""}))
    found = []
    for target in map(Target, MANYLINUX):
        with contextlib.suppress(PackageError):
            package.install(target, tmp_path / target.runtime)
            found.append(target.runtime)
    assert found == runtimes


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
    make_wheel: MakeWheel, lock: Callable[..., None], tmp_path: Path
) -> None:
    """The check is part of the build."""
    lock(make_wheel("fast", "py3-none-manylinux_2_17_aarch64", {"fast.so": library(X86_64)}))
    with pytest.raises(PackageError, match=r"fast\.so is compiled for another machine"):
        package.build_for(ARM, tmp_path / "package.zip")


def test_the_defaults_are_those_of_the_template() -> None:
    """`make package` and a deployment without parameters fit each other."""
    parameters = load(TEMPLATE.read_text())["Parameters"]
    assert Target() == Target(parameters["Runtime"]["Default"], parameters["Architecture"]["Default"])
    assert list(MANYLINUX) == parameters["Runtime"]["AllowedValues"]
    assert list(MACHINES) == parameters["Architecture"]["AllowedValues"]


def made(*variables: str) -> str:
    """The command that `make package` runs; nothing of a make around this test comes in."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    environment = {name: value for name, value in ours.items() if name not in {"RUNTIME", "ARCHITECTURE"}}
    command = ["make", "--dry-run", "package", *variables]
    result = subprocess.run(  # noqa: S603 - make of this project
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    return result.stdout.splitlines()[-1].strip()


def test_make_package_hands_its_variables_on() -> None:
    """Without any, the defaults apply: never the machine that it runs on."""
    assert made() == ".venv/bin/python -m deploy.package build/producer.zip"
    asked = made("RUNTIME=python3.12", "ARCHITECTURE=arm64")
    assert "--runtime python3.12 --architecture arm64" in asked
