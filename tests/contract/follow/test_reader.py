"""The reader of streams on real parts, and on a stand-in for what no emulator does."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import pytest

from follow.reader.lineage import Position
from follow.reader.reader import GapError
from local.errors import StackError
from local.servers.dynamodb_local import FOLDER, DynamoDBLocal
from local.servers.emulator import AWS_VARIABLES
from ops import aws
from shared.errors import FatalError
from tests.faults.source import Source
from tests.support.odd_sqs import LATER, ODD, Odd
from tests.support.scripted_streams import ARN, ScriptedStreams, error
from tests.support.stream_reading import reading
from tests.support.tools import give_up, need
from writer import runtime

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from local.stack import Stack


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in AWS_VARIABLES.items():
        monkeypatch.setenv(name, value)


class World(Protocol):
    """A stream."""

    @property
    def url(self) -> str: ...
    @property
    def arn(self) -> str: ...
    def put(self, key: str) -> None: ...
    def close(self) -> None:
        """From now on its shards get no more records."""


@dataclass
class ScriptedWorld:
    """The stand-in."""

    server: ScriptedStreams
    arn: str = ARN

    @property
    def url(self) -> str:
        return self.server.url

    def put(self, key: str) -> None:
        self.server.put(list(self.server.shards)[-1], key)

    def close(self) -> None:
        self.server.is_off = True
        for shard in self.server.shards.values():
            shard.closed = True


@dataclass
class EmulatorWorld:
    """A table of an emulator."""

    url: str
    dynamodb: object
    table: str
    arn: str

    def put(self, key: str) -> None:
        self.dynamodb.put_item(TableName=self.table, Item={"id": {"S": key}})  # type: ignore[attr-defined]

    def close(self) -> None:
        self.dynamodb.update_table(  # type: ignore[attr-defined]
            TableName=self.table, StreamSpecification={"StreamEnabled": False}
        )


@pytest.fixture(scope="module")
def local_source(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Source]:
    need("java", *(() if FOLDER.exists() else ("npm",)))
    try:
        server = DynamoDBLocal(tmp_path_factory.mktemp("dynamodb"))
    except StackError as problem:
        give_up(f"no DynamoDB Local: {problem}")
    with server:
        server.wait()
        yield Source(server)


@pytest.fixture
async def scripted() -> AsyncIterator[ScriptedStreams]:
    async with ScriptedStreams().listening() as server:
        yield server


@pytest.fixture(params=["stand-in", "DynamoDB Local", "emulator"])
def world(request: pytest.FixtureRequest, unique: str) -> World:
    if request.param == "stand-in":
        server: ScriptedStreams = request.getfixturevalue("scripted")
        server.shard()
        return ScriptedWorld(server)
    if request.param == "DynamoDB Local":
        source: Source = request.getfixturevalue("local_source")
        table = source.create_table(unique, id="S")
        return EmulatorWorld(source.server.endpoint_url, source.dynamodb, unique, table.stream)
    stack: Stack = request.getfixturevalue("stack")
    dynamodb = stack.client("dynamodb")
    made = dynamodb.create_table(
        TableName=unique,
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        BillingMode="PAY_PER_REQUEST",
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
    )["TableDescription"]
    return EmulatorWorld(stack.endpoint_url, dynamodb, unique, made["LatestStreamArn"])


def keys(start: int, end: int) -> list[str]:
    return [f"key-{number:03}" for number in range(start, end)]


async def test_all_records_in_order_as_they_come(world: World) -> None:
    """What was there before, and what comes while it is read."""
    for key in keys(0, 7):
        world.put(key)
    async with reading(world.url, world.arn) as at_work:
        await at_work.caught_up()
        assert at_work.found.keys == keys(0, 7)
        for key in keys(7, 10):
            world.put(key)
        await at_work.until(lambda: len(at_work.found.keys) >= 10)
        assert at_work.found.keys == keys(0, 10)
        assert at_work.found.lines == []


async def test_an_empty_stream(world: World) -> None:
    """Is caught up, and then read."""
    async with reading(world.url, world.arn) as at_work:
        await at_work.caught_up()
        world.put("first")
        await at_work.until(lambda: at_work.found.keys == ["first"])


async def test_going_on_after_a_position(world: World) -> None:
    """A second process gets what the first one did not, and nothing twice."""
    for key in keys(0, 5):
        world.put(key)
    async with reading(world.url, world.arn) as first:
        await first.caught_up()
    for key in keys(5, 9):
        world.put(key)
    positions = {shard: Position(last) for shard, last in first.found.last.items()}
    async with reading(world.url, world.arn, positions) as second:
        await second.caught_up()
        assert second.found.keys == keys(5, 9)


async def test_a_closed_shard_ends_after_its_last_record(world: World) -> None:
    for key in keys(0, 4):
        world.put(key)
    async with reading(world.url, world.arn) as at_work:
        await at_work.caught_up()
        assert at_work.found.ended() == []
        assert not at_work.reader.has_ended
        world.close()
        await at_work.until(lambda: len(at_work.found.ended()) == 1)
        assert at_work.found.keys == keys(0, 4)
        await at_work.until(lambda: at_work.reader.has_ended)


async def test_children_after_their_parents(scripted: ScriptedStreams) -> None:
    """Shards that split while they are read, and more of them than one listing has."""
    parent = scripted.shard()
    for key in keys(0, 8):
        scripted.put(parent, key)
    async with reading(scripted.url, ARN) as at_work:
        found = at_work.found
        await at_work.until(lambda: len(found.keys) >= 3)
        found.gate.clear()  # the parent is not read to its end before its children are listed
        left, right = scripted.shard(parent), scripted.shard(parent)
        grandchild = scripted.shard(left)
        scripted.put(left, "left")
        scripted.put(right, "right")
        scripted.put(grandchild, "grandchild")
        listings = scripted.asked["DescribeStream"]
        await at_work.until(lambda: scripted.asked["DescribeStream"] >= listings + 6)
        found.gate.set()
        await at_work.until(lambda: {"left", "right", "grandchild"} <= set(found.keys))
        at = found.events.index
        assert found.keys[:8] == keys(0, 8)
        assert at((parent, "key-007")) < at((parent, "end")) < min(at((left, "left")), at((right, "right")))
        assert at((left, "left")) < at((left, "end")) < at((grandchild, "grandchild"))
        await at_work.caught_up()
        assert sorted(found.keys) == sorted([*keys(0, 8), "left", "right", "grandchild"])


async def test_many_shards(scripted: ScriptedStreams) -> None:
    """More than are read at once; none is forgotten, and each is listed."""
    shards = [scripted.shard() for _ in range(25)]
    for key in keys(0, 100):
        scripted.put(shards[int(key[-2:]) % 25], key)
    async with reading(scripted.url, ARN) as at_work:
        await at_work.caught_up()
        assert sorted(at_work.found.keys) == keys(0, 100)


async def test_closed_shards_are_forgotten(scripted: ScriptedStreams) -> None:
    """When the stream does not list them any more."""
    parent = scripted.shard()
    scripted.put(parent, "old")
    scripted.shard(parent)
    async with reading(scripted.url, ARN) as at_work:
        await at_work.until(lambda: at_work.found.ended() == [parent])
        assert not at_work.reader.has_ended
        del scripted.shards[parent]
        await at_work.until(lambda: at_work.found.forgotten == [parent])


async def test_an_expired_iterator_is_no_trouble(scripted: ScriptedStreams) -> None:
    """Another one goes on from the same place, and nobody needs to know."""
    shard = scripted.shard()
    scripted.put(shard, "before")
    async with reading(scripted.url, ARN) as at_work:
        await at_work.caught_up()
        scripted.generation += 1
        scripted.put(shard, "after")
        await at_work.until(lambda: len(at_work.found.keys) >= 2)
        assert at_work.found.keys == ["before", "after"]
        assert at_work.found.lines == []


async def test_an_iterator_that_ends_is_not_the_end_of_an_open_shard(scripted: ScriptedStreams) -> None:
    """The listing has to agree."""
    shard = scripted.shard()
    scripted.put(shard, "before")
    async with reading(scripted.url, ARN) as at_work:
        await at_work.caught_up()
        scripted.iterators_end = True
        await at_work.until(lambda: not scripted.iterators_end)
        scripted.put(shard, "after")
        await at_work.until(lambda: len(at_work.found.keys) >= 2)
        assert at_work.found.events == [(shard, "before"), (shard, "after")]


ANSWERS = {
    **{
        name: odd
        for name, odd in (ODD | LATER).items()
        if odd.status < 500 and name not in {"silence", "no permission"}
    },
    "throttled": error("LimitExceededException"),
    "overloaded": error("ProvisionedThroughputExceededException"),
    "an error inside": error("InternalServerError"),
    "no iterator, no records": ODD["no members"],
    "a stream, no shards": Odd('{"StreamDescription": {"StreamStatus": "ENABLED"}}'),
    "records that are null": Odd('{"Records": null}'),
    "a record that is none": Odd('{"Records": [3, {"dynamodb": {"SequenceNumber": "1"}}]}'),
}


@pytest.mark.parametrize("action", ["DescribeStream", "GetShardIterator", "GetRecords"])
@pytest.mark.parametrize("name", ANSWERS)
async def test_an_odd_answer_is_waited_for(
    scripted: ScriptedStreams, action: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is said once, nothing is lost or doubled, and no shard ends by it."""
    monkeypatch.setitem(vars(aws)["_CONFIG"], "retries", {"total_max_attempts": 1})
    monkeypatch.setattr(runtime, "_FIRST", 0.001)
    shard = scripted.shard()
    for key in keys(0, 4):
        scripted.put(shard, key)
    scripted.oddly(action, *[ANSWERS[name]] * 2)
    async with reading(scripted.url, ARN) as at_work:
        await at_work.caught_up()
        assert at_work.found.keys == keys(0, 4)
        assert at_work.found.ended() == []
        assert len([line for line in at_work.found.lines if line.startswith("waiting")]) in (1, 2)


