"""What writers note in MongoDB about themselves, on a real server."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from local.polling import wait_until
from tests.contract.test_writer_process import environment, running, send  # noqa: F401 - a fixture
from tests.support.fake_clock import FakeClock
from tests.support.sinks import sink_on
from tests.support.writer_context import context_on
from writer.mapping.parser import parse_replication
from writer.mapping.rules import Rules
from writer.names import MAPPINGS, WRITERS
from writer.recording import Recording, describe_writer, status_urls
from writer.records import REFRESH_SECONDS, Fingerprint, WriterRecord
from writer.telemetry.health import Dependency

if TYPE_CHECKING:
    from pathlib import Path

    import pymongo

    from local.stack import Stack
    from tests.conftest import Queues
    from writer.mongodb.sink import MongoSink

QUEUE = "http://localhost/1/q.fifo"
A, B = Fingerprint("a" * 16, '{"mode":"merge"}'), Fingerprint("b" * 16, "{}")


def writer_at(second: int, identity: str = "w", queue: str = QUEUE) -> WriterRecord:
    at = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=second)
    return WriterRecord(identity, queue, "host", None, "http://127.0.0.1:1", "1.0", at, at)


def recording(sink: MongoSink, text: str, identity: str) -> tuple[Recording, Rules, FakeClock]:
    clock, rules = FakeClock(), Rules(parse_replication(text, "x"), {}, "db")
    me = describe_writer(identity, QUEUE, "1.0", ("127.0.0.1", 1), sink.server)
    context = context_on(clock)
    context.health.found(Dependency.MONGODB)
    return Recording(context, sink.records, rules, lambda: me), rules, clock


async def test_the_newest_start_decides_about_a_table(stack: Stack, database: str) -> None:
    """A rolling deployment: the old writer meets the table after the new one has noted its rules."""
    with sink_on(stack.mongodb_uri, database) as sink:
        records = sink.records
        assert await records.note_mapping("t", A, writer_at(1, "old"))
        assert await records.note_mapping("t", B, writer_at(2, "new"))
        assert not await records.note_mapping("t", A, writer_at(1, "old"))
        (found,) = (await records.mappings(table="t")).records
        assert (found.hash, found.rules, found.writer) == (*B, "new")
        # Back to the old rules by a new start; another queue has rules of its own.
        assert await records.note_mapping("t", A, writer_at(3, "back"))
        assert await records.note_mapping("t", B, writer_at(1, "other", "http://other/q.fifo"))
        both = await records.mappings(table="t")
        assert {(each.queue, each.hash) for each in both.records} == {
            (QUEUE, A.hash),
            ("http://other/q.fifo", B.hash),
        }


async def test_since_changes_with_the_hash_only(
    stack: Stack, mongodb: pymongo.MongoClient[dict[str, Any]], database: str
) -> None:
    """It is when the rules were first noted."""
    early = datetime(2020, 1, 1, tzinfo=UTC)
    with sink_on(stack.mongodb_uri, database) as sink:
        await sink.records.note_mapping("t", A, writer_at(1))
        mongodb[database][MAPPINGS].update_one({}, {"$set": {"since": early}})
        await sink.records.note_mapping("t", A, writer_at(2))
        assert (await sink.records.mappings()).records[0].since == early
        await sink.records.note_mapping("t", B, writer_at(3))
        assert (await sink.records.mappings()).records[0].since > early


@pytest.mark.parametrize("odd", [{"started": "x"}, {"started": 1e300, "since": "y"}, {}, {"hash": [1]}])
async def test_an_odd_record_is_replaced(
    stack: Stack, mongodb: pymongo.MongoClient[dict[str, Any]], database: str, odd: dict[str, Any]
) -> None:
    """Also one that says it started in the future: a clock was wrong."""
    where = {"_id": {"queue": QUEUE, "table": "t"}}
    with sink_on(stack.mongodb_uri, database) as sink:
        for each in (odd, {"started": datetime.now(UTC) + timedelta(days=300)}):
            mongodb[database][MAPPINGS].replace_one(where, where | each, upsert=True)
            assert (await sink.records.mappings()).odd == 1
            assert await sink.records.note_mapping("t", A, writer_at(1))
            assert (await sink.records.mappings()).odd == 0


async def test_rules_are_text_and_no_expression(stack: Stack, database: str) -> None:
    """What looks like a path of the aggregation is stored as it is."""
    with sink_on(stack.mongodb_uri, database) as sink:
        await sink.records.note_mapping("$$ROOT.t", Fingerprint("a", '{"key":["$x"]}'), writer_at(1))
        (found,) = (await sink.records.mappings(table="$$ROOT.t")).records
        assert found.rules == '{"key":["$x"]}'


async def test_tables_of_patterns_are_noted_when_they_are_met(stack: Stack, database: str) -> None:
    """The next writer notes them when it starts, also before it meets them."""
    with sink_on(stack.mongodb_uri, database) as sink:
        old, rules, _ = recording(sink, "tables: {named: {}, 'p-*': {}}", "old")
        assert await old.round()
        assert {each.table for each in (await sink.records.mappings()).records} == {"named"}
        rules.table("p-1")
        assert await old.round()
        before = {each.table: each.hash for each in (await sink.records.mappings()).records}
        assert set(before) == {"named", "p-1"}
        new, _, _ = recording(sink, "tables: {named: {}, 'p-*': {mode: merge}}", "new")
        assert await new.round()
        after = {each.table: each for each in (await sink.records.mappings()).records}
        assert after["named"].hash == before["named"]
        assert after["p-1"].hash != before["p-1"]
        assert {each.writer for each in after.values()} == {"new"}
        rules.table("p-2")
        assert await old.round()


async def test_a_rollback_is_noted(
    stack: Stack, mongodb: pymongo.MongoClient[dict[str, Any]], database: str
) -> None:
    """The new writer ends, and the old one goes on: now its rules are those of the writers again."""
    with sink_on(stack.mongodb_uri, database) as sink:

        async def noted() -> list[tuple[str, str]]:
            return [(each.writer, each.rules) for each in (await sink.records.mappings()).records]

        old, _, clock = recording(sink, "tables: {t: {mode: merge}}", "old")
        assert await old.round()
        ((_, before),) = await noted()
        new, _, new_clock = recording(sink, "tables: {t: {}}", "new")
        assert await new.round()
        ((_, after),) = await noted()
        assert before != after
        clock.time += REFRESH_SECONDS  # both run: the newer one decides
        assert await old.round()
        assert await noted() == [("new", after)]
        await new.end()
        clock.time += REFRESH_SECONDS
        assert await old.round()
        assert await noted() == [("old", before)]
        # The new one was frozen only: it is the newest again.
        new_clock.time += REFRESH_SECONDS
        assert await new.round()
        assert await noted() == [("new", after)]
        # Killed, so its record stays; and somebody has dropped what was noted.
        mongodb[database][WRITERS].update_one({"_id": "new"}, {"$set": {"seen": datetime(2020, 1, 1)}})  # noqa: DTZ001
        mongodb[database][MAPPINGS].drop()
        clock.time += REFRESH_SECONDS
        assert await old.round()
        assert await noted() == [("old", before)]


async def test_a_table_that_cannot_be_noted_holds_up_no_other(
    stack: Stack, mongodb: pymongo.MongoClient[dict[str, Any]], database: str
) -> None:
    """Its turn comes again after the others'."""
    validator = {"_id.table": {"$ne": "a"}}
    mongodb[database].create_collection(MAPPINGS, validator=validator)
    with sink_on(stack.mongodb_uri, database) as sink:
        one, rules, _ = recording(sink, "tables: {a: {}, b: {}}", "one")
        rules.table("\ud800")  # BSON does not hold it
        rounds = [await one.round() for _ in range(4)]
        assert rounds == [False] * 4
        assert [each.table for each in (await sink.records.mappings()).records] == ["b"]
        mongodb[database].command("collMod", MAPPINGS, validator={})
        await one.round()
        assert {each.table for each in (await sink.records.mappings()).records} == {"a", "b"}


