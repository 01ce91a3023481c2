"""The writer's ports in memory. The contract suites run against these and the real servers alike."""

from __future__ import annotations

import asyncio
import math
from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import bson

from shared.version import BACKFILL
from writer.context import Context
from writer.mongodb.apply import Tombstone, Written, apply
from writer.ports import Failure, FailureKind, Message
from writer.telemetry.health import Health
from writer.telemetry.observer import Observer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from shared.dead_letter import DeadLetter
    from writer.mongodb.apply import Command
    from writer.ports import Clock, Outcome
    from writer.telemetry.observer import Backlog, Batch, Call, InHand, Trouble
    from writer.write import Mark, Removal, Write

Place = tuple[str, str]

LONG_POLL = 5.0
TURNS = 60  # more turns of the event loop than any chain of callbacks between two points in time


async def settled() -> None:
    """Lets every task go on until it waits for time or for somebody else."""
    for _ in range(TURNS):
        await asyncio.sleep(0)


class FakeClock:
    """Time that passes only when a test says so."""

    def __init__(self) -> None:
        self.time = 1000.0
        self._sleepers: list[tuple[float, asyncio.Future[None]]] = []

    def monotonic(self) -> float:
        return self.time

    def now(self) -> float:
        return 1_600_000_000.0 + self.time

    async def sleep(self, seconds: float) -> None:
        wake: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._sleepers.append((self.time + seconds, wake))
        await wake

    async def advance(self, seconds: float) -> None:
        """Lets time pass; whoever sleeps wakes at the right moment, in order."""
        end = self.time + seconds
        await settled()
        while due := [sleeper for sleeper in self._pending() if sleeper[0] <= end]:
            moment, wake = min(due, key=lambda sleeper: sleeper[0])
            self.time = max(self.time, moment)
            wake.set_result(None)
            await settled()
        self.time = max(self.time, end)

    def _pending(self) -> list[tuple[float, asyncio.Future[None]]]:
        self._sleepers = [sleeper for sleeper in self._sleepers if not sleeper[1].done()]
        return self._sleepers


@dataclass
class Faults:
    """What a fake does beside its work: it raises what is scheduled, and stops at named points.

    `raises`: by operation, the errors of its next calls. `down`: the error of every call. `at_point`: is
    awaited before and after the effect of each operation, where a real adapter awaits the network.
    """

    raises: defaultdict[str, list[Exception]] = field(default_factory=lambda: defaultdict(list))
    down: Exception | None = None
    at_point: Callable[[str], Awaitable[None]] | None = None
    calls: list[str] = field(default_factory=list)

    async def before(self, operation: str) -> None:
        self.calls.append(operation)
        await self.point(f"before {operation}")
        if self.raises[operation]:
            raise self.raises[operation].pop(0)
        if self.down is not None:
            raise self.down

    async def point(self, name: str) -> None:
        await asyncio.sleep(0)
        if self.at_point is not None:
            await self.at_point(name)


@dataclass
class _Stored:
    message: Message
    visible_at: float
    received_at: float = 0.0


