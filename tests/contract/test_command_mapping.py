"""The commands go by the mapping of the writers, on real servers; and name what is wrong before they read."""

from __future__ import annotations

import asyncio
import json
import secrets
import socket
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from local.polling import wait_until
from tests.contract.test_writer_process import environment, running  # noqa: F401 - a fixture
from tests.support.builders import body_of, put
from tests.support.commands import replicator
from tests.support.sinks import SECRET, sink_on
from writer.mapping.fingerprint import fingerprint_of
from writer.mapping.parser import parse_replication
from writer.mapping.rules import Rules
from writer.names import MAPPINGS, TOMBSTONES
from writer.records import WriterRecord

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pymongo

    from local.stack import Stack
    from tests.conftest import Queues
    from tests.support.commands import Result

YES = {"repair": ("--yes",), "resync": ("--yes",)}
QUICKLY = ("--settle", "0")
VERSION = "2026-01-01T00:00:00.000000000Z"
DATES = "fields: {at: {convert: epoch_seconds}}"


class Place(NamedTuple):
    """A table with one item, and an empty database that exists."""

    table: str
    database: str
    target: Any
    folder: Path
    stack: Stack

    def mapping(self, rules: str) -> str:
        """A file with the rules of the table; its path."""
        file = self.folder / "replication.yaml"
        file.write_text(f"tables: {{{self.table}: {{{rules}}}}}")
        return str(file)

    def record(self, rules: str, *, queue: str = "q", second: int = 0) -> None:
        """As a writer that started at a time records its rules."""
        text = f"tables: {{{self.table}: {{{rules}}}}}"
        table = Rules(parse_replication(text, "x"), {}, self.database).table(self.table)
        at = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=second)
        writer = WriterRecord("w", queue, "h", None, None, "9.9", at, at)

        async def note() -> None:
            with sink_on(self.stack.mongodb_uri, self.database, 1) as sink:
                await sink.records.note_mapping(self.table, fingerprint_of(table, self.database), writer)

        asyncio.run(note())

    def content(self) -> list[Any]:
        """All documents but the writers' records."""
        names = set(self.target.list_collection_names()) - {MAPPINGS, "there"}
        return [(name, each) for name in sorted(names) for each in self.target[name].find()]


@pytest.fixture(scope="module")
def table(stack: Stack) -> Iterator[str]:
    """A table with one item, for the whole module, which writes nothing to it."""
    dynamodb, name = stack.client("dynamodb"), f"mapped-orders-{secrets.token_hex(6)}"
    dynamodb.create_table(
        TableName=name,
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "N"}],
        BillingMode="PAY_PER_REQUEST",
    )
    dynamodb.put_item(TableName=name, Item={"id": {"N": "1"}, "at": {"N": "1588166542"}})
    yield name
    dynamodb.delete_table(TableName=name)


@pytest.fixture
def place(  # noqa: PLR0913, PLR0917 - fixtures
    table: str,
    database: str,
    stack: Stack,
    mongodb: pymongo.MongoClient[dict[str, Any]],
    tmp_path: Path,
    aws_environment: None,  # noqa: ARG001
    monkeypatch: pytest.MonkeyPatch,
) -> Place:
    monkeypatch.setenv("MONGODB_URI", stack.mongodb_uri)
    monkeypatch.setenv("MONGODB_DATABASE", database)
    mongodb[database].create_collection("there")
    return Place(table, database, mongodb[database], tmp_path, stack)


def refused(result: Result) -> str:
    """The sentence of a refusal, the last that is said."""
    assert (result.status, result.out) == (2, ""), result
    said = result.err.strip().splitlines()[-1]
    assert said.startswith("replicator: ")
    assert "Traceback" not in result.err
    return said


@pytest.mark.parametrize("command", ["backfill", "verify", "repair", "resync", "plan-cutover"])
def test_another_mapping_or_none_is_refused(place: Place, command: str) -> None:
    """With both in one sentence; nothing is written."""
    place.record(DATES)
    before = place.content()
    none = refused(replicator(command, *YES.get(command, ()), place.table))
    other = refused(
        replicator(
            command, *YES.get(command, ()), place.table, "--replication-file", place.mapping("mode: merge")
        )
    )
    assert place.content() == before
    recorded = place.target[MAPPINGS].find_one()
    for said in (none, other):
        assert f"hash {recorded['hash']}, since {recorded['since']:%Y-%m-%d %H:%M} UTC, version 9.9" in said
    assert none.startswith("replicator: no mapping (hash ")
    assert "--no-mapping" in none
    assert f"the mapping {place.folder}/replication.yaml (hash " in other
    assert "they differ in fields.at, mode:" in other


