"""Who is to blame for a refused operation."""

from __future__ import annotations

import pytest

from writer.mongodb.verdicts import Operation, Refusal, judge
from writer.ports import Failure, FailureKind

PLACE = "shop.orders"


def puts(*kinds: str) -> dict[int, Operation]:
    """One operation on each document; their kinds."""
    return {index: Operation(kind, index, has_content=True) for index, kind in enumerate(kinds)}


def kinds(failures: dict[int, Failure]) -> dict[int, FailureKind]:
    return {index: failure.kind for index, failure in failures.items()}


PERMANENT, TRANSIENT, HEALABLE = FailureKind.PERMANENT, FailureKind.TRANSIENT, FailureKind.HEALABLE


@pytest.mark.parametrize("code", [121, 16755, 10334, 17419, 66, 2])
def test_one_document_among_others_is_at_fault(code: int) -> None:
    """Its neighbour of the same kind was written (P5). The dead letter has the server's words."""
    failures = judge(PLACE, puts("update", "update"), {1: Refusal(code, "words")})
    assert failures == {1: Failure(PERMANENT, str(code), "words")}


@pytest.mark.parametrize("code", [121, 16755, 2, 211, 123456])
def test_the_same_answer_to_all_is_the_fault_of_none(code: int) -> None:
    """A validator, an index or the server is; the sentence names the code and the place."""
    refusals = dict.fromkeys((0, 1), Refusal(code, "words"))
    failures = judge(PLACE, puts("update", "insert"), refusals)
    assert kinds(failures) == {0: TRANSIENT, 1: TRANSIENT}
    assert str(code) in failures[0].reason
    assert PLACE in failures[0].reason
    assert "words" not in failures[0].reason


def test_the_same_answer_to_all_of_a_kind_is_the_fault_of_none() -> None:
    """Insertions say nothing about updates, which are another command."""
    refusals = dict.fromkeys((1, 2), Refusal(121, ""))
    assert kinds(judge(PLACE, puts("insert", "update", "update"), refusals)) == {1: TRANSIENT, 2: TRANSIENT}


def test_different_answers_are_of_each_document() -> None:
    """All are refused, each for something else."""
    refusals = {0: Refusal(121, ""), 1: Refusal(16755, ""), 2: Refusal(11000, "", unique=("a", "b"))}
    failures = judge(PLACE, puts("update", "update", "update"), refusals)
    assert kinds(failures) == {0: PERMANENT, 1: PERMANENT, 2: HEALABLE}
    assert failures[2].index == "a, b"


@pytest.mark.parametrize(
    ("code", "whole", "kind"),
    [
        (121, False, PERMANENT),
        (121, True, TRANSIENT),  # the server never answers so to a command
        (15, True, PERMANENT),
        (15, False, PERMANENT),
        (2, False, TRANSIENT),
        (211, False, TRANSIENT),
        (13, True, TRANSIENT),
    ],
)
def test_a_document_without_neighbours(code: int, *, whole: bool, kind: FailureKind) -> None:
    """A code on the list counts if it came as the server sends it; any other does not."""
    assert kinds(judge(PLACE, puts("update"), {0: Refusal(code, "", whole=whole)})) == {0: kind}


def test_several_writes_of_one_document_are_no_neighbours() -> None:
    """Older changes of a document that is refused are refused, too."""
    operations = {index: Operation("update", "one", has_content=True) for index in range(3)}
    refusals = dict.fromkeys(operations, Refusal(16755, ""))
    assert set(kinds(judge(PLACE, operations, refusals)).values()) == {PERMANENT}


def test_an_older_change_that_was_taken_shows_that_the_others_are_at_fault() -> None:
    """The collection takes what it is given, if it is right."""
    operations = {
        index: Operation("update", document, has_content=True) for index, document in enumerate("aab")
    }
    refusals = dict.fromkeys((0, 2), Refusal(121, ""))
    assert kinds(judge(PLACE, operations, refusals)) == {0: PERMANENT, 2: PERMANENT}


def test_a_removal_has_no_fault() -> None:
    """It holds nothing that a server could dislike."""
    operations = {0: Operation("delete", 0, has_content=False), 1: Operation("delete", 1, has_content=False)}
    assert kinds(judge(PLACE, operations, {0: Refusal(121, "")})) == {0: TRANSIENT}


def test_what_the_driver_does_not_take_is_always_the_document() -> None:
    """No server was asked."""
    refusals = dict.fromkeys((0, 1), Refusal(None, "NUL", word="InvalidDocument"))
    failures = judge(PLACE, puts("update", "update"), refusals)
    assert failures == dict.fromkeys((0, 1), Failure(PERMANENT, "InvalidDocument", "NUL"))


def test_a_missing_right_names_place_and_right() -> None:
    """What the operator has to grant, and where."""
    failures = judge(PLACE, puts("update"), {0: Refusal(13, "not authorized on shop", whole=True)})
    assert "shop.orders (code 13)" in failures[0].reason
    assert "find, insert, update and remove" in failures[0].reason
    assert "not authorized" not in failures[0].reason


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("neighbours", [0, 1])
def test_a_shard_key_that_the_mapping_does_not_name(neighbours: int, *, whole: bool) -> None:
    """No document is at fault, not even one that comes alone: the whole collection waits for the mapping."""
    operations = puts(*["update"] * (1 + neighbours))
    (failure,) = judge(PLACE, operations, {0: Refusal(61, "words", whole=whole)}).values()
    assert (failure.kind, failure.of_place) == (TRANSIENT, True)
    assert f"{PLACE} is sharded by other fields than the mapping says" in failure.reason
    assert "shard_key" in failure.reason


def test_an_odd_value_in_the_shard_key_is_the_fault_of_its_document() -> None:
    """No shard can take it, whatever the mapping says."""
    operations = puts("update", "update")
    operations[0] = Operation("update", 0, has_content=True, odd_shard=True)
    assert kinds(judge(PLACE, operations, {0: Refusal(61, "words")})) == {0: PERMANENT}