async def test_a_writer_is_noted_refreshed_and_removed(
    stack: Stack, mongodb: pymongo.MongoClient[dict[str, Any]], database: str
) -> None:
    """Once a minute; one that was killed expires."""
    with sink_on(stack.mongodb_uri, database) as sink:
        one, _, clock = recording(sink, "", "one")
        other, _, _ = recording(sink, "", "other")
        assert await one.round()
        assert await other.round()
        found = {each.id: each for each in (await sink.records.writers()).records}
        assert set(found) == {"one", "other"}
        assert found["one"].local_url == "http://127.0.0.1:1"
        assert await one.round()
        assert (await sink.records.writers()).records[0].seen == found["one"].seen
        clock.time += REFRESH_SECONDS
        assert await one.round()
        assert {e.id: e.seen for e in (await sink.records.writers()).records}["one"] > found["one"].seen
        (index,) = (i for i in mongodb[database][WRITERS].list_indexes() if i["name"] != "_id_")
        assert index["expireAfterSeconds"] == 24 * 3600
        await one.end()
        assert [each.id for each in (await sink.records.writers()).records] == ["other"]


def test_a_writer_process_notes_and_leaves(  # noqa: PLR0913, PLR0917 - fixtures
    tmp_path: Path,
    stack: Stack,
    queues: Queues,
    environment: dict[str, str],  # noqa: F811 - the fixture
    mongodb: pymongo.MongoClient[dict[str, Any]],
    database: str,
) -> None:
    """From its start to a clean stop; its rules stay."""
    file = tmp_path / "replication.yaml"
    file.write_text("tables: {named: {mode: merge}}")
    target = mongodb[database]
    with running(tmp_path / "log", environment | {"REPLICATION_FILE": str(file)}) as writer:
        found = wait_until(target[WRITERS].find_one, what="a writer's record")
        listening = writer.logged("status server listening")
        assert listening is not None
        assert found["local_url"] == f"http://127.0.0.1:{listening['port']}"
        assert (found["status_url"], found["queue"]) == (None, queues.url)
        assert wait_until(lambda: target[MAPPINGS].find_one({"_id.table": "named"}), what="its rules")
        send(stack, queues, 1)
        assert wait_until(
            lambda: target[MAPPINGS].find_one({"_id.table": "mytable"}), what="those of a table met"
        )
        assert writer.stop() == 0
    assert target[WRITERS].count_documents({}) == 0
    assert target[MAPPINGS].count_documents({}) == 2


@pytest.mark.parametrize(
    ("address", "seen_as", "outside", "inside"),
    [
        ("0.0.0.0", "10.0.0.7", "http://10.0.0.7:1", "http://127.0.0.1:1"),  # noqa: S104
        ("0.0.0.0", "127.0.0.1", "http://me:1", "http://127.0.0.1:1"),  # noqa: S104
        ("0.0.0.0", None, "http://me:1", "http://127.0.0.1:1"),  # noqa: S104
        ("::", "fd00::7", "http://[fd00::7]:1", "http://[::1]:1"),
        ("127.0.0.2", "10.0.0.7", None, "http://127.0.0.2:1"),
        ("localhost", "10.0.0.7", None, "http://localhost:1"),
        ("10.0.0.9", "10.0.0.7", "http://10.0.0.9:1", "http://10.0.0.9:1"),
        ("status.example", None, "http://status.example:1", "http://status.example:1"),
    ],
)
def test_where_a_status_server_is(
    address: str, seen_as: str | None, outside: str | None, inside: str
) -> None:
    """What listens on the loopback only cannot be seen from the network."""
    urls = status_urls(address, 1, "me", seen_as)
    assert (urls["status_url"], urls["local_url"]) == (outside, inside)
