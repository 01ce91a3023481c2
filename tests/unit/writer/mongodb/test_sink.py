"""What the driver's errors and MongoDB's answers mean, by type and code: wait, stop, heal, park."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import pytest
from bson.errors import InvalidBSON, InvalidDocument
from pymongo.errors import (
    AutoReconnect,
    ConfigurationError,
    DocumentTooLarge,
    NetworkTimeout,
    NotPrimaryError,
    OperationFailure,
    ServerSelectionTimeoutError,
    WaitQueueTimeoutError,
    WriteConcernError,
)
from pymongo.write_concern import WriteConcern

from shared.errors import TransientError
from tests.support.builders import delete, put, write
from writer.mongodb.refused import Memory
from writer.mongodb.sink import MongoSink
from writer.names import TOMBSTONES
from writer.ports import FailureKind, Outcome

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

SECRET = "hunter2 in the driver's text"
Answer: TypeAlias = "Mapping[str, Any]"


class Database:
    """A driver whose writes to `items` are answered as it is given, and whose other calls succeed.

    Attributes:
        writes: how many operations each of these commands had.
    """

    def __init__(self, answer: Exception | Answer | None, name: str = "target", place: str = "items") -> None:
        self._answer = answer
        self._place = place
        self.name = name
        self.writes: list[int] = []
        self.topology_description = SimpleNamespace(
            server_descriptions=dict, has_known_servers=False, replica_set_name=None
        )

    @property
    def database(self) -> Database:
        return self

    def get_database(self, *_: object, **__: object) -> Database:
        return self

    def __getitem__(self, name: str) -> Collection:
        return Collection(self, name)

    async def command(self, command: str | dict[str, Any], **_: object) -> Any:
        if isinstance(command, str):
            assert command == "listCollections"
            return {"cursor": {"firstBatch": []}}
        (kind, place), *others = cast("list[tuple[str, Any]]", list(command.items()))
        operations = others[1][1]
        assert dict(others[::2]) == {"ordered": False, "writeConcern": {"w": "majority"}}
        if place != self._place or self._answer is None:
            return all_done(kind, len(operations))
        self.writes.append(len(operations))
        if isinstance(self._answer, Exception):
            raise self._answer
        return {**all_done(kind, len(operations) - len(self._answer.get("writeErrors", ()))), **self._answer}


class Collection:
    """One of its collections."""

    write_concern = WriteConcern("majority")

    def __init__(self, database: Database, name: str) -> None:
        self.database, self.name = database, name

    async def find(self, *_: object, **__: object) -> AsyncIterator[Any]:
        none: list[Any] = []
        for tombstone in none:
            yield tombstone


def all_done(kind: str, operations: int) -> Answer:
    """Updates that found a newer document."""
    return {"ok": 1.0, "n": operations, **({"nModified": 0} if kind == "update" else {})}


class Tombstones(Database):
    """The answer is to the tombstones.

    Attributes:
        others: the commands that wrote to other collections.
    """

    def __init__(self, answer: Exception | Answer | None) -> None:
        super().__init__(answer, place=TOMBSTONES)
        self.others: list[str] = []

    async def command(self, command: str | dict[str, Any], **options: object) -> Any:
        if isinstance(command, dict) and TOMBSTONES not in command.values():
            self.others.append(next(iter(command)))
        return await super().command(command, **options)


async def applied(answer: Exception | Answer, writes: int = 1) -> Outcome:
    client: Any = Database(answer)
    return await MongoSink(client, "target").apply([write(put(1, n)) for n in range(writes)])


def refused(*errors: dict[str, Any]) -> Answer:
    """The first operations get these."""
    return {"writeErrors": [{"index": index, "errmsg": "words", **each} for index, each in enumerate(errors)]}


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
    {"writeConcernError": {"code": 64, "errmsg": SECRET}},
    refused({"code": 121}, {"code": 91}),
    refused({"code": 121}, DUPLICATE),
]


@pytest.mark.parametrize("error", TRANSIENT, ids=repr)
async def test_what_passes_by_itself_is_transient(error: Exception | Answer) -> None:
    """Nothing is known about the batch: it is applied again as a whole (P4). The driver's text is hidden."""
    with pytest.raises(TransientError) as caught:
        await applied(error, 2)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("error", [OperationFailure(SECRET, 18), refused({"code": 18})], ids=repr)
