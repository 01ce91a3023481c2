"""A message is acknowledged when all of it is durable, stale or parked, whatever stays before it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.envelope import decode
from tests.support.builders import MIB, delete, message, put
from writer.mapping.rules import Rules
from writer.planning.plan import make_plan
from writer.planning.settle import (
    LONGEST_DELAY,
    Limits,
    Standing,
    growing_delay,
    refusals_to_plan_again,
    settle,
)
from writer.ports import Failure, FailureKind, Outcome

if TYPE_CHECKING:
    from collections.abc import Sequence

    from writer.planning.plan import Plan
    from writer.ports import Message

PERMANENT = Failure(FailureKind.PERMANENT, "121", "Document failed validation")
HEALABLE = Failure(FailureKind.HEALABLE, "11000", "E11000 duplicate key", "email")
ODD = Failure(FailureKind.TRANSIENT, "4242", "MongoDB answered 4242 to a write of db.mytable")
NO_RIGHT = Failure(FailureKind.TRANSIENT, "13", "a right on db.mytable", of_place=True)
LIMITS = Limits(MIB, 3)
PLACE = ("", "mytable")


def plan(*messages: Message) -> Plan:
    return make_plan(messages, Rules(), MIB)


def failing(made: Plan, failures: dict[int, Failure]) -> Outcome:
    """An outcome in which the writes of these keys failed."""
    return Outcome(
        {
            index: failures[write.target.document_id]
            for index, write in enumerate(made.writes)
            if write.target.document_id in failures
        }
    )


def test_what_is_durable_is_acknowledged() -> None:
    """All messages, and nothing is parked or given back."""
    made = plan(message(put(1, 1), put(2, 2)), message(delete(3, 1), number=1))
    settlement = settle(made, Outcome(inserted=1, deleted=1), LIMITS)
    assert (settlement.park, settlement.give_back) == ([], [])
    assert settlement.acknowledge == list(made.messages)


def test_poison_is_parked_and_its_message_is_acknowledged() -> None:
    """It must not come again: it is in the dead-letter queue by then."""
    made = plan(message(put(1, 1), put(2, [])), message(body="garbage", number=1))
    settlement = settle(made, Outcome(), LIMITS)
    assert sorted(letter.code for letter in settlement.park) == ["bad-envelope", "bad-key"]
    assert settlement.acknowledge == list(made.messages)


def test_a_permanent_failure_parks_its_change_and_nothing_else() -> None:
    """The letter has MongoDB's code and reason, and decodes to the very change (P5)."""
    bad = put(2, 2, x=1)
    made = plan(message(put(1, 1), bad), message(put(3, 3), number=1, group="other"))
    settlement = settle(made, failing(made, {2: PERMANENT}), LIMITS)
    (letter,) = settlement.park
    assert (letter.code, letter.reason) == ("mongodb-121", "Document failed validation")
    assert (letter.message_id, letter.group, letter.sequence) == ("message-0", "lane", "2")
    assert decode(letter.body).entries == [bad]
    assert settlement.acknowledge == list(made.messages)


def test_a_healable_failure_gives_back_all_messages_that_it_stands_for() -> None:
    """An older message whose change was coalesced into the failed one is not done either."""
    made = plan(
        message(put(1, 1), group="a"),
        message(put(2, 1), number=1, group="b"),
        message(put(3, 3), number=2, group="c"),
    )
    settlement = settle(made, failing(made, {1: HEALABLE}), LIMITS)
    assert settlement.park == []
    assert [(back.message.id, back.delay) for back in settlement.give_back] == [
        ("message-0", 5),
        ("message-1", 5),
    ]
    assert [m.id for m in settlement.acknowledge] == ["message-2"]


def received(times: int, *messages: Message) -> list[Message]:
    return [replace(each, receives=times) for each in messages]


