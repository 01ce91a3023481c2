"""What `follow` keeps in MongoDB: how far each stream is read, who reads it, and whether it has a gap.

Law: only the owner of a stream changes its state, and one update notes positions and extends the lease. Times
are those of MongoDB's clock. A state that cannot be read is an error for a person, never a beginning.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from pymongo import ReturnDocument

from follow.reader.calls import is_sequence_number, is_shard_id
from follow.reader.lineage import Position
from shared.errors import FatalError
from writer.mongodb.dead_letters import DeadLetters
from writer.mongodb.places import full_name
from writer.mongodb.records import record_errors
from writer.names import STREAMS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from writer.mongodb.driver import Collection, Database

LEASE_SECONDS = 30.0
"""How long a stream belongs to a process that says nothing."""


class LostError(FatalError):
    """Another process reads the stream by now."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A stream that is ours.

    Attributes:
        positions: how far its shards are durable.
        listed_ago: seconds since the stream was listed for the last time; None: it never was.
        has_gap: changes before those positions may be lost, and the table was not compared since.
    """

    positions: Mapping[str, Position]
    listed_ago: float | None
    has_gap: bool = False


class State:
    """The collections in the default database, for one process.

    Attributes:
        letters: the dead letters.

    All methods raise `TransientError` if it could not be done now, and `FatalError` if a right is missing.
    """

    def __init__(self, database: Database, owner: str) -> None:
        """`owner`: an id of this process."""
        self._streams: Collection = database[STREAMS]
        self.letters = DeadLetters(database)
        self._owner = owner

    async def claim(self, stream: str, table: str) -> Claim | None:
        """Takes a stream if nobody else reads it; None: somebody does.

        Raises:
            FatalError: what is noted of it cannot be read.
        """
        free = {
            "$or": [
                {"$ne": [{"$type": "$owner"}, "string"]},
                {"$eq": ["$owner", self._owner]},
                {"$ne": [{"$type": "$until"}, "date"]},
                {"$lte": ["$until", "$$NOW"]},
            ]
        }
        stage = {
            "table": {"$literal": table},
            "owner": {"$cond": [free, self._owner, "$owner"]},
            "until": {"$cond": [free, _lease_end(), "$until"]},
            "claimed": {"$cond": [free, "$$NOW", "$claimed"]},
        }
        with record_errors(self._streams):
            found = await self._streams.find_one_and_update(
                {"_id": stream}, [{"$set": stage}], upsert=True, return_document=ReturnDocument.AFTER
            )
        if found["owner"] != self._owner:
            return None
        try:
            return _claim_of(found)
        except (AttributeError, TypeError, ValueError) as error:
            raise FatalError(
                f"what {full_name(self._streams)} says of the stream {stream} cannot be read: "
                f"delete it, and run replicator resync {table}"
            ) from error

    async def note(
        self, stream: str, positions: Mapping[str, Position], forgotten: Iterable[str], *, listed: bool
    ) -> None:
        """Notes how far a stream is read, and extends the lease; on a majority when it returns.

        Args:
            stream: that is ours.
            positions: the shards whose position has changed.
            forgotten: shards that are not there any more.
            listed: the stream has been listed since the last note.

        Raises:
            LostError: the stream is not ours any more. Nothing was noted.
        """
        sets: dict[str, Any] = {"until": _lease_end()}
        if listed:
            sets["listed"] = "$$NOW"
        for shard, position in positions.items():
            sets[f"shards.{shard}"] = {"$literal": {"after": position.after, "done": position.done}}
        stages: list[dict[str, Any]] = [{"$set": sets}]
        if gone := [f"shards.{shard}" for shard in forgotten]:
            stages.append({"$unset": gone})
        await self._update(stream, stages)

    async def begin_gap(self, stream: str) -> None:
        """Notes that changes of a stream that is ours are lost, and forgets how far it was read.

        In one update: killed at any moment, either the old positions are there, or the gap is known.

        Raises:
            LostError: the stream is not ours any more. Nothing was noted.
        """
        gap = {"$set": {"gap": {"$ifNull": ["$gap", "$$NOW"]}, "until": _lease_end()}}
        await self._update(stream, [gap, {"$unset": ["shards", "listed"]}])

    async def end_gap(self, stream: str) -> None:
        """Notes that the table was compared and repaired since the gap.

        Raises:
            LostError: the stream is not ours any more. Nothing was noted.
        """
        await self._update(stream, [{"$unset": "gap"}])

    async def _update(self, stream: str, stages: list[dict[str, Any]]) -> None:
        with record_errors(self._streams):
            result = await self._streams.update_one({"_id": stream, "owner": self._owner}, stages)
        if not result.matched_count:
            raise LostError(f"another process reads the stream {stream} now")

    async def release(self, stream: str) -> None:
        """From now on another process may take the stream at once."""
        with record_errors(self._streams):
            where = {"_id": stream, "owner": self._owner}
            await self._streams.update_one(where, {"$unset": {"owner": "", "until": ""}})


def _lease_end() -> dict[str, Any]:
    return {"$add": ["$$NOW", round(LEASE_SECONDS * 1000)]}


def _claim_of(found: Mapping[str, Any]) -> Claim:
    """Reads a state.

    Raises:
        AttributeError, TypeError, ValueError: somebody else has written it.
    """
    positions = {}
    for shard, each in found.get("shards", {}).items():
        after, done = each.get("after"), each.get("done")
        if not is_shard_id(shard) or type(done) is not bool or not (after == "" or is_sequence_number(after)):
            raise ValueError
        positions[shard] = Position(after, done)
    listed = found.get("listed")
    ago = None if listed is None else (found["claimed"] - listed).total_seconds()
    if (ago is None and positions) or not isinstance(found.get("gap"), datetime | None):
        raise ValueError
    return Claim(positions, ago, found.get("gap") is not None)
