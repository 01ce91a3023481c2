"""A stand-in for `mongos`, where there is none: a router before one mongod; collections have two shards.

It answers as the documentation of sharding says: it names itself a router, sends a write to the shard that
its filter names, refuses what names none, and asks both shards for the rest. So two shards can hold the same
`_id`. What a shard answers comes back as errors of single writes. A sharded collection is two collections of
the mongod, NAME and NAME.other; `shardCollection` makes it one.

What it does not have: chunks that move, retries of its own, transactions over sharded collections, cursors of
more than one batch. Only a real cluster shows what those do (docs/testing.md).
"""

from __future__ import annotations

import asyncio
import contextlib
import struct
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import bson
import pymongo

from tests.support.mongodb_wire import HEADER, OP_QUERY, OP_REPLY, SEQUENCES, command_in, read, write
from tests.support.mongos_routing import NoTarget, shard_of, target, values_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence

    from tests.support.mongodb_wire import Command

    Backend = Callable[[Command], Awaitable[Command]]
    Answer = Callable[[Command, Backend], Awaitable[Command]]

SHARD_KEY_NOT_FOUND, CANNOT_BE_SHARDED, NO_SUCH_COMMAND = 61, 28769, 59
_HELLO = ("hello", "ismaster", "isMaster")
_FROM_A_SHARD = ("writeConcernError", "$clusterTime", "operationTime")
_REPLICA_SETS = {"hosts", "setName", "setVersion", "primary", "me", "secondary", "electionId", "lastWrite"}
_REPLICA_SETS |= {"topologyVersion", "readOnly", "passives", "arbiters"}


