"""The wheel and the source distribution: what is in them, and that the command runs from them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from importlib.metadata import packages_distributions
from typing import TYPE_CHECKING

import pytest

from deploy import dist
from local.paths import ROOT
from shared import release

if TYPE_CHECKING:
    from pathlib import Path

NAME = "dynamodb-mongodb-replicator"
BUILT_FROM = "0123456789ab"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The source distribution and the wheel; several tests read them."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(dist, "commit", lambda: BUILT_FROM)
        wheel, source = dist.build(tmp_path_factory.mktemp("dist") / "dist")
    if wheel.suffix != ".whl":
        wheel, source = source, wheel
    return source, wheel


def _run(*command: str | Path, environment: dict[str, str] | None = None, folder: Path | None = None) -> str:
    """What a command prints; fails with it."""
    ran = subprocess.run(  # noqa: S603 - commands of these tests
        command, env=environment, cwd=folder, capture_output=True, text=True, check=True
    )
    return ran.stdout.strip()


def test_the_version_is_said_once_more() -> None:
    """pyproject.toml names it for installers, the code for the Lambda and the image, a page for people."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["version"] == release.VERSION
    page = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    assert f"dynamodb_mongodb_replicator-{release.VERSION}-py3-none-any.whl" in page


def test_the_command_runs_from_the_wheel(built: tuple[Path, Path], tmp_path: Path) -> None:
    """Without the checkout: its version, the commit that it was made of, its schemas, the writer's page."""
    _, wheel = built
    site = tmp_path / "site"
    install = (sys.executable, "-m", "uv", "pip", "install", "--quiet", "--offline", "--no-deps")
    _run(*install, "--python", sys.executable, "--target", site, wheel)

    def said(*arguments: str) -> str:
        environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(site)}
        return _run(sys.executable, *arguments, environment=environment, folder=tmp_path)

    where = "import shared, writer.status; print(shared.__file__, writer.status.__file__)"
    assert said("-c", where).count(str(site)) == 2
    assert said("-m", "ops", "--version") == f"replicator {release.VERSION} (commit {BUILT_FROM})"
    assert said(str(site / "bin" / "replicator"), "config-schema").startswith("{")
    assert "--once" in said(str(site / "bin" / "replicator"), "follow", "--help")
    for data in ("ops/schemas/status.schema.json", "writer/status/assets/page.js"):
        assert (site / data).read_bytes() == (ROOT / data).read_bytes()


def test_what_is_in_them(built: tuple[Path, Path]) -> None:
    """Only what runs without the files of a checkout."""
    source, wheel = built
    with zipfile.ZipFile(wheel) as archive:
        folders = {name.partition("/")[0] for name in archive.namelist()}
    assert {name for name in folders if not name.endswith(".dist-info")} == set(dist.PACKAGES)
    with tarfile.open(source) as archive_of_source:
        names = {name.partition("/")[2] for name in archive_of_source.getnames()}
    assert {"LICENSE", "README.md", "pyproject.toml", "shared/commit.txt"} <= names
    assert not [name for name in names if name.startswith(("tests", "local", "deploy"))]


def test_no_package_of_ours_is_somebody_elses() -> None:
    """What is installed beside it, in any environment of ours, has other import names."""
    found = packages_distributions()
    assert {name for package in dist.PACKAGES for name in found.get(package, ())} <= {NAME}


def test_a_checkout_knows_its_commit(tmp_path: Path) -> None:
    """Git says it, and whether something was changed since; where there is no git, it is not known."""
    git = ("git", "-C", tmp_path, "-c", "user.name=n", "-c", "user.email=e")
    assert release.commit_of_checkout(tmp_path) == ""
    _run(*git, "init", "--quiet")
    assert release.commit_of_checkout(tmp_path) == ""
    (tmp_path / "file").write_text("1")
    _run(*git, "add", "file")
    _run(*git, "commit", "--quiet", "--message", "first")
    head = _run(*git, "rev-parse", "--short=12", "HEAD")
    assert release.commit_of_checkout(tmp_path) == head
    (tmp_path / "file").write_text("2")
    assert release.commit_of_checkout(tmp_path) == f"{head}-dirty"


def test_the_changelog_says_when_the_version_was_released() -> None:
    """A release is no release without its section, which has a date."""
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.search(rf"^## \[{re.escape(release.VERSION)}\] - \d{{4}}-\d\d-\d\d$", changelog, re.MULTILINE)
