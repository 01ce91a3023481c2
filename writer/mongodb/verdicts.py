"""What is to blame for refused operations: the document, another document, or something that passes. Pure.

Law: an operation is parked only for a code on the list of document faults, and only if not every document
got that answer. Only what is parked keeps the server's words; all other sentences are ours.
"""

from collections import defaultdict
from collections.abc import Hashable, Mapping
from typing import NamedTuple

from writer.mongodb.error_codes import Meaning, is_of_whole_command, meaning_of
from writer.ports import Failure, FailureKind

_SHARD_KEY_NOT_FOUND = 61


class Refusal(NamedTuple):
    """The answer to one operation that was not carried out.

    Attributes:
        code: the server's; None: the driver did not take the document.
        text: the server's or the driver's words.
        whole: it came for a whole command, and splitting led to this operation.
        unique: fields of the unique index that refused it.
        word: what stands for the code where there is none.
    """

    code: int | None
    text: str
    whole: bool = False
    unique: tuple[str, ...] = ()
    word: str = ""

    @property
    def meaning(self) -> Meaning:
        return meaning_of(self.code, self.text)


class Operation(NamedTuple):
    """What a refusal is compared with.

    Attributes:
        kind: such as "insert" or "update". Only operations of the same kind say something about each other.
        document: equal for operations on the same document.
        has_content: it writes something of the document, and does not only remove it.
        odd_shard: a field of the shard key that the mapping names holds what a router may refuse: a list, or
            a name that begins with `$`.
    """

    kind: str
    document: Hashable
    has_content: bool
    odd_shard: bool = False


def judge(
    place: str, operations: Mapping[int, Operation], refusals: Mapping[int, Refusal]
) -> dict[int, Failure]:
    """Decides about the refused operations of one collection.

    Args:
        place: the collection's full name, for people.
        operations: all that were sent together, by their index.
        refusals: the answers to those that were not carried out, by the same index.
    """
    content = {index: operation for index, operation in operations.items() if operation.has_content}
    of_kind: defaultdict[str, dict[int, Operation]] = defaultdict(dict)
    for index, operation in content.items():
        of_kind[operation.kind][index] = operation
    all_got = _answer_to_all(content, refusals)
    kind_got = {kind: _answer_to_all(some, refusals) for kind, some in of_kind.items()}
    failures = {}
    for index, refusal in refusals.items():
        operation = operations[index]
        if refusal.code == _SHARD_KEY_NOT_FOUND and not operation.odd_shard:
            failures[index] = _other_shard_key(place)
            continue
        if refusal.code is not None and not operation.has_content:  # no document can be at fault
            failures[index] = waits_for_a_code(place, refusal)
            continue
        failures[index] = _verdict(
            place,
            refusal,
            for_all=refusal.code in (all_got, kind_got.get(operation.kind)),
            compared=_documents(of_kind[operation.kind]) > 1,
        )
    return failures


def _answer_to_all(operations: Mapping[int, Operation], refusals: Mapping[int, Refusal]) -> int | None:
    """The code that all operations on several documents got; None: they got different answers."""
    if _documents(operations) == 1 or not operations.keys() <= refusals.keys():
        return None
    codes = {refusals[index].code for index in operations}
    return codes.pop() if len(codes) == 1 else None


def _documents(operations: Mapping[int, Operation]) -> int:
    return len({operation.document for operation in operations.values()})


def _verdict(place: str, refusal: Refusal, *, for_all: bool, compared: bool) -> Failure:
    """About one operation.

    Args:
        place: as for `judge`.
        refusal: the answer.
        for_all: all documents got this answer.
        compared: there were operations of the same kind on other documents.
    """
    if refusal.code is None:  # the driver's own answer, about this document
        return _parked(refusal)
    match refusal.meaning:
        case Meaning.DUPLICATE if not refusal.whole:
            return _collides(place, refusal)
        case Meaning.DOCUMENT if for_all:
            return _same_for_all(place, refusal)
        case Meaning.DOCUMENT if compared or not refusal.whole or is_of_whole_command(refusal.code):
            return _parked(refusal)
        case Meaning.EITHER if compared and not for_all:
            return _parked(refusal)
        case _:
            return waits_for_a_code(place, refusal)


def _parked(refusal: Refusal) -> Failure:
    code = refusal.word if refusal.code is None else str(refusal.code)
    return Failure(FailureKind.PERMANENT, code, refusal.text)


def _collides(place: str, refusal: Refusal) -> Failure:
    index = ", ".join(refusal.unique)
    which = f"on {index} " if index else ""
    reason = f"another document in {place} has the same value in the unique index {which}".rstrip()
    return Failure(FailureKind.HEALABLE, str(refusal.code), reason, index)


def _same_for_all(place: str, refusal: Refusal) -> Failure:
    reason = (
        f"MongoDB answered {refusal.code} to every write of the batch to {place}: look at the validator, the "
        "indexes and the options of the collection before the documents"
    )
    return Failure(FailureKind.TRANSIENT, str(refusal.code), reason, of_document=True)


def _other_shard_key(place: str) -> Failure:
    """The mapping names another key: the values that the document has for the one it names are plain."""
    code = str(_SHARD_KEY_NOT_FOUND)
    reason = (
        f"the collection {place} is sharded by other fields than the mapping says (code {code}): name those "
        "that sh.status() shows in shard_key of its table"
    )
    return Failure(FailureKind.TRANSIENT, code, reason, of_place=True)


def waits_for_a_code(place: str, refusal: Refusal) -> Failure:
    """A failure that says nothing about a document."""
    if refusal.meaning is Meaning.RIGHT:
        return waits_for_a_right(place, refusal.code)
    reason = f"MongoDB answered {refusal.code} to a write to {place}; the code is not about a document"
    return Failure(FailureKind.TRANSIENT, str(refusal.code), reason)


def waits_for_a_right(place: str, code: int | None) -> Failure:
    """The user may not write there."""
    return Failure(FailureKind.TRANSIENT, str(code), lacks_right(place, code), of_place=True)


def lacks_right(place: str, code: int | None) -> str:
    """The sentence about a missing right; `place` is the full name of a collection."""
    database = place.partition(".")[0]
    return (
        f"the user of MONGODB_URI lacks a permission on {place} (code {code}): it needs find, insert, update "
        f"and remove, as the role readWrite on the database {database} grants them"
    )
