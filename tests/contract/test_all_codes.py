"""Every error code of MongoDB, wherever it can come: nothing is parked that is not at fault itself."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pymongo
import pytest
from pymongo import common

from local.polling import HANG_TIMEOUT_S
from local.servers.mongod import Mongod
from shared.errors import TransientError
from tests.support.builders import delete, put, write
from tests.support.mongodb_proxy import mongodb_proxy
from tests.support.server_codes import server_codes
from tests.support.sinks import Document, sink_on, with_option
from writer.mongodb.error_codes import Meaning, meaning_of
from writer.names import TOMBSTONES
from writer.ports import FailureKind, Outcome

if TYPE_CHECKING:
    from collections.abc import Iterator

    from writer.mongodb.sink import MongoSink
    from writer.write import Write

CODES = sorted(server_codes() | dict.fromkeys([8000, 16500, 16755, 17419, 17420, 20_000_000], ""))
"""Those with a name, some without one, and one that does not exist."""

CRASH = {330, 346, 348, 351}
"""With these the fail point ends mongod itself."""

CLOSE = {303, 354, 372, 398}
"""With these mongod closes the connection (category CloseConnectionError)."""

COLLECTIONS = ("updated", "inserted", "deleted", "beside")
REFUSED = "untombed"
"""A database whose tombstones cannot be written."""
UNREAD = "unread"
"""A database whose tombstones cannot be read."""


@pytest.fixture(scope="module")
def mongod(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mongod]:
    """One with fail points."""
    options = ("--setParameter", "enableTestCommands=1")
    with Mongod(tmp_path_factory.mktemp("mongod"), options=options) as server:
        server.wait()
        yield server


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """After an answer such as "not primary" the driver looks again at once, and not after half a second."""
    monkeypatch.setattr(common, "MIN_HEARTBEAT_INTERVAL", 0.001)


@pytest.fixture
def client(mongod: Mongod) -> Iterator[pymongo.MongoClient[Document]]:
    with pymongo.MongoClient[Document](mongod.address, directConnection=True) as found:
        yield found
        for name in ("t", REFUSED, UNREAD):
            found.drop_database(name)


def polled(uri: str) -> str:
    """A driver that asks for the state of the server, instead of waiting for the server to tell it."""
    return with_option(uri, "serverMonitoringMode=poll&heartbeatFrequencyMS=500")


async def applied(sink: MongoSink, batch: list[Write]) -> Outcome:
    """What became of a batch in the end; the driver may have to find the server again."""
    async with asyncio.timeout(HANG_TIMEOUT_S):
        while (outcome := await tried(sink, batch)) is None:
            pass
    return outcome


async def tried(sink: MongoSink, batch: list[Write]) -> Outcome | None:
    """What became of a batch; None: it is repeated as a whole."""
    try:
        return await sink.apply(batch)
    except TransientError:
        return None


def batch_of(version: int) -> list[Write]:
    """Two documents are updated, two inserted, two deleted, and two are beside; and the same elsewhere."""
    batch = [write(put(version, key), collection="updated") for key in (1, 2)]
    # Enough for the look that finds out what is to be inserted.
    batch += [write(put(version, f"{version} {n}"), collection="inserted") for n in range(12)]
    batch += [write(delete(version, key), collection="deleted") for key in (1, 2)]
    batch += [write(put(version, key), collection="beside") for key in (1, 2)]
    batch += [write(put(version, key), database=UNREAD) for key in (1, 2)]
    batch += [write(delete(version, key), database=REFUSED) for key in (1, 2)]
    return batch


def is_complete(client: pymongo.MongoClient[Document], version: int) -> bool:
    """Whether a batch is applied."""
    wanted = {"_ddb.v": put(version).version}
    found = {name: client["t"][name].count_documents(wanted) for name in COLLECTIONS}
    tombstones = client["t"][TOMBSTONES].count_documents({"_id.c": "deleted", "v": delete(version).version})
    return (
        found == {"updated": 2, "inserted": 12, "deleted": 0, "beside": 2}
        and tombstones == 2
        and client[UNREAD]["items"].count_documents(wanted) == 2
        and client[REFUSED][TOMBSTONES].count_documents({"v": delete(version).version}) == 2
    )


def command_code(code: int, name: str, command: dict[str, Any]) -> int | None:
    """One kind of command is refused in each collection."""
    faults = {
        ("t", "updated", "update"),
        ("t", "inserted", "insert"),
        ("t", "deleted", "delete"),
        (UNREAD, TOMBSTONES, "find"),
        (REFUSED, TOMBSTONES, "update"),
    }
    return code if (command.get("$db"), command.get(name), name) in faults else None


async def test_a_code_of_a_whole_command_parks_nothing(
    mongod: Mongod, client: pymongo.MongoClient[Document]
) -> None:
    """All neighbours get it, or the server means itself. Other collections go on, and later all does."""
    async with mongodb_proxy(mongod.address) as proxy:
        with sink_on(polled(proxy.uri), "t") as sink:
            for version, code in enumerate(CODES, 1):
                batch = batch_of(version)
                proxy.refuse_command = lambda name, command, code=code: command_code(code, name, command)  # type: ignore[misc]
                outcome = await tried(sink, batch)
                assert proxy.refused, code
                proxy.heal()
                if outcome is None:
                    assert meaning_of(code) in (Meaning.SERVER, Meaning.LOGIN), code
                else:
                    assert {f.kind for f in outcome.failures.values()} == {FailureKind.TRANSIENT}, code
                    waiting = {
                        (batch[n].target.database, batch[n].target.collection) for n in outcome.failures
                    }
                    assert ("", "beside") not in waiting, code
                    assert {UNREAD, REFUSED} < {database for database, _ in waiting}, code
                repeated = await applied(sink, batch)
                assert repeated.failures == {}, code
                assert is_complete(client, version), code


async def test_a_code_of_a_single_write_is_of_that_write(
    mongod: Mongod, client: pymongo.MongoClient[Document]
) -> None:
    """Only the faults of documents are parked, and only the document that has it; all else waits alone."""
    async with mongodb_proxy(mongod.address) as proxy:
        with sink_on(polled(proxy.uri), "t") as sink:
            for version, code in enumerate(CODES, 1):
                batch = [write(put(version, key), collection="updated") for key in range(3)]
                batch += [write(put(version, f"{version} {n}"), collection="inserted") for n in range(12)]
                batch += [write(delete(version, key), collection="deleted") for key in range(3)]

                def refuse(name: str, command: dict[str, Any], position: int, code: int = code) -> int | None:
                    is_ours = position == 1 and command[name] in COLLECTIONS
                    # A duplicate among insertions is decided by the update that follows.
                    return code if is_ours else None

                proxy.refuse_operation = refuse
                outcome = await tried(sink, batch)
                assert proxy.refused, code
                proxy.heal()
                if outcome is None:
                    assert meaning_of(code) in (Meaning.SERVER, Meaning.LOGIN), code
                    parked = set()
                else:
                    parked = {n for n, f in outcome.failures.items() if f.kind is FailureKind.PERMANENT}
                    is_fault = meaning_of(code) in (Meaning.DOCUMENT, Meaning.EITHER)
                    assert parked == ({1, 4} if is_fault else set()), code
                    expected = {1, 16} if meaning_of(code) is Meaning.DUPLICATE else {1, 4, 16}
                    assert outcome.failures.keys() == expected, code
                rest = [each for n, each in enumerate(batch) if n not in parked]
                assert (await applied(sink, rest)).failures == {}, code
                assert client["t"]["updated"].count_documents({"_ddb.v": put(version).version}) == (
                    2 if parked else 3
                )


async def test_the_same_code_for_every_write_parks_nothing(
    mongod: Mongod, client: pymongo.MongoClient[Document]
) -> None:
    """Also a fault of documents: a validator, an index or the server is to blame, and it may pass."""
    async with mongodb_proxy(mongod.address) as proxy:
        with sink_on(polled(proxy.uri), "t") as sink:
            for version, code in enumerate(CODES, 1):
                batch = [write(put(version, key), collection="updated") for key in range(3)]
                proxy.refuse_operation = lambda _, command, __, code=code: (  # type: ignore[misc]
                    code if command.get("update") == "updated" else None
                )
                outcome = await tried(sink, batch)
                proxy.heal()
                kinds = {f.kind for f in outcome.failures.values()} if outcome else set()
                assert FailureKind.PERMANENT not in kinds, code
                assert (await applied(sink, batch)).failures == {}, code
                assert client["t"]["updated"].count_documents({"_ddb.v": put(version).version}) == 3


def concerns_server(code: int) -> bool:
    """Whether an answer holds up the whole batch."""
    return meaning_of(code) in (Meaning.SERVER, Meaning.LOGIN) or code in CLOSE


@contextmanager
def failing(client: pymongo.MongoClient[Document], code: int, collection: str) -> Iterator[None]:
    """The server itself refuses every command on a collection."""
    names = ["update", "insert", "delete", "find", "aggregate"]
    data = {"errorCode": code, "failCommands": names, "namespace": f"t.{collection}"}
    client.admin.command("configureFailPoint", "failCommand", mode="alwaysOn", data=data)
    try:
        yield
    finally:
        client.admin.command("configureFailPoint", "failCommand", mode="off")


@pytest.mark.parametrize("collection", ["items", TOMBSTONES])
async def test_a_server_that_refuses_everything_parks_nothing(
    mongod: Mongod, client: pymongo.MongoClient[Document], collection: str
) -> None:
    """By its own fail point, for documents and for tombstones; the sweep goes on, too."""
    with sink_on(polled(mongod.uri), "t") as sink:
        for version, code in enumerate(sorted(set(CODES) - CRASH), 1):
            batch = [write(put(version, 1)), write(put(version, f"{version}")), write(delete(version, 2))]
            with failing(client, code, collection):
                outcome = await tried(sink, batch)
                try:
                    await sink.sweep(3600)
                except TransientError:
                    assert concerns_server(code), code
            if outcome is None:
                assert concerns_server(code), code
            else:
                assert {f.kind for f in outcome.failures.values()} == {FailureKind.TRANSIENT}, code
            assert (await applied(sink, batch)).failures == {}, code
            assert client["t"]["items"].count_documents({"_ddb.v": put(version).version}) == 2, code
            assert client["t"]["items"].count_documents({"_id": 2}) == 0, code
