"""What the driver's errors mean, by type and code: wait, stop, heal, park."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from bson.errors import InvalidBSON, InvalidDocument
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

from shared.errors import TransientError
from tests.support.builders import delete, put, write
from writer.mongodb.refused import Memory
from writer.mongodb.sink import MongoSink
from writer.ports import FailureKind, Outcome

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

SECRET = "hunter2 in the driver's text"
NONE = {"nInserted": 0, "nUpserted": 0, "nMatched": 0, "nModified": 0, "nRemoved": 0, "upserted": []}


class Database:
    """A driver whose bulk writes on `items` raise what is given, and whose other calls succeed."""

    def __init__(self, error: Exception | None, name: str = "target") -> None:
        self._error = error
        self.name = name
        self.bulks: list[int] = []
        self.topology_description = SimpleNamespace(
            server_descriptions=dict, has_known_servers=False, replica_set_name=None
        )

    @property
    def database(self) -> Database:
        return self

    def get_database(self, *_: object, **__: object) -> Database:
        return self

    def __getitem__(self, name: str) -> Database:
        return self if name == "items" else Database(None)

    async def command(self, name: str, **_: object) -> Any:
        assert name == "listCollections"
        return {"cursor": {"firstBatch": []}}

    async def bulk_write(self, operations: list[Any], *, ordered: bool) -> Any:
        assert not ordered
        self.bulks.append(len(operations))
        if self._error is not None:
            raise self._error
        return SimpleNamespace(bulk_api_result=NONE)

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
    InvalidBSON(SECRET),
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


@pytest.mark.parametrize("error", [OperationFailure(SECRET, 18), bulk_error({"code": 18})], ids=repr)
async def test_a_refused_login_is_waited_for(error: Exception) -> None:
    """The writer has worked: a user may come back. The message says what to check, in our own words."""
    with pytest.raises(TransientError, match="check user, password and authSource") as caught:
        await applied(error)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    "error",
    [
        OperationFailure(SECRET, 13),
        OperationFailure(SECRET, 8000, {"errmsg": "user is not allowed to do action [update] on [a.b]"}),
    ],
    ids=repr,
)
async def test_a_missing_right_is_of_one_collection(error: Exception) -> None:
    """Its writes wait, and the sentence names it and what is needed."""
    outcome = await applied(error, 2)
    assert {f.kind for f in outcome.failures.values()} == {FailureKind.TRANSIENT}
    assert outcome.failures.keys() == {0, 1}
    reason = outcome.failures[0].reason
    assert "a right on target.target" in reason
    assert "readWrite on the database target" in reason
    assert SECRET not in reason


async def test_wrong_settings_of_the_driver_are_waited_for() -> None:
    """After the start nothing ends the writer."""
    with pytest.raises(TransientError, match="cannot be used with these settings"):
        await applied(ConfigurationError("wire version"))


async def test_an_unknown_code_of_single_writes_is_theirs_alone() -> None:
    """They wait, the others are done; no text of the server is in the sentence."""
    outcome = await applied(bulk_error({"code": 211, "errmsg": SECRET}, {"code": 123456}), 3)
    assert {index: (f.kind, f.code) for index, f in outcome.failures.items()} == {
        0: (FailureKind.TRANSIENT, "211"),
        1: (FailureKind.TRANSIENT, "123456"),
    }
    assert "target.target" in outcome.failures[0].reason
    assert SECRET not in outcome.failures[0].reason


async def test_an_unknown_code_of_a_whole_command_is_of_its_collection() -> None:
    """It is not split: no document is at fault."""
    client: Any = Database(OperationFailure(SECRET, 99999))
    outcome = await MongoSink(client, "target").apply(
        [*(write(put(1, n)) for n in range(4)), write(put(1, 9), collection="beside")]
    )
    assert client.bulks == [4]
    assert {index: (f.kind, f.code) for index, f in outcome.failures.items()} == dict.fromkeys(
        range(4), (FailureKind.TRANSIENT, "99999")
    )


async def test_single_writes_that_fail_are_told_by_their_index() -> None:
    """Healable or permanent, with code and words; the others are done."""
    error = bulk_error({"code": 11000, "keyPattern": {"email": 1}}, {"code": 16755, "errmsg": "geo"})
    outcome = await applied(error, 3)
    assert {index: (f.kind, f.code, f.reason) for index, f in outcome.failures.items()} == {
        0: (
            FailureKind.HEALABLE,
            "11000",
            "another document in target.target has the same value in the unique index on email",
        ),
        1: (FailureKind.PERMANENT, "16755", "geo"),
    }
    assert outcome.failures[0].index == "email"


@pytest.mark.parametrize(
    ("error", "code", "kind"),
    [
        (OperationFailure("too deep", 15), "15", FailureKind.TRANSIENT),
        (DocumentTooLarge("16 MB"), "DocumentTooLarge", FailureKind.PERMANENT),
        (InvalidDocument("NUL"), "InvalidDocument", FailureKind.PERMANENT),
    ],
    ids=repr,
)
async def test_what_fails_as_a_whole_is_split_to_the_last(
    error: Exception, code: str, kind: FailureKind
) -> None:
    """Each stands alone in the end. What the server answers to all of them is the fault of none."""
    client: Any = Database(error)
    outcome = await MongoSink(client, "target").apply([write(put(1, n)) for n in range(4)])
    assert client.bulks == [4, 2, 1, 1, 2, 1, 1]
    assert {(f.code, f.kind) for f in outcome.failures.values()} == {(code, kind)}
    assert len(outcome.failures) == 4


async def test_what_is_remembered_for_too_long_goes_with_the_next_batch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whatever that batch is (P7)."""
    client: Any = Database(None)
    sink, times = MongoSink(client, "target"), []
    monkeypatch.setattr(Memory, "expire", lambda _, now: times.append(now))
    await sink.apply([write(put(1))])
    assert len(times) == 1