class MongosStandIn:
    """One router.

    Attributes:
        keys: the shard key's paths of sharded collections, by their full name.
        refuse_command: gets a command's name and the command; returns the code to refuse it with, or None.
        refuse_write: gets a command's name, the command and the position of one of its writes; returns the
            code to refuse that write with, or None. The others go on to their shards.
        refused: how many refusals were sent.
        joins_shards: whether `$lookup` reads sharded collections, as it does from MongoDB 5.1 on.
    """

    def __init__(self, target: str) -> None:
        self.address = ""
        self.target = target
        self.keys: dict[str, tuple[str, ...]] = {}
        self.joins_shards = True
        self.heal()

    @property
    def uri(self) -> str:
        return f"mongodb://{self.address}/"

    def heal(self) -> None:
        """From now on nothing is refused."""
        self.refuse_command: Callable[[str, Command], int | None] = lambda *_: None
        self.refuse_write: Callable[[str, Command, int], int | None] = lambda *_: None
        self.refused = 0

    def misrouted(self) -> list[Any]:
        """Documents that stand on a shard where their shard key does not lead."""
        found = []
        with pymongo.MongoClient[dict[str, Any]](self.target, directConnection=True) as client:
            for name, key in self.keys.items():
                database, _, collection = name.partition(".")
                for number, part in enumerate(_parts(collection)):
                    documents = client[database][part].find()
                    found += [each for each in documents if shard_of(values_of(each, key)) != number]
        return found

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serves one connection with one of its own."""
        host, _, port = self.target.rpartition(":")
        from_server, to_server = await asyncio.open_connection(host, int(port))

        async def backend(command: Command) -> Command:
            write(to_server, 0, command)
            _, _, answer = await read(from_server)
            return command_in(answer)

        try:
            while True:
                number, kind, message = await read(reader)
                if kind == OP_QUERY:
                    to_server.write(message)
                    _, _, answer = await read(from_server)
                    _reply(writer, number, _as_router(bson.decode(answer[HEADER.size + 20 :])))
                else:
                    write(writer, number, await self._answer(command_in(message), backend))
        except (OSError, asyncio.IncompleteReadError):
            pass  # one end has closed the connection
        finally:
            await _close(writer, to_server)

    async def _answer(self, command: Command, backend: Backend) -> Command:
        name = next(iter(command))
        if (code := self.refuse_command(name, command)) is not None:
            self.refused += 1
            return _error(code)
        answer = self._answers.get(name)
        if answer is None and _place(command) in self.keys:
            answer = self._sharded_answers.get(name, _no_such_command)
        return await (answer(command, backend) if answer else backend(command))

    @property
    def _answers(self) -> Mapping[str, Answer]:
        answers: dict[str, Answer] = dict.fromkeys(SEQUENCES, self._write)
        answers |= {"shardCollection": self._shard, "enableSharding": _done, "dropDatabase": self._drop}
        return {**answers, **dict.fromkeys(_HELLO, _hello), "aggregate": self._aggregate}

    @property
    def _sharded_answers(self) -> Mapping[str, Answer]:
        return {"find": self._find, "createIndexes": _on_both, "collMod": _on_both, "listIndexes": _on_first}

    async def _drop(self, command: Command, backend: Backend) -> Command:
        self.keys = {at: key for at, key in self.keys.items() if at.partition(".")[0] != command["$db"]}
        return await backend(command)

    async def _shard(self, command: Command, backend: Backend) -> Command:
        place: str = command["shardCollection"]
        database, _, name = place.partition(".")
        listed = await backend({"listCollections": 1, "filter": {"name": name}, "$db": database})
        there = listed["cursor"]["firstBatch"]
        options = there[0]["options"] if there else {}
        for part in _parts(name)[bool(there) :]:
            await backend({"create": part, **options, "$db": database})
        index = {"key": command["key"], "name": "shard key"}
        for part in _parts(name) if "_id" not in command["key"] else ():
            await backend({"createIndexes": part, "indexes": [index], "$db": database})
        self.keys[place] = tuple(command["key"])
        return {"ok": 1.0, "collectionsharded": place}

    async def _write(self, command: Command, backend: Backend) -> Command:
        name = next(iter(command))
        key = self.keys.get(_place(command), ())
        operations: list[Any] = command[SEQUENCES[name]]
        errors: dict[int, Command] = {}
        by_shard: dict[int, list[int]] = {}
        for n, operation in enumerate(operations):
            if (code := self.refuse_write(name, command, n)) is not None:
                self.refused += 1
                errors[n] = _error(code)
                continue
            try:
                shards = target(name, operation, key) if key else [0]
            except NoTarget as why:
                errors[n] = {"code": SHARD_KEY_NOT_FOUND, "errmsg": str(why)}
                continue
            for shard in shards:
                by_shard.setdefault(shard, []).append(n)
        if not key and not errors:
            return await backend(command)
        if not command.get("ordered", True) or len(operations) == 1:
            return await _write_to_shards(name, command, by_shard, errors, backend)
        raise NotImplementedError("ordered writes to a sharded collection")

    async def _find(self, command: Command, backend: Backend) -> Command:
        some = {**command, "batchSize": 1_000_000}
        answers = [await backend({**some, "find": part}) for part in _parts(command["find"])]
        if failed := [answer for answer in answers if not answer["ok"]]:
            return failed[0]
        found = [each for answer in answers for each in answer["cursor"]["firstBatch"]]
        if any(answer["cursor"]["id"] for answer in answers) or "sort" in command or "skip" in command:
            raise NotImplementedError("a cursor of several batches, or in an order")
        cursor = {**answers[0]["cursor"], "firstBatch": found[: command.get("limit") or None]}
        return {**answers[0], "cursor": cursor}

    async def _aggregate(self, command: Command, backend: Backend) -> Command:
        database, pipeline = command["$db"], []
        for stage in command["pipeline"]:
            lookup = stage.get("$lookup")
            if lookup is None or f"{database}.{lookup['from']}" not in self.keys:
                pipeline.append(stage)
                continue
            if not self.joins_shards:
                return _error(CANNOT_BE_SHARDED)
            _, other = _parts(lookup["from"])
            both = {"$concatArrays": [f"${lookup['as']}", "$other"]}
            pipeline += [stage, {"$lookup": {**lookup, "from": other, "as": "other"}}]
            pipeline += [{"$set": {lookup["as"]: both}}, {"$unset": "other"}]
        if _place(command) in self.keys:
            _, other = _parts(command["aggregate"])
            pipeline = [{"$unionWith": other}, *pipeline]
        return await backend({**command, "pipeline": pipeline})


@contextmanager
def mongos_stand_in(target: str) -> Iterator[MongosStandIn]:
    """A router before `target` (host:port), in a thread of its own: it serves clients that block, too."""
    router = MongosStandIn(target)
    ready, loop = threading.Event(), asyncio.new_event_loop()
    writers: list[asyncio.StreamWriter] = []
    serving: set[asyncio.Task[None]] = set()  # the loop itself keeps no task from being collected

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        serving.add(task := loop.create_task(router.serve(reader, writer)))
        task.add_done_callback(serving.discard)

    async def run(end: asyncio.Event) -> None:
        server = await asyncio.start_server(connected, "127.0.0.1", 0)
        router.address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        ready.set()
        await end.wait()
        server.close()
        # What is being accepted just now is served, too.
        while tasks := asyncio.all_tasks() - {asyncio.current_task()}:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        await _close(*writers)  # a task that had not begun has closed nothing

    end = asyncio.Event()
    thread = threading.Thread(target=lambda: loop.run_until_complete(run(end)), name="mongos stand-in")
    thread.start()
    ready.wait()
    try:
        yield router
    finally:
        loop.call_soon_threadsafe(end.set)
        thread.join()
        loop.close()


async def _close(*streams: asyncio.StreamWriter) -> None:
    for stream in streams:  # all of them, before anything can end this
        stream.close()
    for stream in streams:
        # Whoever was cancelled while it waited has cancelled what the others wait for.
        with contextlib.suppress(OSError, asyncio.CancelledError):
            await stream.wait_closed()


def _parts(name: str) -> tuple[str, str]:
    return name, f"{name}.other"


def _place(command: Command) -> str:
    return f"{command['$db']}.{next(iter(command.values()))}"


async def _done(*_: object) -> Command:
    return {"ok": 1.0}


async def _no_such_command(*_: object) -> Command:
    return _error(NO_SUCH_COMMAND)


async def _hello(command: Command, backend: Backend) -> Command:
    return _as_router(await backend(command))


async def _on_first(command: Command, backend: Backend) -> Command:
    return await backend(command)


async def _on_both(command: Command, backend: Backend) -> Command:
    name = next(iter(command))
    first, _ = [await backend({**command, name: part}) for part in _parts(command[name])]
    return first


def _error(code: int) -> Command:
    return {"ok": 0.0, "code": code, "errmsg": "refused by the test"}


def _as_router(hello: Command) -> Command:
    return {name: value for name, value in hello.items() if name not in _REPLICA_SETS} | {"msg": "isdbgrid"}


def _reply(writer: asyncio.StreamWriter, request: int, document: Command) -> None:
    content = struct.pack("<iqii", 8, 0, 0, 1) + bson.encode(document)
    writer.write(HEADER.pack(HEADER.size + len(content), 0, request, OP_REPLY) + content)


async def _write_to_shards(
    name: str,
    command: Command,
    by_shard: Mapping[int, Sequence[int]],
    errors: dict[int, Command],
    backend: Backend,
) -> Command:
    """Sends each shard its writes, and makes one answer. What a shard says of all is said of each of them."""
    answer: Command = {"ok": 1.0, "n": 0}
    # A retry would take the second shard's write for the first's: both are in one mongod.
    common = {field: value for field, value in command.items() if field != "txnNumber"}
    upserted: list[Command] = []
    for shard, numbers in by_shard.items():
        part = _parts(command[name])[shard]
        operations = [command[SEQUENCES[name]][n] for n in numbers]
        got = await backend({**common, name: part, SEQUENCES[name]: operations})
        if not got["ok"]:
            errors |= dict.fromkeys(numbers, got)
            continue
        for count in ("n", "nModified"):
            if count in got:
                answer[count] = answer.get(count, 0) + got[count]
        upserted += [{**each, "index": numbers[each["index"]]} for each in got.get("upserted", ())]
        errors |= {numbers[each["index"]]: each for each in got.get("writeErrors", ())}
        answer |= {
            each: got[each] for each in ("writeConcernError", "$clusterTime", "operationTime") if each in got
        }
    if name == "update":
        answer.setdefault("nModified", 0)
    if upserted:
        answer["upserted"] = upserted
    if errors:
        kept = ("code", "errmsg", "keyPattern", "keyValue", "errInfo")
        answer["writeErrors"] = [
            {"index": n, **{field: value for field, value in each.items() if field in kept}}
            for n, each in sorted(errors.items())
        ]
    return answer
