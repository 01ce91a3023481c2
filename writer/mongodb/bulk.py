"""Guarded operations on the documents of one collection, in as few commands as it takes.

Documents that do not exist yet are inserted, which costs MongoDB a third of an upsert with a pipeline. If
another writer inserted one in between, the guarded update decides. See
docs/decisions/0011-insert-what-is-not-there.md.

Law: does not decide what is written. No operation overwrites anything newer.
"""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bson.errors import InvalidDocument
from pymongo.errors import DocumentTooLarge, OperationFailure

from shared.errors import TransientError
from writer.mongodb.answers import Answer, Kind
from writer.mongodb.apply import Command, Written
from writer.mongodb.driver import Collection
from writer.mongodb.driver_errors import concerns_server, refusal_of
from writer.mongodb.error_codes import Meaning
from writer.mongodb.places import full_name
from writer.mongodb.sending import insertion_of, parts, removal_of, send, update_of
from writer.mongodb.verdicts import Operation, Refusal, judge
from writer.write import Place, hashable

WORTH_A_LOOK = 12
"""Puts in a batch that make it worth asking first which documents exist: a query costs as much as a few
upserts."""

KEYS_PER_QUERY = 1_000
"""Keys have up to 3 KB, a query up to 16 MB."""

_OPERATION_OF = {"insert": insertion_of, "update": update_of, "delete": removal_of}


async def perform(
    collection: Collection, place: Place, commands: Mapping[int, Command], written: Written
) -> None:
    """Performs commands on different documents (or places) of one collection.

    Args:
        collection: majority write concern, primary.
        place: of the collection.
        commands: by their index in the batch.
        written: of the whole batch; what became of the commands is added to it.

    Raises:
        TransientError: nothing can be said about the commands; perform them again.
        PyMongoError: as the driver raises it; it concerns the server.
    """
    new = await _new(collection, commands)
    bulk = _Bulk(collection, place, commands, written)
    await bulk.write("insert", new)
    await bulk.write("update", (i for i, each in commands.items() if each.removal is None and i not in new))
    await bulk.write("delete", (i for i, each in commands.items() if each.removal is not None))
    await bulk.write("update", bulk.overtaken)
    if bulk.refusals:
        written.failures |= judge(full_name(collection), bulk.operations(), bulk.refusals)


async def _new(collection: Collection, commands: Mapping[int, Command]) -> frozenset[int]:
    """The puts whose document does not exist. Only a hint: it may exist a moment later."""
    # Only an upsert writes the fields of its filter, too, so documents with a shard key are upserted.
    puts = {
        index: command.write.target.document_id
        for index, command in commands.items()
        if command.puts and command.mark is None and not command.write.shard
    }
    if len(puts) < WORTH_A_LOOK:
        return frozenset()
    present: set[Hashable] = set()
    keys = list(puts.values())
    try:
        for start in range(0, len(keys), KEYS_PER_QUERY):
            some = keys[start : start + KEYS_PER_QUERY]
            cursor = collection.find({"_id": {"$in": some}}, {"_id": 1}, batch_size=KEYS_PER_QUERY + 1)
            present.update(hashable(found["_id"]) for found in await cursor.to_list(KEYS_PER_QUERY))
    except OperationFailure as error:
        if concerns_server(error):
            raise
        return frozenset()  # the write reports it
    return frozenset(index for index, key in puts.items() if not present or hashable(key) not in present)


@dataclass(slots=True)
class _Bulk:
    """The writes of one collection.

    Attributes:
        overtaken: insertions that a unique index refused. The guarded update has to decide about them.
        sent: what was sent for each command; the last counts.
        refusals: the answers to those that were not carried out.
    """

    collection: Collection
    place: Place
    commands: Mapping[int, Command]
    written: Written
    overtaken: list[int] = field(default_factory=list)
    sent: dict[int, Kind] = field(default_factory=dict)
    refusals: dict[int, Refusal] = field(default_factory=dict)

    def operations(self) -> Mapping[int, Operation]:
        """What refusals are compared with."""
        return {index: _compared(kind, self.commands[index]) for index, kind in self.sent.items()}

    async def write(self, kind: Kind, indices: Iterable[int]) -> None:
        """Sends operations of one kind, mostly in one command."""
        for part in parts(indices, self.commands):
            self.sent.update(dict.fromkeys(part, kind))
            await self._write(kind, part)

    async def _write(self, kind: Kind, part: Sequence[int]) -> None:
        """If it fails as a whole for what may be one document, it is split until that stands alone."""
        written, make = self.written, _OPERATION_OF[kind]
        try:
            answer = await send(self.collection, kind, [make(self.commands[index]) for index in part])
        except (OperationFailure, InvalidDocument, DocumentTooLarge) as error:
            if isinstance(error, OperationFailure) and concerns_server(error):
                raise
            # A part of it may have been done.
            written.suspects.update(index for index in part if self.commands[index].puts)
            refusal = refusal_of(error)
            may_be_of_one = refusal.code is None or refusal.meaning in (Meaning.DOCUMENT, Meaning.EITHER)
            if len(part) > 1 and may_be_of_one:
                half = len(part) // 2
                await self._write(kind, part[:half])
                await self._write(kind, part[half:])
            else:
                self.refusals.update((index, refusal) for index in part)
            return
        if answer.problems:
            self._note_problems(kind, part, answer)
        if kind == "insert":
            written.inserted.update(index for n, index in enumerate(part) if n not in answer.problems)
        elif kind == "delete":
            written.deleted += answer.done
        else:
            written.inserted.update(part[position] for position in answer.upserted)
            written.modified += answer.modified
            if unchanged := answer.done - len(answer.upserted) - answer.modified:
                written.unchanged[self.place] += unchanged

    def _note_problems(self, kind: Kind, part: Sequence[int], answer: Answer) -> None:
        """Sorts the refusals of single operations."""
        refusals = {part[position]: refusal for position, refusal in answer.refusals.items()}
        if kind == "insert":
            # Whichever index it was: what frees the value may be in this very batch, whose insertions come
            # first; and an old server does not name the index.
            overtaken = {i for i, refusal in refusals.items() if refusal.meaning is Meaning.DUPLICATE}
            self.overtaken += sorted(overtaken)
            refusals = {index: refusal for index, refusal in refusals.items() if index not in overtaken}
        by_id = {index for index, refusal in refusals.items() if refusal.unique == ("_id",)}
        if any(not self.commands[index].write.shard for index in by_id):
            # Two writers inserted the same document at once: now it exists, and the guard decides.
            # With a shard key in the filter it may also exist under another value of that key.
            raise TransientError("another writer inserted the same document at the same time")
        self.refusals |= refusals
        self.written.misplaced |= by_id
        for position, problem in answer.problems.items():
            index = part[position]
            if index in refusals and refusals[index].meaning is Meaning.DUPLICATE:
                self.written.conflicts[index] = problem


def _compared(kind: Kind, command: Command) -> Operation:
    return Operation(
        kind=kind,
        document=command.write.identity,
        has_content=command.puts or command.mark is not None,
        odd_shard=any(_is_odd(value) for value in command.write.shard.values()),
    )


def _is_odd(value: Any) -> bool:
    """Whether a router may refuse a value of the shard key. MongoDB manual, "Shard Keys"; its source."""
    if isinstance(value, dict):
        return any(name.startswith("$") or _is_odd(each) for name, each in value.items())
    return isinstance(value, list)