async def test_a_refused_login_is_waited_for(error: Exception | Answer) -> None:
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
    assert "a permission on target.items" in reason
    assert "readWrite on the database target" in reason
    assert SECRET not in reason


async def test_wrong_settings_of_the_driver_are_waited_for() -> None:
    """After the start nothing ends the writer."""
    with pytest.raises(TransientError, match="cannot be used with these settings"):
        await applied(ConfigurationError("wire version"))


async def test_an_unknown_code_of_single_writes_is_theirs_alone() -> None:
    """They wait, the others are done; no text of the server is in the sentence."""
    outcome = await applied(refused({"code": 211, "errmsg": SECRET}, {"code": 123456}), 3)
    assert {index: (f.kind, f.code) for index, f in outcome.failures.items()} == {
        0: (FailureKind.TRANSIENT, "211"),
        1: (FailureKind.TRANSIENT, "123456"),
    }
    assert "target.items" in outcome.failures[0].reason
    assert SECRET not in outcome.failures[0].reason


async def test_an_unknown_code_of_a_whole_command_is_of_its_collection() -> None:
    """It is not split: no document is at fault."""
    client: Any = Database(OperationFailure(SECRET, 99999))
    outcome = await MongoSink(client, "target").apply(
        [*(write(put(1, n)) for n in range(4)), write(put(1, 9), collection="beside")]
    )
    assert client.writes == [4]
    assert {index: (f.kind, f.code) for index, f in outcome.failures.items()} == dict.fromkeys(
        range(4), (FailureKind.TRANSIENT, "99999")
    )


async def test_single_writes_that_fail_are_told_by_their_index() -> None:
    """Healable or permanent, with code and words; the others are done."""
    error = refused({"code": 11000, "keyPattern": {"email": 1}}, {"code": 16755, "errmsg": "geo"})
    outcome = await applied(error, 3)
    assert {index: (f.kind, f.code, f.reason) for index, f in outcome.failures.items()} == {
        0: (
            FailureKind.HEALABLE,
            "11000",
            "another document in target.items has the same value in the unique index on email",
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
    assert client.writes == [4, 2, 1, 1, 2, 1, 1]
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
    client: Any = Tombstones(refused(DUPLICATE))
    with pytest.raises(TransientError):
        await MongoSink(client, "target").apply([write(delete(1))])
    assert client.others == []


async def test_tombstones_that_are_refused_hold_up_their_database() -> None:
    """Its writes wait and nothing of it is written; those to another database are done."""

    class Client(Database):
        def get_database(self, name: str, **__: object) -> Database:  # type: ignore[override]
            return self.databases[name]

        def __init__(self) -> None:
            super().__init__(None)
            refusing = Tombstones(OperationFailure(SECRET, 13))
            self.databases = {"target": refusing, "beside": Tombstones(None)}

    client: Any = Client()
    outcome = await MongoSink(client, "target").apply(
        [write(delete(1, 1)), write(put(1, 2)), write(delete(1, 3), database="beside")]
    )
    assert {index: (f.kind, f.code) for index, f in outcome.failures.items()} == dict.fromkeys(
        (0, 1), (FailureKind.TRANSIENT, "13")
    )
    assert client.databases["target"].others == []
    assert client.databases["beside"].others == ["delete"]


async def test_a_tombstone_that_is_refused_holds_up_its_write_alone() -> None:
    """The document is not removed without it, and no code makes it the record's fault."""
    client: Any = Tombstones(refused({"code": 121}))
    outcome = await MongoSink(client, "target").apply([write(delete(1, 1)), write(delete(1, 2))])
    assert {index: (f.kind, f.code) for index, f in outcome.failures.items()} == {
        0: (FailureKind.TRANSIENT, "121")
    }
    assert client.others == ["delete"]
