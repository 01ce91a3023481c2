"""The items of a smoke test: known by key and mark, and whole."""

from __future__ import annotations

from typing import Any

import pytest
from bson import decode

from ops.migration.images import copied, write_of
from ops.smoke_test.items import KEY, MARK, Run, Step, differing_fields, until_of
from writer.mapping.rules import Rules
from writer.names import METADATA_FIELD

RUN = Run("r1", 1_600_000_000)
KEYS = RUN.keys


@pytest.mark.parametrize("step", [Step.PUT, Step.CHANGE])
def test_its_document_is_what_the_writers_make_of_it(step: Step) -> None:
    """By their own mapping, without rules."""
    item = RUN.item(KEYS[0], step)
    write = write_of(Rules().table("t"), copied("t", {KEY: "S"}, item, 0))
    assert write is not None
    assert write.document is not None
    made = decode(write.document)
    made.pop(METADATA_FIELD, None)
    assert made == RUN.document(KEYS[0], step)
    assert until_of(item) == RUN.until


def test_a_change_changes_adds_and_removes() -> None:
    """So that a put that is not replaced whole is seen."""
    before, after = (RUN.document(KEYS[0], step) or {} for step in (Step.PUT, Step.CHANGE))
    assert differing_fields(before, after) == ["added", "step", "taken", "truth"]
    assert RUN.document(KEYS[0], Step.DELETE) is None
    assert len(set(KEYS)) == 3


@pytest.mark.parametrize(
    "changed",
    [
        {KEY: {"S": "other/r1/0"}},
        {KEY: {"N": "1"}},
        {MARK: {"S": "1600000000"}},
        {MARK: {"N": "-1"}},
        {MARK: {"N": "1e9"}},
        {MARK: None},
    ],
)
def test_an_item_of_somebody_else(changed: dict[str, Any]) -> None:
    """Key and mark both have to be ours."""
    item = {name: value for name, value in (RUN.item(KEYS[0], Step.PUT) | changed).items() if value}
    assert until_of(item) is None
