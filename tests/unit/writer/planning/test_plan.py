"""A plan has one write per document, the newest that can be done, and parks exactly what can never be."""

from __future__ import annotations

import json
import random
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import bson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.change import Change, Op
from shared.envelope import decode, seal
from shared.errors import PoisonError
from tests.support.builders import LABEL, MIB, TABLE, body_of, delete, message, put
from writer.mapping.parser import parse_replication
from writer.mapping.rules import Rules
from writer.planning.plan import letter_of_change, make_plan

if TYPE_CHECKING:
    from writer.planning.plan import Plan

NUL: dict[str, Any] = {"a\0b": 1}
EARLIER = "2019-01-01T00:00:00.000"


def plan(*messages: Any, replication: str = "") -> Plan:
    return make_plan(messages, Rules(parse_replication(replication, "replication.yaml")), MIB)


def versions(made: Plan) -> dict[Any, str]:
    """What is written: key → sequence number, negative for a deletion."""
    return {
        write.target.document_id: ("-" if write.document is None else "") + write.change.sequence
        for write in made.writes
    }


def codes(made: Plan) -> list[str]:
    return [poison.letter.code for poison in made.poison]


def sums_up(made: Plan) -> bool:
    assert sum(made.coalesced_of.values()) == made.coalesced
    return made.changes == len(made.writes) + len(made.poison) + made.coalesced


@pytest.mark.parametrize("order", [(1, 2, 3), (3, 2, 1), (2, 3, 1), (3, 1, 3), (10, 9, 11)])
def test_the_newest_change_of_a_document_wins_whatever_the_order(order: tuple[int, ...]) -> None:
    """Reordered, duplicated, in one message or in several: one write, of the highest number."""
    together = plan(message(*(put(sequence) for sequence in order)))
    apart = plan(*(message(put(sequence), number=n) for n, sequence in enumerate(order)))
    for made in (together, apart):
        assert versions(made) == {1: str(max(order))}
        assert (made.changes, made.coalesced, made.poison) == (len(order), len(order) - 1, [])
    assert apart.writes[0].messages == frozenset(range(len(order)))


def test_sequence_numbers_are_numbers_and_a_later_stream_comes_after() -> None:
    """99 < 100 although "99" > "100"; a re-created table starts its numbers anew, under a later label."""
    assert versions(plan(message(put(100), put(99)))) == {1: "100"}
    made = plan(message(put(5)), message(put(900, stream=EARLIER)))
    assert [write.version for write in made.writes] == [put(5).version]


def test_a_deletion_is_a_change_like_any_other() -> None:
    """Newest wins between puts and deletions too, both ways."""
    assert versions(plan(message(put(1), delete(2)))) == {1: "-2"}
    assert versions(plan(message(put(3), delete(2)))) == {1: "3"}


def test_documents_of_different_tables_and_key_types_are_different() -> None:
    """1, "1" and b"1" are three documents, and the same key in another table is a fourth."""
    made = plan(
        message(put(1, 1), put(1, "1"), put(1, {"id": {"$b": "MQ=="}})), message(put(1, 1, table="other"))
    )
    assert len(made.writes) == 4
    assert {write.target.collection for write in made.writes} == {TABLE, "other"}


POISON = {
    "bad-change": '{"op":"put","key":{"id":1},"seq":"9","at":1,"eid":""}',
    "bad-version": '{"op":"del","key":{"id":1},"seq":"-9","at":1,"eid":""}',
    "bad-key": '{"op":"put","key":{"id":[1]},"seq":"9","at":1,"eid":"","doc":{}}',
    "bad-value": '{"op":"put","key":{"id":1},"seq":"9","at":1,"eid":"","doc":{"x":{"$b":"?"}},"tags":true}',
    "bad-number": '{"op":"put","key":{"id":1},"seq":"9","at":1,"eid":"","doc":{"x":{"$n":"?"}},"tags":true}',
    "not-bson": '{"op":"put","key":{"id":1},"seq":"9","at":1,"eid":"","doc":{"a\\u0000b":1}}',
    "bad-conversion": '{"op":"put","key":{"id":1},"seq":"9","at":1,"eid":"","doc":{"t":"soon"}}',
    "too-deep": '{"op":"put","key":{"id":1},"seq":"9","at":1,"eid":"","tags":true,"doc":{"x":'
    + '{"y":' * 700
    + "1"
    + "}" * 700
    + "}}",
}
CONVERT = "tables: {mytable: {fields: {t: {convert: epoch_seconds}}}}"


