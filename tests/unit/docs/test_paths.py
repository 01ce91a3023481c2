"""The files and folders that the documents name exist, and the map in docs/design.md has every folder."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from local.paths import ROOT

if TYPE_CHECKING:
    from pathlib import Path

PATH = re.compile(r"`((?:[\w.-]+/)+(?:[\w.-]+\.\w+)?)`")
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
PACKAGES = (
    *("shared", "producer_lambda", "writer", "ops", "follow", "local", "deploy", "replicator_testing"),
    "bench",
)
MAP = (ROOT / "docs" / "design.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_what_a_page_names_exists(page: Path) -> None:
    ours = {
        path
        for path in PATH.findall(page.read_text(encoding="utf-8"))
        if path.split("/")[0] in (*PACKAGES, "docs", "requirements", "tests")
    }
    assert {path for path in ours if not (ROOT / path).exists()} == set()


@pytest.mark.parametrize("package", PACKAGES)
def test_the_map_has_every_folder(package: str) -> None:
    folders = [file.parent for file in (ROOT / package).rglob("__init__.py")]
    ours = [folder for folder in folders if "localstack_plugins" not in folder.parts]
    assert ours
    for folder in ours:
        name, parent = folder.relative_to(ROOT).as_posix(), folder.parent.name
        assert f"`{name}/`" in MAP or (parent == "migration" and f"`{folder.name}/`" in MAP), name
