"""Packing at its edges; tests/property holds it against a model."""

import json
import random
from itertools import pairwise
from typing import Any

import pytest

from producer_lambda.packing import TARGET_BYTES, Message, pack, waves
from producer_lambda.records import Parsed, Records
from shared.change import Change
from shared.envelope import decode, encode_change
from shared.keys import lane_of
from tests.support.strategies import arn, stream_record

MIB = 1024 * 1024
ITEM = {"id": {"N": "3"}}
ROME, OSLO, BERN = ({"id": {"N": "3"}, "city": {"S": city}} for city in ("rome", "oslo", "bern"))


def parsed(*records: dict[str, Any], old: str = "") -> list[Parsed]:
    event = Records({"Records": list(records)}, frozenset({old} - {""}))
    changes = list(event)
    assert event.malformed == []
    return changes


def item(key: int, **attributes: Any) -> dict[str, Any]:
    return {"key": {"id": {"N": str(key)}}, "new": {"id": {"N": str(key)}, **attributes}}


def changes(records: list[Parsed]) -> list[Change]:
    (message,), unsendable = pack(records, 64, MIB)
    assert not unsendable
    return [entry for entry in decode(message.body).entries if isinstance(entry, Change)]


def only_change(records: list[Parsed]) -> Change:
    (change,) = changes(records)
    return change


def test_documented_message() -> None:
    """The changes of a lane travel as one documented envelope, oldest first."""
    (message,), unsendable = pack(parsed(stream_record("INSERT", 5, **item(3))), 1, MIB)
    assert unsendable == []
    assert message.group == "mytable/0"
    assert message.changes == 1
    assert json.loads(message.body)["changes"][0]["doc"] == {"id": 3}


def test_events_put_together_by_hand() -> None:
    """The newest version wins even where an event is not in order, and stands for both records."""
    newer, older = stream_record("MODIFY", 10, new=ROME), stream_record("MODIFY", 9, new=OSLO)
    (message,), _ = pack(parsed(stream_record("REMOVE", 1, key={"id": {"N": "9"}}), newer, older), 1, MIB)
    assert message.position == 0
    assert only_change(parsed(newer, older)).image == {"id": 3, "city": "rome"}


def test_numbers_of_different_length() -> None:
    """The newest change is that of the larger number, not of the larger string."""
    change = only_change(parsed(stream_record("MODIFY", 10, new=ROME), stream_record("MODIFY", 9, new=OSLO)))
    assert change.sequence == "10"


@pytest.mark.parametrize("last", ["MODIFY", "REMOVE"])
def test_old_values_of_a_moved_item(last: str) -> None:
    """From Rome to Oslo, and on: both travel, because an earlier try may have got as far as Oslo."""
    records = parsed(
        stream_record("MODIFY", 1, new=OSLO, old=ROME),
        stream_record(last, 2, new=BERN, old=OSLO),
        old="city",
    )
    assert [change.old for change in changes(records)] == [{"city": "rome"}, {"city": "oslo"}]


def test_old_values_of_an_item_that_stays() -> None:
    """A put that changed nothing of them need not travel; nor need one that made the item."""
    named = {**ROME, "name": {"S": "x"}}
    stays = stream_record("MODIFY", 2, new=named, old=ROME)
    moves = stream_record("MODIFY", 3, new=OSLO, old=named)
    for records in ([stays, moves], [stream_record("INSERT", 1, new=ROME), moves]):
        assert only_change(parsed(*records, old="city")).old == {"city": "rome"}


ONE, TRUE = ({**ITEM, "city": value} for value in ({"N": "1"}, {"BOOL": True}))


@pytest.mark.parametrize(("old", "new"), [(ITEM, ROME), (ROME, ITEM), (ONE, TRUE)])
def test_a_value_that_comes_or_goes_is_a_move(old: dict[str, Any], new: dict[str, Any]) -> None:
    """A document without the attribute is in another place than one with it."""
    records = parsed(
        stream_record("MODIFY", 1, new=new, old=old),
        stream_record("MODIFY", 2, new=BERN, old=new),
        old="city",
    )
    assert len(changes(records)) == 2