class FakeInbox:
    """A FIFO queue with group locks and a dead-letter queue."""

    def __init__(self, clock: FakeClock, visibility: float = 30.0, park_limit: int = 1024 * 1024) -> None:
        self.visibility = visibility
        self.received_visibility = visibility
        """For how long `receive` locks; `extend` locks for `visibility`."""
        self.longest_hold = 12 * 3600.0
        """From a receive to the end of its lock, however often it is extended. No emulator has this limit."""
        self.park_limit = park_limit
        self.most = 10
        """Messages that one receive hands out; SQS may always hand out fewer."""
        self.letters: list[DeadLetter] = []
        self.deleted: list[str] = []
        self.faults = Faults()
        self.clock = clock
        self._stored: list[_Stored] = []
        self._sent = 0
        self._arrival = asyncio.Event()
        self.most_receives = 0
        """The highest receive count that was handed out."""

    @property
    def bodies(self) -> list[str]:
        """Of all messages that are not deleted, oldest first."""
        return [stored.message.body for stored in self._stored]

    @property
    def in_flight(self) -> list[str]:
        """The bodies of the messages that somebody holds."""
        return [stored.message.body for stored in self._stored if self._held(stored)]

    def send(self, body: str, group: str = "lane") -> None:
        self._sent += 1
        message = Message(f"id-{self._sent}", "", body, group, 0, round(self.clock.now() * 1000))
        self._stored.append(_Stored(message, self.clock.time))
        self._arrival.set()

    async def receive(self) -> Sequence[Message]:
        await self.faults.before("receive")
        if not (taken := self._take()):
            await self._long_poll()
            taken = self._take()
        await self.faults.point("after receive")
        return taken

    def hurry(self) -> None:
        self.faults.calls.append("hurry")

    async def _long_poll(self) -> None:
        self._arrival.clear()
        waits = [
            asyncio.ensure_future(self.clock.sleep(LONG_POLL)),
            asyncio.ensure_future(self._arrival.wait()),
        ]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    def _take(self) -> list[Message]:
        blocked = {stored.message.group for stored in self._stored if self._held(stored)}
        taken: list[Message] = []
        for stored in self._stored:
            if stored.message.group not in blocked and len(taken) < self.most:
                receives = stored.message.receives + 1
                self.most_receives = max(self.most_receives, receives)
                receipt = f"{stored.message.id}/{receives}"
                stored.message = replace(stored.message, receives=receives, receipt=receipt)
                stored.received_at = self.clock.time
                stored.visible_at = self.clock.time + self.received_visibility
                taken.append(stored.message)
        return taken

    def lapse(self, messages: Sequence[Message]) -> None:
        """The visibility timeout of these messages ends, whoever holds them."""
        identities = {message.id for message in messages}
        for stored in self._stored:
            if stored.message.id in identities:
                stored.visible_at = self.clock.time

    @property
    def receivable(self) -> Sequence[str]:
        """The ids of the messages that a receive could hand out now."""
        blocked = {stored.message.group for stored in self._stored if self._held(stored)}
        return [s.message.id for s in self._stored if s.message.group not in blocked]

    def take_out(self, message_id: str) -> Message:
        """Removes a message, as SQS does when it moves one to the dead-letter queue."""
        (stored,) = [stored for stored in self._stored if stored.message.id == message_id]
        self._stored.remove(stored)
        return stored.message

    def lock_is_lost(self) -> None:
        """Somebody else receives what is in flight: the receipts that were handed out are worth nothing."""
        for stored in self._stored:
            stored.message = replace(stored.message, receipt="somebody else's")
            stored.visible_at = math.inf

    def _held(self, stored: _Stored) -> bool:
        return stored.visible_at > self.clock.time

    def _hold(self, message: Message) -> _Stored | None:
        for stored in self._stored:
            if stored.message.receipt == message.receipt and self._held(stored):
                return stored
        return None

    async def extend(self, messages: Sequence[Message]) -> Sequence[Message]:
        await self.faults.before("extend")
        lost = self._set_visible_at(messages, self.clock.time + self.visibility)
        await self.faults.point("after extend")
        return lost

    async def release(self, messages: Sequence[Message], delay: int) -> None:
        await self.faults.before("release")
        self._set_visible_at(messages, self.clock.time + delay)
        await self.faults.point("after release")

    def _set_visible_at(self, messages: Sequence[Message], moment: float) -> list[Message]:
        lost = []
        for message in messages:
            stored = self._hold(message)
            if stored is not None and moment <= stored.received_at + self.longest_hold:
                stored.visible_at = moment
            else:
                lost.append(message)
        return lost

    async def delete(self, messages: Sequence[Message]) -> None:
        await self.faults.before("delete")
        for message in messages:
            if (stored := self._hold(message)) is not None:
                self._stored.remove(stored)
                self.deleted.append(message.body)
        await self.faults.point("after delete")

    async def park(self, letters: Sequence[DeadLetter]) -> None:
        await self.faults.before("park")
        parked = {letter.entry("", self.park_limit)["MessageDeduplicationId"] for letter in self.letters}
        for letter in letters:
            identity = letter.entry("", self.park_limit)["MessageDeduplicationId"]
            if identity not in parked:
                parked.add(identity)
                self.letters.append(letter)
        await self.faults.point("after park")