def test_what_is_durable_is_acknowledged_behind_what_stays() -> None:
    """The guard makes their order irrelevant: only the message with the culprit goes back (P5)."""
    made = plan(
        message(put(1, 1), number=0, group="a"),
        message(put(2, 2), number=1, group="a"),
        message(put(3, 3), number=2, group="b"),
        message(put(4, 4), number=3, group="a"),
        message(body="garbage", number=4, group="a"),
    )
    settlement = settle(made, failing(made, {2: HEALABLE}), LIMITS)
    assert [m.id for m in settlement.acknowledge] == ["message-0", "message-2", "message-3", "message-4"]
    assert [back.message.id for back in settlement.give_back] == ["message-1"]
    assert [letter.code for letter in settlement.park] == ["bad-envelope"]


def test_a_letter_is_written_with_the_end_of_its_message() -> None:
    """A message that stays is decided about again: its poison would be parked at each delivery."""
    made = plan(message(put(1, []), put(2, 2), put(3, 3)))
    for failure in (HEALABLE, ODD):
        settlement = settle(made, failing(made, {2: failure, 3: PERMANENT}), LIMITS)
        assert (settlement.park, settlement.parked, settlement.acknowledge) == ([], frozenset(), [])
        assert len(settlement.staying) == 1


def test_at_the_last_delivery_the_culprit_alone_becomes_a_letter() -> None:
    """SQS would move its whole message, healthy changes and all, instead of delivering it again (P5)."""
    bad = put(2, 2)
    made = plan(*received(3, message(put(1, 1), bad, put(3, 3))))
    settlement = settle(made, failing(made, {2: HEALABLE}), LIMITS)
    (letter,) = settlement.park
    assert (letter.code, decode(letter.body).entries) == ("mongodb-11000", [bad])
    for named in ("table mytable", "index (email)", "collection mytable", "Free the value", "redrive"):
        assert named in letter.reason
    assert settlement.acknowledge == list(made.messages)
    assert settlement.give_back == []


def test_with_a_single_delivery_there_is_no_second_try() -> None:
    """With maxReceiveCount 1 what may heal is a letter at once, for SQS delivers nothing twice."""
    made = plan(message(put(1, 1)))
    settlement = settle(made, failing(made, {1: HEALABLE}), Limits(MIB, 1))
    assert [letter.code for letter in settlement.park] == ["mongodb-11000"]


def test_at_the_last_delivery_of_any_its_older_changes_are_tried_alone() -> None:
    """The newest change of a document is parked, and what it stood for is planned again (P5)."""
    older, newer = received(3, message(put(1, 1))), [message(put(2, 1), number=1)]
    made = plan(*older, *newer)
    (refused,) = refusals_to_plan_again(made, failing(made, {1: HEALABLE}), LIMITS).values()
    assert refused.code == "mongodb-11000"
    made = plan(*newer, *received(2, *older))
    assert refusals_to_plan_again(made, failing(made, {1: HEALABLE}), LIMITS) == {}


def test_what_mongodb_takes_from_others_makes_a_refusal_one_of_this_write() -> None:
    """It goes back for longer each time; then it is held, and nothing is parked (P4)."""
    batch = message(put(1, 1), put(2, 2)), message(put(3, 3), number=1, group="other")
    made = plan(*received(1, *batch))
    settlement = settle(made, failing(made, {2: ODD}), LIMITS)
    assert [(back.message.id, back.delay) for back in settlement.give_back] == [("message-0", 5)]
    for receives in (2, 3, 9):
        made = plan(*received(receives, *batch))
        settlement = settle(made, failing(made, {2: ODD}), LIMITS)
        assert (settlement.park, settlement.hold, settlement.give_back) == ([], {}, [])
        assert [m.id for m in settlement.hold_alone[PLACE]] == ["message-0"]
        assert [m.id for m in settlement.acknowledge] == ["message-1"]
        assert (len(settlement.refused_alone), settlement.refused) == (1, frozenset())


def test_a_document_fault_that_all_of_a_message_have_is_theirs_if_others_are_taken() -> None:
    """Its code is on the list, and what was missing was another one to compare with (P5)."""
    fault = replace(ODD, code="121", of_document=True)
    for receives, parked in ((2, 0), (3, 2)):
        made = plan(*received(receives, message(put(1, 1), put(2, 2)), message(put(3, 3), number=1)))
        settlement = settle(made, failing(made, {1: fault, 2: fault}), LIMITS)
        assert ([letter.code for letter in settlement.park], settlement.hold_alone) == (
            ["mongodb-121"] * parked,
            {},
        )
        assert len(settlement.give_back) == 1 - parked / 2
    made = plan(*received(3, message(put(1, 1), put(2, 2))))
    assert settle(made, failing(made, {1: fault, 2: fault}), LIMITS).park == []