@pytest.mark.parametrize("code", POISON)
def test_a_bad_record_is_parked_alone(code: str) -> None:
    """One letter with its reason; its neighbours in the message, and other messages, are written (P5)."""
    good, older = put(3, 2), put(2, 1)
    entries = [json.loads(body_of(older))["changes"][0], "?", json.loads(body_of(good))["changes"][0]]
    body = json.dumps({"v": 1, "table": TABLE, "stream": LABEL, "changes": entries}).replace(
        '"?"', POISON[code]
    )
    made = plan(message(body=body), message(put(1, 3), number=1), replication=CONVERT)
    assert codes(made) == [code]
    assert versions(made) == {1: "2", 2: "3", 3: "1"}
    assert sums_up(made)
    letter = made.poison[0].letter
    assert letter.reason
    assert (letter.group, letter.message_id, letter.table) == ("lane", "message-0", TABLE)
    if code != "too-deep":  # deeper than JSON is written: the whole message is kept, see below
        envelope = decode(letter.body)
        assert (envelope.table, envelope.stream, len(envelope.entries)) == (TABLE, LABEL, 1)
        assert json.loads(letter.body)["changes"] == [json.loads(POISON[code])]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (delete(9, {"a\0b": 1, "c": 2}), "not-bson"),
        (put(9, {"a\0b": 1, "c": 2}), "not-bson"),
        (delete(9, {"id": 2**63}), "not-bson"),
        (delete(9, {"pk": 2**64 - 1, "sk": 1}), "not-bson"),
        (put(9, {"id": 2**63}), "not-bson"),
        (put(9, big=2**63), "not-bson"),
        (put(9, big={"deeper": [2**64 - 1]}), "not-bson"),
        (delete(9, {"id": None}), "bad-key"),
        (put(9, "x" * 2049), "bad-key"),
        (put(9, "\U0001f600" * 513), "bad-key"),
        (delete(9, {"id": {"$b": "eHh4" * 700}}), "bad-key"),
        (delete(9, {"a": "x", "b": "é" * 1025}), "bad-key"),
        (delete(9, {"a": "x", "b" * 2049: 1}), "bad-key"),
        (delete(9, {"id": True}), "bad-key"),
        (delete(9, {"id": {"a": 1, "b": 2}}), "bad-key"),
        (delete(9, {"a": 1, "b": 2, "c": 3}), "bad-key"),
        (delete(9, {"id": {"$b": "not base64"}}), "bad-value"),
        (delete(9, {"id": {"$ss": ["a"]}}), "bad-key"),
    ],
    ids=repr,
)
def test_a_key_or_value_that_bson_cannot_hold_never_reaches_the_driver(change: Change, code: str) -> None:
    """Deletions too are parked here: the driver would raise for the whole batch, at every delivery again."""
    made = plan(message(change, put(1, 7)))
    assert codes(made) == [code]
    assert decode(made.poison[0].letter.body).entries == [change]
    assert versions(made) == {7: "1"}
    assert sums_up(made)


def test_the_name_of_a_single_key_is_not_part_of_the_id() -> None:
    """So its deletion can be done, whatever the name."""
    assert versions(plan(message(delete(9, {"a\0b": 1})))) == {1: "-9"}


@pytest.mark.parametrize(
    "table", ["a..b", ".a", "a.", "a$b", "a\0b", "system.users", "_replicator_tombstones", "theirs"]
)
def test_a_table_whose_name_no_collection_can_have_is_poison(table: str) -> None:
    """DynamoDB allows such names: they must neither jam the batch nor touch what is not theirs."""
    made = plan(
        message(put(1, table=table)),
        message(put(2)),
        message(delete(3, table=table)),
        replication="tables: {mine: {collection: theirs}, elsewhere: {collection: a}}",
    )
    assert codes(made) == ["bad-collection"] * 2
    assert versions(made) == {1: "2"}
    assert decode(made.poison[0].letter.body).entries == [put(1, table=table)]


