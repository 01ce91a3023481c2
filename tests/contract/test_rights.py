"""Users who may do less than they should: what they lack is named, and holds up nothing else."""

from __future__ import annotations

import secrets
from contextlib import closing
from typing import TYPE_CHECKING

import pymongo
import pytest

from local.servers.mongod import Mongod
from shared.errors import FatalError
from tests.support.builders import delete, put, write
from tests.support.fake_clock import FakeClock
from tests.support.sinks import Document
from tests.support.writer_context import context_on
from writer.mapping.parser import parse_replication
from writer.mapping.rules import Rules
from writer.mongodb.sink import MongoSink
from writer.names import MAPPINGS, TOMBSTONES, WRITERS
from writer.ports import FailureKind
from writer.recording import Recording, describe_writer

if TYPE_CHECKING:
    from collections.abc import Iterator

WRITES = ["find", "insert", "update", "remove"]


@pytest.fixture(scope="module")
def mongod(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mongod]:
    """One that asks for passwords, with an administrator and two users."""
    folder = tmp_path_factory.mktemp("rights")
    key_file = folder / "members.key"
    key_file.write_text(secrets.token_hex(32))
    key_file.chmod(0o400)
    with Mongod(folder, options=("--auth", "--keyFile", key_file)) as server:
        server.wait()
        # The first user is made from this machine, before there is any (manual, "Localhost Exception").
        with pymongo.MongoClient[Document](server.address, directConnection=True) as client:
            client.admin.command("createUser", "root", pwd="root", roles=["root"])
        with administrator(server) as client:
            privileges = [
                {"resource": {"db": "t", "collection": "open"}, "actions": WRITES},
                {"resource": {"db": "t", "collection": "closed"}, "actions": ["find"]},
                {"resource": {"db": "t", "collection": TOMBSTONES}, "actions": [*WRITES, "createIndex"]},
            ]
            client.admin.command("createRole", "some", privileges=privileges, roles=[])
            client.admin.command("createUser", "some", pwd="some", roles=["some"])
            records = [{"resource": {"db": "t", "collection": MAPPINGS}, "actions": WRITES}]
            client.admin.command("createRole", "records", privileges=records, roles=[])
            client.admin.command("createUser", "records", pwd="records", roles=["records"])
            roles = [{"role": "readWrite", "db": "t"}]
            client.admin.command("createUser", "one", pwd="one", roles=roles)
        yield server


def administrator(server: Mongod) -> pymongo.MongoClient[Document]:
    return pymongo.MongoClient[Document](
        server.address, directConnection=True, username="root", password="root"
    )


def sink_of(server: Mongod, user: str, *databases: str) -> closing[MongoSink]:
    uri = server.uri.replace("mongodb://", f"mongodb://{user}:{user}@")
    return closing(MongoSink.connect(uri, "t", 2, databases))


async def test_a_collection_that_may_not_be_written_waits_alone(mongod: Mongod) -> None:
    """The right is missing there; who may not list collections is not refused for that."""
    batch = [write(put(1, n), collection="closed") for n in range(2)]
    batch += [write(put(1, 1), collection="open"), write(delete(1, 2), collection="open")]
    with sink_of(mongod, "some") as sink:
        await sink.open()
        outcome = await sink.apply(batch)
        assert {n: (f.kind, f.code) for n, f in outcome.failures.items()} == dict.fromkeys(
            (0, 1), (FailureKind.TRANSIENT, "13")
        )
        assert "a permission on t.closed" in outcome.failures[0].reason
        assert outcome.failures[0].of_place
        await sink.sweep(3600)
        with administrator(mongod) as client:
            assert client["t"]["open"].count_documents({}) == 1
            client.admin.command("grantRolesToUser", "some", roles=[{"role": "readWrite", "db": "t"}])
        assert (await sink.apply(batch)).failures == {}


async def test_a_user_of_one_database_cannot_begin_with_two(mongod: Mongod) -> None:
    """The sentence names the one that was refused."""
    with (
        sink_of(mongod, "one", "u") as sink,
        pytest.raises(FatalError, match=rf"a permission on u\.{TOMBSTONES}.*readWrite on the database u"),
    ):
        await sink.open()


async def test_a_database_whose_tombstones_may_not_be_written_waits_alone(mongod: Mongod) -> None:
    """In mid-run; another database goes on."""
    batch = [write(delete(2, 1), database="u"), write(put(2, 2), database="u"), write(put(2, 3))]
    with sink_of(mongod, "one", "u") as sink:
        outcome = await sink.apply(batch)
        assert {n: (f.kind, f.code) for n, f in outcome.failures.items()} == dict.fromkeys(
            (0, 1), (FailureKind.TRANSIENT, "13")
        )
        assert f"u.{TOMBSTONES}" in outcome.failures[0].reason


async def test_records_that_may_not_be_written_are_warned_of_once(
    mongod: Mongod, caplog: pytest.LogCaptureFixture
) -> None:
    """What may be noted is noted, and the rest once the right is there."""
    rules = Rules(parse_replication("tables: {named: {}}", "x"), {}, "t")
    with sink_of(mongod, "records") as sink, administrator(mongod) as client:
        me = describe_writer("me", "q", "1", ("127.0.0.1", 1), sink.server)
        recording = Recording(context_on(FakeClock()), sink.records, rules, lambda: me)
        assert not await recording.round()
        assert not await recording.round()
        assert [each.table for each in (await sink.records.mappings()).records] == ["named"]
        (warned,) = [each for each in caplog.records if each.levelname == "WARNING"]
        assert f"a permission on t.{WRITERS}" in warned.__dict__["reason"]
        client.admin.command("grantRolesToUser", "records", roles=[{"role": "readWrite", "db": "t"}])
        assert await recording.round()
        assert [each.id for each in (await sink.records.writers()).records] == ["me"]
