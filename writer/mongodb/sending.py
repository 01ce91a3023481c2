"""Commands that write, as MongoDB has them: no bulk writes of the driver.

The driver's bulk API splits, repeats and keeps an object for each operation, and none of it is needed here:
batches are bounded, everything may be repeated, and answers are read by code. See
docs/decisions/0035-raw-commands.md.

Law: every command is confirmed by a majority, or is part of a transaction that is.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from bson.raw_bson import RawBSONDocument
from pymongo.errors import OperationFailure

from shared.batches import batches
from shared.errors import TransientError
from writer.mongodb.answers import Answer, Kind, Operation, read_answer
from writer.mongodb.apply import Command
from writer.mongodb.driver import Collection, Session
from writer.mongodb.guard import Guarded, document_filter, guarded_mark, guarded_put, removal_filter
from writer.mongodb.stored import CODEC

MOST_OPERATIONS = 1_000
"""Of a command. Keys have up to 3 KB, and a command up to 16 MB."""

_MOST_BYTES = 8 * 1024 * 1024
"""Of the documents of a command. Their keys, and the names in them, can stand there once more."""

_OPERATIONS = {"insert": "documents", "update": "updates", "delete": "deletes"}
"""Where a command has its operations. PyMongo sends these as a section of their own (OP_MSG, kind 1)."""


async def send(
    collection: Collection,
    kind: Kind,
    operations: Sequence[Operation],
    session: Session | None = None,
) -> Answer:
    """Sends one command, unordered.

    Args:
        collection: majority write concern.
        kind: the command's name.
        operations: as the command has them, within `parts`.
        session: of a transaction.

    Raises:
        TransientError: nothing can be said about the operations.
        PyMongoError: as the driver raises it.
    """
    command = command_of(collection.name, kind, operations)
    if session is None:
        command["writeConcern"] = collection.write_concern.document
    try:
        answer = await collection.database.command(command, codec_options=CODEC, session=session)
    except OperationFailure as error:
        if isinstance(error.code, int):
            raise
        raise TransientError("MongoDB refused a write without a code") from error
    except (KeyError, TypeError) as error:  # the driver's own, about a refusal that lacks what refusals have
        raise TransientError("MongoDB's answer to a write cannot be understood") from error
    return read_answer(kind, operations, answer, is_in_transaction=session is not None)


async def send_one(collection: Collection, kind: Kind, operation: Operation) -> Answer:
    """Sends one operation.

    Raises:
        OperationFailure: it was refused.
        TransientError, PyMongoError: see `send`.
    """
    answer = await send(collection, kind, [operation])
    raise_problem(answer)
    return answer


def raise_problem(answer: Answer) -> None:
    """Raises an `OperationFailure` if an operation was refused."""
    for problem in answer.problems.values():
        raise OperationFailure(str(problem.get("errmsg", "")), problem["code"], problem)


def command_of(collection: str, kind: Kind, operations: Sequence[Operation]) -> dict[str, Any]:
    """A command without a write concern."""
    return {kind: collection, "ordered": False, _OPERATIONS[kind]: operations}


def parts(indices: Iterable[int], commands: Mapping[int, Command]) -> Iterator[Sequence[int]]:
    """Cuts what is too much for one command.

    The driver refuses what is still too large, and then it is split further.
    """
    return batches(
        indices, lambda index: len(commands[index].write.document or b""), _MOST_BYTES, MOST_OPERATIONS
    )


def insertion_of(command: Command) -> Operation:
    """The operation that inserts a put's document."""
    return RawBSONDocument(_document_of(command))


def removal_of(command: Command) -> Operation:
    """The operation that removes a document."""
    if command.removal is None:
        raise ValueError("nothing to remove")
    return {"q": removal_filter(command.write.target, command.removal), "limit": 1}


def update_of(command: Command) -> Operation:
    """The operation that has the effect of a put, a mark or both, whatever the document is now."""
    write = command.write
    return update(document_filter(write.target, write.shard), guarded(command), upsert=command.puts)


def update(query: Mapping[str, Any], made: Guarded, *, upsert: bool) -> Operation:
    """The operation that makes the new document of the present one."""
    return {"q": query, "u": made.stages, "c": made.constants, "upsert": upsert}


def guarded(command: Command) -> Guarded:
    """How a put, a mark or both make the new document of the present one."""
    write = command.write
    mark = None if command.mark is None else guarded_mark(write.target, command.mark)
    if not command.puts:
        if mark is None:
            raise ValueError("nothing to write")
        return mark
    image = RawBSONDocument(_document_of(command))
    put = guarded_put(write.target, write.version, image, merge=write.merge, keeps_marks=write.keeps_marks)
    if mark is None:
        return put
    return Guarded([*put.stages, *mark.stages], put.constants | mark.constants)


def _document_of(command: Command) -> bytes:
    if command.write.document is None:
        raise ValueError("nothing to put")
    return command.write.document
