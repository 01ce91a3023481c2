"""Pace, checkpoints, manifests of exports, reports, figures, lines: what needs no server."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from bson.decimal128 import Decimal128
from prometheus_client import CollectorRegistry, generate_latest

from ops.console.progress import Progress, duration
from ops.migration.backfill.checkpoints import Checkpoint, Counts, Part, mismatch
from ops.migration.backfill.copier import batch_of
from ops.migration.source.pace import Pace
from ops.migration.verify.comparison import Kind
from ops.migration.verify.findings import line_of, read_findings, tables_in
from ops.migration.verify.metrics import Metrics
from ops.migration.verify.verifier import Counts as Found
from ops.migration.verify.verifier import Finding
from shared.errors import FatalError
from writer.mapping.hooks import load_hooks
from writer.mapping.parser import parse_replication
from writer.mapping.rules import Rules

if TYPE_CHECKING:
    from pathlib import Path

AT = datetime(2020, 5, 1, 12, tzinfo=UTC)


def test_pace_waits_until_it_is_even() -> None:
    """Over all who read: what one spent, all wait for."""
    pace = Pace(100)
    assert pace.wait(0) == 0
    pace.record(50, 10, now=0)
    pace.record(150, 30, now=0)
    assert pace.wait(0) == 2
    assert pace.wait(1.5) == 0.5
    pace.record(100, 20, now=10)  # nothing is saved up while nobody reads
    assert pace.wait(10) == 1
    assert pace.spent == 300


def test_pages_cost_about_a_second() -> None:
    """A page of 1 MB at a low limit would be a burst; before anything is known items are taken for large."""
    pace = Pace(10)
    assert pace.page() == 10
    pace.record(5, 100, now=0)
    assert pace.page() == 200
    pace.record(1000, 10, now=0)
    assert pace.page() == 1
    assert Pace().page() is None


def test_checkpoints_come_back_as_they_were() -> None:
    """Keys of all types, names with dots."""
    after = {"a.b": {"S": "$x"}, "n": {"N": "1.5"}, "b": {"B": b"\x00\xff"}}
    parts = [Part("0", after, counts=Counts(5, 4, 1)), Part("1", done=True), Part("data/x.json.gz")]
    checkpoint = Checkpoint("t", "run", "the table", "digest", AT, parts)
    state = checkpoint.state()
    json.dumps(state["parts"])
    state["started"] = state["started"].replace(tzinfo=None)  # as the driver reads it
    back = Checkpoint.of(state)
    assert back == checkpoint
    assert type(back.parts[0].after["b"]["B"]) is bytes  # type: ignore[index]
    assert back.counts == Counts(5, 4, 1)


def test_what_cannot_be_gone_on_with() -> None:
    """Another table under the same name, another source, another mapping: a sentence with --restart."""
    checkpoint = Checkpoint("t", "run", "the table 1", "digest", AT, [])
    assert mismatch(checkpoint, "the table 1", "digest") is None
    for source, rules in (("the table 2", "digest"), ("the table 1", "other")):
        assert "--restart" in (mismatch(checkpoint, source, rules) or "")


def test_a_batch_goes_on_without_what_cannot_be_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each reject with its key; what the hook does not want is counted."""
    (tmp_path / "hooks_of_a_batch.py").write_text(
        "def hook(document, change):\n    return document.get('d') and document"
    )
    monkeypatch.syspath_prepend(tmp_path)
    text = "tables: {t: {hook: 'hooks_of_a_batch:hook', fields: {at: {convert: epoch_seconds}}}}"
    replication = parse_replication(text, "r.yaml")
    table = Rules(replication, load_hooks(replication)).table("t")
    items: list[dict[str, Any]] = [
        {"id": {"N": "1"}, "d": {"S": "x"}},
        {"id": {"N": "2"}, "d": {"S": "x"}, "at": {"S": "yesterday"}},
        {"id": {"N": "3"}},
        {"name": {"S": "no key"}},
    ]
    batch = batch_of(table, {"id": "N"}, items, 0)
    assert [write.target.document_id for write in batch.writes] == [1]
    assert [(each.key, each.code) for each in batch.rejects] == [
        ({"id": {"N": "2"}}, "bad-conversion"),
        ({}, "bad-key"),
    ]
    assert batch.skipped == 1


def test_a_report_can_be_read_again(tmp_path: Path) -> None:
    """By repair, with every type of key and `_id`."""
    findings = [
        Finding(
            Kind.MISSING, {"b": {"B": b"\x00\xff"}, "n": {"N": "1"}}, {"b": b"\x00\xff", "n": 1}, None, "r"
        ),
        Finding(Kind.EXTRA, None, Decimal128("1.5"), "", "ü"),
    ]
    report = tmp_path / "report.jsonl"
    report.write_text("".join(line_of("t", each) + "\n" for each in findings))
    assert list(read_findings(report, "t")) == findings
    with report.open("a") as lines:
        lines.write(line_of("other", findings[1]) + "\n")
    assert list(read_findings(report, "t")) == findings
    assert list(read_findings(report, "other")) == findings[1:]
    assert tables_in(report) == ["other", "t"]
    report.write_text("{}\n")
    with pytest.raises(FatalError, match="not a report"):
        list(read_findings(report, "t"))


def test_figures_for_prometheus() -> None:
    """Before the first comparison there is nothing to tell of its result."""
    metrics = Metrics('a"b')
    registry = CollectorRegistry()
    registry.register(metrics)
    assert "differences" not in generate_latest(registry).decode()
    metrics.passes, metrics.units, metrics.at = 2, 12.5, AT
    metrics.last = Found(items=10, documents=9, missing=1)

    def value(name: str, **labels: str) -> float | None:
        return registry.get_sample_value(f"replicator_verify_{name}", {"table": 'a"b', **labels})

    assert value("passes_total") == 2
    assert value("read_units_total") == 12.5
    assert value("differences", kind="missing") == 1
    assert value("differences", kind="extra") == 0
    assert (value("items"), value("in_flight")) == (10, 0)
    assert value("last_end_timestamp_seconds") == AT.timestamp()
    assert "# TYPE replicator_verify_differences gauge" in generate_latest(registry).decode().splitlines()


def test_lines_of_a_long_run(capsys: pytest.CaptureFixture[str]) -> None:
    """Now and then, with rate and time left; what earlier runs did does not count for the rate."""
    clock = [0.0]
    with Progress("people", total=10_000, before=5_000, now=lambda: clock[0]) as progress:
        progress.done(1_000)
        assert capsys.readouterr().err == ""
        clock[0] = 10.0
        progress.done(1_000, "3 differences")
    assert capsys.readouterr().err == (
        "people: 7,000 of about 10,000 items, 200/s, 15 s left, 3 differences\n"
    )


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(5.4, "5 s"), (119, "119 s"), (600, "10 min"), (12_000, "3 h 20 min"), (352_800, "4 d 2 h")],
)
def test_durations(seconds: float, words: str) -> None:
    """Two figures at the most."""
    assert duration(seconds) == words