def test_a_write_is_held_with_what_else_its_message_waits_for() -> None:
    """It is not given back for a value that is taken, nor tried alone in a table that is in trouble."""
    made = plan(*received(2, message(put(1, 1), put(2, 2), put(3, 3))))
    settlement = settle(made, failing(made, {1: HEALABLE, 2: ODD}), LIMITS)
    assert (settlement.give_back, list(settlement.hold_alone)) == ([], [PLACE])
    settlement = settle(made, failing(made, {1: NO_RIGHT, 2: ODD}), LIMITS)
    assert (list(settlement.hold), settlement.hold_alone) == ([PLACE], {})


def test_when_sqs_would_move_its_message_the_change_becomes_a_letter_alone() -> None:
    """Only if MongoDB has taken others meanwhile, and never for the kind of the collection (P5)."""
    made = plan(*received(2, message(put(1, 1), put(2, 2))))
    overdue = Standing(alone=True, overdue=True)
    proven = overdue._replace(proven=frozenset({(PLACE, True)}))
    outcome = failing(made, {1: ODD, 2: ODD})
    assert (
        settle(made, outcome, LIMITS, overdue).park,
        refusals_to_plan_again(made, outcome, LIMITS, overdue),
    ) == (
        [],
        {},
    )
    first, second = settle(made, outcome, LIMITS, proven).park
    assert {first.code, second.code} == {"mongodb-4242"}
    assert first.reason.startswith(ODD.reason)
    assert "table mytable" in first.reason
    assert settle(made, failing(made, {1: NO_RIGHT}), LIMITS, proven).park == []


@pytest.mark.parametrize("stale", [0, 1], ids=["nothing else", "a put that changed nothing"])
def test_where_nothing_was_taken_messages_are_held(stale: int) -> None:
    """However often they were delivered: it is not known that it is their fault (P4)."""
    made = plan(*received(9, message(put(1, 1)), message(put(2, 2), number=1)))
    failures = failing(made, {2: ODD} if stale else {1: ODD, 2: ODD}).failures
    outcome = Outcome(failures, stale=stale, stale_at={PLACE: stale})
    settlement = settle(made, outcome, LIMITS)
    assert settlement.park == []
    assert [m.id for m in settlement.hold[PLACE]] == ["message-1"] if stale else ["message-0", "message-1"]
    assert len(settlement.refused) == 2 - stale
    proven = settle(made, outcome, LIMITS, Standing(frozenset({(PLACE, True)})))
    assert (len(proven.refused_alone), proven.hold) == (2 - stale, {})


def test_nothing_proves_that_a_missing_right_is_about_one_record() -> None:
    """A user may insert and not update: what is refused is held, whatever else is taken (P4)."""
    made = plan(*received(3, message(put(1, 1)), message(put(2, 2), number=1)))
    settlement = settle(made, failing(made, {2: NO_RIGHT}), LIMITS, Standing(frozenset({(PLACE, True)})))
    assert settlement.park == []
    assert [m.id for m in settlement.hold[PLACE]] == ["message-1"]
    assert [m.id for m in settlement.acknowledge] == ["message-0"]
    assert refusals_to_plan_again(made, failing(made, {2: NO_RIGHT}), LIMITS) == {}


@pytest.mark.parametrize("changes", [1, 2])
def test_what_mongodb_answers_to_all_is_no_documents_fault(changes: int) -> None:
    """A validator is wrong, and a single document comes: it is held, unless another one is taken (P5)."""
    made = plan(message(*(put(number, 1) for number in range(1, 1 + changes))))
    outcome = failing(made, {1: PERMANENT})
    work = (PLACE, True)
    known = Standing(known=frozenset({(work, PERMANENT.code)}))
    assert refusals_to_plan_again(made, outcome, LIMITS, known) == {}
    settlement = settle(made, outcome, LIMITS, known)
    assert (settlement.park, [m.id for m in settlement.hold[PLACE]]) == ([], ["message-0"])
    assert len(settle(made, outcome, LIMITS, known._replace(proven=frozenset({work}))).park) == 1
    for other in ((work, "171"), ((PLACE, False), PERMANENT.code), ((("", "other"), True), PERMANENT.code)):
        assert len(settle(made, outcome, LIMITS, Standing(known=frozenset({other}))).park) == 1


