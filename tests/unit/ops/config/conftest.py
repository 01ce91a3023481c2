"""The folder in which `replicator check-config` is run."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from tests.support.checked_mapping import HOOKS, MAPPING

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current directory: a mapping, its hooks, and a path as it was before."""
    (tmp_path / "r.yaml").write_text(MAPPING)
    (tmp_path / "hooks_of_the_command.py").write_text(HOOKS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    for name in ("MONGODB_DATABASE", "FORCE_COLOR", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "80")
    return tmp_path
