"""A difference counts only if it stays."""

from __future__ import annotations

from ops.migration.verify.recheck import PendingKey, Verdict

SETTLE = 10.0


def looks(*found: tuple[float, str, bool]) -> list[Verdict | None]:
    """What is known after each look: (time, how both sides are, whether they are equal)."""
    key = PendingKey({"id": {"N": "1"}}, 0.0)
    return [key.verdict_of(signature, now, SETTLE, is_equal=is_equal) for now, signature, is_equal in found]


def test_what_becomes_equal_is_well() -> None:
    """At any time."""
    assert looks((0, "a", False), (9, "b", True)) == [None, Verdict.EQUAL]
    assert looks((0, "a", True)) == [Verdict.EQUAL]


def test_what_stays_is_wrong() -> None:
    """From the first look at it."""
    assert looks((0, "a", False), (9.9, "a", False), (10, "a", False)) == [None, None, Verdict.DIFFERENT]


def test_a_change_begins_the_time_anew() -> None:
    """Replication is under way."""
    found = looks((0, "a", False), (9, "b", False), (18, "b", False), (19, "b", False))
    assert found == [None, None, None, Verdict.DIFFERENT]


def test_what_keeps_changing_is_in_flight() -> None:
    """After some times of settling nobody waits any longer."""
    found = looks(*((number * 9.0, str(number), False) for number in range(8)))
    assert found == [None] * 7 + [Verdict.IN_FLIGHT]


def test_no_time_to_settle() -> None:
    """What is wrong at the first look counts at once."""
    assert PendingKey({}, 0.0).verdict_of("a", 0.0, 0.0, is_equal=False) is Verdict.DIFFERENT