def context_on(clock: Clock, observer: Observer | None = None) -> Context:
    """What the parts of a writer share, on a clock; nothing has been asked of the servers yet."""
    return Context(clock, Health(clock), observer or Observer(), asyncio.Event())


class FakeStore:
    """Documents and tombstones in dicts; each operation is atomic, as it is on the real database."""

    def __init__(self) -> None:
        self.documents: defaultdict[str, dict[str, dict[str, Any]]] = defaultdict(dict)
        self.tombstones: dict[Place, Tombstone] = {}
        self.required: dict[str, str] = {}
        """By collection, a field that its validator demands."""
        self.unique: dict[str, str] = {}
        """By collection, a field with a unique index."""
        self.at_point: Callable[[str], Awaitable[None]] | None = None
        """Is awaited between any two operations."""

    async def _point(self, name: str) -> None:
        if self.at_point is not None:
            await self.at_point(name)

    async def write_tombstones(self, tombstones: Sequence[tuple[Write, Tombstone]]) -> None:
        for write, news in tombstones:
            await self._point("write tombstone")
            there = self.tombstones.get(_place(write), Tombstone())
            mark = max((there.mark, news.mark), key=lambda mark: mark.version if mark else "")
            self.tombstones[_place(write)] = Tombstone(max(there.removed, news.removed), mark)

    async def newer_tombstones(self, puts: Sequence[Write]) -> Mapping[int, Tombstone]:
        await self._point("read tombstones")
        newer = {}
        for index, put in enumerate(puts):
            there = self.tombstones.get(_place(put), Tombstone())
            removed = there.removed if there.removed > put.version else ""
            mark = there.mark if there.mark and there.mark.version > put.version else None
            if removed or mark:
                newer[index] = Tombstone(removed, mark)
        return newer

    async def write(self, commands: Sequence[Command]) -> Written:
        failures: dict[int, Failure] = {}
        inserted: set[int] = set()
        unchanged: Counter[tuple[str, str]] = Counter()
        modified = deleted = 0
        for index, command in enumerate(commands):
            await self._point("write")
            if command.removal is not None:
                deleted += self._delete(command.write, command.removal)
                continue
            match self._update(command):
                case Failure() as failure:
                    failures[index] = failure
                case "inserted":
                    inserted.add(index)
                case "modified":
                    modified += 1
                case "stale":
                    unchanged[command.write.target[:2]] += 1
        await self._point("answer")
        return Written(failures, inserted=inserted, modified=modified, unchanged=unchanged, deleted=deleted)

    def _update(self, command: Command) -> Failure | str:
        collection, key = _place(command.write)
        key = self._find(command.write, command.write.shard) or f"{key}{dict(command.write.shard) or ''}"
        before = self.documents[collection].get(key)
        after = self._put(command.write, before) if command.puts else before
        if after is not None and command.mark is not None:
            after = _marked(after, command.mark)
        if after is None:
            return "absent"
        if after == before:
            return "stale"
        if (failure := self._refused(collection, key, after)) is not None:
            return failure
        self.documents[collection][key] = after
        return "inserted" if before is None else "modified"

    def _find(self, write: Write, shard: Mapping[str, Any]) -> str | None:
        """The document, where the shard key says; there may be one with that `_id` on another shard."""
        collection, _ = _place(write)
        for key, document in self.documents[collection].items():
            if repr(document["_id"]) == repr(write.target.document_id) and all(
                document.get(path) == value for path, value in shard.items()
            ):
                return key
        return None

    def _put(self, write: Write, before: dict[str, Any] | None) -> dict[str, Any]:
        assert write.document is not None
        if before is not None and not self.is_older(before, write.version):
            return before
        document = bson.decode(write.document)
        if write.merge is not None and before is not None and _version(before) >= write.merge.reset:
            left = {*_metadata(before).get("names", ()), *write.merge.unset} - {*write.merge.names}
            document = {name: value for name, value in before.items() if name not in left} | document
        deleted = _metadata(before).get("deleted", {})
        if write.keeps_marks and deleted.get("v", "") > write.version:
            document["_ddb"] = {**document["_ddb"], "deleted": deleted}
        return document

    def is_older(self, present: dict[str, Any], version: str) -> bool:
        """The guard of a put."""
        if version == BACKFILL:
            return not isinstance(_metadata(present).get("v"), str)
        return _version(present) < version

    def _delete(self, write: Write, removal: Removal) -> bool:
        collection, _ = _place(write)
        key = self._find(write, removal.shard)
        if key is None:
            return False
        version = _version(self.documents[collection][key])
        if version > removal.version or (version == removal.version and not removal.same):
            return False
        del self.documents[collection][key]
        return True

    def sweep(self) -> None:
        """What `writer.side_tasks` has done when it is through."""
        for (collection, key), tombstone in self.tombstones.items():
            present = self.documents[collection].get(key)
            if present is not None and "" < _version(present) < tombstone.removed:
                del self.documents[collection][key]

    def _refused(self, collection: str, key: str, document: dict[str, Any]) -> Failure | None:
        if (name := self.required.get(collection)) and name not in document:
            return Failure(FailureKind.PERMANENT, "121", "Document failed validation")
        if (name := self.unique.get(collection)) and any(
            other.get(name) == document.get(name)
            for place, other in self.documents[collection].items()
            if place != key
        ):
            return Failure(FailureKind.HEALABLE, "11000", "E11000 duplicate key error")
        return None


