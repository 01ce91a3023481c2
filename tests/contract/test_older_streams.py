"""A sink tells puts of an older stream from repeats: one suite for the fake and for a real MongoDB."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.builders import delete, put, write

if TYPE_CHECKING:
    from shared.change import Change
    from tests.contract.worlds import World
    from writer.ports import Outcome


async def apply(world: World, *changes: Change) -> Outcome:
    return await world.sink.apply([write(change) for change in changes])


async def test_puts_of_an_older_stream_are_told_apart(world: World) -> None:
    """From repeats, and from late changes of the same stream; kept out by a document or by a tombstone."""
    newer, older = "2021-04-30T17:47:21.395", "2020-04-30T17:47:21.395"
    await apply(world, *(put(5, key, stream=newer) for key in range(20)))
    await apply(world, delete(6, 0, stream=newer), put(6, 19, stream=older))
    late = [put(7, key, stream=older) for key in (0, 1, 2)]
    repeats = [put(5, key, stream=newer) for key in range(3, 15)]
    outcome = await apply(world, *late, *repeats, put(4, 15, stream=newer), put(1, 99, stream=older))
    assert (outcome.stale, outcome.inserted) == (16, 1)
    assert outcome.older_stream_at == {("", "items"): 3}
    assert (await apply(world, *repeats)).older_stream_at == {}
