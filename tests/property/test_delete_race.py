"""Every way in which two writers can fight over the put and the delete of one item, searched to the end.

Random tests find the deep interleavings rarely, so here all of them are tried: whenever a writer is about to
touch the database or the queue, either may go on, freeze (its lock lapses without its noticing), or crash.
`BatchProcessor.process`, planning, settling and the apply steps are the real code; each step of
`writer.mongodb.apply` is then taken out, and the search must find how a deleted item stays.
"""

from __future__ import annotations

import logging
import types
from collections import Counter
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from tests.support.builders import TABLE, body_of, delete, put
from tests.support.fake_clock import FakeClock
from tests.support.fake_inbox import FakeInbox
from tests.support.fake_sink import FakeSink, FakeStore
from tests.support.writer_context import context_on
from writer.mapping.parser import parse_replication
from writer.mapping.rules import Rules
from writer.mongodb.apply import Tombstone, apply
from writer.processor import BatchProcessor

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator, Iterator, Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from shared.change import Change
    from writer.mongodb.apply import Command, Store, Written
    from writer.ports import Failure, Message, Outcome
    from writer.sqs.lease import Lease
    from writer.write import Write

FIRST = 10**21
WRITERS = (0, 1)
Action = tuple[str, int]

PUT, DELETE, PUT_AGAIN = put(FIRST, "a", n=1), delete(FIRST + 1, "a"), put(FIRST + 2, "a", n=2)
MARKS = f"tables: {{{TABLE}: {{deletes: mark}}}}"
MARKED = {"put": (PUT, DELETE), "two puts": (PUT, put(FIRST + 1, "a", n=3), delete(FIRST + 2, "a"))}
CHANGES = {"put and delete": (PUT, DELETE), "put, delete and put": (PUT, DELETE, PUT_AGAIN)}


@types.coroutine
def let_others() -> Generator[str, None, None]:
    """Where another writer may come in between."""
    yield "operation"


@dataclass
class Holder:
    """A writer with a message in hand; `saw`: what it learnt from the database so far.

    `mends`: it began after a crash, so what the crash left must be mended when it ends.
    """

    messages: Sequence[Message]
    way: Coroutine[Any, Any, object]
    mends: bool
    saw: list[object] = field(default_factory=list)

    def go_on(self) -> bool:
        """Performs one operation; False when the batch is done."""
        try:
            while self.way.send(None) != "operation":
                pass
        except StopIteration:
            return False
        return True


class NotedStore(FakeStore):
    """Notes what its answers were."""

    def __init__(self, note: Callable[[object], None]) -> None:
        super().__init__()
        self._note = note

    async def newer_tombstones(self, puts: Sequence[Write]) -> Mapping[int, Tombstone]:
        newer = await super().newer_tombstones(puts)
        self._note(tuple(newer.items()))
        return newer

    def _update(self, command: Command) -> Failure | str:
        result = super()._update(command)
        self._note(result)  # at once: what the answer will say is settled now
        return result