def test_a_table_with_such_a_name_is_replicated_under_another() -> None:
    """The mapping is the way out that the reason names."""
    made = plan(message(put(1, table="a..b")), replication="tables: {a..b: {collection: ab}}")
    assert [write.target.collection for write in made.writes] == ["ab"]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("not JSON", "bad-envelope"),
        ("", "bad-envelope"),
        ("[]", "bad-envelope"),
        ('{"v":2}', "unknown-version"),
        ('{"v":1,"table":"t","stream":"2020","changes":1}', "bad-envelope"),
        ('{"v":1,"table":"t","stream":"2020","z":"?"}', "bad-envelope"),
        (r'{"v":1,"table":"t","stream":"2020","changes":["\ud800"]}', "bad-envelope"),
        ("[" * 100_000, "bad-envelope"),
    ],
)
def test_a_message_that_cannot_be_read_is_parked_as_it_came(body: str, code: str) -> None:
    """One letter with the same text; the messages beside it go on."""
    made = plan(message(body=body), message(put(1), number=1))
    assert codes(made) == [code]
    assert made.poison[0].letter.body == body
    assert versions(made) == {1: "1"}
    assert (made.changes, made.coalesced) == (2, 0)


def test_the_oldest_change_is_told_as_far_as_it_can_be_read() -> None:
    """How old what is in hand is: of each message the first change, coalesced or not."""
    older, newer = put(1)._replace(at=1000), put(2)._replace(at=2000)
    assert plan(message(newer), message(older, newer, number=1)).oldest == 1000
    assert plan(message(older), message(newer, number=1)).oldest == 1000
    assert plan(message(body="?"), message(newer, number=1)).oldest == 2000
    assert plan(message(body="?")).oldest is None


def test_what_does_not_fit_the_mapping_is_parked() -> None:
    """The key is not the one that the mapping names: neither guessed nor dropped."""
    made = plan(message(put(1), put(2, {"pk": 1, "sk": 2})), replication="tables: {mytable: {key: [pk, sk]}}")
    assert codes(made) == ["bad-key"]
    assert "(id)" in made.poison[0].letter.reason
    assert "(pk, sk)" in made.poison[0].letter.reason


def test_a_newest_change_that_is_no_document_gives_way_to_the_next_older() -> None:
    """All newer ones that cannot be written are parked, none of the older ones is."""
    made = plan(
        message(put(1), put(3)), message(put(4, **NUL), number=1), message(put(2), put(5, **NUL), number=2)
    )
    assert versions(made) == {1: "3"}
    assert sorted(poison.letter.sequence for poison in made.poison) == ["4", "5"]
    assert sorted(poison.message for poison in made.poison) == [1, 2]
    assert made.writes[0].message == 0
    assert made.writes[0].messages == {0, 2}
    assert made.coalesced == 2


def test_nothing_is_written_where_no_change_can_be() -> None:
    """Every one is parked, and the plan has no write for the document."""
    made = plan(message(put(1, **NUL), put(2, **NUL)))
    assert (made.writes, codes(made)) == ([], ["not-bson"] * 2)


def test_what_is_too_deep_for_json_is_parked_with_its_message() -> None:
    """JSON is read to 1024 levels and written to 254: the letter is the message that holds the change."""
    deep = '{"op":"put","key":{"id":1},"seq":"9","at":1,"eid":"","tags":true,"doc":{"x":%s}}'
    body = json.dumps({"v": 1, "table": TABLE, "stream": LABEL, "changes": ["?"]}).replace(
        '"?"', deep % ('{"y":' * 700 + "1" + "}" * 700)
    )
    made = plan(message(body=body))
    assert codes(made) == ["too-deep"]
    assert made.poison[0].letter.body == body
    assert made.poison[0].letter.sequence == ""  # one letter, whichever of its changes are nested so


def test_poison_of_every_size_fits_the_dead_letter_queue() -> None:
    """A full-size message that does not compress, readable or not, can still be parked."""
    letters = [chr(n) for n in range(0x20, 0x7F) if chr(n) not in '"\\']
    noise = "".join(random.Random(1).choices(letters, k=MIB))  # noqa: S311 - noise, not cryptography
    garbage = message(body=noise)
    change = put(1, text=noise[:-300], **NUL)
    made = plan(garbage, message(change, number=1))
    assert codes(made) == ["bad-envelope", "not-bson"]
    for poison in made.poison:
        entry = poison.letter.entry("0", MIB)
        attributes = entry["MessageAttributes"]
        size = len(entry["MessageBody"].encode()) + sum(
            len(name) + len(value["StringValue"]) + len("String") for name, value in attributes.items()
        )
        assert size <= MIB
    assert made.poison[0].letter.body == noise
    assert decode(made.poison[1].letter.body).entries == [change]


