import importlib.util
import json
import subprocess
import sys
import zipfile
from pathlib import Path, PurePosixPath

import pytest

from deploy.errors import PackageError
from deploy.package import ENDPOINTS, LOCK_FILE, build, bytecode_of, collect, is_packaged

CLEAN_INTERPRETER = (sys.executable, "-I", "-S", "-c")


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("package") / "producer.zip"
    build(path)
    return path


@pytest.fixture(scope="module")
def unpacked(package: Path) -> Path:
    """The package as Lambda lays it out."""
    folder = package.parent / "task"
    with zipfile.ZipFile(package) as archive:
        archive.extractall(folder)
    return folder


def run_clean(unpacked: Path, program: str) -> str:
    """What a program prints in an interpreter that has the standard library and the package, nothing else."""
    result = subprocess.run(  # noqa: S603 - a program of this test
        [*CLEAN_INTERPRETER, f"import sys; sys.path.insert(0, {str(unpacked)!r})\n{program}"],
        capture_output=True,
        text=True,
        check=False,
        env={"QUEUE_URL": "http://127.0.0.1:1/000000000000/a.fifo", "AWS_DEFAULT_REGION": "eu-west-1"},
        cwd=unpacked,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


def test_the_handler_can_be_imported_from_the_package_alone(unpacked: Path) -> None:
    """Nothing that the producer imports was forgotten."""
    program = "from producer_lambda.handler import lambda_handler; print(callable(lambda_handler))"
    assert run_clean(unpacked, program) == "True"


def test_an_sqs_client_can_be_made_from_the_package_alone(unpacked: Path) -> None:
    """Enough of botocore's data was left in: service model, endpoints, retry rules."""
    program = """
import asyncio
from aiobotocore.session import get_session

async def main():
    async with get_session().create_client("sqs") as client:
        print(client.meta.endpoint_url, "SendMessageBatch" in client.meta.service_model.operation_names)

asyncio.run(main())
"""
    assert run_clean(unpacked, program) == "https://sqs.eu-west-1.amazonaws.com True"


def test_the_package_holds_what_it_needs_and_little_more(package: Path) -> None:
    """A small package starts faster."""
    with zipfile.ZipFile(package) as archive:
        names = [PurePosixPath(name) for name in archive.namelist()]
    assert PurePosixPath("producer_lambda/handler.py") in names
    assert PurePosixPath("shared/envelope.py") in names
    assert PurePosixPath("botocore/cacert.pem") in names
    services = {
        name.parts[2] for name in names if name.parts[:2] == ("botocore", "data") and len(name.parts) > 3
    }
    assert services == {"sqs"}
    modules = {name for name in names if name.suffix == ".py"}
    bytecode = {name for name in names if name.suffix == ".pyc"}
    assert bytecode == {PurePosixPath(importlib.util.cache_from_source(str(module))) for module in modules}
    assert not [name for name in names if name.parts[0].endswith(".dist-info") or ".." in name.parts]
    assert not {name.parts[0] for name in names} & {"writer", "local", "boto3", "motor", "pymongo", "tests"}
    assert package.stat().st_size < 10_000_000


def test_nothing_is_compiled_at_a_cold_start(package: Path, tmp_path: Path) -> None:
    """Bytecode is taken as it is, whatever times and places the sources have; they are for people."""
    with zipfile.ZipFile(package) as archive:
        archive.extractall(tmp_path)
    for module in tmp_path.rglob("*.py"):
        module.write_text("raise SystemExit('compiled anew')")
    program = "from producer_lambda.handler import lambda_handler; print(lambda_handler.__code__.co_filename)"
    assert run_clean(tmp_path, program) == str(tmp_path / "producer_lambda" / "handler.py")


def test_endpoints_are_those_of_the_one_service(package: Path) -> None:
    """Every client reads the whole list; of 1.2 MB a few kilobytes are about SQS."""
    with zipfile.ZipFile(package) as archive:
        endpoints = json.loads(archive.read(str(ENDPOINTS)))
    assert {service for each in endpoints["partitions"] for service in each["services"]} == {"sqs"}
    assert "cn-north-1" in endpoints["partitions"][1]["regions"]


def test_a_module_that_cannot_be_compiled_has_no_bytecode() -> None:
    """Distributions carry files for other versions of Python; nobody imports them here."""
    sources = {PurePosixPath("a/good.py"): b"1", PurePosixPath("a/bad.py"): b"match = = 1"}
    (only,) = bytecode_of(sources)
    assert only == PurePosixPath(importlib.util.cache_from_source("a/good.py"))


def test_a_compiler_that_does_nothing_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A package without bytecode would work, and start slowly, and nobody would know why."""
    monkeypatch.setattr("deploy.package.COMPILE", ("-c", "raise SystemExit(1)"))
    with pytest.raises(PackageError, match="compiled nothing"):
        bytecode_of({PurePosixPath("good.py"): b"x = 1\n"})


def test_the_same_code_gives_the_same_bytes(package: Path, tmp_path: Path) -> None:
    """A deployment updates the function only when something changed."""
    build(tmp_path / "again.zip")
    assert (tmp_path / "again.zip").read_bytes() == package.read_bytes()


@pytest.mark.parametrize("installed_from", [None, "another lock file"])
def test_what_another_lock_file_installed_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, installed_from: str | None
) -> None:
    """What is deployed is what is locked, or nothing is."""
    copy = tmp_path / "copy.txt"
    monkeypatch.setattr("deploy.package.INSTALLED_FROM", copy)
    if installed_from:
        copy.write_text(installed_from)
    with pytest.raises(PackageError, match=f"does not hold what {LOCK_FILE} names"):
        build(tmp_path / "package.zip")
    assert not (tmp_path / "package.zip").exists()


def distribution(folder: Path, name: str, *files: str) -> None:
    """As uv installs it."""
    information = folder / f"{name}-1.dist-info"
    information.mkdir()
    (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n")
    (information / "RECORD").write_text("".join(f"{file},,\n" for file in files))
    for file in map(folder.joinpath, files):
        file.parent.mkdir(exist_ok=True)
        file.write_text(name)


@pytest.mark.parametrize("path", ["common.py", "shared/envelope.py"])
def test_two_that_bring_the_same_file_are_refused(tmp_path: Path, path: str) -> None:
    """One would silently overwrite the other, or our own code."""
    distribution(tmp_path, "one", "shared/envelope.pyi", "bin/tool", path)
    distribution(tmp_path, "two", "shared/envelope.pyi", "bin/tool", "common.py")
    with pytest.raises(PackageError, match=f"{path} comes from (one|two) and from elsewhere"):
        collect(tmp_path)


@pytest.mark.parametrize(
    "path",
    [
        "botocore/client.py",
        "botocore/data/endpoints.json",
        "botocore/data/sqs/2012-11-05/service-2.json.gz",
        "orjson/orjson.cpython-311-x86_64-linux-gnu.so",
    ],
)
def test_what_runs_is_packaged(path: str) -> None:
    """Code, data and compiled modules."""
    assert is_packaged(PurePosixPath(path))


@pytest.mark.parametrize(
    "path",
    [
        "botocore/data/ec2/2016-11-15/service-2.json.gz",
        "orjson/__init__.pyi",
        "orjson/__pycache__/__init__.cpython-311.pyc",
        "orjson-3.13.0.dist-info/METADATA",
        "bin/jp.py",
    ],
)
def test_what_does_not_run_is_left_out(path: str) -> None:
    """Other services, types, bytecode of the environment (ours is made anew), metadata, console scripts."""
    assert not is_packaged(PurePosixPath(path))
