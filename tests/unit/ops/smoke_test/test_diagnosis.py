"""How far a change came: a place is named only for what was seen there."""

from __future__ import annotations

import pytest

from ops.doctor.findings import State
from ops.smoke_test.diagnosis import Letter, Places, late
from ops.smoke_test.items import Step

EMPTY = Places(visible=0, in_flight=0, writers=1, target="shop.t")


@pytest.mark.parametrize(
    ("places", "text", "advice"),
    [
        (
            EMPTY,
            "the writers wrote it elsewhere than to shop.t; 1 writer of this queue found.",
            "Look at the Lambda's log",
        ),
        (
            Places(visible=3, in_flight=0, writers=0),
            "where 3 messages wait and none is in flight; no writers of this queue found.",
            "Start the writers",
        ),
        (
            Places(visible=3, in_flight=1200, writers=2),
            "with 1,200 in flight and 3 waiting; 2 writers of this queue found.",
            "replicator status",
        ),
        (
            Places(queue_unknown="AWS refused it", writers=None),
            "it may be in the queue, which cannot be read: AWS refused it.",
            "replicator status",
        ),
        (
            Places(visible=0, in_flight=0, letters_unknown="AWS refused it", target="shop.t"),
            "shop.t; whether it is parked is unknown: AWS refused it.",
            "Lambda's log",
        ),
        (
            Places(visible=0, in_flight=0, letter=Letter("unnamed-table", "it is not named"), differs=["a"]),
            "it is parked (unnamed-table): it is not named.",
            "replicator dlq list",
        ),
        (
            Places(visible=0, in_flight=0, differs=["a", "b"]),
            "its document differs in a, b.",
            "without any rules",
        ),
    ],
)
def test_where_it_is(places: Places, text: str, advice: str) -> None:
    """With what helps."""
    found = late(Step.PUT, 60, places)
    assert found.state is State.NOT_WELL
    assert found.text.startswith("The put did not arrive in MongoDB within 60 seconds: ")
    assert found.text.endswith(text)
    assert advice in found.advice


def test_a_mongodb_that_does_not_answer() -> None:
    """Whether the change has arrived is not known then."""
    found = late(Step.DELETE, 1.5, Places(mongodb="no primary was found", visible=0, in_flight=0))
    assert found.state is State.UNKNOWN
    assert "within 1.5 seconds, as far as can be told: no primary was found" in found.text
