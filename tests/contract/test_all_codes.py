"""Every error code of MongoDB, wherever it can come: nothing is parked that is not at fault itself."""

from __future__ import annotations

import asyncio
import functools
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pymongo
import pytest
from pymongo import common

from local.polling import HANG_TIMEOUT_S
from local.servers.mongod import Mongod
from shared.errors import TransientError
from tests.support.builders import delete, put, write
from tests.support.code_matrix import ALL, BESIDE, ONE, WHOLE, Matrix
from tests.support.mongodb_proxy import mongodb_proxy
from tests.support.server_codes import server_codes
from tests.support.sinks import Document, sink_before, sink_on, with_option
from writer.mongodb import bulk
from writer.mongodb.error_codes import Meaning, meaning_of
from writer.names import TOMBSTONES
from writer.ports import FailureKind, Outcome

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from writer.mongodb.sink import MongoSink
    from writer.write import Write

CODES = sorted(server_codes() | dict.fromkeys([8000, 16500, 16755, 17419, 17420, 20_000_000], ""))
"""Those with a name, some without one, and one that does not exist."""

in_parts = pytest.mark.parametrize("codes", [CODES[n::4] for n in range(4)], ids="1234")
"""All of them in four parts, which several processes can share."""

CRASH = {330, 346, 348, 351}
"""With these the fail point ends mongod itself."""

CLOSE = {303, 354, 372, 398}
"""With these mongod closes the connection (category CloseConnectionError)."""

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
    """Insertions and deletions; of some one is refused, of others (`_w`) the whole command."""
    batch = [write(put(version, f"{version} {n}"), collection="inserted") for n in range(3)]
    batch += [write(delete(version, n), collection="deleted") for n in range(3)]
    batch += [write(put(version, f"{version} {n}"), collection="inserted_w") for n in range(2)]
    batch += [write(delete(version, n), collection="deleted_w") for n in range(2)]
    batch += [write(put(version, f"{version}"), database=UNREAD)]
    batch += [write(delete(version, 1), database=REFUSED)]
    return batch


def command_code(code: int, name: str, command: dict[str, Any]) -> int | None:
    """One kind of command is refused in each collection."""
    faults = {
        ("t", "inserted_w", "insert"),
        ("t", "deleted_w", "delete"),
        (UNREAD, TOMBSTONES, "find"),
        (REFUSED, TOMBSTONES, "update"),
    }
    return code if (command.get("$db"), command.get(name), name) in faults else None


def operation_code(code: int, name: str, command: dict[str, Any], position: int) -> int | None:
    """One write of a bulk is refused. A duplicate among insertions is decided by the update that follows."""
    is_ours = position == 1 and (name, command[name]) in {("insert", "inserted"), ("delete", "deleted")}
    return code if is_ours else None


@in_parts
async def test_every_kind_of_command_gets_every_code(
    mongod: Mongod,
    client: pymongo.MongoClient[Document],
    monkeypatch: pytest.MonkeyPatch,
    codes: Sequence[int],
) -> None:
    """Only the fault of one document is parked; what a whole command or a tombstone gets waits (P4, P5)."""
    monkeypatch.setattr(bulk, "WORTH_A_LOOK", 2)  # so that the smallest batches have insertions
    faults = 0
    async with mongodb_proxy(mongod.address) as proxy, sink_before(polled(proxy.uri), "t") as sink:
        for version, code in enumerate(codes, 1):
            batch = batch_of(version)
            proxy.refuse_command = functools.partial(command_code, code)
            proxy.refuse_operation = functools.partial(operation_code, code)
            outcome = await tried(sink, batch)
            assert proxy.refused, code
            proxy.heal()
            parked: set[int] = set()
            if outcome is None:
                assert meaning_of(code) in (Meaning.SERVER, Meaning.LOGIN), code
            else:
                parked = {n for n, f in outcome.failures.items() if f.kind is FailureKind.PERMANENT}
                # These writes name no shard key, so 61 is the fault of the mapping.
                is_fault = meaning_of(code) in (Meaning.DOCUMENT, Meaning.EITHER) and code != 61
                assert parked == ({1} if is_fault else set()), code
                inserted = set() if meaning_of(code) is Meaning.DUPLICATE else {1}
                assert outcome.failures.keys() == inserted | {4, *range(6, 12)}, code
            faults += len(parked)
            rest = [each for n, each in enumerate(batch) if n not in parked]
            assert (await applied(sink, rest)).failures == {}, code
    number = len(codes)
    found = {name: client["t"][name].count_documents({}) for name in ("inserted", "inserted_w")}
    assert found == {"inserted": 3 * number - faults, "inserted_w": 2 * number}
    assert client[UNREAD]["items"].count_documents({}) == number
    deleted = {"v": delete(number).version}
    assert client["t"][TOMBSTONES].count_documents(deleted) == 5
    assert client[REFUSED][TOMBSTONES].count_documents(deleted) == 1


@in_parts
async def test_no_code_loses_parks_or_counts_what_is_not_at_fault(
    mongod: Mongod, client: pymongo.MongoClient[Document], codes: Sequence[int]
) -> None:
    """P3, P4, P5: others of the bulk, the lane and other tables go on; in the end everything is there."""
    async with mongodb_proxy(mongod.address) as proxy, sink_before(polled(proxy.uri), "t") as sink:
        matrix = Matrix(proxy, sink)
        running = asyncio.create_task(matrix.service.run(1, grace=60))
        for number, code in enumerate(codes, 1):
            async with asyncio.timeout(HANG_TIMEOUT_S):
                await matrix.walk(code, number)
        matrix.context.stop.set()
        while not running.done():
            await matrix.advance(1)
        running.result()
    faults = sum(meaning_of(code) in (Meaning.DOCUMENT, Meaning.EITHER) and code != 61 for code in codes)
    found = {name: client["t"][name].count_documents({}) for name in (ONE, ALL, WHOLE, BESIDE)}
    number = len(codes)
    assert found == {ONE: 4 * number - faults, ALL: 3 * number, WHOLE: 2 * number, BESIDE: number}


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


@in_parts
@pytest.mark.parametrize("collection", ["items", TOMBSTONES])
async def test_a_server_that_refuses_everything_parks_nothing(
    mongod: Mongod, client: pymongo.MongoClient[Document], collection: str, codes: Sequence[int]
) -> None:
    """By its own fail point, for documents and for tombstones; the sweep goes on, too."""
    with sink_on(polled(mongod.uri), "t") as sink:
        for version, code in enumerate(sorted(set(codes) - CRASH), 1):
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