async def test_a_permission_that_was_never_there_ends_it(scripted: ScriptedStreams) -> None:
    """Waiting does not help, and the sentence names it."""
    scripted.shard()
    scripted.oddly("GetRecords", (ODD | LATER)["no permission"])
    async with reading(scripted.url, ARN) as at_work:
        with pytest.raises(ExceptionGroup) as raised:
            await at_work.until(lambda: False)
    assert raised.group_contains(FatalError, match="dynamodb:GetRecords")


async def test_a_permission_that_was_there_is_waited_for(scripted: ScriptedStreams) -> None:
    """Somebody changes a role, and changes it back."""
    shard = scripted.shard()
    scripted.put(shard, "before")
    async with reading(scripted.url, ARN) as at_work:
        await at_work.caught_up()
        scripted.oddly("GetRecords", (ODD | LATER)["no permission"])
        scripted.put(shard, "after")
        await at_work.until(lambda: len(at_work.found.keys) >= 2)
        assert at_work.found.keys == ["before", "after"]
        assert [line.partition(":")[0] for line in at_work.found.lines] == ["waiting", "going on"]


async def test_a_trimmed_position_is_a_gap(scripted: ScriptedStreams) -> None:
    """Records behind it are gone: nobody can go on as if nothing had happened (P8)."""
    shard = scripted.shard()
    first = scripted.put(shard, "seen")
    scripted.put(shard, "lost")
    scripted.trim(shard)
    async with reading(scripted.url, ARN, {shard: Position(first)}) as at_work:
        with pytest.raises(ExceptionGroup) as raised:
            await at_work.until(lambda: False)
    assert raised.group_contains(GapError, match="trimmed")


