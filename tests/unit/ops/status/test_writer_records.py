"""Which writers should run, by their records and by what a person has named."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from ops.status.findings import problems_of
from ops.status.writer_records import Records, ask_known_writers
from tests.unit.ops.status.test_findings import WELL
from writer.records import WriterRecord

NOW = datetime(2026, 1, 1, tzinfo=UTC)
URL = "http://127.0.0.1:9"  # nothing listens there
RECORD = WriterRecord("w", "q", "elsewhere", URL, None, "1", NOW, NOW - timedelta(hours=1))


@pytest.mark.parametrize("named", [(), (URL,), (f"{URL}/",)], ids=repr)
def test_a_writer_that_a_person_has_named_should_run(named: tuple[str, ...]) -> None:
    """One that is found by an old record only, and does not answer, has ended."""
    writers = ask_known_writers(Records([RECORD], NOW), named, NOW.timestamp())
    assert [each.url for each in writers.asked] == ([URL] if named else [])
    assert [each.url for each in writers.ended] == ([] if named else [URL])
    told = " ".join(problems_of(replace(WELL, writers=writers), 60))
    assert (f"The writer {URL} does not answer" in told) is bool(named)
