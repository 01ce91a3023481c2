"""What MongoDB answers to a command that writes. Pure.

Law: an operation is done only if the answer says so. An answer of a shape that no server gives says nothing
about any operation: the batch is repeated, and the guard recognises what was done.

Source: MongoDB manual, "insert", "update" and "delete" commands, output.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple, TypeGuard

from shared.errors import TransientError
from writer.mongodb.driver_errors import check_server
from writer.mongodb.verdicts import Refusal

Kind = Literal["insert", "update", "delete"]

Problem = Mapping[str, Any]
"""What MongoDB says about an operation that it refused."""

Operation = Mapping[str, Any]
"""One operation of a command, as the command has it."""


class Answer(NamedTuple):
    """What became of the operations of one command.

    Attributes:
        done: documents that were inserted, found (also those left as they are) or deleted.
        modified: documents that were replaced by an update.
        upserted: positions of the updates that inserted their document.
        refusals: the operations that were not carried out, by their position.
        problems: the same as MongoDB says it.
    """

    done: int
    modified: int
    upserted: Sequence[int]
    refusals: Mapping[int, Refusal]
    problems: Mapping[int, Problem]


def read_answer(
    kind: Kind, operations: Sequence[Operation], answer: Mapping[str, Any], *, is_in_transaction: bool = False
) -> Answer:
    """Reads the answer to an unordered command that the server did not refuse as a whole.

    In a transaction the first refusal is the end of it, and nothing is done.

    Raises:
        TransientError: it says nothing that can be relied on, or something of the whole server.
    """
    _expect(answer.get("ok") == 1)
    if "writeConcernError" in answer:
        raise TransientError("MongoDB did not confirm the write on a majority of its members")
    problems = _problems(answer.get("writeErrors", []), len(operations))
    refusals = {position: _refusal(problem) for position, problem in problems.items()}
    check_server(list(refusals.values()))
    if problems and is_in_transaction:
        return Answer(0, 0, (), refusals, problems)
    done = _count(answer.get("n"))
    if kind == "insert":
        _expect(done == len(operations) - len(problems))
    if kind != "update":
        return Answer(done, 0, (), refusals, problems)
    upserted = _positions(answer.get("upserted", []), len(operations))
    modified = _count(answer.get("nModified"))
    _expect(len(upserted) + modified <= done)
    _expect(all(operations[each].get("upsert") and each not in problems for each in upserted))
    # An upsert finds its document, or inserts it.
    upserts = [n for n, operation in enumerate(operations) if operation.get("upsert") and n not in problems]
    if len(upserts) == len(operations) - len(problems):
        _expect(done == len(upserts))
    else:  # a router adds up what its shards found, and two of them may have an `_id`
        _expect(done >= len(upserts))
    return Answer(done, modified, upserted, refusals, problems)


def _problems(found: object, operations: int) -> Mapping[int, Problem]:
    if not found and isinstance(found, list):  # nearly always
        return {}
    positions = _positions(found, operations)
    problems = found if isinstance(found, list) else []
    _expect(all(_is_number(problem.get("code")) for problem in problems))
    return dict(zip(positions, problems, strict=True))


def _refusal(problem: Problem) -> Refusal:
    pattern = problem.get("keyPattern")
    unique = tuple(pattern) if isinstance(pattern, Mapping) else ()
    return Refusal(problem["code"], str(problem.get("errmsg", "")), unique=unique)


def _positions(found: object, operations: int) -> Sequence[int]:
    """The positions that the entries of a list name."""
    positions: list[int] = []
    if isinstance(found, list):
        for each in found:
            position = each.get("index") if isinstance(each, Mapping) else None
            if _is_number(position) and 0 <= position < operations:
                positions.append(position)
    _expect(isinstance(found, list) and len(found) == len(set(positions)))
    return positions


def _count(found: object) -> int:
    if _is_number(found) and found >= 0:
        return found
    raise _unreadable()


def _is_number(found: object) -> TypeGuard[int]:
    return isinstance(found, int) and not isinstance(found, bool)


def _expect(is_so: bool) -> None:  # noqa: FBT001 - what is expected
    if not is_so:
        raise _unreadable()


def _unreadable() -> TransientError:
    return TransientError("MongoDB's answer to a write cannot be understood")