class Race:
    """The item's messages in one lane, two writers, and at most one freeze, one crash, one old message.

    With marks: each message in a lane of its own, as after a redrive, and at most one crash. In one lane
    nothing can happen to a mark: the put before it has always been applied by somebody.
    """

    def __init__(
        self, changes: Sequence[Change], sink_class: type[FakeSink], *, sweeps: bool, marks: bool = False
    ) -> None:
        clock = FakeClock()
        self.inbox = FakeInbox(clock)
        self.inbox.most = 1
        self.inbox.faults.at_point = self._before_acknowledging
        self.bodies = [body_of(change) for change in changes]
        for number, body in enumerate(self.bodies):
            self.inbox.send(body, f"lane-{number if marks else 0}")
        self.changes = changes
        self.store = NotedStore(self.learn)
        self.store.at_point = self._operation
        self.marks = marks
        rules = Rules(parse_replication(MARKS, "replication.yaml") if marks else None)
        self.processor = BatchProcessor(context_on(clock), self.inbox, sink_class(self.store), rules)
        self.holders: dict[int, Holder] = {}
        self.left = Counter(crash=1) if marks else Counter(freeze=1, crash=1, again=1)
        self.running = 0
        self.crashed = False
        self.sweeps = sweeps
        self.seen = ""

    async def _operation(self, name: str) -> None:
        self.learn(name)
        await let_others()

    def learn(self, what: object) -> None:
        """The writer that is going on comes to know something that may decide what it does later."""
        self.holders[self.running].saw.append(what)

    async def _before_acknowledging(self, name: str) -> None:
        if name == "before delete":
            await self._operation(name)

    @property
    def version(self) -> str:
        """Of the document; empty if there is none."""
        return str(self._metadata.get("v", ""))

    @property
    def mark(self) -> str:
        """The version of the document's mark; empty if there is none."""
        return str(self._metadata.get("deleted", {}).get("v", ""))

    @property
    def _metadata(self) -> dict[str, Any]:
        metadata: dict[str, Any] = {}
        for document in self.store.documents[TABLE].values():
            metadata = document["_ddb"]
        return metadata

    @property
    def tombstone(self) -> str:
        found = self.store.tombstones.get((TABLE, repr("a")), Tombstone())
        return found.mark.version if found.mark else found.removed

    def actions(self) -> list[Action]:
        """What can happen next."""
        actions: list[Action] = [("go on", writer) for writer in self.holders]
        actions += [("freeze", writer) for writer in self.holders if self.left["freeze"]]
        actions += [("crash", writer) for writer in self.holders if self.left["crash"]]
        if self.inbox.receivable and len(self.holders) < len(WRITERS):
            actions.append(("receive", min(set(WRITERS) - self.holders.keys())))
        if actions and self.left["again"]:
            actions += [("again", number) for number in range(len(self.bodies))]
        return actions

    def do(self, action: Action) -> None:
        """Lets it happen."""
        match action:
            case ("receive", writer):
                self._receive(writer)
            case ("go on", writer):
                self.running = writer
                if not self.holders[writer].go_on():
                    mended = self.holders.pop(writer).mends
                    self.crashed = self.crashed and not mended
            case ("freeze", writer):
                self.inbox.lapse(self.holders[writer].messages)
            case ("crash", writer):
                holder = self.holders.pop(writer)
                holder.way.close()
                self.inbox.lapse(holder.messages)
                self.crashed = True
            case ("again", number):
                self.inbox.send(self.bodies[number])
        self.left[action[0]] -= 1

    def _receive(self, writer: int) -> None:
        receiving = self.inbox.receive()
        try:
            while True:
                receiving.send(None)
        except StopIteration as received:
            messages: Sequence[Message] = received.value
        lease = cast("Lease", SimpleNamespace(lapsed=False))
        way = self.processor.process(messages, lease)
        self.holders[writer] = Holder(messages, way, self.crashed)

    def check(self) -> None:
        """P2 at every moment, P1 at the end."""
        assert not self.version or self.version >= self.seen, "the document went back in time"
        self.seen = self.version
        if not self.holders and not self.crashed and self.version:
            assert max(self.version, self.mark) >= self.tombstone, "the deleted item came back"
        if not self.holders and not self.inbox.bodies:
            if self.sweeps:
                self.store.sweep()
            assert (self.version, self.mark) == self.expected, "it did not converge"

    @property
    def expected(self) -> tuple[str, str]:
        """How it has to end: the versions of the document and of its mark."""
        *_, newest_put = (change.version for change in self.changes if change.image is not None)
        if self.changes[-1].image is not None:
            return newest_put, ""
        return (newest_put, self.changes[-1].version) if self.marks else ("", "")

    def state(self) -> object:
        """Equal for two histories whose futures are the same."""
        return (
            self.version,
            self.mark,
            self.tombstone,
            tuple((body, body in self.inbox.in_flight) for body in self.inbox.bodies),
            tuple(self.inbox.receivable),
            # Which of the two it is makes no difference, nor how often a message was received.
            frozenset(Counter(self._state_of(holder) for holder in self.holders.values()).items()),
            tuple(sorted(+self.left)),
            self.crashed,
        )

    def _state_of(self, holder: Holder) -> object:
        (message,) = holder.messages
        return message.id, message.receipt in self.inbox.receipts, holder.mends, tuple(holder.saw)

    def close(self) -> None:
        for holder in self.holders.values():
            holder.way.close()


def explore(start: Callable[[], Race]) -> int:
    """Tries everything that can happen; returns how many states there are.

    A race cannot be copied. Where several things can happen, it goes on with the last of them, and each other
    one has a race of its own, which first repeats what led there.
    """
    known: set[object] = set()
    paths: list[tuple[Action, ...]] = [()]
    while paths:
        path = paths.pop()
        race = start()
        try:
            for action in path:
                race.do(action)
                race.check()
            while (state := race.state()) not in known:
                known.add(state)
                if not (actions := race.actions()):
                    break
                *others, last = actions
                paths += [(*path, other) for other in others]
                path = (*path, last)
                race.do(last)
                race.check()
        finally:
            race.close()
    return len(known)