def test_a_letter_keeps_every_member_of_its_change() -> None:
    """Redriving is sending it again: what the change knew must not be lost on the way."""
    change = Change(
        TABLE,
        LABEL,
        "7",
        Op.PUT,
        {"id": {"$n": "12345678901234567890"}},
        5,
        "e",
        {"id": 1, "b": {"$b": "AA=="}},
        gone=frozenset({"x", "y"}),
        old={"o": 1},
        tagged=True,
    )
    letter = letter_of_change(message(change), change, PoisonError("code", "reason"), MIB)
    assert decode(letter.body).entries == [change]
    assert json.loads(letter.key) == {"id": {"$n": "12345678901234567890"}}
    expired = Change(TABLE, LABEL, "7", Op.DELETE, {"id": 1}, 5, "e", ttl=True)
    assert decode(letter_of_change(message(expired), expired, PoisonError("c", "r"), MIB).body).entries == [
        expired
    ]


def test_an_empty_envelope_is_no_work_and_no_error() -> None:
    """It is acknowledged with nothing done."""
    made = plan(message(body=seal(TABLE, LABEL, [], MIB)))
    assert (made.writes, made.poison, made.changes) == ([], [], 0)


@dataclass(frozen=True)
class Entry:
    """One entry of a random message."""

    key: int
    sequence: int
    kind: str

    def change(self) -> Change:
        if self.kind == "delete":
            return delete(self.sequence, self.key)
        if self.kind == "bad-key":
            return put(self.sequence, {"id": [self.key]})
        return put(self.sequence, self.key, **(NUL if self.kind == "not-bson" else {"n": self.sequence}))


Batch = list[list[Entry] | None]
KEYS, SEQUENCES = range(1, 4), range(8, 13)


@st.composite
def batches(draw: st.DrawFn) -> Batch:
    """Messages with entries in any order and number; None is a message that cannot be read."""
    kinds = st.sampled_from(["put", "put", "delete", "not-bson", "bad-key"])
    everything = [Entry(key, sequence, draw(kinds)) for key in KEYS for sequence in SEQUENCES]
    one = st.one_of(st.none(), st.lists(st.sampled_from(everything), min_size=1, max_size=6))
    return draw(st.lists(one, max_size=6))


def reference(batch: Batch) -> tuple[dict[int, Entry], Counter[tuple[int, str]]]:
    """Says what is written per key, and how many letters of each code each message gives."""
    entries = [(n, entry) for n, one in enumerate(batch) for entry in one or ()]
    parked = Counter((n, "bad-envelope") for n, one in enumerate(batch) if one is None)
    parked.update((n, entry.kind) for n, entry in entries if entry.kind == "bad-key")
    written: dict[int, Entry] = {}
    for key in KEYS:
        ours = [(n, entry) for n, entry in entries if entry.key == key and entry.kind != "bad-key"]
        fit = [entry for _, entry in ours if entry.kind != "not-bson"]
        if fit:
            written[key] = max(fit, key=lambda entry: entry.sequence)
        newest = written[key].sequence if fit else 0
        # A duplicate is the same change: it is parked once, from where it came last.
        unfit = {e.sequence: n for n, e in ours if e.kind == "not-bson" and e.sequence > newest}
        parked.update((n, "not-bson") for n in unfit.values())
    return written, parked


@given(batches())
def test_a_plan_is_what_the_reference_says(batch: Batch) -> None:
    """Any mixture of order, duplicates and poison: the writes, the letters and the counts (P1, P5)."""
    written, parked = reference(batch)
    made = plan(
        *(
            message(body="garbage", number=n)
            if one is None
            else message(*(e.change() for e in one), number=n)
            for n, one in enumerate(batch)
        )
    )
    assert versions(made) == {
        key: ("-" if entry.kind == "delete" else "") + str(entry.sequence) for key, entry in written.items()
    }
    assert Counter((poison.message, poison.letter.code) for poison in made.poison) == parked
    assert sums_up(made)
    for write in made.writes:
        newest = written[write.target.document_id]
        carried = {
            n
            for n, one in enumerate(batch)
            for entry in one or ()
            if entry.key == newest.key and entry.kind != "bad-key" and entry.sequence <= newest.sequence
        }
        assert write.messages == carried
        assert newest in (batch[write.message] or ())
        assert write.document is None or bson.decode(write.document)["n"] == newest.sequence
