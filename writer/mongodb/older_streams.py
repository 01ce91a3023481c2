"""Which puts come from an older stream of their table than what is stored. Knows no driver.

A put that changes nothing is nearly always a repeat, and nobody need know. One of an older stream is not: if
the stream of another region, or of a table that was restored, is the one to follow now, all of its changes
lose, for ever. So these are counted apart.

Law: only tells; decides nothing about a document.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from writer.mongodb.apply import Tombstone
from writer.ports import Outcome
from writer.write import Place, Write

_END_OF_LABEL = " "  # of a version: see shared.version


class Versions(Protocol):
    """What the database has."""

    async def stored_versions(self, puts: Sequence[Write]) -> Mapping[int, object]:
        """Returns the versions of the documents that are there, by the put's index."""

    async def newer_tombstones(self, puts: Sequence[Write]) -> Mapping[int, Tombstone]:
        """Returns the tombstones that are newer than their put, by the put's index."""


def is_from_older_stream(version: str, stored: object) -> bool:
    """Whether the stream of a version is older than that of a stored one.

    Copies (their version is empty) come from no stream, and neither does a document that has no version.
    """
    label, found, _ = version.partition(_END_OF_LABEL)
    return bool(found) and isinstance(stored, str) and stored.partition(_END_OF_LABEL)[0] > label


async def tell_older_streams(versions: Versions, writes: Sequence[Write], outcome: Outcome) -> Outcome:
    """Adds to an outcome how many of its stale puts come from an older stream. Nothing stale, no question."""
    puts = [
        write
        for index, write in enumerate(writes)
        if write.document is not None
        and outcome.stale_at.get(write.target[:2])  # hardly ever
        and index not in outcome.failures
        and _END_OF_LABEL in write.version
    ]
    if not puts:
        return outcome
    stored = await versions.stored_versions(puts)
    gone = [put for index, put in enumerate(puts) if index not in stored]
    tombstones = await versions.newer_tombstones(gone) if gone else {}
    older: Counter[Place] = Counter()
    for index, version in stored.items():
        older[puts[index].target[:2]] += is_from_older_stream(puts[index].version, version)
    for index, tombstone in tombstones.items():
        older[gone[index].target[:2]] += is_from_older_stream(gone[index].version, tombstone.removed)
    # Another writer may have gone on since.
    counted = {place: min(number, outcome.stale_at[place]) for place, number in older.items() if number}
    return replace(outcome, older_stream_at=counted)
