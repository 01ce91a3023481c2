"""What the options of a migration's command name and cannot be used is one sentence."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import typer

from ops.migration.settings import settings_of
from ops.migration.verify.findings import tables_in
from ops.options import TableOptions
from shared.errors import FatalError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("name", "words"),
    [("nope.yaml", "No such file or directory"), (".", "Is a directory"), ("latin.yaml", "it is not UTF-8")],
)
def test_a_mapping_that_cannot_be_read(tmp_path: Path, name: str, words: str) -> None:
    """The number of the system's error helps nobody."""
    (tmp_path / "latin.yaml").write_bytes("größe: 1".encode("latin-1"))
    path = str(tmp_path / name)
    options = TableOptions(table="t", mongodb_uri="mongodb://h", mongodb_database="d", replication_file=path)
    with pytest.raises(typer.BadParameter) as raised:
        settings_of(options)
    assert str(raised.value) == f"{path} cannot be read: {words}"


@pytest.mark.parametrize("content", ["tables: {}", "[]", "{}", "\xff"])
def test_a_report_that_is_none(tmp_path: Path, content: str) -> None:
    """The sentence says how to make one, and repeats nothing of the file."""
    path = tmp_path / "r.jsonl"
    path.write_text(content, encoding="latin-1")
    with pytest.raises(FatalError) as raised:
        tables_in(path)
    assert str(raised.value) == (
        f"{path} is not a report of verify: make one with replicator verify TABLE --report r.jsonl, or leave "
        "--report out"
    )
    with pytest.raises(FatalError, match="cannot be read: Is a directory"):
        tables_in(tmp_path)