def test_a_message_that_is_held_is_not_given_back() -> None:
    """Whatever else of it may heal: it is tried again as a whole."""
    made = plan(message(put(1, 1), delete(2, 2)), message(put(3, 3), number=1))
    failures = {index: HEALABLE if write.document else ODD for index, write in enumerate(made.writes)}
    settlement = settle(made, Outcome(failures), LIMITS)
    assert [m.id for m in settlement.hold[PLACE]] == ["message-0"]
    assert [back.message.id for back in settlement.give_back] == ["message-1"]


def test_deletions_prove_nothing_about_puts() -> None:
    """A quota lets them pass. Only the messages with puts are held, and none of another table."""
    made = plan(
        message(delete(1, 1)),
        message(put(2, 2), number=1),
        message(put(3, 2, table="other"), number=2, group="other"),
    )
    failures = {index: ODD for index, write in enumerate(made.writes) if write.target[1:3] == ("mytable", 2)}
    settlement = settle(made, Outcome(failures), LIMITS)
    assert [m.id for m in settlement.hold[PLACE]] == ["message-1"]
    assert [m.id for m in settlement.acknowledge] == ["message-0", "message-2"]


def test_a_delay_grows_up_to_a_bound() -> None:
    """Whatever the receive count."""
    counts = (1, 2, 3, 9, 10_000)
    messages = [replace(message(put(1)), receives=count) for count in counts]
    delays = [growing_delay(each, 5, LONGEST_DELAY) for each in messages]
    assert delays == [5, 10, 20, LONGEST_DELAY, LONGEST_DELAY]


Rows = list[list[tuple[int, int]]]


@given(
    rows=st.lists(
        st.lists(st.tuples(st.integers(1, 4), st.integers(1, 9)), min_size=1, max_size=4), max_size=6
    ),
    groups=st.lists(st.sampled_from("ab"), min_size=6, max_size=6),
    fates=st.lists(st.sampled_from([None, None, PERMANENT, HEALABLE, ODD]), min_size=4, max_size=4),
    garbage=st.integers(0, 6),
)
def test_the_law_of_settling(
    rows: Rows, groups: Sequence[str], fates: Sequence[Failure | None], garbage: int
) -> None:
    """For any batch and any failures: nothing lost, none waits for another, everything decided once (P3)."""
    messages = [
        message(*(put(sequence, key) for key, sequence in row), number=n, group=groups[n])
        for n, row in enumerate(rows)
    ]
    if garbage < len(messages):
        messages[garbage] = replace(messages[garbage], body="garbage")
        rows[garbage] = []
    made = make_plan(messages, Rules(), MIB)
    failures = {key: fate for key, fate in enumerate(fates, start=1) if fate}
    settlement = settle(made, failing(made, failures), LIMITS)

    kept = {m.id for m in settlement.staying}
    assert sorted([*(m.id for m in settlement.acknowledge), *kept]) == sorted(m.id for m in messages)
    newest = {key: max(s for row in rows for k, s in row if k == key) for row in rows for key, _ in row}
    last = {key: max(n for n, row in enumerate(rows) if (key, newest[key]) in row) for key in newest}
    parked = {(letter.key, letter.sequence) for letter in settlement.park}
    for n, row in enumerate(rows):
        stays = messages[n].id in kept
        assert stays == any(failures.get(key) in {HEALABLE, ODD} for key, _ in row)
        for key, _ in row:
            if failures.get(key) is PERMANENT and messages[last[key]].id not in kept:
                assert (f'{{"id":{key}}}', str(newest[key])) in parked
    bad = sum(failures.get(key) is PERMANENT and messages[last[key]].id not in kept for key in newest)
    assert len(settlement.park) == bad + (garbage < len(messages))
