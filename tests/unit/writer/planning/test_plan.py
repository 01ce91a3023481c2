"""A plan has one write per document: the newest change that can be done, whatever the order."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import bson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.envelope import seal
from tests.support.builders import LABEL, MIB, TABLE, delete, message, put
from tests.support.plans import NUL, codes, plan, sums_up, versions

if TYPE_CHECKING:
    from shared.change import Change

EARLIER = "2019-01-01T00:00:00.000"


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


def test_the_oldest_change_is_told_as_far_as_it_can_be_read() -> None:
    """How old what is in hand is: of each message the first change, coalesced or not."""
    older, newer = put(1)._replace(at=1000), put(2)._replace(at=2000)
    assert plan(message(newer), message(older, newer, number=1)).oldest == 1000
    assert plan(message(older), message(newer, number=1)).oldest == 1000
    assert plan(message(body="?"), message(newer, number=1)).oldest == 2000
    assert plan(message(body="?")).oldest is None


def test_changes_without_a_time_leave_the_oldest_to_the_others() -> None:
    """What is not known is not old."""
    timeless = put(1, 1)._replace(at=None)
    assert plan(message(timeless, put(2, 2)), message(timeless, number=1)).oldest == put(2, 2).at
    assert plan(message(timeless)).oldest is None


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