async def test_the_oldest_record_is_trimmed_while_it_is_asked_for(scripted: ScriptedStreams) -> None:
    """Nothing before it was read, so nothing is lost that the copy does not have."""
    shard = scripted.shard()
    scripted.put(shard, "there")
    scripted.oddly("GetRecords", error("TrimmedDataAccessException"))
    async with reading(scripted.url, ARN) as at_work:
        await at_work.until(lambda: bool(at_work.found.keys))
        assert at_work.found.keys == ["there"]
        assert "trimmed just now" in at_work.found.lines[0]


async def test_a_shard_that_is_gone_before_its_end_is_a_gap(scripted: ScriptedStreams) -> None:
    scripted.shard()
    positions = {"shardId-of-yesterday": Position("7")}
    async with reading(scripted.url, ARN, positions) as at_work:
        with pytest.raises(ExceptionGroup) as raised:
            await at_work.until(lambda: False)
    assert raised.group_contains(GapError, match="disappeared")


async def test_a_shard_that_disappears_while_it_is_read_is_a_gap(scripted: ScriptedStreams) -> None:
    """The listing does not have it any more, and it never said that this was its end."""
    shard = scripted.shard()
    scripted.put(shard, "seen")
    async with reading(scripted.url, ARN) as at_work:
        await at_work.caught_up()
        del scripted.shards[shard]
        with pytest.raises(ExceptionGroup) as raised:
            await at_work.until(lambda: False)
    assert raised.group_contains(GapError, match="disappeared before")


async def test_a_shard_that_is_there_again(scripted: ScriptedStreams) -> None:
    """AWS does not know it for a moment, but lists it: that is no gap."""
    shard = scripted.shard()
    scripted.put(shard, "there")
    scripted.oddly("GetRecords", error("ResourceNotFoundException"))
    async with reading(scripted.url, ARN) as at_work:
        await at_work.until(lambda: bool(at_work.found.keys))
        assert "AWS says that a shard of the stream is not there" in at_work.found.lines[0]


async def test_a_stream_that_is_not_there_for_a_moment(scripted: ScriptedStreams) -> None:
    """It was there when the table was described, so it is waited for."""
    scripted.put(scripted.shard(), "there")
    scripted.oddly("DescribeStream", error("ResourceNotFoundException"))
    async with reading(scripted.url, ARN) as at_work:
        await at_work.until(lambda: bool(at_work.found.keys))
        assert "AWS says that the stream is not there" in at_work.found.lines[0]