class Told(Observer):
    """An observer that remembers what it is told."""

    def __init__(self) -> None:
        self.batches: list[Batch] = []
        self.hands: list[tuple[int, InHand | None]] = []
        self.calls: list[tuple[Call, float]] = []
        self.backlogs: list[Backlog] = []
        self.ages: list[float] = []
        self.troubles: list[Trouble] = []

    def batch(self, batch: Batch) -> None:
        self.batches.append(batch)

    def in_hand(self, loop: int, held: InHand | None) -> None:
        self.hands.append((loop, held))

    def called(self, call: Call, seconds: float) -> None:
        self.calls.append((call, seconds))

    def backlog(self, backlog: Backlog) -> None:
        self.backlogs.append(backlog)

    def oldest_received(self, age: float) -> None:
        self.ages.append(age)

    def trouble(self, trouble: Trouble) -> None:
        self.troubles.append(trouble)


class FakeSink:
    """The real steps of `writer.mongodb.apply` on a `FakeStore`."""

    def __init__(self, store: FakeStore | None = None) -> None:
        self.store = store or FakeStore()
        self.faults = Faults()

    @property
    def documents(self) -> defaultdict[str, dict[str, dict[str, Any]]]:
        return self.store.documents

    @property
    def required(self) -> dict[str, str]:
        return self.store.required

    @property
    def unique(self) -> dict[str, str]:
        return self.store.unique

    def all(self, collection: str) -> list[dict[str, Any]]:
        return list(self.documents[collection].values())

    async def ping(self) -> None:
        await self.faults.before("ping")

    async def apply(self, writes: Sequence[Write]) -> Outcome:
        await self.faults.before("apply")
        outcome = await apply(self.store, writes)
        await self.faults.point("after apply")
        return outcome


def _place(write: Write) -> Place:
    target = write.target
    collection = f"{target.database}/{target.collection}" if target.database else target.collection
    return collection, repr(target.document_id)


def _marked(document: dict[str, Any], mark: Mark) -> dict[str, Any]:
    deleted = _metadata(document).get("deleted", {}).get("v", "")
    if max(_version(document), deleted) >= mark.version:
        return document
    at = datetime.fromtimestamp(mark.at / 1000, UTC).replace(tzinfo=None)
    return {**document, "_ddb": {**_metadata(document), "deleted": {"v": mark.version, "at": at}}}


def _metadata(document: dict[str, Any] | None) -> dict[str, Any]:
    metadata = (document or {}).get("_ddb")
    return metadata if isinstance(metadata, dict) else {}


def _version(document: dict[str, Any]) -> str:
    version = _metadata(document).get("v")
    return version if isinstance(version, str) else ""
