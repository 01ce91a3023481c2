"""A plan parks exactly what can never be done, each with its reason, and its neighbours are written (P5)."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING, Any

import pytest

from shared.change import Change, Op
from shared.envelope import decode
from shared.errors import PoisonError
from shared.nesting import MAX_LEVELS
from tests.support.builders import LABEL, MIB, TABLE, body_of, delete, message, put
from tests.support.plans import NUL, codes, plan, sums_up, versions
from writer.planning.plan import letter_of_change

if TYPE_CHECKING:
    from collections.abc import Callable

LATE = "2021-01-02T00:00:00.001"  # a day after `SENT`
TAGGED = '{"op":"put","key":{"id":1},"seq":"9","at":1,"eid":"","tags":true,"doc":{"id":1,"x":?}}'
POISON = {
    "bad-change": '{"op":"put","key":{"id":1},"seq":"9","at":1,"eid":""}',
    "bad-version": '{"op":"del","key":{"id":1},"seq":"-9","at":1,"eid":""}',
    "bad-key": '{"op":"put","key":{"id":[1]},"seq":"9","at":1,"eid":"","doc":{"id":[1]}}',
    "bad-value": TAGGED.replace("?", '{"$b":0}'),
    "bad-number": TAGGED.replace("?", '{"$n":"?"}'),
    "not-bson": '{"op":"put","key":{"id":1},"seq":"9","at":1,"eid":"","doc":{"id":1,"a\\u0000b":1}}',
    "bad-conversion": '{"op":"put","key":{"id":1},"seq":"9","at":1,"eid":"","doc":{"id":1,"t":"soon"}}',
    "too-deep": '{"op":"put","key":{"id":1},"seq":"9","at":1,"eid":"","tags":true,"doc":{"id":1,"x":'
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


@pytest.mark.parametrize("label", ["9999-12-31T23:59:59.999", "2099-01-01T00:00:00.000", LATE])
@pytest.mark.parametrize("change", [put(1), delete(1)], ids=["put", "delete"])
def test_a_version_from_the_future_is_never_applied(change: Change, label: str) -> None:
    """It would win over every real change for ever: a stream is not made a day after its message was sent."""
    made = plan(message(change._replace(stream=label)), message(put(2, n=2), number=1))
    assert codes(made) == ["bad-version"]
    assert versions(made) == {1: "2"}
    assert sums_up(made)
    letter = made.poison[0].letter
    assert (letter.table, letter.key, letter.sequence) == (TABLE, '{"id":1}', "1")
    assert "in the future" in letter.reason
    assert decode(letter.body).entries == [change._replace(stream=label)]


def test_clocks_may_differ_by_hours() -> None:
    """What DynamoDB and SQS say of the time can differ by a little, and by no day."""
    assert codes(plan(message(put(1, stream="2021-01-01T23:59:59.999")))) == []


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (delete(9, {"a\0b": 1, "c": 2}), "not-bson"),
        (put(9, {"a\0b": 1, "c": 2}), "not-bson"),
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


INTEGERS = [2**63, -(2**63) - 1, 2**64 - 1, 2**64, 10**30, -(10**300)]


@pytest.mark.parametrize("tagged", [False, True])
@pytest.mark.parametrize("integer", INTEGERS, ids=lambda number: f"{number:.3g}")
@pytest.mark.parametrize(
    "members",
    [
        '"doc":{"id":1,"n":%s}',
        '"doc":{"id":1,"a":[{"n":[%s]}]}',
        '"doc":{"id":1},"old":{"n":%s}',
        '"op":"del"',
    ],
)
def test_an_integer_beyond_int64_without_a_tag_is_parked(members: str, integer: int, *, tagged: bool) -> None:
    """Wherever it stands, as it came: a reader of JSON that made a double of it would change it silently."""
    key = integer if members == '"op":"del"' else 1
    head = f'{{"op":"put","key":{{"id":{key}}},"seq":"9","at":1,"eid":"",'
    entry = head + members.replace("%s", str(integer)) + (',"tags":true}' if tagged else "}")
    body = body_of(put(1)).replace("]}", f",{entry}]}}")
    made = plan(message(body=body), message(put(1, 7), number=1))
    assert codes(made) == ["bad-value"]
    assert versions(made) == {1: "1", 7: "1"}
    assert json.loads(made.poison[0].letter.body)["changes"] == [json.loads(entry)]


@pytest.mark.parametrize("integer", [2**63 - 1, -(2**63), 10**18, -(10**18)])
def test_the_largest_integers_are_written(integer: int) -> None:
    """Whatever is beside them."""
    made = plan(message(put(1, integer, n=[integer]), put(2, 2, text=": 123456789012345678901234567890,")))
    assert (codes(made), versions(made)) == ([], {integer: "1", 2: "2"})


@pytest.mark.parametrize(
    "image", [{}, {"id": 2}, {"id": "1"}, {"id": True}, {"id": 1.0}, {"id": None}, {"Id": 1}], ids=repr
)
def test_a_document_with_another_key_is_parked(image: dict[str, Any]) -> None:
    """Which of the two is right cannot be known."""
    made = plan(message(put(1)._replace(image=image), put(2, 2)))
    assert (codes(made), versions(made)) == (["bad-change"], {2: "2"})


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


def test_what_does_not_fit_the_mapping_is_parked() -> None:
    """The key is not the one that the mapping names: neither guessed nor dropped."""
    made = plan(message(put(1), put(2, {"pk": 1, "sk": 2})), replication="tables: {mytable: {key: [pk, sk]}}")
    assert codes(made) == ["bad-key"]
    assert "(id)" in made.poison[0].letter.reason
    assert "(pk, sk)" in made.poison[0].letter.reason


@pytest.mark.parametrize("tagged", [False, True])
@pytest.mark.parametrize("kind", [lambda value: [value], lambda value: {"a": value}], ids=["list", "map"])
@pytest.mark.parametrize("rule", ["", "numbers: decimal128", "mode: merge", "include: [id, x]"])
def test_a_document_of_a_hundred_levels_is_the_deepest(
    kind: Callable[[Any], Any], rule: str, *, tagged: bool
) -> None:
    """As MongoDB has it; judged by counting, which is the same with every version of Python."""
    values: list[Any] = [1]
    for _ in range(MAX_LEVELS):
        values.append(kind(values[-1]))
    changes = [
        put(number, number, x=values[levels])._replace(tagged=tagged)
        for number, levels in enumerate((MAX_LEVELS - 1, MAX_LEVELS))
    ]
    made = plan(message(*changes), replication=f"tables: {{{TABLE}: {{{rule}}}}}")
    assert (codes(made), versions(made)) == (["too-deep"], {0: "0"})


@pytest.mark.parametrize("deletions", [0, 1, 49, 50, 51, 200])
@pytest.mark.parametrize("text", ["", "[{", "}]"])
def test_small_changes_beside_it_do_not_hide_how_deep_a_document_is(deletions: int, text: str) -> None:
    """Few brackets in a message say that nothing in it is too deep; many say nothing."""
    deep: Any = text
    for _ in range(MAX_LEVELS):
        deep = [deep]
    others = [delete(1, number) for number in range(deletions)]
    change = put(1, "deep", x=deep)._replace(tagged=False)
    made = plan(message(*others, change))
    assert (codes(made), len(made.writes)) == (["too-deep"], deletions)


def test_what_is_too_deep_for_json_is_parked_with_its_message() -> None:
    """JSON is read to 1024 levels and written to 254: the letter is the message that holds the change."""
    deep = '{"op":"put","key":{"id":1},"seq":"9","at":1,"eid":"","tags":true,"doc":{"id":1,"x":%s}}'
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
        {"id": {"$n": "12345678901234567890"}, "b": {"$b": "AA=="}},
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
