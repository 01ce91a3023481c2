"""The lock files, against what they are made from; nothing is resolved, and no network is asked."""

from __future__ import annotations

import re
import tomllib
from itertools import combinations
from typing import TYPE_CHECKING

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from local.paths import ROOT
from tests.support.lock_files import FOLDER, Locked, read

if TYPE_CHECKING:
    from collections.abc import Iterable

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
LOCKS = sorted(path.stem for path in FOLDER.glob("*.txt"))
OF_THE_PROJECT = ["producer", "writer", "run", "local", "dev"]
SHA256 = re.compile(r"sha256:[0-9a-f]{64}")


def locked(name: str) -> list[Locked]:
    return read(FOLDER / f"{name}.txt")


def wanted(name: str) -> list[Requirement]:
    """What a lock file is made from: the project's extra of that name, or a file beside it."""
    source = FOLDER / f"{name}.in"
    if source.exists():
        lines = source.read_text().splitlines()
        return [Requirement(line) for line in lines if line and not line.startswith("#")]
    return list(_flat(PROJECT["optional-dependencies"][name]))


def _flat(lines: Iterable[str]) -> Iterable[Requirement]:
    for line in lines:
        requirement = Requirement(line)
        if requirement.name == PROJECT["name"]:
            for extra in requirement.extras:
                yield from _flat(PROJECT["optional-dependencies"][extra])
        else:
            yield requirement


@pytest.mark.parametrize("name", LOCKS)
def test_every_entry_is_one_version_with_its_hashes(name: str) -> None:
    """So that `--require-hashes` installs what was looked at, on every platform."""
    entries = locked(name)
    assert entries
    for each in entries:
        (specifier,) = each.requirement.specifier
        assert specifier.operator == "=="
        assert each.hashes
        assert all(map(SHA256.fullmatch, each.hashes))


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_file_fits_what_it_is_made_from(name: str) -> None:
    """A range that was changed without `make lock` is noticed here."""
    versions = _versions(name)
    for requirement in wanted(name):
        found = versions.get(canonicalize_name(requirement.name), set[str]())
        assert found, requirement
        for version in found:
            assert requirement.specifier.contains(version.removeprefix("=="), prereleases=True), requirement


@pytest.mark.parametrize(("one", "other"), list(combinations(OF_THE_PROJECT, 2)))
def test_what_is_tested_is_what_is_deployed(one: str, other: str) -> None:
    """A dependency of several parts has one version, and the tests run with it."""
    first, second = map(_versions, (one, other))
    assert {
        name: (first[name], second[name])
        for name in first.keys() & second.keys()
        if first[name] != second[name]
    } == {}


@pytest.mark.parametrize(
    ("small", "large"), [("producer", "run"), ("writer", "run"), ("local", "run"), ("run", "dev")]
)
def test_what_is_installed_on_top_removes_nothing(small: str, large: str) -> None:
    """`make test` after `make run` adds the tools, and what ran goes on running with what is deployed."""
    assert _versions(small).keys() - _versions(large).keys() == set()


def _versions(name: str) -> dict[str, set[str]]:
    versions: dict[str, set[str]] = {}
    for each in locked(name):
        versions.setdefault(canonicalize_name(each.requirement.name), set()).add(
            str(each.requirement.specifier)
        )
    return versions
