"""The writer's ports in memory. The contract suites run against these and the real servers alike."""

from __future__ import annotations

import asyncio
import math
from collections import defaultdict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import bson

from writer.ports import Failure, FailureKind, Message, Outcome

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

    from shared.dead_letter import DeadLetter
    from writer.plan import Write

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


class FakeInbox:
    """A FIFO queue with group locks and a dead-letter queue."""

    def __init__(self, clock: FakeClock, visibility: float = 30.0, park_limit: int = 1024 * 1024) -> None:
        self.visibility = visibility
        self.received_visibility = visibility
        """For how long `receive` locks; `extend` locks for `visibility`."""
        self.park_limit = park_limit
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
            if stored.message.group not in blocked and len(taken) < 10:
                receives = stored.message.receives + 1
                self.most_receives = max(self.most_receives, receives)
                receipt = f"{stored.message.id}/{receives}"
                stored.message = replace(stored.message, receives=receives, receipt=receipt)
                stored.visible_at = self.clock.time + self.received_visibility
                taken.append(stored.message)
        return taken

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
            if (stored := self._hold(message)) is not None:
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


class FakeSink:
    """Documents and tombstones in dicts, under the guard that the real sink has."""

    def __init__(self) -> None:
        self.documents: defaultdict[str, dict[str, dict[str, Any]]] = defaultdict(dict)
        self.required: dict[str, str] = {}
        """By collection, a field that its validator demands."""
        self.unique: dict[str, str] = {}
        """By collection, a field with a unique index."""
        self.faults = Faults()
        self._tombstones: dict[tuple[str, str], str] = {}

    def all(self, collection: str) -> list[dict[str, Any]]:
        return list(self.documents[collection].values())

    async def ping(self) -> None:
        await self.faults.before("ping")

    async def apply(self, writes: Sequence[Write]) -> Outcome:
        await self.faults.before("apply")
        failures: dict[int, Failure] = {}
        counts = dict.fromkeys(("inserted", "modified", "deleted", "stale"), 0)
        for index, write in enumerate(writes):
            result = self._apply(write)
            if isinstance(result, Failure):
                failures[index] = result
            else:
                for count in result:
                    counts[count] += 1
        await self.faults.point("after apply")
        return Outcome(failures, **counts)

    def _apply(self, write: Write) -> Failure | Iterable[str]:
        documents, key = self.documents[write.collection], repr(write.document_id)
        tombstone = self._tombstones.get((write.collection, key), "")
        if write.document is None:
            self._tombstones[write.collection, key] = max(tombstone, write.version)
            return self._remove(documents, key, write.version)
        if tombstone > write.version:
            return ("stale", *self._remove(documents, key, tombstone))
        present = documents.get(key)
        if present is not None and _version(present) >= write.version:
            return ("stale",)
        document = bson.decode(write.document)
        if (failure := self._refused(write.collection, key, document)) is not None:
            return failure
        documents[key] = document
        return ("inserted",) if present is None else ("modified",)

    def _remove(self, documents: dict[str, dict[str, Any]], key: str, version: str) -> Sequence[str]:
        if key in documents and _version(documents[key]) <= version:
            del documents[key]
            return ("deleted",)
        return ()

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


def _version(document: dict[str, Any]) -> str:
    metadata = document.get("_ddb")
    version = metadata.get("v") if isinstance(metadata, dict) else None
    return version if isinstance(version, str) else ""
