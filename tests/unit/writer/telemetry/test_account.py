"""A batch in numbers: every change that was settled has one result, under its table and operation."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from tests.support.builders import MIB, delete, message, put
from writer.mapping.parser import parse_replication
from writer.mapping.rules import Rules
from writer.planning.plan import make_plan
from writer.planning.settle import Limits, settle
from writer.ports import Failure, FailureKind, Outcome
from writer.telemetry.account import Seconds, account
from writer.telemetry.observer import Operation, Result

if TYPE_CHECKING:
    from shared.change import Change
    from writer.ports import Message
    from writer.telemetry.observer import Batch

PUT, DELETE, UNKNOWN = Operation.PUT, Operation.DELETE, Operation.UNKNOWN
OLDER_STREAM = Result.OLDER_STREAM
APPLIED, STALE, COALESCED, PARKED = Result.APPLIED, Result.STALE, Result.COALESCED, Result.PARKED
NOW = 1588166545.0
PERMANENT = Failure(FailureKind.PERMANENT, "121", "Document failed validation")
HEALABLE = Failure(FailureKind.HEALABLE, "11000", "E11000 duplicate key")


def accounted(*messages: Message, outcome: Outcome | None = None, replication: str = "") -> Batch:
    rules = Rules(parse_replication(replication, "r.yaml") if replication else None)
    plan = make_plan(messages, rules, MIB)
    result = outcome or Outcome()
    return account(plan, result, settle(plan, result, Limits(MIB, 5)), NOW, Seconds(1, 2, 3))


def counts(batch: Batch) -> dict[tuple[str, Operation, Result], int]:
    found = {(table, operation, result): changes for table, operation, result, changes in batch.counted}
    assert len(found) == len(batch.counted)
    return found


def at(change: Change, seconds: float) -> Change:
    return change._replace(at=round((NOW - seconds) * 1000))


def test_changes_are_told_apart_by_table_operation_and_fate() -> None:
    """Two tables, both operations, all four results."""
    batch = accounted(
        message(put(1, 1), put(2, 1), put(3, 2), delete(4, 3), put(5, [])),
        message(put(6, 1, table="other"), delete(7, 1, table="other"), number=1),
        message(body="garbage", number=2),
        outcome=Outcome(stale=1, stale_at={("", "mytable"): 1}),
    )
    assert counts(batch) == {
        ("mytable", PUT, STALE): 1,
        ("mytable", PUT, APPLIED): 1,
        ("mytable", PUT, COALESCED): 1,
        ("mytable", PUT, PARKED): 1,
        ("mytable", DELETE, APPLIED): 1,
        ("other", PUT, COALESCED): 1,
        ("other", DELETE, APPLIED): 1,
        ("", UNKNOWN, PARKED): 1,
    }
    assert sum(counts(batch).values()) == batch.changes
    assert [(parked.table, parked.code) for parked in batch.parked] == [
        ("mytable", "bad-key"),
        ("", "bad-envelope"),
    ]
    assert (batch.messages, batch.plan, batch.apply, batch.settle) == (3, 1, 2, 3)


def test_puts_of_an_older_stream_are_told_apart() -> None:
    """Each change has one result: they are not among the stale ones."""
    batch = accounted(
        message(put(1, 1), put(2, 2), put(3, 3), put(4, 4)),
        message(put(5, 1, table="other"), number=1),
        outcome=Outcome(
            stale=4,
            stale_at={("", "mytable"): 3, ("", "other"): 1},
            older_stream_at={("", "mytable"): 2, ("", "other"): 1},
        ),
    )
    assert counts(batch) == {
        ("mytable", PUT, OLDER_STREAM): 2,
        ("mytable", PUT, STALE): 1,
        ("mytable", PUT, APPLIED): 1,
        ("other", PUT, OLDER_STREAM): 1,
    }


def test_what_the_mapping_does_not_replicate_is_coalesced() -> None:
    """A deletion that is kept out needs no write."""
    batch = accounted(message(delete(1)), replication="tables: {mytable: {deletes: keep}}")
    assert counts(batch) == {("mytable", DELETE, COALESCED): 1}
    assert batch.lags == []


def test_what_mongodb_refuses_for_good_is_parked() -> None:
    """It is neither applied nor late."""
    batch = accounted(message(put(1, 1), put(2, 2)), outcome=Outcome({0: PERMANENT}))
    assert counts(batch) == {("mytable", PUT, APPLIED): 1, ("mytable", PUT, PARKED): 1}
    assert sum(lag.changes for lag in batch.lags) == 1
    assert [parked.code for parked in batch.parked] == ["mongodb-121"]


def test_what_is_given_back_is_in_no_count() -> None:
    """All changes of a message come again with it, and count then; those of other messages count now."""
    batch = accounted(
        message(put(1, 1), put(2, 2), put(3, 2), group="a"),
        message(put(4, 3), group="a", number=1),
        message(put(5, 4), group="b", number=2),
        outcome=Outcome({0: HEALABLE}),
    )
    assert counts(batch) == {("mytable", PUT, APPLIED): 2}
    assert (batch.given_back, batch.parked) == (1, [])
    assert [lag.changes for lag in batch.lags] == [2]


def test_lags_are_told_by_table_and_age() -> None:
    """Changes of one second are one entry; none is from the future."""
    batch = accounted(
        message(at(put(1, 1), 2), at(delete(2, 2), 2), at(put(3, 3), 1.5), at(put(4, 4), -7)),
        message(at(put(5, 1, table="other"), 2), number=1),
    )
    lags = Counter({(lag.table, lag.seconds): lag.changes for lag in batch.lags})
    assert lags == {("mytable", 2.0): 2, ("mytable", 1.5): 1, ("mytable", 0.0): 1, ("other", 2.0): 1}


def test_a_change_without_a_time_has_no_lag() -> None:
    """It counts as any other; how long it took is not known, and says nothing about the others."""
    batch = accounted(message(at(put(1, 1), 2), put(2, 2)._replace(at=None), delete(3, 3)._replace(at=None)))
    assert counts(batch) == {("mytable", PUT, APPLIED): 2, ("mytable", DELETE, APPLIED): 1}
    assert [(lag.seconds, lag.changes) for lag in batch.lags] == [(2.0, 1)]


def test_marks_that_were_there_count_no_put_as_stale_that_was_none() -> None:
    """MongoDB's counts do not distinguish a put from a mark that changed nothing."""
    batch = accounted(
        message(delete(1, 1), delete(2, 2), put(3, 3)),
        message(delete(4, 4, table="marks"), number=1),
        outcome=Outcome(stale=3, stale_at={("", "mytable"): 2, ("", "marks"): 1}),
        replication="tables: {'*': {deletes: mark}}",
    )
    assert counts(batch) == {
        ("mytable", PUT, STALE): 1,
        ("mytable", DELETE, APPLIED): 2,
        ("marks", DELETE, APPLIED): 1,
    }