class Partial:
    """A store of one batch that leaves something out."""

    def __init__(self, store: FakeStore) -> None:
        self.store = store
        self.wrote = False
        self.late: list[tuple[Write, Tombstone]] = []

    async def write_tombstones(self, tombstones: Sequence[tuple[Write, Tombstone]]) -> Mapping[int, Failure]:
        return await self.store.write_tombstones(tombstones)

    async def newer_tombstones(self, puts: Sequence[Write]) -> Mapping[int, Tombstone]:
        return await self.store.newer_tombstones(puts)

    async def write(self, commands: Sequence[Command]) -> Written:
        self.wrote = True
        return await self.store.write(commands)

    async def exchange(self, commands: Sequence[Command], written: Written) -> None:
        await self.store.exchange(commands, written)

    def helped(self, databases: AbstractSet[str]) -> Sequence[Write]:
        return self.store.helped(databases)

    def looked_at(self, helped: Sequence[Write]) -> None:
        self.store.looked_at(helped)


class BlindBefore(Partial):
    async def newer_tombstones(self, puts: Sequence[Write]) -> Mapping[int, Tombstone]:
        return await super().newer_tombstones(puts) if self.wrote else {}


class BlindAfterwards(Partial):
    async def newer_tombstones(self, puts: Sequence[Write]) -> Mapping[int, Tombstone]:
        return {} if self.wrote else await super().newer_tombstones(puts)


class TombstonesLast(Partial):
    async def write_tombstones(self, tombstones: Sequence[tuple[Write, Tombstone]]) -> Mapping[int, Failure]:
        self.late = list(tombstones)
        return {}

    async def write(self, commands: Sequence[Command]) -> Written:
        written = await super().write(commands)
        if self.late:
            await self.store.write_tombstones(self.late)
        return written


def sink_with(partial: type[Partial]) -> type[FakeSink]:
    class PartialSink(FakeSink):
        async def apply(self, writes: Sequence[Write]) -> Outcome:
            store: Store = partial(self.store)
            return await apply(store, writes)

    return PartialSink


@pytest.fixture(autouse=True)
def _silence() -> Iterator[None]:
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize("changes", CHANGES)
def test_whatever_two_writers_do_a_deleted_item_stays_deleted(changes: str) -> None:
    """P1 and P2 in all interleavings with a freeze, a crash and an old message that comes again."""
    states = explore(lambda: Race(CHANGES[changes], FakeSink, sweeps=True))
    assert states > 1000


@pytest.mark.parametrize("changes", MARKED)
def test_whatever_two_writers_do_a_deleted_item_is_marked(changes: str) -> None:
    """P1 in all interleavings and orders of puts and a deletion that leaves the document; without sweeps."""
    states = explore(lambda: Race(MARKED[changes], FakeSink, sweeps=False, marks=True))
    assert states > 100


class ForgetsMarks(FakeSink):
    async def apply(self, writes: Sequence[Write]) -> Outcome:
        return await apply(self.store, [write._replace(keeps_marks=False) for write in writes])


MUTANTS: dict[str, tuple[type[FakeSink], bool]] = {
    "tombstones after the delete": (sink_with(TombstonesLast), True),
    "no look at the tombstones before the write": (sink_with(BlindBefore), True),
    "no look at the tombstones after the write": (sink_with(BlindAfterwards), True),
    "no sweep": (FakeSink, False),
}


@pytest.mark.parametrize("mutant", MUTANTS)
def test_every_step_is_needed(mutant: str) -> None:
    """Without the step there is a way in which a deleted item comes back."""
    sink_class, sweeps = MUTANTS[mutant]
    with pytest.raises(AssertionError, match=r"came back|did not converge"):
        explore(lambda: Race(CHANGES["put and delete"], sink_class, sweeps=sweeps))


FOR_MARKS = [*(name for name in MUTANTS if name != "no sweep"), "marks not kept by puts"]


@pytest.mark.parametrize("mutant", FOR_MARKS)
def test_every_step_is_needed_for_marks(mutant: str) -> None:
    """Without the step there is a way in which a deleted item is not marked."""
    sink_class, _ = MUTANTS.get(mutant, (ForgetsMarks, False))
    with pytest.raises(AssertionError, match=r"came back|did not converge"):
        _explore_marked(sink_class)


def _explore_marked(sink_class: type[FakeSink]) -> None:
    for changes in MARKED.values():
        explore(lambda changes=changes: Race(changes, sink_class, sweeps=False, marks=True))  # type: ignore[misc]