async def test_a_listing_that_does_not_end(scripted: ScriptedStreams) -> None:
    """A page that names itself as the one before it: nothing of that listing counts."""
    scripted.put(scripted.shard(), "there")
    page = {"StreamStatus": "ENABLED", "Shards": [], "LastEvaluatedShardId": "shardId-1"}
    scripted.oddly("DescribeStream", *[Odd(json.dumps({"StreamDescription": page}))] * 2)
    async with reading(scripted.url, ARN) as at_work:
        await at_work.until(lambda: bool(at_work.found.keys))
        assert "the listing does not end" in at_work.found.lines[0]


async def test_shards_that_are_each_others_parents(scripted: ScriptedStreams) -> None:
    """Nothing of them can be read, and it says so until the listing is another one."""
    first = scripted.shard()
    second = scripted.shard(first)
    scripted.shards[first].parent = second
    scripted.put(first, "there")
    async with reading(scripted.url, ARN) as at_work:
        await at_work.until(lambda: bool(at_work.found.lines))
        assert "each other's parents" in at_work.found.lines[0]
        scripted.shards[first].parent = None
        await at_work.until(lambda: bool(at_work.found.keys))


async def test_new_shards_after_a_long_silence_are_a_gap(scripted: ScriptedStreams) -> None:
    """Their first records may be trimmed, and no answer says so. Known ones say it themselves."""
    known = scripted.shard()
    first = scripted.put(known, "seen")
    scripted.put(known, "next")
    silence = 23.5 * 3600
    async with reading(scripted.url, ARN, {known: Position(first)}, silence) as at_work:
        await at_work.caught_up()
        assert at_work.found.keys == ["next"]
    scripted.shard(known)
    async with reading(scripted.url, ARN, {known: Position(first)}, 22.5 * 3600) as at_work:
        await at_work.caught_up()
    async with reading(scripted.url, ARN, {known: Position(first)}, silence) as at_work:
        with pytest.raises(ExceptionGroup) as raised:
            await at_work.until(lambda: False)
    assert raised.group_contains(GapError, match="23 hours")


async def test_what_was_done_is_not_read_again(scripted: ScriptedStreams) -> None:
    parent = scripted.shard()
    scripted.put(parent, "done")
    child = scripted.shard(parent)
    scripted.put(child, "new")
    async with reading(scripted.url, ARN, {parent: Position(done=True)}) as at_work:
        await at_work.caught_up()
        assert at_work.found.keys == ["new"]
    assert scripted.asked[f"GetRecords {parent}"] == 0


async def test_a_receiver_that_takes_its_time_slows_the_reading(scripted: ScriptedStreams) -> None:
    """Pages in hand are bounded, however many shards there are."""
    for number in range(20):
        scripted.put(scripted.shard(), f"key-{number}")
    async with reading(scripted.url, ARN) as at_work:
        at_work.found.gate.clear()
        await at_work.until(lambda: at_work.found.waiting >= 4)
        asked = scripted.asked["GetRecords"]
        listings = scripted.asked["DescribeStream"]
        await at_work.until(lambda: scripted.asked["DescribeStream"] >= listings + 30)
        assert at_work.found.waiting == 4
        assert scripted.asked["GetRecords"] <= asked + 4
        at_work.found.gate.set()
        await at_work.caught_up()
        assert len(at_work.found.keys) == 20


async def test_a_receiver_without_room_is_no_trouble_of_the_stream(scripted: ScriptedStreams) -> None:
    """The stream answers again, whatever the page waits for after that (P8)."""
    shard = scripted.shard()
    scripted.put(shard, "1")
    scripted.oddly("GetRecords", error("InternalServerError"))
    async with reading(scripted.url, ARN) as at_work:
        at_work.found.gate.clear()
        await at_work.until(lambda: at_work.found.waiting == 1)
        assert at_work.found.lines[-1] == "going on"
        at_work.found.gate.set()
        await at_work.caught_up()


async def test_how_far_the_stream_is_read(scripted: ScriptedStreams) -> None:
    """Not known, then up to the last record, and up to now when there is nothing more."""
    shard = scripted.shard()
    for key in "1234":  # two pages, made in January 2026
        scripted.put(shard, key)
    async with reading(scripted.url, ARN) as at_work:
        found = at_work.found
        found.gate.clear()
        await at_work.until(lambda: found.waiting == 1)
        assert at_work.reader.behind is None
        found.gate.set()
        found.gate.clear()
        await at_work.until(lambda: len(found.keys) == 3 and found.waiting == 1)
        assert (at_work.reader.behind or 0) > 3600
        found.gate.set()
        await at_work.until(lambda: (at_work.reader.behind or 3600) < 60)
