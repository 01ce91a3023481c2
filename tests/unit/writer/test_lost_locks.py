"""A batch whose lock the writer no longer holds for sure is given up, not written late."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from shared.errors import TransientError
from tests.support.builders import body_of, put
from tests.support.fake_clock import settled
from tests.support.writer_on_fakes import AWAY, VISIBILITY, writing

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


async def test_a_lapsed_lock_is_not_written() -> None:
    """SQS cannot be reached to extend it, MongoDB is away: the batch is given up, not written late (P2)."""
    async with writing() as writer:
        await settled()
        writer.sink.faults.down = AWAY
        writer.inbox.faults.raises["extend"] = [TransientError("503")] * 1000
        writer.inbox.send(body_of(put(1, n=1)))
        await writer.clock.advance(0.75 * VISIBILITY)
        assert "release" not in writer.inbox.faults.calls
        await writer.clock.advance(0.25 * VISIBILITY)
        assert writer.inbox.faults.calls.count("release") == 1
        applied = writer.sink.faults.calls.count("apply")
        await writer.clock.advance(3 * VISIBILITY)
        assert writer.sink.faults.calls.count("apply") == applied
        writer.inbox.faults.raises["extend"] = []
        writer.sink.faults.down = None
        await writer.clock.advance(10)
        assert writer.state() == {1: 1}


async def test_a_lock_that_lapsed_while_planning_is_not_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that was frozen between receiving and writing gives the batch back."""
    async with writing() as writer:
        frozen: list[float] = []

        def slow(*arguments: Any) -> Any:
            if not frozen:
                writer.clock.time += VISIBILITY
                frozen.append(writer.clock.time)
            return make_plan(*arguments)

        from writer.planning.plan import make_plan  # noqa: PLC0415

        monkeypatch.setattr("writer.processor.make_plan", slow)
        writer.inbox.send(body_of(put(1, n=1)))
        writer.sink.faults.at_point = refuse_when(lambda: writer.inbox.most_receives == 1)
        await writer.clock.advance(10)
        assert frozen
        assert writer.state() == {1: 1}
        assert writer.inbox.most_receives == 2


@pytest.mark.parametrize(("seconds", "receives"), [(VISIBILITY / 2, 1), (VISIBILITY * 2, 2)])
async def test_a_late_answer_to_a_receive_is_not_trusted(seconds: float, receives: int) -> None:
    """Frozen while it polled: SQS is asked whether the lock is still ours; if not, it is not written (P2)."""
    async with writing() as writer:
        extended: list[int] = []

        async def late(name: str) -> None:
            if name == "after receive" and writer.inbox.most_receives == 1 and not extended:
                writer.clock.time += seconds
            if name == "before extend":
                extended.append(writer.sink.faults.calls.count("apply"))

        writer.inbox.faults.at_point = late
        writer.sink.faults.at_point = refuse_when(lambda: writer.inbox.most_receives != receives)
        writer.inbox.send(body_of(put(1, n=1)))
        await writer.clock.advance(10)
        assert extended == [0]
        assert writer.state() == {1: 1}
        assert writer.inbox.bodies == []
        assert writer.inbox.most_receives == receives


def refuse_when(condition: Callable[[], bool]) -> Callable[[str], Awaitable[None]]:
    async def at_point(name: str) -> None:
        assert not (name == "before apply" and condition())

    return at_point


async def test_a_lost_lock_is_given_up() -> None:
    """Another writer holds the messages now, and will write them."""
    async with writing() as writer:
        await settled()
        writer.sink.faults.down = AWAY
        writer.inbox.send(body_of(put(1, n=1)))
        await settled()
        writer.inbox.lock_is_lost()
        await writer.clock.advance(0.6 * VISIBILITY)
        applied = writer.sink.faults.calls.count("apply")
        await writer.clock.advance(5 * VISIBILITY)
        assert writer.sink.faults.calls.count("apply") == applied
        assert writer.inbox.deleted == []
