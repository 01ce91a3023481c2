"""Which tables a command works on, and how it ends when several tables end in different ways."""

from __future__ import annotations

import itertools
import json

import pytest

from ops.console.exit_status import FOUND, UNEXPECTED, UNKNOWN, UNUSABLE, WELL, CommandError
from ops.migration.command import CommandResult, print_json, status_of
from ops.migration.tables import Known, choose
from tests.support.commands import replicator

NAMES = ["orders", "orders-a", "orders-b", "people"]


def known() -> Known:
    return Known(NAMES, "that the stack s replicates")


def not_asked() -> Known:
    pytest.fail("nobody needs to know")


@pytest.mark.parametrize(
    ("wanted", "chosen"),
    [
        ([], NAMES),
        (["orders-*"], ["orders-a", "orders-b"]),
        (["people", "orders*", "orders-b"], ["people", "orders", "orders-a", "orders-b"]),
        (["orders-?", "other"], ["orders-a", "orders-b", "other"]),
        (["orders-[b-z]"], ["orders-b"]),
        (["*"], NAMES),
    ],
    ids=str,
)
def test_patterns(wanted: list[str], chosen: list[str]) -> None:
    """Each table once, in the order in which they were named."""
    assert choose(wanted, known) == chosen


def test_names_ask_nobody() -> None:
    """A name is taken as it is: it needs no pipeline, and no permission to look at one."""
    assert choose(["b", "a", "b"], not_asked) == ["b", "a"]


def test_a_pattern_that_matches_nothing() -> None:
    """One sentence, with names that are near; none of the other tables is worked on."""
    with pytest.raises(CommandError) as error:
        choose(["people", "order_*"], known)
    assert str(error.value) == (
        "no table that the stack s replicates matches 'order_*'; there are 'orders', 'orders-b', 'orders-a', "
        "and 1 more"
    )
    with pytest.raises(CommandError, match="there is no table that nobody has"):
        choose([], lambda: Known([], "that nobody has"))


@pytest.mark.parametrize("names", [[], ["orders-*"]], ids=str)
@pytest.mark.parametrize("command", ["backfill", "verify", "repair", "resync"])
def test_tables_that_some_lambda_reads_are_never_meant(command: str, names: list[str]) -> None:
    """Without names there has to be a pipeline: which tables it replicates is not guessed (P8)."""
    options = ["--yes"] if command in {"repair", "resync"} else []
    result = replicator(command, *names, *options, "--endpoint-url", "http://127.0.0.1:9")
    assert (result.status, result.out) == (2, "")
    assert result.err.startswith("replicator: which tables? ")
    assert "--stack NAME (REPLICATOR_STACK) or --function NAME" in result.err


def test_the_most_serious_status_counts(capsys: pytest.CaptureFixture[str]) -> None:
    """2 before 3 before 1, in any order; `--json` has that of each table, too."""
    serious = [UNEXPECTED, UNUSABLE, UNKNOWN, FOUND, WELL]
    for some in itertools.permutations(serious, 3):
        worst = min(some, key=serious.index)
        assert status_of([CommandResult(each) for each in some]) == worst
    assert status_of([]) == WELL
    print_json([CommandResult(WELL, {"table": "a", "status": 0}), CommandResult(FOUND, {"table": "b"})])
    assert json.loads(capsys.readouterr().out) == {
        "status": 1, "tables": [{"table": "a", "status": 0}, {"table": "b"}]
    }  # fmt: skip