TAGGED, PLAIN = {"city": {"B": "AA=="}}, {"city": {"S": ""}}


@pytest.mark.parametrize(
    ("old", "new", "tagged"),
    [
        ({"old": TAGGED}, {"new": PLAIN}, True),
        ({"old": PLAIN}, {"new": TAGGED}, True),
        ({"old": PLAIN}, {"new": PLAIN}, False),
    ],
)
def test_tags_of_what_travels_are_announced(
    old: dict[str, Any], new: dict[str, Any], *, tagged: bool
) -> None:
    """A tag in the image or in old values is announced."""
    assert only_change(parsed(stream_record("MODIFY", 1, **old, **new), old="city")).tagged is tagged


def test_a_tag_that_is_left_behind_is_not_announced() -> None:
    """What a newer put stands for does not travel."""
    records = parsed(stream_record("MODIFY", 1, new=TAGGED), stream_record("MODIFY", 2, new=PLAIN))
    assert not only_change(records).tagged


def test_deletions_travel() -> None:
    """They may mark the document, or keep it with its last image: only the mapping knows."""
    records = parsed(
        *(stream_record("MODIFY", number, new=ROME) for number in (1, 2)),
        stream_record("REMOVE", 3),
        *(stream_record("INSERT", number, new=OSLO) for number in (4, 5)),
        stream_record("REMOVE", 6),
    )
    assert [change.sequence for change in changes(records)] == ["2", "3", "5", "6"]


def test_two_tables_do_not_mix() -> None:
    """The same key in two tables is two items, in envelopes and lanes of their own."""
    messages, _ = pack(parsed(stream_record(), stream_record(eventSourceARN=arn("other"))), 64, MIB)
    assert {decode(message.body).table for message in messages} == {"mytable", "other"}
    assert len({message.group for message in messages}) == 2


def test_a_lane_of_its_own_for_every_key() -> None:
    """With LANES=0 no two keys wait for each other."""
    messages, _ = pack(parsed(*(stream_record("INSERT", key, **item(key)) for key in range(500))), 0, MIB)
    assert len({message.group for message in messages}) == len(messages) == 500


def test_messages_of_about_the_target_size() -> None:
    """Changes are packed up to 240 KiB, and a larger one travels alone."""
    filler = {"a": {"S": "x" * 10_000}}
    records = [stream_record("INSERT", key, **item(key, **filler)) for key in range(100)]
    records.insert(50, stream_record("INSERT", 100, **item(100, a={"S": "y" * 300_000})))
    messages, _ = pack(parsed(*records), 1, MIB)
    assert [message.changes for message in messages] == [24, 24, 2, 1, 24, 24, 2]
    assert all(message.size <= TARGET_BYTES for message in messages if message.changes > 1)


@pytest.mark.parametrize("limit", range(1000, 1200, 7))
def test_messages_are_as_full_as_the_limit_allows(limit: int) -> None:
    """Several changes are plain JSON within the limit, and one more would not have fitted."""
    messages, _ = pack(
        parsed(*(stream_record("INSERT", 100 + key, **item(key)) for key in range(60))), 1, limit
    )
    assert len(messages) > 5
    for message, following in pairwise(messages):
        assert message.size <= limit
        assert "z" not in json.loads(message.body)
        (first, *_) = decode(following.body).entries
        assert isinstance(first, Change)
        assert message.size + len(encode_change(first)) + 1 >= limit


def test_names_that_do_not_fit_stay_behind() -> None:
    """The item travels without the names of what left it: better than not at all."""
    names = {random.Random(n).randbytes(40).hex(): {"NULL": True} for n in range(100)}  # noqa: S311
    (change,) = parsed(stream_record("MODIFY", 1, new=ROME, old={**ROME, **names}))
    (message,), unsendable = pack([change], 64, 2000)
    assert unsendable == []
    (sent,) = decode(message.body).entries
    assert isinstance(sent, Change)
    assert (sent.image, sent.gone) == (change.change.image, frozenset())
    assert len(only_change([change]).gone) == 100


