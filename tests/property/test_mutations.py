"""Valid records and messages with random mistakes: what is accepted is exactly what it says (P5, P6).

Thousands of mutations, each judged by an oracle that shares no code with what it judges. One seed makes them
all: that of the run. A failure names it, and shows the mutation.
"""

from __future__ import annotations

import json
import random
from random import Random
from typing import TYPE_CHECKING, Any

import bson
import pytest

from producer_lambda.packing import pack
from producer_lambda.records import Records
from shared.envelope import encode_change, seal
from shared.errors import FatalError
from tests.support import mutations, oracle, wire_oracle
from tests.support.builders import MIB, message
from tests.support.lambda_events import from_lambda_event
from tests.support.strategies import LABEL, TABLE
from writer.mapping.rules import Rules
from writer.planning.plan import make_plan

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from shared.change import Change
    from writer.planning.plan import Plan
    from writer.write import Write

MUTATIONS = 1_500
"""Of each test; five tests take a quarter of a minute."""

CODES = frozenset(
    {
        *("bad-attribute", "bad-number", "bad-record", "bad-version", "bad-change", "bad-value", "bad-key"),
        *("bad-collection", "bad-envelope", "unknown-version", "not-bson", "not-encodable", "too-deep"),
        *("too-large", "too-many-tables"),
    }
)


def random_of_each(count: int) -> list[Random]:
    """A generator for each mutation, by the seed of the run."""
    seed = random.getrandbits(64)
    print(f"seed {seed}")  # noqa: T201 - shown if the test fails
    return [Random(f"{seed}/{number}") for number in range(count)]  # noqa: S311


def planned(*bodies: str) -> Plan:
    """The plan of messages; every change is in it once, and what is parked has one of the known codes."""
    plan = make_plan([message(body=body, number=number) for number, body in enumerate(bodies)], Rules(), MIB)
    assert plan.changes == len(plan.writes) + len(plan.poison) + plan.coalesced
    assert {poison.letter.code for poison in plan.poison} <= CODES
    return plan


def document_of(write: Write) -> tuple[Any, Mapping[str, str]]:
    """What is written, without metadata, and which attributes have other names."""
    assert write.document is not None
    document = bson.decode(write.document)
    metadata = document.pop(oracle.METADATA_FIELD)
    assert metadata["v"] == write.version
    return oracle.frozen(document), metadata.get("renamed", {})


# Envelopes


def valid_changes(draw: Random) -> Sequence[Change]:
    """Some changes of different items."""
    records = [mutations.record(draw, number) for number in range(draw.randint(1, 4))]
    parsed = Records({"Records": records})
    changes = [each.change for each in parsed]
    assert not parsed.malformed
    return changes


def check_message(body: str, originals: Sequence[Any]) -> None:
    """Judges the plan of a mutated message, beside one that is good."""
    good = seal(TABLE, LABEL, [json.dumps(GOOD).encode()], MIB)
    plan = planned(body, good)
    assert any(write.message == 1 and document_of(write)[0] == GOOD_DOCUMENT for write in plan.writes)
    entries = wire_oracle.entries_of(body) if any(write.message == 0 for write in plan.writes) else []
    for write in plan.writes:
        if write.message == 0:
            assert says_so(write, entries), f"{write} is none of {entries}"
    for poison in plan.poison:
        letter = poison.letter
        if letter.sequence and json.loads(letter.body).items() >= HEAD.items():  # one change of this stream
            (entry,) = wire_oracle.entries_of(letter.body)
            assert same(entry) not in map(same, originals), f"{entry} was good"


def says_so(write: Write, entries: Sequence[Any]) -> bool:
    """Whether one of the entries, as the oracle reads it, is what is written."""
    return any(
        isinstance(entry, dict) and entry.get("seq") == write.change.sequence and says_it(write, entry)
        for entry in entries
    )


def says_it(write: Write, entry: Any) -> bool:
    try:
        document_id = oracle.frozen(wire_oracle.document_id_of(entry))
        expected = None if write.document is None else wire_oracle.document_of_entry(entry)
    except (AssertionError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError):
        return False  # it says nothing that can be read: another one has to be meant
    if expected is None:
        found = bson.decode(bson.encode({"_id": write.target.document_id}))["_id"]
        return bool(entry.get("op") == "del") and oracle.frozen(found) == document_id
    return bool(entry.get("op") == "put") and document_of(write) == (
        oracle.frozen(expected),
        oracle.renamed_of(entry["doc"]),
    )


