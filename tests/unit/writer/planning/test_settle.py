"""A message is acknowledged only when all of it is durable, stale or parked, and never out of its turn."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from shared.envelope import decode
from tests.support.builders import MIB, delete, message, put
from writer.mapping.rules import Rules
from writer.planning.plan import make_plan
from writer.planning.settle import settle
from writer.ports import Failure, FailureKind, Outcome

if TYPE_CHECKING:
    from collections.abc import Sequence

    from writer.planning.plan import Plan
    from writer.ports import Message

PERMANENT = Failure(FailureKind.PERMANENT, "121", "Document failed validation")
HEALABLE = Failure(FailureKind.HEALABLE, "11000", "E11000 duplicate key")


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
    settlement = settle(made, Outcome(inserted=1, deleted=1), MIB)
    assert (settlement.park, settlement.give_back) == ([], [])
    assert settlement.acknowledge == list(made.messages)


def test_poison_is_parked_and_its_message_is_acknowledged() -> None:
    """It must not come again: it is in the dead-letter queue by then."""
    made = plan(message(put(1, 1), put(2, [])), message(body="garbage", number=1))
    settlement = settle(made, Outcome(), MIB)
    assert sorted(letter.code for letter in settlement.park) == ["bad-envelope", "bad-key"]
    assert settlement.acknowledge == list(made.messages)


def test_a_permanent_failure_parks_its_change_and_nothing_else() -> None:
    """The letter has MongoDB's code and reason, and decodes to the very change (P5)."""
    bad = put(2, 2, x=1)
    made = plan(message(put(1, 1), bad), message(put(3, 3), number=1, group="other"))
    settlement = settle(made, failing(made, {2: PERMANENT}), MIB)
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
    settlement = settle(made, failing(made, {1: HEALABLE}), MIB)
    assert settlement.park == []
    assert [m.id for m in settlement.give_back] == ["message-0", "message-1"]
    assert [m.id for m in settlement.acknowledge] == ["message-2"]


def test_within_a_group_nothing_overtakes_a_message_that_stays() -> None:
    """What is before it goes, what is behind it waits; other groups do not care."""
    made = plan(
        message(put(1, 1), number=0, group="a"),
        message(put(2, 2), number=1, group="a"),
        message(put(3, 3), number=2, group="b"),
        message(put(4, 4), number=3, group="a"),
        message(body="garbage", number=4, group="a"),
    )
    settlement = settle(made, failing(made, {2: HEALABLE}), MIB)
    assert [m.id for m in settlement.acknowledge] == ["message-0", "message-2"]
    assert [m.id for m in settlement.give_back] == ["message-1", "message-3", "message-4"]
    assert [letter.code for letter in settlement.park] == ["bad-envelope"]  # again next time: it deduplicates


Rows = list[list[tuple[int, int]]]


@given(
    rows=st.lists(
        st.lists(st.tuples(st.integers(1, 4), st.integers(1, 9)), min_size=1, max_size=4), max_size=6
    ),
    groups=st.lists(st.sampled_from("ab"), min_size=6, max_size=6),
    fates=st.lists(st.sampled_from([None, None, PERMANENT, HEALABLE]), min_size=4, max_size=4),
    garbage=st.integers(0, 6),
)
def test_the_law_of_settling(
    rows: Rows, groups: Sequence[str], fates: Sequence[Failure | None], garbage: int
) -> None:
    """For any batch and any failures: nothing lost, nothing overtaken, everything decided once (P3)."""
    messages = [
        message(*(put(sequence, key) for key, sequence in row), number=n, group=groups[n])
        for n, row in enumerate(rows)
    ]
    if garbage < len(messages):
        messages[garbage] = replace(messages[garbage], body="garbage")
        rows[garbage] = []
    made = make_plan(messages, Rules(), MIB)
    failures = {key: fate for key, fate in enumerate(fates, start=1) if fate}
    settlement = settle(made, failing(made, failures), MIB)

    decided = [m.id for m in [*settlement.acknowledge, *settlement.give_back]]
    assert sorted(decided) == sorted(m.id for m in messages)
    newest = {key: max(s for row in rows for k, s in row if k == key) for row in rows for key, _ in row}
    parked = {(letter.key, letter.sequence) for letter in settlement.park}
    kept = {m.id for m in settlement.give_back}
    for n, row in enumerate(rows):
        for key, _ in row:
            fate = failures.get(key)
            if fate is HEALABLE:
                assert messages[n].id in kept
            if fate is PERMANENT:
                assert (f'{{"id":{key}}}', str(newest[key])) in parked
    bad = sum(failures.get(key) is PERMANENT for key in newest)
    assert len(settlement.park) == bad + (garbage < len(messages))
    for group in "ab":
        ids = [m.id for m in messages if m.group == group]
        staying = [identity in kept for identity in ids]
        assert staying == sorted(staying)
        if any(staying):  # and nothing waits without a reason
            first = ids[staying.index(True)]
            assert any(failures.get(key) is HEALABLE for key, _ in rows[int(first.removeprefix("message-"))])
