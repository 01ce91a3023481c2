"""Guarded operations on the documents of one collection, as few bulk writes as it takes.

Documents that do not exist yet are inserted, which costs MongoDB a third of an upsert with a pipeline. If
another writer inserted one in between, the guarded update decides. See
docs/decisions/0011-insert-what-is-not-there.md.

Law: does not decide what is written. No operation overwrites anything newer.
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bson.errors import InvalidDocument
from bson.raw_bson import RawBSONDocument
from motor.core import AgnosticCollection
from pymongo import DeleteOne, InsertOne, UpdateOne
from pymongo.errors import BulkWriteError, DocumentTooLarge, OperationFailure

from shared.errors import TransientError
from writer.mongodb.apply import Command, Written
from writer.mongodb.driver_errors import check_server, concerns_server, refusal_of
from writer.mongodb.error_codes import Meaning
from writer.mongodb.guard import Pipeline, document_filter, mark_stage, put_pipeline, removal_filter
from writer.mongodb.places import full_name
from writer.mongodb.verdicts import Operation, Refusal, judge
from writer.write import Place, hashable

WORTH_A_LOOK = 12
"""Puts in a bulk write that make it worth asking first which documents exist: a query costs as much as a few
upserts."""

KEYS_PER_QUERY = 1_000
"""Keys have up to 3 KB, a query up to 16 MB."""

BulkOperation = InsertOne[RawBSONDocument] | UpdateOne | DeleteOne
_Indexed = tuple[int, BulkOperation]


async def perform(
    collection: AgnosticCollection[Any], place: Place, commands: Mapping[int, Command], written: Written
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
    await bulk.write(
        [
            (index, _insertion(command) if index in new else guarded(command))
            for index, command in commands.items()
        ]
    )
    if overtaken := bulk.overtaken:
        bulk.overtaken = []
        await bulk.write([(index, guarded(commands[index])) for index in overtaken])
    if bulk.refusals:
        written.failures |= judge(full_name(collection), bulk.operations, bulk.refusals)


async def _new(collection: AgnosticCollection[Any], commands: Mapping[int, Command]) -> frozenset[int]:
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
    """The bulk writes of one collection.

    Attributes:
        overtaken: insertions that a unique index refused. The guarded update has to decide about them.
        operations: all that were sent, as they were last, by the index of their command.
        refusals: the answers to those that were not carried out.
    """

    collection: AgnosticCollection[Any]
    place: Place
    commands: Mapping[int, Command]
    written: Written
    overtaken: list[int] = field(default_factory=list)
    operations: dict[int, Operation] = field(default_factory=dict)
    refusals: dict[int, Refusal] = field(default_factory=dict)

    async def write(self, operations: Sequence[_Indexed]) -> None:
        """One unordered bulk write."""
        for index, operation in operations:
            command = self.commands[index]
            has_content = command.puts or command.mark is not None
            self.operations[index] = Operation(
                kind=type(operation).__name__,
                document=command.write.identity,
                has_content=has_content,
                odd_shard=any(_is_odd(value) for value in command.write.shard.values()),
            )
        await self._write(operations)

    async def _write(self, operations: Sequence[_Indexed]) -> None:
        """If it fails as a whole for what may be one document, it is split until that stands alone."""
        written = self.written
        inserted = {index for index, operation in operations if isinstance(operation, InsertOne)}
        try:
            result = await self.collection.bulk_write([each for _, each in operations], ordered=False)
        except BulkWriteError as error:
            details = error.details
            self._note_problems(error, operations, inserted)
        except (OperationFailure, InvalidDocument, DocumentTooLarge) as error:
            if isinstance(error, OperationFailure) and concerns_server(error):
                raise
            # A part of it may have been done.
            written.suspects.update(index for index, _ in operations if self.commands[index].puts)
            refusal = refusal_of(error)
            may_be_of_one = refusal.code is None or refusal.meaning in (Meaning.DOCUMENT, Meaning.EITHER)
            if len(operations) > 1 and may_be_of_one:
                half = len(operations) // 2
                await self._write(operations[:half])
                await self._write(operations[half:])
                return
            self.refusals.update((index, refusal) for index, _ in operations)
            return
        else:
            details = result.bulk_api_result
        written.inserted |= inserted
        written.inserted.update(operations[upserted["index"]][0] for upserted in details["upserted"])
        written.modified += details["nModified"]
        if unchanged := details["nMatched"] - details["nModified"]:
            written.unchanged[self.place] += unchanged
        written.deleted += details["nRemoved"]

    def _note_problems(
        self, error: BulkWriteError, operations: Sequence[_Indexed], inserted: set[int]
    ) -> None:
        """Sorts the errors of single writes; takes them out of `inserted`."""
        answers = refusals_of(error)
        refusals = {operations[position][0]: refusal for position, refusal in answers.items()}
        # Whichever index it was: what frees the value may stand in this very bulk write, whose insertions
        # come first; and an old server does not name the index.
        overtaken = {
            i for i, refusal in refusals.items() if i in inserted and refusal.meaning is Meaning.DUPLICATE
        }
        self.overtaken += sorted(overtaken)
        inserted.difference_update(refusals)
        failed = {index: refusal for index, refusal in refusals.items() if index not in overtaken}
        by_id = {index for index, refusal in failed.items() if refusal.unique == ("_id",)}
        if any(not self.commands[index].write.shard for index in by_id):
            # Two writers inserted the same document at once: now it exists, and the guard decides.
            # With a shard key in the filter it may also exist under another value of that key.
            raise TransientError("another writer inserted the same document at the same time")
        self.refusals |= failed
        self.written.misplaced |= by_id
        for problem in error.details["writeErrors"]:
            index = operations[problem["index"]][0]
            if index in failed and failed[index].meaning is Meaning.DUPLICATE:
                self.written.conflicts[index] = problem


def refusals_of(error: BulkWriteError) -> dict[int, Refusal]:
    """The answers to single writes, by their position in the bulk write.

    Raises:
        TransientError: they concern the server, or the others were not confirmed either.
    """
    if error.details["writeConcernErrors"]:
        raise TransientError("MongoDB did not confirm the write on a majority of its members") from error
    refusals = {
        problem["index"]: Refusal(
            problem["code"], str(problem.get("errmsg", "")), unique=tuple(problem.get("keyPattern") or ())
        )
        for problem in error.details["writeErrors"]
    }
    check_server(list(refusals.values()))
    return refusals


def _insertion(command: Command) -> InsertOne[RawBSONDocument]:
    if command.write.document is None:
        raise ValueError("nothing to insert")
    return InsertOne(RawBSONDocument(command.write.document))


def guarded(command: Command) -> BulkOperation:
    """The operation that has the effect of a command, whatever the document is now."""
    write = command.write
    if command.removal is not None:
        return DeleteOne(removal_filter(write.target, command.removal))
    return UpdateOne(document_filter(write.target, write.shard), stages_of(command), upsert=command.puts)


def stages_of(command: Command) -> Pipeline:
    """The pipeline that makes the new document of the present one."""
    write, stages = command.write, []
    if command.puts and write.document is not None:
        image = RawBSONDocument(write.document)
        stages = put_pipeline(
            write.target, write.version, image, merge=write.merge, keeps_marks=write.keeps_marks
        )
    if command.mark is not None:
        stages.append(mark_stage(write.target, command.mark))
    return stages


def _is_odd(value: Any) -> bool:
    """Whether a router may refuse a value of the shard key. MongoDB manual, "Shard Keys"; its source."""
    if isinstance(value, dict):
        return any(name.startswith("$") or _is_odd(each) for name, each in value.items())
    return isinstance(value, list)
