"""What the commands of a migration print: kept in files beside this one, as they were seen on a terminal.

`UPDATE_SNAPSHOTS=1` writes them anew; look at what changed.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from ops.aws import Aws
from ops.cli import app
from ops.event_source_checks import Judgement, Problem
from ops.migration.backfill import backfill
from ops.migration.backfill.checkpoints import Checkpoint, Part
from ops.migration.backfill.checkpoints import Counts as Copied
from ops.migration.cutover import plan_cutover
from ops.migration.cutover.checks import (
    Light,
    backfill_check,
    lag_check,
    light_of,
    live_check,
    queue_check,
    verify_check,
)
from ops.migration.mapping import GivenMapping
from ops.migration.repair import repair
from ops.migration.repair.repair_run import Repairs
from ops.migration.repair.repairer import Repair, Result
from ops.migration.settings import Settings
from ops.migration.verify import verify
from ops.migration.verify.comparison import Kind
from ops.migration.verify.verifier import Counts, Finding
from writer.mapping.rules import Rules
from writer.records import Fingerprint

if TYPE_CHECKING:
    from ops.migration.cutover.checks import Check

FOLDER = Path(__file__).parent / "snapshots"
NOW = datetime.now(UTC)
MAPPING = GivenMapping(
    "people", "", is_none=False, fingerprint=Fingerprint("digest", "{}"), namespace="shop.people"
)
SETTINGS = Settings(
    "mongodb://user:secret@host", "shop", frozenset(), Rules().table("people"), Aws(), MAPPING
)
MISSING = Finding(Kind.MISSING, {"id": {"N": "77"}}, 77, None, "there is no document")
STRANGE = Finding(Kind.EXTRA, None, "text", None, "no item of the table can have this _id")
FOUND = Counts(items=1_234_567, documents=1_234_566, missing=7, different=2, extra=1, in_flight=3, theirs=12)


@pytest.fixture(autouse=True)
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FORCE_COLOR", "NO_COLOR", "MONGODB_URI", "MONGODB_DATABASE", "REPLICATION_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "100")


def check(name: str, text: str) -> None:
    path = FOLDER / f"{name}.txt"
    plain = re.sub(r"\x1b\[[\d;]*m", "", text)
    plain = "\n".join(line.rstrip() for line in plain.splitlines()) + "\n"
    if os.environ.get("UPDATE_SNAPSHOTS"):
        FOLDER.mkdir(exist_ok=True)
        path.write_text(plain, encoding="utf-8")
    assert plain == path.read_text(encoding="utf-8")


@pytest.mark.parametrize("command", ["backfill", "verify", "repair", "resync", "plan-cutover"])
def test_help(command: str) -> None:
    """Every option with what it is for, and what the exit status means."""
    result = CliRunner().invoke(app, [command, "--help"], terminal_width=100)
    assert result.exit_code == 0
    check(f"{command}-help", result.stdout)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("backfill people", "give --mongodb-uri (MONGODB_URI) and --mongodb-database (MONGODB_DATABASE)"),
        ("verify people --mongodb-uri x --mongodb-database a/b", "'a/b'"),
        ("verify people --replication-file -", "it cannot be standard input: name the file"),
        ("doctor --replication-file -", "it cannot be standard input: name the file"),
        ("verify people --watch", "it needs --rcu"),
        ("repair people --report nowhere.jsonl", "does not exist"),
        ("backfill people --segments 0", "greater than or equal to 1"),
        ("plan-cutover people --mongodb-uri x --mongodb-database d --replication-file no.yaml", "no.yaml"),
    ],
)
def test_wrong_use(arguments: str, said: str) -> None:
    """Status 2, a sentence, nothing on standard output."""
    result = CliRunner().invoke(app, arguments.split())
    assert (result.exit_code, result.stdout) == (2, "")
    assert said in " ".join(re.sub("[─│╭╮╰╯]|\x1b\\[[\\d;]*m", " ", result.stderr).split())


def checkpoint_of(counts: Copied, *, finished: bool = True) -> Checkpoint:
    """A backfill of three hours."""
    ended = NOW - timedelta(hours=5)
    part = Part("0", done=finished, counts=counts)
    return Checkpoint(
        "people",
        "run",
        "the table itself id-1",
        "digest",
        ended - timedelta(hours=3),
        [part],
        ended if finished else None,
    )


def test_a_backfill(capsys: pytest.CaptureFixture[str]) -> None:
    """Complete, and complete but for some items."""
    ended = NOW - timedelta(hours=5)
    well = checkpoint_of(Copied(1_234_567, 1_234_000, 567))
    backfill.print_backfill(SETTINGS, well, ended, has_file=False)
    rejected = checkpoint_of(Copied(1_234_567, 1_234_000, 500, 60, 7))
    backfill.print_backfill(SETTINGS, rejected, ended, has_file=False)
    backfill.print_backfill(SETTINGS, checkpoint_of(Copied(5, 5)), ended, has_file=False)
    then = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
    backfill.print_backfill(SETTINGS, well, then, has_file=False, was_finished=True)
    check("backfill", capsys.readouterr().out)


def test_a_comparison(capsys: pytest.CaptureFixture[str]) -> None:
    """With differences, and a clean sample."""
    options = verify.Options(table="people")
    verify.print_comparison(SETTINGS, options, FOUND, [MISSING, STRANGE])
    sample = verify.Options(table="people", sample=500)
    verify.print_comparison(SETTINGS, sample, Counts(items=500, documents=500), [])
    check("verify", capsys.readouterr().out)


def test_mending(capsys: pytest.CaptureFixture[str]) -> None:
    """For show, and in earnest."""
    told = [Repair(MISSING, Result.TO_WRITE, "missing: there is no document")]
    planned = Counter({Result.TO_WRITE: 1_234, Result.TO_DELETE: 1})
    repair.print_repairs(SETTINGS, Repairs(dry_run=True, counts=planned, examples=told))
    repair.print_repairs(SETTINGS, Repairs(dry_run=False, declined=True, counts=planned, examples=told))
    left = [Repair(STRANGE, Result.LEFT, "the document has no version from the replicator")]
    keys = ['{"id": {"N": "5"}}', '{"id": {"N": "3"}}']
    counts = Counter({Result.REPAIRED: 9, Result.MOVED_ON: 3, Result.LEFT: 1})
    repair.print_repairs(SETTINGS, Repairs(dry_run=False, counts=counts, examples=left, repaired=keys))
    check("repair", capsys.readouterr().out)


@pytest.mark.parametrize(
    ("counts", "clean", "status"),
    [
        (Counts(items=9), True, 0),
        (Counts(items=9, in_flight=1), None, 3),
        (Counts(items=9, missing=1, in_flight=1), False, 1),
    ],
)
def test_what_is_in_flight_is_not_clean(counts: Counts, clean: object, status: int) -> None:
    """Null in the JSON, where nothing else differs."""
    found = verify.Comparison(counts, {"_id": "people", "clean": not counts.wrong}, [], [], NOW, NOW)
    assert (verify.data_of(found)["clean"], found.status) == (clean, status)


def state(**changes: object) -> dict[str, object]:
    """What is kept of a clean comparison of two hours ago."""
    at = (NOW - timedelta(hours=2)).replace(tzinfo=None)
    counts = {"missing": 0, "different": 0, "extra": 0, "unmappable": 0, "in_flight": 0, "items": 1_234_567}
    found = {"at": at, "started": at - timedelta(hours=1), "clean": True, "complete": True, "sample": None}
    return {**counts, **found, "rules": "digest", **changes}


GREEN = [
    live_check(Judgement()),
    backfill_check(checkpoint_of(Copied(1_234_567, 1_234_567)), "digest"),
    verify_check(state(), checkpoint_of(Copied()), "digest", timedelta(hours=24), NOW),
    lag_check("lag of the Lambda", 1.4, 10, 5),
    lag_check("lag of the writers", 2.0, 10, 5),
    queue_check("messages in the queue", 0, why_unknown="", advice=""),
    queue_check("dead letters", 0, why_unknown="", advice=""),
]


def test_a_list_of_checks(capsys: pytest.CaptureFixture[str]) -> None:
    """All green, and one of each colour."""
    plan_cutover.print_checks(SETTINGS, GREEN)
    others = [
        live_check(Judgement([Problem("the table people has no stream", "do this")])),
        backfill_check(checkpoint_of(Copied(1_234), finished=False), "digest"),
        verify_check(state(clean=False, missing=7, extra=1), None, "digest", timedelta(hours=24), NOW),
        lag_check("lag of the Lambda", 14.2, 10, 5),
        lag_check(
            "lag of the writers",
            None,
            10,
            5,
            why_unknown="unknown: give its URL",
            advice_if_unknown="name it",
        ),
        queue_check("dead letters", 12, why_unknown="", advice="redrive them"),
    ]
    plan_cutover.print_checks(SETTINGS, others)
    plan_cutover.print_checks(SETTINGS, [*GREEN[:3], others[4]])
    check("plan-cutover", capsys.readouterr().out)


DAY = timedelta(hours=24)
DONE = checkpoint_of(Copied(10, 10))


@pytest.mark.parametrize(
    ("found", "light", "said"),
    [
        (backfill_check(None, "digest"), Light.RED, "none has run"),
        (backfill_check(DONE, "other"), Light.RED, "different mapping"),
        (backfill_check(checkpoint_of(Copied(10, 9, rejected=1)), "digest"), Light.RED, "rejected"),
        (backfill_check(DONE, "digest", "id-2"), Light.RED, "a different table of this name"),
        (
            verify_check(state(table_id="id-1"), DONE, "digest", DAY, NOW, table_id="id-2"),
            Light.RED,
            "a different table of this name",
        ),
        (verify_check(None, DONE, "digest", DAY, NOW), Light.RED, "none has run"),
        (verify_check(state(), DONE, "other", DAY, NOW), Light.RED, "different mapping"),
        (verify_check(state(), DONE, "digest", timedelta(hours=1), NOW), Light.RED, "clean, but 2 h"),
        (verify_check(state(complete=False, sample=9), DONE, "digest", DAY, NOW), Light.RED, "sample of 9"),
        (
            verify_check(state(started=datetime(2020, 1, 1)), DONE, "digest", DAY, NOW),  # noqa: DTZ001 - as read
            Light.RED,
            "before the backfill",
        ),
        (verify_check(state(in_flight=3), DONE, "digest", DAY, NOW), Light.UNKNOWN, "3 keys"),
        (lag_check("lag", 10, 10, 5), Light.RED, "not below 10 s"),
        (queue_check("dead letters", None, why_unknown="no answer", advice=""), Light.UNKNOWN, "no answer"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_not_green(found: Check, light: Light, said: str) -> None:
    """And keeps the whole from being green."""
    assert found.light is light
    assert said in found.found
    assert light_of(GREEN) is Light.GREEN
    assert light_of([*GREEN, found]) is light


def test_the_same_table_is_green() -> None:
    """By its id; where one of both is not known, nothing is said about it."""
    for mine, its in (("id-1", "id-1"), ("id-1", ""), ("", "id-1")):
        assert backfill_check(DONE, "digest", its).light is Light.GREEN
        found = verify_check(state(table_id=mine), DONE, "digest", DAY, NOW, table_id=its)
        assert found.light is Light.GREEN
    export = replace(DONE, source="the export arn")
    assert backfill_check(export, "digest", "id-2").light is Light.GREEN


def test_red_counts_more_than_what_is_not_known() -> None:
    """As for the exit status."""
    red, unknown = (queue_check("q", number, why_unknown="", advice="") for number in (1, None))
    assert light_of([unknown, red, *GREEN]) is Light.RED


@pytest.mark.parametrize(
    ("counts", "said", "not_said"),
    [
        ({"unmappable": 2}, ["cannot be repaired", "fix the mapping or the items"], ["replicator resync"]),
        (
            {"missing": 2},
            ["first redrive or drop dead letters", "replicator resync"],
            ["cannot be repaired", "by hand"],
        ),
        ({"different": 1}, ["replicator resync"], ["cannot be repaired", "by hand"]),
        ({"impossible": 1}, ["replicator resync"], ["cannot be repaired", "by hand"]),
        ({"extra": 1}, ["replicator repair removes", "by hand"], ["cannot be repaired", "dead letters"]),
        ({"missing": 1, "unmappable": 1}, ["cannot be repaired", "then replicator resync"], ["by hand"]),
    ],
    ids=repr,
)
def test_advice_fits_what_verify_found(counts: dict[str, int], said: list[str], not_said: list[str]) -> None:
    """Items that cannot become documents are not fixed by repair."""
    advice = verify_check(state(clean=False, **counts), DONE, "digest", DAY, NOW).advice
    assert all(each in advice for each in said)
    assert not any(each in advice for each in not_said)


def test_live_replication_in_a_list() -> None:
    """What is wrong and what helps are two lines; what a mapping does not tell is no green."""
    problems = [Problem("it has a filter", "aws lambda a"), Problem("it has a window", "aws lambda b")]
    check = live_check(Judgement(problems, ["x"]))
    assert (check.light, check.found) == (Light.RED, "it has a filter; it has a window")
    assert check.advice == "aws lambda a; aws lambda b"
    check = live_check(Judgement(unknown=["whether it has a filter"]))
    assert (check.light, check.found) == (Light.UNKNOWN, "unknown: whether it has a filter")


def test_no_colours_in_a_pipe_and_no_secrets(capsys: pytest.CaptureFixture[str]) -> None:
    """Colours on a terminal only."""
    plan_cutover.print_checks(SETTINGS, GREEN)
    assert "\x1b" not in capsys.readouterr().out
    assert "secret" not in repr(SETTINGS)
    assert "secret" not in repr(verify.Options(table="people", mongodb_uri=SETTINGS.uri))