def test_the_writers_mapping_is_taken(place: Place) -> None:
    """However its file is written; file and hash are said first."""
    place.record(f"{DATES}, mode: merge")
    file = place.mapping(f"mode: merge, {DATES}, deletes: delete")
    result = replicator("backfill", place.table, "--no-live", "--replication-file", file)
    assert result.status == 0
    recorded = place.target[MAPPINGS].find_one()
    assert result.err.splitlines()[0] == (
        f"Mapping of {place.table}: the mapping {file} (hash {recorded['hash']}), "
        f"that of the writers since {recorded['since']:%Y-%m-%d %H:%M} UTC."
    )
    for command in ("verify", "repair"):
        result = replicator(
            command, *YES.get(command, ()), place.table, *QUICKLY, "--replication-file", file, "--json"
        )
        assert result.status == 0
        found = json.loads(result.out)["tables"][0]["mapping"]
        assert (found["file"], found["hash"], found["recorded"]["version"]) == (file, recorded["hash"], "9.9")


def test_no_mapping_is_enough_if_the_writers_have_none(place: Place) -> None:
    """Then nothing has to be given."""
    place.record("")
    assert replicator("backfill", place.table, "--no-live").status == 0
    assert replicator("verify", place.table, *QUICKLY).status == 0


def test_no_mapping_is_said_deliberately(place: Place) -> None:
    """It goes on, with a warning that shows both; together with a file it contradicts itself."""
    place.record(DATES)
    result = replicator("backfill", place.table, "--no-live", "--no-mapping", "--json")
    assert result.status == 0
    assert "Warning: --no-mapping is given, but the writers use a different one" in result.err
    found = json.loads(result.out)["tables"][0]["mapping"]
    assert found["file"] is None
    assert found["recorded"]["hash"] != found["hash"]
    both = replicator("verify", place.table, "--no-mapping", "--replication-file", place.mapping(DATES))
    assert both.status == 2
    assert "REPLICATION_FILE" in both.err


def test_without_a_record_it_is_not_known(place: Place) -> None:
    """A copy before the pipeline: the mapping has to be given, or that there is none."""
    assert "no mapping is given, and no writer has recorded one" in refused(
        replicator("backfill", place.table, "--no-live")
    )
    file = place.mapping(DATES)
    result = replicator("backfill", place.table, "--no-live", "--replication-file", file, "--json")
    assert result.status == 0
    assert "The mapping of the writers is unknown" in result.err
    assert json.loads(result.out)["tables"][0]["mapping"]["recorded"] is None
    planned = replicator("plan-cutover", place.table, "--replication-file", file, "--json")
    assert planned.out, planned.err
    checks = json.loads(planned.out)
    assert {each["check"]: each["well"] for each in checks["checks"]}["mapping"] is None


def test_a_record_that_cannot_be_read_is_not_known(place: Place) -> None:
    """It is somebody else's, and it is said."""
    place.target[MAPPINGS].insert_one({"_id": {"queue": "q", "table": place.table}, "hash": "\x1b[31m"})
    result = replicator("backfill", place.table, "--no-live", "--no-mapping")
    assert result.status == 0
    assert f"what the database {place.database} has recorded for {place.table} cannot be read" in result.err
    assert "\x1b[31m" not in result.err


def test_two_pipelines_of_a_table_have_a_mapping_each(place: Place) -> None:
    """The collection says whose it is; of one collection the last start decides."""
    place.record(f"{DATES}, collection: one", queue="a", second=1)
    place.record("collection: other", queue="b", second=9)
    verify = ("verify", place.table, *QUICKLY, "--replication-file")
    place.target["one"].insert_one({"_id": 5, "theirs": True})
    assert replicator(*verify, place.mapping(f"{DATES}, collection: one")).status == 1
    assert "fields.at" in refused(replicator(*verify, place.mapping("collection: one")))
    assert "collection" in refused(replicator(*verify, place.mapping("")))
    place.record("collection: one", queue="c", second=5)
    assert replicator(*verify, place.mapping("collection: one")).status == 1


