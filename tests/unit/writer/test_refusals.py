"""A change that MongoDB refuses for good gives way to the older ones of its document, as any poison does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from shared.envelope import decode
from tests.support.builders import TABLE, body_of, delete, put
from tests.support.fake_clock import FakeClock
from tests.support.fake_inbox import FakeInbox
from tests.support.fake_sink import FakeSink
from tests.support.writer_context import context_on
from writer.mapping.parser import parse_replication
from writer.mapping.rules import Rules
from writer.processor import BatchProcessor
from writer.sqs.lease import Lease

if TYPE_CHECKING:
    from shared.change import Change

BASE = 10**21


class Batch:
    """One batch through the processor, into a collection whose validator demands the field `n`."""

    def __init__(self, *bodies: str, deletes: str = "delete") -> None:
        self.clock = FakeClock()
        self.inbox = FakeInbox(self.clock)
        for body in bodies:
            self.inbox.send(body)
        self.sink = FakeSink()
        self.sink.required[TABLE] = "n"
        rules = Rules(parse_replication(f"tables: {{{TABLE}: {{deletes: {deletes}}}}}", "replication.yaml"))
        self.context = context_on(self.clock)
        self.processor = BatchProcessor(self.context, self.inbox, self.sink, rules)

    async def go(self) -> None:
        messages = await self.inbox.receive()
        lease = Lease(self.context, self.inbox, messages, self.clock.monotonic())
        await self.processor.process(messages, lease)

    @property
    def state(self) -> dict[object, object]:
        return {document["_id"]: document["n"] for document in self.sink.all(TABLE)}

    @property
    def parked(self) -> list[tuple[str, str]]:
        return [(letter.code, letter.sequence) for letter in self.inbox.letters]


async def test_the_newest_change_that_is_taken_is_applied() -> None:
    """P5: of three changes the two newest are refused; both are parked, and the oldest is applied."""
    batch = Batch(body_of(put(BASE, n=1)), body_of(put(BASE + 1, x=1), put(BASE + 2, x=2)))
    await batch.go()
    assert batch.state == {1: 1}
    assert sorted(batch.parked) == [("mongodb-121", str(BASE + 1)), ("mongodb-121", str(BASE + 2))]
    assert batch.inbox.bodies == []
    versions = [entry.version for letter in batch.inbox.letters for entry in decode(letter.body).entries]  # type: ignore[union-attr]
    assert sorted(versions) == [put(BASE + 1).version, put(BASE + 2).version]


async def test_a_delete_behind_a_refused_put_is_done() -> None:
    """The item was deleted, whatever became of the put after it."""
    batch = Batch(body_of(put(BASE, n=1)))
    await batch.go()
    batch.inbox.send(body_of(delete(BASE + 1), put(BASE + 2, x=1)))
    await batch.go()
    assert batch.state == {}
    assert batch.parked == [("mongodb-121", str(BASE + 2))]


async def test_neighbours_are_applied_and_one_refusal_is_planned_once() -> None:
    """A refused change with nothing behind it costs no second write; others of the batch are applied."""
    batch = Batch(body_of(put(BASE, 1, x=1), put(BASE + 1, 2, n=2)))
    await batch.go()
    assert batch.state == {2: 2}
    assert batch.parked == [("mongodb-121", str(BASE))]
    assert batch.sink.faults.calls.count("apply") == 1


async def test_a_refused_change_that_came_twice_is_parked_once() -> None:
    """A duplicate of a refused change is the same change."""
    body = body_of(put(BASE, x=1))
    batch = Batch(body, body)
    await batch.go()
    assert batch.parked == [("mongodb-121", str(BASE))]
    assert batch.inbox.bodies == []


async def test_many_refused_changes_of_one_document_are_tried_in_one_go() -> None:
    """However many there are, the second plan has all of them: the work does not grow with their square."""
    refused = [put(BASE + number, x=number) for number in range(1, 301)]
    batch = Batch(body_of(put(BASE - 1, n=0), put(BASE, n=1), *refused))
    await batch.go()
    assert batch.state == {1: 1}
    assert len(batch.parked) == 300
    assert batch.sink.faults.calls.count("apply") == 2


@given(st.data())
async def test_refusals_leave_what_the_newest_change_that_is_taken_makes(data: st.DataObject) -> None:
    """P5: puts that MongoDB takes or refuses, deletions of every kind, in any order, some of them twice.

    What is refused and newer than what is taken is parked, each change once, and nothing that can be taken.
    """
    effect = data.draw(st.sampled_from(["delete", "mark", "keep"]))
    kinds = data.draw(st.lists(st.sampled_from(["good", "bad", "delete"]), min_size=1, max_size=20))
    changes = [_of_kind(kind, BASE + number) for number, kind in enumerate(kinds)]
    sent = data.draw(st.permutations(changes + data.draw(st.lists(st.sampled_from(changes), max_size=3))))
    cut = data.draw(st.integers(0, len(sent)))
    batch = Batch(*(body_of(*part) for part in (sent[:cut], sent[cut:]) if part), deletes=effect)
    await batch.go()
    relevant = [kind for kind in kinds if kind != "delete" or effect == "delete"]
    taken = next((kind for kind in reversed(relevant) if kind != "bad"), "delete")
    newest = max((number for number, kind in enumerate(kinds) if kind == "good"), default=0)
    assert batch.state == ({1: newest} if taken == "good" else {})
    marked = effect == "mark" and taken == "good" and "delete" in kinds[newest:]
    assert ["deleted" in document["_ddb"] for document in batch.sink.all(TABLE)] == [marked] * len(
        batch.state
    )
    bad = [BASE + number for number, kind in enumerate(kinds) if kind == "bad"]
    last = max((number for number, kind in enumerate(kinds) if kind == taken), default=-1)
    parked = [int(sequence) for code, sequence in batch.parked if code == "mongodb-121"]
    assert len(parked) == len(set(parked)) == len(batch.parked)
    assert set(parked) <= set(bad)
    assert set(parked) >= {sequence for sequence in bad if sequence > BASE + last}
    assert batch.inbox.bodies == []


def _of_kind(kind: str, sequence: int) -> Change:
    if kind == "delete":
        return delete(sequence)
    return put(sequence, n=sequence - BASE) if kind == "good" else put(sequence, x=1)