def same(entry: Any) -> str:
    return json.dumps(entry, sort_keys=True)


HEAD = {"v": 1, "table": TABLE, "stream": LABEL}
GOOD = {"op": "put", "key": {"id": "good"}, "seq": "1", "at": 5, "eid": "", "doc": {"id": "good"}}
GOOD_DOCUMENT = oracle.frozen({"_id": "good", "id": "good"})


@pytest.mark.parametrize("what", ["entries", "envelope"])
def test_envelopes_with_other_members(what: str) -> None:
    """Members that are missing, of another type, elsewhere, or nested: parked, or exactly what they say."""
    for draw in random_of_each(MUTATIONS):
        envelope = json.loads(
            seal(TABLE, LABEL, [encode_change(change) for change in valid_changes(draw)], MIB)
        )
        originals = envelope["changes"]
        if what == "entries":
            envelope["changes"] = mutations.mutated(draw, originals)
        else:
            envelope = mutations.mutated(draw, envelope)
        check_message(json.dumps(envelope), originals)


@pytest.mark.parametrize("limit", [MIB, 0], ids=["plain", "compressed"])
def test_envelopes_with_other_characters(limit: int) -> None:
    """Characters that are lost, doubled or others: parked, or exactly what they say."""
    for draw in random_of_each(MUTATIONS):
        encoded = [encode_change(change) for change in valid_changes(draw)]
        body = seal(TABLE, LABEL, encoded, limit)
        check_message(mutations.mutated_text(draw, body), [json.loads(each) for each in encoded])


# Stream records


def test_stream_records_with_other_members() -> None:
    """The whole way from a record to a document: parked by one side or the other, or exactly what it says."""
    for number, draw in enumerate(random_of_each(MUTATIONS)):
        before = mutations.record(draw, number)
        record = mutations.mutated(draw, before)
        good = mutations.record(draw, number + 10 * MUTATIONS)
        records = Records({"Records": [record, good]})
        try:
            changes = list(records)
        except FatalError:
            assert record["dynamodb"]["StreamViewType"] in {"KEYS_ONLY", "OLD_IMAGE"}
            continue
        assert {lost.code for lost in records.malformed} <= CODES
        messages, unsendable = pack(changes, 4, MIB)
        assert {lost.code for lost in unsendable} <= CODES
        plan = planned(*(each.body for each in messages))
        check_record(good, plan)
        lost = {*(each.position for each in records.malformed), *(each.position for each in unsendable)}
        parked = {poison.letter.sequence for poison in plan.poison}
        is_parked = 0 in lost or sequence_of(record) in parked
        if not is_parked:
            check_record(record, plan)
        else:
            assert essence(record) != essence(before), f"{record} is as good as {before}"


def check_record(record: Any, plan: Plan) -> None:
    """Judges the write of a record by its AttributeValues."""
    body = record["dynamodb"]
    (write,) = (write for write in plan.writes if write.change.sequence == body["SequenceNumber"])
    key = from_lambda_event(body["Keys"])
    document_id = oracle.document_of(key, sorted(key))["_id"]
    found = bson.decode(bson.encode({"_id": write.target.document_id}))["_id"]
    assert oracle.frozen(found) == oracle.frozen(document_id), record
    if record["eventName"] == "REMOVE":
        assert write.document is None, record
    else:
        item = from_lambda_event(body["NewImage"])
        assert oracle.document_of(item, sorted(key))["_id"] == document_id, record
        expected = oracle.document_of(item, sorted(key))
        assert document_of(write) == (oracle.frozen(expected), oracle.renamed_of(item)), record


def sequence_of(record: Any) -> Any:
    body = record.get("dynamodb") if isinstance(record, dict) else None
    return body.get("SequenceNumber") if isinstance(body, dict) else None


def essence(record: Any) -> str:
    """What has to be right of a record. Its time, its event id and all the rest may be missing or odd."""
    if not isinstance(record, dict) or not isinstance(record.get("dynamodb"), dict):
        return ""
    members = [record.get(name) for name in ("eventName", "eventSourceARN")]
    names = ("SequenceNumber", "Keys", "NewImage", "OldImage")
    return json.dumps([members, [record["dynamodb"].get(name) for name in names]])
