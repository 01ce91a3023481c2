"""Which tables a command works on, and how it ends when several tables end in different ways."""

from __future__ import annotations

import itertools
import json

import pytest

from ops.aws import Aws
from ops.console.exit_status import FOUND, UNEXPECTED, UNKNOWN, UNUSABLE, WELL, CommandError
from ops.migration.command import CommandResult, print_json, status_of
from ops.migration.tables import Known, choose, of_pipeline

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


def test_all_tables_of_an_account_are_never_meant() -> None:
    """Without a name there has to be a pipeline."""
    with pytest.raises(CommandError, match="--stack NAME"):
        of_pipeline(Aws(), "", "", is_named=False)


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
