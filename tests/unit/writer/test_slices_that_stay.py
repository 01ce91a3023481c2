"""A batch that is cut into slices, one of whose messages stays: its group keeps its order, others go on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.builders import TABLE, body_of, put
from tests.support.writer_on_fakes import AWAY, VISIBILITY, Writer, writing
from writer.planning import slices

if TYPE_CHECKING:
    import pytest


async def test_what_was_given_back_is_not_locked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """While the rest of the batch takes long, its lock is extended, and that of nothing else."""
    monkeypatch.setattr(slices, "SLICE_CHARACTERS", 1)
    writer = Writer()
    writer.sink.unique[TABLE] = "email"
    writer.sink.documents[TABLE]["other"] = {"_id": "other", "email": "taken", "n": 0}
    writer.sink.fails_with["3"] = AWAY
    for number, group in ((1, "a"), (2, "a"), (3, "b")):
        writer.inbox.send(body_of(put(number, number, email="taken", n=number)), group)
    writer.start()
    await writer.clock.advance(2 * VISIBILITY)
    assert writer.inbox.receivable == ["id-1", "id-2"]
    writer.sink.fails_with.clear()
    assert await writer.ended() is None


async def test_later_slices_of_a_group_wait_for_its_message_that_stays(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """They are planned one by one, so a newer change would be written before an older one of its document."""
    monkeypatch.setattr(slices, "SLICE_CHARACTERS", 1)
    async with writing() as writer:
        writer.sink.unique[TABLE] = "email"
        writer.inbox.max_receives = 3
        writer.sink.documents[TABLE]["other"] = {"_id": "other", "email": "taken", "n": 0}
        writer.inbox.send(body_of(put(1, 1, email="taken", n=1)), "a")
        writer.inbox.send(body_of(put(2, 2, email="b", n=2)), "a")
        writer.inbox.send(body_of(put(3, 3, email="c", n=3)), "b")
        await writer.clock.advance(1)
        assert writer.state() == {"other": 0, 3: 3}
        await writer.clock.advance(15)
        assert writer.state() == {"other": 0, 2: 2, 3: 3}
        assert [letter.code for letter in writer.inbox.letters] == ["mongodb-11000"]
        assert writer.inbox.bodies == []