def test_a_repair_without_the_mapping_leaves_dates_alone(  # noqa: PLR0913, PLR0917 - fixtures
    place: Place,
    tmp_path: Path,
    stack: Stack,
    queues: Queues,
    environment: dict[str, str],  # noqa: F811 - the fixture
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The writer has made dates of numbers: to a repair without its mapping they would be differences."""
    file = place.mapping(DATES)
    change = put(7, 1, table=place.table, at=1588166542)
    stack.client("sqs").send_message(
        QueueUrl=queues.url, MessageBody=body_of(change), MessageGroupId="l", MessageDeduplicationId="1"
    )
    with running(tmp_path / "log", environment | {"REPLICATION_FILE": file}) as writer:
        collection = place.target[place.table]
        stored = wait_until(collection.find_one, what="the document")
        wait_until(place.target[MAPPINGS].find_one, what="the record")
        assert writer.stop() == 0
    assert stored["at"] == datetime(2020, 4, 29, 13, 22, 22)  # noqa: DTZ001 - as the driver reads it
    assert "they differ in fields.at:" in refused(replicator("repair", "--yes", place.table, *QUICKLY))
    assert list(collection.find()) == [stored]
    monkeypatch.setenv("REPLICATION_FILE", file)
    assert replicator("verify", place.table, *QUICKLY).status == 0


@pytest.mark.parametrize("command", ["backfill", "verify", "repair", "resync", "plan-cutover"])
def test_a_wrong_key_is_one_sentence(place: Place, command: str) -> None:
    """Before anything is read."""
    file = place.mapping("key: [customer, id]")
    said = refused(replicator(command, *YES.get(command, ()), place.table, "--replication-file", file))
    assert f"the key of {place.table} is customer, id, but its key attributes are id: set key: [id]" in said
    assert TOMBSTONES not in place.target.list_collection_names()


@pytest.mark.parametrize("command", ["backfill", "verify", "repair", "resync", "plan-cutover"])
def test_a_database_that_does_not_exist_is_named(place: Place, command: str) -> None:
    """With the one that was probably meant, and not made by looking."""
    wrong = place.database.upper()[:-1] + "x"
    said = refused(
        replicator(command, *YES.get(command, ()), place.table, "--no-mapping", "--mongodb-database", wrong)
    )
    assert f"the database {wrong} does not exist on 127.0.0.1:" in said
    assert f"did you mean {place.database}?" in said
    assert wrong not in place.target.client.list_database_names()


@pytest.mark.parametrize("command", ["backfill", "verify", "repair", "resync", "plan-cutover"])
def test_a_collection_of_another_table_is_left_alone(place: Place, command: str) -> None:
    """Its documents have no item here: a repair would delete all of them."""
    place._replace(table="persons").record(f"collection: {place.table}")
    place.target[place.table].insert_one({"_id": 7, "_ddb": {"v": VERSION}})
    before = place.content()
    said = refused(replicator(command, *YES.get(command, ()), place.table, "--no-mapping"))
    assert f"fill the collection {place.database}.{place.table} from persons" in said
    assert place.content() == before


def test_a_collection_that_does_not_exist_is_named(place: Place) -> None:
    """Before as many documents are missing as there are items."""
    place.target.create_collection("mapped-order")
    result = replicator("verify", place.table, "--no-mapping", *QUICKLY)
    assert result.status == 1
    assert (
        f"The collection {place.table} does not exist in the database {place.database} "
        "(did you mean mapped-order?)" in result.err
    )


@pytest.mark.parametrize("kind", ["refused", "unknown name", "no MongoDB", "no scheme"])
def test_a_mongodb_that_was_never_reached_is_named(
    place: Place, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """Host and port, and why; never user or password. Nobody waits for ever for a typing error."""
    monkeypatch.setattr("writer.mongodb.client._SELECTION_MS", 300)
    with closing(socket.create_server(("127.0.0.1", 0))) as silent, closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))  # bound and not listening: connections are refused
        host, why = {
            "refused": (f"127.0.0.1:{free.getsockname()[1]}", "nothing listens there"),
            "unknown name": ("no-such.invalid:27017", "cannot be resolved"),
            "no MongoDB": (f"127.0.0.1:{silent.getsockname()[1]}", "does not answer like MongoDB"),
            "no scheme": ("", "begins neither with mongodb:// nor with mongodb+srv://"),
        }[kind]
        uri = f"mongodb://user:{SECRET}@{host}/" if host else f"user:{SECRET}@host:27017"
        result = replicator("verify", place.table, "--no-mapping", "--mongodb-uri", uri)
    said = refused(result)
    assert why in said
    assert not host or f"MongoDB at {host} does not answer" in said
    assert SECRET not in result.err