def test_what_is_not_unicode_is_parked() -> None:
    """A change that cannot be written does not touch its neighbours."""
    records = parsed(
        stream_record("INSERT", 1, **item(1)),
        stream_record("INSERT", 2, **item(2, a={"S": "\ud800"})),
        stream_record("INSERT", 3, **item(3)),
    )
    (message,), (unsendable,) = pack(records, 1, MIB)
    assert message.changes == 2
    assert (unsendable.position, unsendable.code) == (1, "not-encodable")


def test_what_is_not_unicode_and_was_overwritten_is_forgotten() -> None:
    """The next put of the item stands for it, as for any other; a deletion does not."""
    wrong = stream_record("INSERT", 1, **item(1, a={"S": "\ud800"}))
    messages, unsendable = pack(parsed(wrong, stream_record("MODIFY", 2, **item(1))), 1, MIB)
    assert [(message.position, message.changes) for message in messages] == [(0, 1)]
    assert unsendable == []
    messages, (lost,) = pack(parsed(wrong, stream_record("REMOVE", 2, key=item(1)["key"])), 1, MIB)
    assert [(message.position, message.changes) for message in messages] == [(1, 1)]
    assert (lost.position, lost.change.sequence) == (0, "1")


def test_what_is_too_large_is_parked() -> None:
    """A change that does not fit the queue's limit even compressed would be refused for ever: it is data."""
    noise = random.Random(1).randbytes(400_000)  # noqa: S311 - repeatable, not secret
    records = parsed(
        stream_record("INSERT", 1, **item(1)),
        stream_record("MODIFY", 2, **item(2)),
        stream_record("MODIFY", 3, **item(2, a={"B": noise})),
        stream_record("INSERT", 4, **item(4)),
    )
    messages, (unsendable,) = pack(records, 1, 256 * 1024)
    assert sum(message.changes for message in messages) == 2
    assert all(message.size <= 256 * 1024 for message in messages)
    assert (unsendable.position, unsendable.code, unsendable.change.sequence) == (1, "too-large", "3")
    assert pack(records, 1, MIB)[1] == []


def test_compressed_if_it_fits_only_so() -> None:
    """A change larger than the limit that compresses well is sent."""
    records = parsed(stream_record("INSERT", 1, **item(1, a={"S": "\0" * 300_000})))
    (message,), unsendable = pack(records, 1, MIB)
    assert unsendable == []
    assert message.size < 10_000
    assert pack(records, 1, message.size) == ([message], [])
    assert pack(records, 1, message.size - 1)[0] == []
    assert "z" in json.loads(message.body)


def test_repeated_events_have_equal_ids() -> None:
    """A retried batch is deduplicated by SQS; another change never is."""
    first = pack(parsed(stream_record("MODIFY", 1, new=ROME)), 64, MIB)[0]
    again = pack(parsed(stream_record("MODIFY", 1, new=ROME)), 64, MIB)[0]
    later = pack(parsed(stream_record("MODIFY", 2, new=ROME)), 64, MIB)[0]
    assert first == again
    assert first[0].deduplication_id != later[0].deduplication_id
    assert len(first[0].deduplication_id) == 64


def test_lanes_are_those_of_the_key() -> None:
    """The lane depends on table and key alone, so every batch agrees on it."""
    (message,), _ = pack(parsed(stream_record("REMOVE", 1, key={"id": {"N": "1.0"}})), 64, MIB)
    assert message.group == lane_of("mytable", b'{"id":1}', 64)


def test_waves_keep_lanes_in_order() -> None:
    """The first messages of all lanes go together, then the second ones; calls have at most ten."""
    messages = [Message(index, f"g{index % 12}", str(index), "{}", 1, 2) for index in range(30)]
    sent = [[[message.position for message in batch] for batch in wave] for wave in waves(messages, MIB)]
    assert sent == [
        [list(range(10)), [10, 11]],
        [list(range(12, 22)), [22, 23]],
        [list(range(24, 30))],
    ]
    assert waves([], MIB) == []
