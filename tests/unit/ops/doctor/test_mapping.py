"""The mapping file beside what the writers have recorded."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from ops.doctor.findings import State
from ops.doctor.mapping import MappingFile, judge_recorded
from ops.doctor.tables import Tables
from writer.mapping.fingerprint import fingerprint_of
from writer.records import Found, MappingRecord

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(("odd", "states"), [(0, [State.WELL]), (1, [State.UNKNOWN])])
def test_a_record_that_cannot_be_read(odd: int, states: list[State], tmp_path: Path) -> None:
    """It may be of the writer that started last: what the others say is not all (P8)."""
    path = tmp_path / "replication.yaml"
    path.write_text("tables: {people: {}}")
    file = MappingFile(str(path), "shop")
    assert file.rules is not None
    hash_, rules = fingerprint_of(file.rules.table("people"), "shop")
    record = MappingRecord("people", "q", hash_, rules, "1", NOW, NOW, "w")
    found = list(judge_recorded(file, Tables(["people"], {}), Found((record,), odd), "", "shop"))
    assert [each.state for each in found] == states
    assert not odd or "1 of 2 records cannot be read" in found[0].text
