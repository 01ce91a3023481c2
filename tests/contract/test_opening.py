"""The start: a server that cannot do what the writer needs ends it with a sentence; all else waits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pymongo
import pytest
from pymongo.uri_parser import parse_uri

from local.processes import ports
from local.processes.child import Child, base_environment
from local.servers.mongod import find_mongod
from shared.errors import FatalError, TransientError
from tests.support.mongodb_proxy import mongodb_proxy
from tests.support.sinks import Document, sink_before, sink_on
from writer.names import TOMBSTONES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from local.stack import Stack


def address(stack: Stack) -> str:
    host, port = parse_uri(stack.mongodb_uri)["nodelist"][0]
    return f"{host}:{port}"


async def test_it_leaves_nothing_behind(
    stack: Stack, database: str, mongodb: pymongo.MongoClient[Document]
) -> None:
    """What it tried is removed; two writers that start at once do not meet."""
    with sink_on(stack.mongodb_uri, database) as sink:
        await sink.open()
    assert mongodb[database].list_collection_names() == [TOMBSTONES]
    assert mongodb[database][TOMBSTONES].count_documents({}) == 0


@pytest.mark.parametrize("code", [238, 301, 303, 115, 59, 20, 40415, 17276])
async def test_a_server_without_guarded_writes_is_refused(stack: Stack, database: str, code: int) -> None:
    """It says so itself, in answer to the trial; the sentence says what is needed."""
    async with mongodb_proxy(address(stack)) as proxy:
        proxy.refuse_command = lambda name, _: code if name == "update" else None
        async with sink_before(proxy.uri, database) as sink:
            with pytest.raises(FatalError, match=r"MongoDB 5\.0 or later"):
                await sink.open()


@pytest.mark.parametrize("code", [16500, 82, 123456, 91])
async def test_what_may_pass_is_waited_for(stack: Stack, database: str, code: int) -> None:
    """Throttling, and codes that nobody knows."""
    async with mongodb_proxy(address(stack)) as proxy:
        proxy.refuse_command = lambda name, _: code if name == "update" else None
        async with sink_before(proxy.uri, database) as sink:
            with pytest.raises(TransientError):
                await sink.open()


async def test_a_missing_right_names_the_database_that_was_refused(stack: Stack, database: str) -> None:
    """It need not be that of the settings; it may be one that the mapping names."""
    async with mongodb_proxy(address(stack)) as proxy:
        proxy.refuse_command = lambda _, command: 13 if command.get("$db") == f"{database}-b" else None
        words = rf"permission on {database}-b\.{TOMBSTONES}.*the database {database}-b"
        async with sink_before(proxy.uri, database, 1, {f"{database}-b"}) as sink:
            with pytest.raises(FatalError, match=words):
                await sink.open()


async def test_tombstones_in_a_view_are_refused(
    stack: Stack, database: str, mongodb: pymongo.MongoClient[Document]
) -> None:
    """They could never be written."""
    mongodb[database].create_collection(TOMBSTONES, viewOn="other", pipeline=[])
    with sink_on(stack.mongodb_uri, database) as sink, pytest.raises(FatalError, match="is a view"):
        await sink.open()


@pytest.fixture
def standalone(tmp_path: Path) -> Iterator[str]:
    """The URI of a mongod that is in no replica set."""
    binary, lease = find_mongod(), ports.free_port(27117)
    command: list[str | Path] = [binary, "--bind_ip", ports.HOST, "--port", str(lease.number)]
    command += ["--nounixsocket", "--dbpath", tmp_path, "--wiredTigerCacheSizeGB", "0.25"]
    child = Child(
        "MongoDB", command, environment=base_environment(), log=tmp_path / "log", directory=tmp_path
    )
    uri = f"mongodb://{ports.HOST}:{lease.number}/"
    try:
        with pymongo.MongoClient[Document](uri) as client:
            client.admin.command("ping")
        yield uri
    finally:
        child.kill()


async def test_a_single_mongod_is_refused(standalone: str) -> None:
    """A replica set is needed, if only of one member; and this is how to make one."""
    with sink_on(standalone, "t") as sink, pytest.raises(FatalError, match=r"replica set.*--replSet"):
        await sink.open()
