"""What the driver's errors mean, by type and code: wait, stop, heal, park."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from bson.errors import InvalidDocument
from pymongo.errors import (
    AutoReconnect,
    BulkWriteError,
    ConfigurationError,
    DocumentTooLarge,
    NetworkTimeout,
    NotPrimaryError,
    OperationFailure,
    ServerSelectionTimeoutError,
    WaitQueueTimeoutError,
    WriteConcernError,
)

from shared.errors import FatalError, TransientError
from tests.support.builders import delete, put, write
from writer.mongodb.sink import MongoSink
from writer.ports import FailureKind, Outcome

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

SECRET = "hunter2 in the driver's text"
NONE = {"nInserted": 0, "nUpserted": 0, "nMatched": 0, "nModified": 0, "nRemoved": 0, "upserted": []}


class Database:
    """A driver whose bulk writes on `items` raise what is given, and whose other calls succeed."""

    def __init__(self, error: Exception | None) -> None:
        self._error = error
        self.bulks: list[int] = []

    def get_database(self, *_: object, **__: object) -> Database:
        return self

    def __getitem__(self, name: str) -> Database:
        return self if name == "items" else Database(None)

    async def bulk_write(self, operations: list[Any], *, ordered: bool) -> Any:
        assert not ordered
        self.bulks.append(len(operations))
        if self._error is not None:
            raise self._error

    async def find(self, *_: object) -> AsyncIterator[Any]:
        none: list[Any] = []
        for tombstone in none:
            yield tombstone


async def applied(error: Exception, writes: int = 1) -> Outcome:
    client: Any = Database(error)
    return await MongoSink(client, "target").apply([write(put(1, n)) for n in range(writes)])


def bulk_error(*errors: dict[str, Any], concern: bool = False) -> BulkWriteError:
    details = [{"index": index, "errmsg": "words", **error} for index, error in enumerate(errors)]
    return BulkWriteError(
        {**NONE, "writeErrors": details, "writeConcernErrors": [{"code": 64}] if concern else []}
    )


DUPLICATE = {"code": 11000, "keyPattern": {"_id": 1}}

TRANSIENT = [
    AutoReconnect(SECRET),
    NetworkTimeout(SECRET),
    ServerSelectionTimeoutError(SECRET),
    WaitQueueTimeoutError(SECRET),
    NotPrimaryError(SECRET),
    OperationFailure(SECRET, 11601),
    OperationFailure(SECRET, 189),
    OperationFailure(SECRET, 99999, {"errorLabels": ["RetryableWriteError"]}),
    WriteConcernError(SECRET, 64),
    bulk_error(concern=True),
    bulk_error({"code": 121}, {"code": 91}),
    bulk_error({"code": 121}, DUPLICATE),
]


@pytest.mark.parametrize("error", TRANSIENT, ids=repr)
async def test_what_passes_by_itself_is_transient(error: Exception) -> None:
    """Nothing is known about the batch: it is applied again as a whole (P4). The driver's text is hidden."""
    with pytest.raises(TransientError) as caught:
        await applied(error, 2)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    "error", [OperationFailure(SECRET, 13), OperationFailure(SECRET, 18), bulk_error({"code": 13})], ids=repr
)
async def test_a_refusal_is_fatal(error: Exception) -> None:
    """The message says what to check, in our own words."""
    with pytest.raises(FatalError, match="readWrite on MONGODB_DATABASE") as caught:
        await applied(error)
    assert SECRET not in str(caught.value)


async def test_wrong_settings_of_the_driver_are_fatal() -> None:
    """No retry can help."""
    with pytest.raises(FatalError, match="cannot be used with these settings"):
        await applied(ConfigurationError("wire version"))


async def test_single_writes_that_fail_are_told_by_their_index() -> None:
    """Healable or permanent, with code and words; the others are done."""
    error = bulk_error({"code": 11000, "keyPattern": {"email": 1}}, {"code": 16755, "errmsg": "geo"})
    outcome = await applied(error, 3)
    assert {index: (f.kind, f.code, f.reason) for index, f in outcome.failures.items()} == {
        0: (FailureKind.HEALABLE, "11000", "words"),
        1: (FailureKind.PERMANENT, "16755", "geo"),
    }


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (OperationFailure("too deep", 15), "15"),
        (OperationFailure("a code of the future", 99999), "99999"),
        (DocumentTooLarge("16 MB"), "DocumentTooLarge"),
        (InvalidDocument("NUL"), "InvalidDocument"),
    ],
    ids=repr,
)
async def test_what_fails_as_a_whole_is_split_to_the_last(error: Exception, code: str) -> None:
    """Each stands alone in the end; two halves at a time."""
    client: Any = Database(error)
    outcome = await MongoSink(client, "target").apply([write(put(1, n)) for n in range(4)])
    assert client.bulks == [4, 2, 1, 1, 2, 1, 1]
    assert {f.code for f in outcome.failures.values()} == {code}
    assert len(outcome.failures) == 4


async def test_a_tombstone_that_fails_is_waited_for() -> None:
    """Nothing is deleted without it."""

    class Refusing(Database):
        def __getitem__(self, name: str) -> Database:
            return self if name == "items" else Database(bulk_error(DUPLICATE))

    client: Any = Refusing(None)
    with pytest.raises(TransientError):
        await MongoSink(client, "target").apply([write(delete(1))])
    assert client.bulks == []
