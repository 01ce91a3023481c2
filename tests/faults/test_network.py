"""A long and narrow way to both servers, and one that breaks: nothing is lost, and nothing is done twice.

The delay and the bandwidth are in the proxies; what is asserted are counts.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from local.polling import wait_until
from tests.faults.volume import Volume

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from local.stack import Stack

    MakeVolume = Callable[..., Volume]

_FAR = {"round_trip": 0.04, "bandwidth": 1_000_000.0}
_NARROW = {**_FAR, "bandwidth": 60_000.0}  # so that a few messages take longer than a lock
_VISIBILITY = 5
_LOST = ("the lock was lost", "messages were not deleted", "applied, not acknowledged", "messages given back")
"""What the log says of locks that were not kept."""


@pytest.fixture
def make_volume(
    stack: Stack, tmp_path: Path, rng: random.Random, unique: str, database: str
) -> Iterator[MakeVolume]:
    """`make_volume(options)`: queues, and proxies for writers; see `Volume`."""
    made: list[Volume] = []

    def make(**options: Any) -> Volume:
        made.append(Volume(stack, tmp_path, rng, unique, database, **options))
        return made[-1]

    yield make
    for volume in made:
        volume.close()


def _lines(volume: Volume) -> list[dict[str, Any]]:
    """All lines of the writers' logs."""
    whole = [writer.log.read_bytes().rpartition(b"\n")[0] for writer in volume.writers]
    return [json.loads(line) for log in whole for line in log.splitlines()]


def _applied(volume: Volume) -> int:
    """How many messages were worked on; one that came twice counts twice."""
    return sum(line["messages"] for line in _lines(volume) if line["message"] == "batch applied")


def _drain(volume: Volume, what: str) -> None:
    """Waits for an empty queue: however long it takes, only what does not move hangs."""
    while left := volume.queues.backlog():
        wait_until(lambda left=left: volume.queues.backlog() < left, what=what)  # type: ignore[misc]
        volume.check()


def test_a_long_and_narrow_way(make_volume: MakeVolume) -> None:
    """What the writer has asked for takes long, what it writes longer than its locks: they are kept (P1, P3).

    A lock cannot be extended before its message has arrived, so it is long where answers are. The queue
    delivers each message once: a second time it would go to the dead-letter queue.
    """
    volume = make_volume(visibility=2 * _VISIBILITY, receives=1, to_sqs=_FAR, to_mongodb=_NARROW)
    for _ in range(6):
        volume.send()
    volume.start_writer(POOL_SIZE="16")
    _drain(volume, "the next messages to pass the narrow line")
    # SQS has deleted the last messages; the answer that says so is still on its way.
    wait_until(lambda: _applied(volume) >= volume.sent, what="the writer to know that all is done")
    assert volume.queues.letters() == 0
    assert [line for line in _lines(volume) if line["message"] in _LOST] == []
    assert _applied(volume) == volume.sent
    assert volume.documents() == volume.changes.newest


def test_a_long_way_that_breaks(make_volume: MakeVolume, rng: random.Random) -> None:
    """All connections end again and again: nothing is lost, nothing acknowledged twice (P1, P3, P4).

    What SQS had locked for an answer that was lost is delivered again when the lock ends.
    """
    volume = make_volume(visibility=_VISIBILITY, to_sqs=_FAR, to_mongodb=_FAR)
    for _ in range(30):
        volume.send()
    for _ in range(2):
        volume.start_writer()
    for writer in volume.writers:
        writer.wait()
    for _ in range(10):
        before, reset = volume.queues.backlog(), rng.choice([volume.to_sqs, volume.to_mongodb]).reset
        wait_until(lambda before=before: volume.queues.backlog() < before, what="messages to be done")  # type: ignore[misc]
        reset()
        volume.check()
    _drain(volume, "the next messages")
    assert volume.queues.letters() == 0
    # Fewer, where the answer to a delete was lost for good.
    assert _applied(volume) <= volume.sent
    wait_until(lambda: not volume.documents().keys() - volume.changes.newest, what="deleted documents to go")
    assert volume.documents() == volume.changes.newest
