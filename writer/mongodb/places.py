"""Which collections can be written to: those that MongoDB lists as plain ones, or does not list yet.

Law: a collection of any other kind is refused as a whole, and its writes wait for the operator. With a
collation "a" and "A" are one `_id`, so that one document takes the place of another; views and time series
take no such writes; capped collections lose documents by themselves.
"""

import logging
from collections.abc import Mapping
from typing import Any

from pymongo.errors import OperationFailure

from writer.mongodb.driver import Collection
from writer.mongodb.driver_errors import concerns_server, refusal_of
from writer.mongodb.error_codes import Meaning
from writer.mongodb.stored import CODEC
from writer.mongodb.verdicts import waits_for_a_code
from writer.ports import Failure, FailureKind

log = logging.getLogger(__name__)

_LONGEST_NAME = 255
"""Bytes of database, dot and collection. Source: MongoDB manual, "MongoDB limits and thresholds"."""

_INVALID_NAMESPACE = 73

_UNKNOWN = ("unknown kind", "is of an unknown kind")


def full_name(collection: Collection) -> str:
    """Database, dot and collection."""
    return f"{collection.database.name}.{collection.name}"


def kind_problem(found: Mapping[str, Any]) -> tuple[str, str] | None:
    """Returns a word and a sentence about a collection that cannot be written to.

    `found`: the collection as `listCollections` shows it.
    """
    kind, options = found.get("type"), found.get("options", {})
    if kind != "collection":
        return _UNKNOWN if kind is None else (str(kind), f"is a {kind}")
    if options.get("collation", {}).get("locale", "simple") != "simple":
        return "collation", "has a collation, so that different keys can be one document"
    if options.get("capped"):
        return "capped", "is capped, so that it loses documents by itself"
    return None


def _problem_of(answer: Mapping[str, Any]) -> tuple[str, str] | None:
    match answer:
        case {"cursor": {"firstBatch": []}}:
            return None
        case {"cursor": {"firstBatch": [dict() as found]}}:
            return kind_problem(found)
    return _UNKNOWN


class Places:
    """Knows the collections that were found plain, or that are not there yet."""

    def __init__(self) -> None:
        self._good: set[str] = set()

    def forget(self, collection: Collection) -> None:
        """Something went wrong there: it is looked up again."""
        self._good.discard(full_name(collection))

    async def problem(self, collection: Collection) -> Failure | None:
        """Returns why nothing can be written to a collection.

        Raises:
            PyMongoError: it concerns the server.
        """
        place = full_name(collection)
        if place in self._good:
            return None
        size = len(place.encode())
        if size > _LONGEST_NAME:
            reason = f"the collection's full name has {size} bytes; MongoDB allows {_LONGEST_NAME}"
            return Failure(FailureKind.PERMANENT, str(_INVALID_NAMESPACE), reason)
        try:
            answer = await collection.database.command(
                "listCollections", filter={"name": collection.name}, codec_options=CODEC
            )
        except OperationFailure as error:
            if concerns_server(error):
                raise
            refusal = refusal_of(error)
            if refusal.meaning is not Meaning.RIGHT:
                return waits_for_a_code(place, refusal)
            # Who may write need not be allowed to list. Then the operator answers for the kind.
            log.warning("not allowed to list collections", extra={"database": collection.database.name})
        else:
            if (problem := _problem_of(answer)) is not None:
                word, words = problem
                reason = f"nothing is written to {place}: it {words}"
                return Failure(FailureKind.TRANSIENT, word, reason, of_place=True)
        self._good.add(place)
        return None
