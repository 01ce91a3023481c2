"""Whatever stands in the queue: each change is written or parked, and never anything else (P4, P5, P7)."""

from __future__ import annotations

import json
import tracemalloc
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.dead_letter import entry_size
from tests.support.builders import MIB, TABLE, body_of, message, put
from tests.support.hostile import ENVELOPE, GOOD, HOSTILE
from tests.support.strategies import json_scalars
from writer.mapping.parser import parse_replication
from writer.mapping.rules import Rules
from writer.planning.plan import make_plan
from writer.planning.settle import Limits, settle
from writer.ports import Failure, FailureKind, Outcome

if TYPE_CHECKING:
    from writer.planning.plan import Plan

RULES = {
    "defaults": Rules(),
    "everything": Rules(
        parse_replication(
            f"""
            tables:
              {TABLE}:
                key: [id]
                mode: merge
                shard_key: [s.t]
                numbers: decimal128
                fields:
                  n: {{convert: int}}
                  t: {{convert: epoch_seconds}}
                  i: {{convert: iso8601}}
                  j: {{convert: json}}
                  d: {{convert: decimal}}
                  x: {{rename: y}}
            """,
            "replication.yaml",
        )
    ),
}


def planned(rules: Rules, *bodies: str) -> Plan:
    """The plan of messages; what holds of every plan is checked."""
    messages = [message(body=body, number=number) for number, body in enumerate(bodies)]
    plan = make_plan(messages, rules, MIB)
    refused = {i: Failure(FailureKind.PERMANENT, "121", "refused") for i in range(len(plan.writes))}
    for outcome in (Outcome(), Outcome(failures=refused)):
        settlement = settle(plan, outcome, Limits(MIB, 5))
        assert len(settlement.park) == len(set(settlement.park))
        for letter in settlement.park:
            entry = letter.entry("0", MIB)
            assert entry_size(entry) <= MIB
            entry["MessageBody"].encode()
        assert settlement.acknowledge == messages
    assert all(write.document or write.removals or write.mark for write in plan.writes)
    return plan


NUMBERS = [
    *("1" * 5000, "-" + "9" * 400, "1E+999999999", "1E-999999999", "1e9999", "0E+9999", "0E-9999", "-0"),
    *("NaN", "Infinity", "sNaN123", "1_000", "٣", " 1", "0x10", "", "1" * 39, "." + "0" * 299, "1E+126"),
]
nasty_numbers = st.one_of(
    st.sampled_from(NUMBERS),
    st.integers(),
    st.sampled_from([1e308, 5e-324, -0.0, 2**63, 2**64 - 1, -(2**63)]),
)
nasty_texts = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    st.sampled_from(["\0", "a\0b", "$a", "a.b", "_id", "_ddb", "\x1b[2J", "\ufffe\uffff", "k" * 5000]),
)
wire_values = st.recursive(
    st.one_of(json_scalars, nasty_numbers, nasty_texts),
    lambda inner: st.one_of(
        st.tuples(st.sampled_from(["$n", "$b", "$ss", "$ns", "$bs", "$m"]), inner).map(
            lambda tag: dict([tag])
        ),
        st.dictionaries(nasty_texts, inner, max_size=3),
        st.lists(inner, max_size=3),
    ),
    max_leaves=5,
)
images = st.dictionaries(
    st.one_of(st.sampled_from(["id", "n", "t", "i", "j", "d", "x", "s"]), nasty_texts),
    wire_values,
    max_size=4,
)
members = st.fixed_dictionaries(
    {},
    optional={
        "op": st.sampled_from(["put", "del", "PUT", None]),
        "key": st.one_of(images, wire_values, st.dictionaries(st.just("id"), wire_values, min_size=1)),
        "seq": st.one_of(nasty_texts, st.integers(0, 10**120).map(str), wire_values),
        "at": st.one_of(nasty_numbers, wire_values),
        "eid": wire_values,
        "doc": st.one_of(images, wire_values),
        "ttl": wire_values,
        "gone": st.one_of(st.lists(nasty_texts, max_size=4), wire_values),
        "old": st.one_of(images, wire_values),
        "tags": st.one_of(st.booleans(), wire_values),
    },
)


def written(value: Any) -> str:
    """As JSON that every reader takes."""
    return json.dumps(value).replace("NaN", "0").replace("-Infinity", "0").replace("Infinity", "0")


@pytest.mark.parametrize("rules", RULES)
@settings(max_examples=150)
@given(
    entries=st.lists(members, max_size=3),
    envelope=st.one_of(st.just({}), st.dictionaries(st.sampled_from([*ENVELOPE]), wire_values, max_size=1)),
)
def test_every_change_is_written_or_parked(
    rules: str, entries: list[dict[str, Any]], envelope: dict[str, Any]
) -> None:
    """Hostile members of any kind, beside good changes in the same message and in another one."""
    body = written(ENVELOPE | {"changes": [GOOD, *(GOOD | entry for entry in entries)]} | envelope)
    plan = planned(RULES[rules], body, body_of(put(7, 7, n=7, s={"t": 1})))
    documents = {
        write.target.document_id for write in plan.writes if isinstance(write.target.document_id, int)
    }
    assert 7 in documents


@pytest.mark.parametrize("rules", RULES)
@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_messages_stay_small(kind: str, rules: str) -> None:
    """What the messages with a name become takes no more memory than the largest legal item does (P7)."""
    body = HOSTILE[kind]()
    tracemalloc.start()
    try:
        plan = planned(RULES[rules], body, body_of(put(7, 7, n=7, s={"t": 1})))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert [write.target.document_id for write in plan.writes if write.message == 1] == [7]
    assert peak < 100 * MIB