async def test_a_tombstone_that_fails_is_waited_for() -> None:
    """Nothing is deleted without it."""

    class Refusing(Database):
        def __getitem__(self, name: str) -> Database:
            return self if name == "items" else Database(bulk_error(DUPLICATE))

    client: Any = Refusing(None)
    with pytest.raises(TransientError):
        await MongoSink(client, "target").apply([write(delete(1))])
    assert client.bulks == []


async def test_tombstones_that_are_refused_hold_up_their_database() -> None:
    """Its writes wait and nothing of it is written; those to another database are done."""

    class Client(Database):
        def get_database(self, name: str, **__: object) -> Database:  # type: ignore[override]
            return self.databases[name]

        def __init__(self) -> None:
            super().__init__(None)
            self.databases = {"target": Refusing(None), "beside": Database(None)}

    class Refusing(Database):
        def __getitem__(self, name: str) -> Database:
            return self if name == "items" else Database(OperationFailure(SECRET, 13))

    client: Any = Client()
    outcome = await MongoSink(client, "target").apply(
        [write(delete(1, 1)), write(put(1, 2)), write(delete(1, 3), database="beside")]
    )
    assert {index: (f.kind, f.code) for index, f in outcome.failures.items()} == dict.fromkeys(
        (0, 1), (FailureKind.TRANSIENT, "13")
    )
    assert client.databases["target"].bulks == []
    assert client.databases["beside"].bulks == [1]


async def test_a_tombstone_that_is_refused_holds_up_its_write_alone() -> None:
    """The document is not removed without it, and no code makes it the record's fault."""

    class Refusing(Database):
        def __getitem__(self, name: str) -> Database:
            return self if name == "items" else Database(bulk_error({"code": 121}))

    client: Any = Refusing(None)
    outcome = await MongoSink(client, "target").apply([write(delete(1, 1)), write(delete(1, 2))])
    assert {index: (f.kind, f.code) for index, f in outcome.failures.items()} == {
        0: (FailureKind.TRANSIENT, "121")
    }
    assert client.bulks == [1]
