"""The dead letters that `follow` keeps in MongoDB: parked by it, looked at and marked by commands.

Law: the content of a letter never changes under its id, which is a hash of it. Only the mark that asks for it
to be applied again (`redrive`, the time of asking) comes and goes. Whoever deletes or changes a letter names
the mark that was seen.
"""

from collections.abc import Collection as Ids
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from pymongo import UpdateOne

from shared.dead_letter import DeadLetter
from writer.mongodb.driver import Collection, Database
from writer.mongodb.records import record_errors
from writer.names import DEAD_LETTERS, STREAMS

Stored = Mapping[str, Any]
"""A letter as MongoDB has it: the attributes of `shared.dead_letter`, `body`, `parked`, perhaps `redrive`."""

PAGE = 100
"""Letters that are read at once. Each has a megabyte at most, and far less as a rule."""


class DeadLetters:
    """The collection in the default database.

    All methods raise `TransientError` if it could not be done now, and `FatalError` if a right is missing.
    """

    def __init__(self, database: Database) -> None:
        self._letters: Collection = database[DEAD_LETTERS]
        self._streams: Collection = database[STREAMS]

    async def park(self, letters: Sequence[DeadLetter], limit: int) -> None:
        """Keeps dead letters; what is parked twice is there once.

        `limit`: bytes that a letter has at most.
        """
        parked = datetime.now(UTC)
        await self.put(_kept(letter.entry("", limit), parked) for letter in letters)

    async def put(self, stored: Iterable[Stored]) -> None:
        """Keeps letters as they were stored before; what is there stays as it is."""
        updates = [
            UpdateOne(
                {"_id": each["_id"]},
                {"$setOnInsert": {name: value for name, value in each.items() if name != "_id"}},
                upsert=True,
            )
            for each in stored
        ]
        if updates:
            with record_errors(self._letters):
                await self._letters.bulk_write(updates, ordered=False)

    async def count(self) -> int:
        """How many there are."""
        with record_errors(self._letters):
            return int(await self._letters.estimated_document_count())

    async def page(self, after: Any) -> list[Stored]:
        """The next letters in the order of their ids; `after`: the last one that was seen; None: none was."""
        return await self._found({} if after is None else {"_id": {"$gt": after}})

    async def marked(self, tables: Ids[str], but: Ids[str]) -> list[Stored]:
        """Letters of some tables, and of none, that are to be applied again; not all if there are many.

        `but`: ids of letters that are not wanted.
        """
        of = {"table": {"$in": [*tables, None]}, "_id": {"$nin": [*but]}}
        return await self._found({"redrive": {"$type": "date"}, **of})

    async def mark(self, seen: Stored) -> bool:
        """Asks for a letter to be applied again; durable when it returns. False: it is not there as seen."""
        with record_errors(self._letters):
            done = await self._letters.update_one(_as(seen), [{"$set": {"redrive": "$$NOW"}}])
        return bool(done.matched_count)

    async def unmark(self, seen: Stored, code: str, reason: str) -> None:
        """A letter that was to be applied again cannot be: notes why."""
        changes = {"$set": {"code": code, "reason": reason}, "$unset": {"redrive": ""}}
        with record_errors(self._letters):
            await self._letters.update_one(_as(seen), changes)

    async def delete(self, seen: Stored) -> bool:
        """Deletes a letter; False: it is not there as seen."""
        with record_errors(self._letters):
            done = await self._letters.delete_one(_as(seen))
        return bool(done.deleted_count)

    async def marks(self, ids: Sequence[str]) -> dict[str, Stored]:
        """Mark and reason of those letters that are there."""
        with record_errors(self._letters):
            cursor = self._letters.find({"_id": {"$in": ids}}, {"redrive": 1, "reason": 1})
            return {each["_id"]: each async for each in cursor}

    async def made_of(self, ids: Sequence[str]) -> list[Stored]:
        """Letters that were parked when letters with these ids were applied again, without their bodies."""
        with record_errors(self._letters):
            found: list[Stored] = await self._letters.find(
                {"message_id": {"$in": ids}}, {"message_id": 1, "reason": 1}
            ).to_list(None)
            return found

    async def followed(self) -> set[str]:
        """The tables that a process follows now, by MongoDB's clock."""
        lives = {"owner": {"$type": "string"}, "$expr": {"$gt": ["$until", "$$NOW"]}}
        with record_errors(self._streams):
            return {str(each.get("table")) async for each in self._streams.find(lives, {"table": 1})}

    async def _found(self, where: Mapping[str, Any]) -> list[Stored]:
        with record_errors(self._letters):
            found: list[Stored] = await self._letters.find(where).sort("_id").limit(PAGE).to_list(None)
            return found


def _as(seen: Stored) -> dict[str, Any]:
    return {"_id": seen["_id"], "redrive": seen.get("redrive")}


def _kept(entry: Mapping[str, Any], parked: datetime) -> Stored:
    attributes = {name: value["StringValue"] for name, value in entry["MessageAttributes"].items()}
    identity = entry["MessageDeduplicationId"]
    return {"_id": identity, **attributes, "body": entry["MessageBody"], "parked": parked}
