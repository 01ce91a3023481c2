"""Very many changes and faults."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from local.polling import wait_until
from tests.faults.volume import Volume

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator
    from pathlib import Path

    from local.stack import Stack

_MOST_WAITING = 100  # messages


@pytest.fixture
def volume(stack: Stack, tmp_path: Path, rng: random.Random, unique: str, database: str) -> Iterator[Volume]:
    made = Volume(stack, tmp_path, rng, unique, database)
    yield made
    made.close()


def test_many_changes_and_faults(volume: Volume, rng: random.Random, soak_seconds: float) -> None:
    """At the end every document is that of its newest change, and nothing was parked (P1-P4)."""
    started = time.monotonic()
    for _ in range(2):
        volume.start_writer()
    while time.monotonic() < started + soak_seconds:
        until = time.monotonic() + rng.uniform(0.2, 2.0)
        while time.monotonic() < until:
            if volume.queues.backlog() < _MOST_WAITING:
                volume.send()
            else:
                time.sleep(0.05)
        volume.mend()
        volume.check()
        volume.break_something()
    volume.mend()
    wait_until(lambda: volume.queues.backlog() == 0, what="an empty queue")
    seconds = time.monotonic() - started
    volume.check()
    print(  # noqa: T201 - shown if the test fails, or with -s
        f"{volume.changes.made} changes, {volume.faults} faults, {seconds:.0f} s, "
        f"{volume.changes.made / seconds:.0f} changes/s"
    )
    assert volume.queues.letters() == 0
    # After a writer was killed a sweep may still have something to remove, once a minute.
    wait_until(lambda: not volume.documents().keys() - volume.changes.newest, what="deleted documents to go")
    assert volume.documents() == volume.changes.newest
