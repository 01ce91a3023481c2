"""Guarded operations on the documents of one collection, as few bulk writes as it takes.

Where documents are not there yet they are inserted, which costs MongoDB a third of an upsert with a pipeline;
one that somebody else inserted in between is put by the guarded update after all. See
docs/decisions/0011-insert-what-is-not-there.md.

Law: decides nothing about what is written; every operation leaves what is newer.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bson.errors import InvalidDocument
from bson.raw_bson import RawBSONDocument
from pymongo import DeleteOne, InsertOne, UpdateOne
from pymongo.errors import BulkWriteError, DocumentTooLarge, OperationFailure

from shared.errors import TransientError
from writer.mongodb.apply import Written
from writer.mongodb.driver_errors import (
    check_problems,
    concerns_documents,
    failure_of,
    failure_of_all,
    is_duplicate,
)
from writer.mongodb.guard import document_filter, mark_stage, put_pipeline, removal_filter
from writer.write import hashable

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence

    from motor.core import AgnosticCollection

    from writer.mongodb.apply import Command
    from writer.ports import Failure
    from writer.write import Place

WORTH_A_LOOK = 12
"""Puts in a bulk from which on it pays to ask first which of them are there: a query costs what a few upserts
cost."""

KEYS_PER_QUERY = 1_000
"""Keys have up to 3 KB, a query up to 16 MB."""

_Operation = InsertOne[RawBSONDocument] | UpdateOne | DeleteOne
_Indexed = tuple[int, _Operation]


@dataclass(slots=True)
class Tally:
    """Sums over the bulk writes of one batch; indices are those of its commands.

    `unsure`: commands of a bulk that failed as a whole, perhaps after a part of it was done: what their
    repetition finds may have been inserted by us a moment ago. It then counts as unchanged, not as inserted.
    `unchanged`: documents that were found and left as they were.
    """

    failures: dict[int, Failure] = field(default_factory=dict)
    misplaced: set[int] = field(default_factory=set)
    unsure: set[int] = field(default_factory=set)
    inserted: set[int] = field(default_factory=set)
    overtaken: list[int] = field(default_factory=list)
    modified: int = 0
    unchanged: int = 0
    deleted: int = 0

    def written(self, commands: Sequence[Command], unchanged: Mapping[Place, int]) -> Written:
        """The sums as `writer.mongodb.apply` wants them; `unchanged` by place."""
        return Written(
            failures=self.failures,
            misplaced=frozenset(self.misplaced),
            inserted=frozenset(self.inserted),
            suspects=frozenset(index for index in self.unsure if commands[index].puts),
            modified=self.modified,
            unchanged=unchanged,
            deleted=self.deleted,
        )


async def perform(collection: AgnosticCollection[Any], commands: Mapping[int, Command], tally: Tally) -> None:
    """Performs commands on different documents (or places) of one collection, and adds to the tally.

    Args:
        collection: majority write concern, primary.
        commands: by the index under which the tally names them.
        tally: of the whole batch.

    Raises:
        TransientError: nothing can be said about the commands; perform them again.
        FatalError: MongoDB refuses us.
        PyMongoError: as the driver says it.
    """
    new = await _new(collection, commands)
    await _bulk(
        collection,
        [
            (index, _insertion(command) if index in new else guarded(command))
            for index, command in commands.items()
        ],
        tally,
    )
    if tally.overtaken:
        again = [(index, guarded(commands[index])) for index in tally.overtaken]
        tally.overtaken = []
        await _bulk(collection, again, tally)


async def _new(collection: AgnosticCollection[Any], commands: Mapping[int, Command]) -> frozenset[int]:
    """Those puts whose document is not there. Only a hint: it may be there a moment later."""
    # An upsert writes the fields of its filter, too, so what has a shard key is left to it.
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
        if not concerns_documents(error):
            raise
        return frozenset()  # such as a name that no collection can have: the write says it once more
    return frozenset(index for index, key in puts.items() if not present or hashable(key) not in present)


async def _bulk(collection: AgnosticCollection[Any], operations: Sequence[_Indexed], tally: Tally) -> None:
    """One unordered bulk write; split until the culprit stands alone if it fails as a whole."""
    inserted = {index for index, operation in operations if isinstance(operation, InsertOne)}
    try:
        result = await collection.bulk_write([operation for _, operation in operations], ordered=False)
    except BulkWriteError as error:
        details = error.details
        if details["writeConcernErrors"]:
            raise TransientError("MongoDB did not confirm the write on a majority of its members") from error
        problems = {operations[problem["index"]][0]: problem for problem in details["writeErrors"]}
        duplicates = {index for index, problem in problems.items() if problem.get("keyPattern") == {"_id": 1}}
        # Whichever index it was: what frees the value may stand in this very bulk write, whose insertions
        # come first; and an old server does not tell the index.
        tally.overtaken += [i for i, problem in problems.items() if i in inserted and is_duplicate(problem)]
        inserted -= problems.keys()
        failed = {index: problem for index, problem in problems.items() if index not in tally.overtaken}
        check_problems(failed.values())
        tally.failures |= {index: failure_of(problem) for index, problem in failed.items()}
        tally.misplaced |= duplicates & failed.keys()
    except (OperationFailure, InvalidDocument, DocumentTooLarge) as error:
        if not concerns_documents(error):
            raise
        if len(operations) == 1:
            tally.failures[operations[0][0]] = failure_of_all(error)
            return
        tally.unsure.update(index for index, _ in operations)
        half = len(operations) // 2
        await _bulk(collection, operations[:half], tally)
        await _bulk(collection, operations[half:], tally)
        return
    else:
        details = result.bulk_api_result
    tally.inserted |= inserted
    tally.inserted.update(operations[upserted["index"]][0] for upserted in details["upserted"])
    tally.modified += details["nModified"]
    tally.unchanged += details["nMatched"] - details["nModified"]
    tally.deleted += details["nRemoved"]


def _insertion(command: Command) -> InsertOne[RawBSONDocument]:
    if command.write.document is None:
        raise ValueError("nothing to insert")
    return InsertOne(RawBSONDocument(command.write.document))


def guarded(command: Command) -> _Operation:
    """The operation that has the effect of a command, whatever is there."""
    write = command.write
    if command.removal is not None:
        return DeleteOne(removal_filter(write.target, command.removal))
    stages = []
    if command.puts and write.document is not None:
        image = RawBSONDocument(write.document)
        stages = put_pipeline(
            write.target, write.version, image, merge=write.merge, keeps_marks=write.keeps_marks
        )
    if command.mark is not None:
        stages.append(mark_stage(write.target, command.mark))
    return UpdateOne(document_filter(write.target, write.shard), stages, upsert=command.puts)
