"""A model of the whole pipeline: the real decisions, in every order that faults can bring about.

Producer, planning, applying, settling and the batch's way through the service are the real code. The queue
and the database are the fakes that the contract suites hold to the real ones; the model decides which writer
goes on to its next operation, crashes, or loses its lock. After every step the promises are checked. The
mutants at the end take one protection away each, and the model must notice. (The steps of
`writer.mongodb.apply` are too deep for random search: `test_delete_race` tries all interleavings of them.)
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, ClassVar, cast

import pytest
from botocore.exceptions import EndpointConnectionError
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from producer_lambda.forward import Producer
from producer_lambda.sending import Queue
from producer_lambda.settings import Settings
from shared.change import Change
from shared.envelope import decode
from shared.errors import PoisonError
from tests.support.fake_clock import FakeClock
from tests.support.fake_inbox import FakeInbox
from tests.support.fake_sink import FakeSink, FakeStore
from tests.support.strategies import TABLE, stream_record
from tests.support.writer_context import context_on
from writer.mapping.rules import Rules
from writer.mongodb.apply import Tombstone
from writer.processor import BatchProcessor, Ending

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence

    from writer.planning.plan import Plan
    from writer.planning.settle import Settlement
    from writer.ports import Message
    from writer.sqs.lease import Lease
    from writer.write import Write

KEYS = ("a", "b", "c")
LANES = 2
WRITERS = (0, 1, 2)
QUEUE, DEAD_LETTERS = Queue("queue", 1024 * 1024), Queue("dead", 1024 * 1024)
GARBAGE = "{ this is no envelope"
MOST_TURNS = 2000

# Thousands of runs: the log lines of each would only hide the failure.
pytestmark = pytest.mark.usefixtures("_silence")


@pytest.fixture
def _silence() -> Iterator[None]:
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


class ModelSqs:
    """`SendMessageBatch` into the fake queue: deduplicates, refuses lanes, loses answers, as it is told."""

    def __init__(self, inbox: FakeInbox) -> None:
        self._inbox = inbox
        self._known: set[str] = set()
        self.refusing: frozenset[str] = frozenset()
        self.answers_get_lost = False
        self.sent: list[tuple[str, str]] = []

    async def send_message_batch(self, *, QueueUrl: str, Entries: list[dict[str, str]]) -> Any:  # noqa: N803 - AWS's names
        assert QueueUrl == QUEUE.url
        answer: dict[str, list[dict[str, Any]]] = {"Successful": [], "Failed": []}
        for entry in Entries:
            if entry["MessageGroupId"] in self.refusing:
                answer["Failed"].append({"Id": entry["Id"], "Code": "InternalError", "SenderFault": False})
                continue
            answer["Successful"].append({"Id": entry["Id"]})
            if entry["MessageDeduplicationId"] not in self._known:
                self._known.add(entry["MessageDeduplicationId"])
                self._inbox.send(entry["MessageBody"], entry["MessageGroupId"])
                self.sent.append((entry["MessageBody"], entry["MessageGroupId"]))
        if self.answers_get_lost:
            raise EndpointConnectionError(endpoint_url="queue")
        return answer

    def forget_deduplication_ids(self) -> None:
        self._known.clear()


@dataclass
class Holder:
    """A writer with a batch in hand, stopped somewhere on its way."""

    messages: Sequence[Message]
    lease: SimpleNamespace
    way: Coroutine[Any, Any, object]

    def go_on(self) -> bool:
        """Goes on to its next operation; False when the batch is done."""
        try:
            self.way.send(None)
        except StopIteration:
            return False
        return True


class Model(RuleBasedStateMachine):
    """The pipeline, what can happen to it, and the promises; the subclasses choose what does happen."""

    store_class: ClassVar[type[FakeStore]] = FakeStore
    sink_class: ClassVar[type[FakeSink]] = FakeSink
    processor_class: ClassVar[type[BatchProcessor]] = BatchProcessor
    producer_class: ClassVar[type[Producer]] = Producer
    sweeps: ClassVar[bool] = True

    def __init__(self) -> None:
        super().__init__()
        self.clock = FakeClock()
        self.inbox = FakeInbox(self.clock)
        self.store = self.store_class()
        self.store.at_point = self._operation
        sink = self.sink_class(self.store)
        self.processor = self.processor_class(context_on(self.clock), self.inbox, sink, Rules())
        self.sqs = ModelSqs(self.inbox)
        self.runner = asyncio.Runner()
        configuration = Settings("queue", "dead", LANES, frozenset(), "ERROR")
        self.producer = self.producer_class(cast("Any", self.sqs), QUEUE, DEAD_LETTERS, configuration)
        self.numbers = itertools.count(10**21)
        self.items: dict[str, dict[str, Any]] = {}
        self.stream: list[dict[str, Any]] = []
        self.forwarded = 0
        self.holders: dict[int, Holder] = {}
        self.dead: list[tuple[str, str]] = []
        self.garbage = 0
        self.seen: dict[str, str] = {}
        self.crashed = False

    async def _operation(self, _: str) -> None:
        await asyncio.sleep(0)  # hands over to the model, which decides who goes on

    def change(self, key: str, value: int | None) -> None:
        """An application puts the item with a value, or deletes it (None)."""
        image = None if value is None else {"id": {"S": key}, "n": {"N": str(value)}}
        name = "REMOVE" if image is None else "MODIFY" if key in self.items else "INSERT"
        number, old = next(self.numbers), self.items.pop(key, None)
        self.stream.append(stream_record(name, number, key={"id": {"S": key}}, new=image, old=old))
        if image is not None:
            self.items[key] = image

    def forward(self, count: int, refusing: frozenset[str] = frozenset(), *, lost: bool = False) -> None:
        """Lambda is invoked with the next records; its answer moves the position in the stream."""
        self.sqs.refusing, self.sqs.answers_get_lost = refusing, lost
        batch = self.stream[self.forwarded : self.forwarded + count]
        answer = self.runner.run(self.producer.forward({"Records": batch}, lambda: 0.0))
        failed = [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]
        numbers = [record["dynamodb"]["SequenceNumber"] for record in batch]
        self.forwarded += numbers.index(failed[0]) if failed else len(batch)

    def take(self, most: int) -> None:
        """A free writer receives."""
        self.inbox.most = most
        receiving = self.inbox.receive()
        try:
            while True:
                receiving.send(None)
        except StopIteration as received:
            messages: Sequence[Message] = received.value
        lease = SimpleNamespace(lapsed=False)
        way = self.processor.process(messages, cast("Lease", lease))
        free = min(set(WRITERS) - self.holders.keys())
        self.holders[free] = Holder(messages, lease, way)

    def proceed(self, writer: int, operations: int) -> None:
        """A writer goes on with its batch, while all the others stand still."""
        for _ in range(operations):
            if not self.holders[writer].go_on():
                del self.holders[writer]
                break

    def kill(self, writer: int) -> None:
        """A writer dies where it stands; its messages become visible again."""
        holder = self.holders.pop(writer)
        holder.way.close()
        self.inbox.lapse(holder.messages)
        self.crashed = True

    def lapse(self, writer: int, *, noticed: bool) -> None:
        """The visibility timeout of a writer's messages ends; if it is frozen, it does not notice."""
        holder = self.holders[writer]
        self.inbox.lapse(holder.messages)
        holder.lease.lapsed = noticed

    def sweep_all(self) -> None:
        """The sweep runs, unless it is missing."""
        if self.sweeps:
            self.store.sweep()
            self.crashed = False

    # --- the promises -------------------------------------------------------------------------------

    @property
    def documents(self) -> Mapping[str, dict[str, Any]]:
        return {document["_id"]: document for document in self.store.documents[TABLE].values()}

    def _tombstone(self, key: str) -> str:
        return self.store.tombstones.get((TABLE, repr(key)), Tombstone()).removed

    @invariant()
    def no_document_goes_back_in_time(self) -> None:
        """P2: a document is never replaced by an older version."""
        present = {key: document["_ddb"]["v"] for key, document in self.documents.items()}
        for key, version in present.items():
            assert version >= self.seen.get(key, ""), f"{key} went back in time"
        self.seen = present

    @invariant()
    def no_deleted_item_stays(self) -> None:
        """P2: when nobody is at work, no document is older than its deletion."""
        if self.holders or self.crashed:
            return
        for key, document in self.documents.items():
            assert document["_ddb"]["v"] >= self._tombstone(key), f"{key} came back"

    @invariant()
    def nothing_is_lost(self) -> None:
        """P3: the newest change of every item is applied, or somewhere on its way; garbage is parked."""
        bodies = [*self.inbox.bodies, *(letter.body for letter in self.inbox.letters)]
        bodies += [body for body, _ in self.dead]
        assert bodies.count(GARBAGE) >= self.garbage
        on_the_way = {change.version for body in bodies for change in changes_in(body)}
        waiting = {record["dynamodb"]["SequenceNumber"] for record in self.stream[self.forwarded :]}
        for record in self.stream:
            body = record["dynamodb"]
            key, number = body["Keys"]["id"]["S"], body["SequenceNumber"]
            if number != self._newest_number(key) or number in waiting:
                continue
            version = Change(TABLE, LABEL_OF_MODEL, number, *REST_OF_CHANGE).version
            if version in on_the_way:
                continue
            if "NewImage" in body:
                document = self.documents.get(key)
                assert document is not None, f"{key} is lost"
                assert document["_ddb"]["v"] == version, f"{key} is lost"
            else:
                assert self._tombstone(key) >= version, f"the deletion of {key} is lost"

    def _newest_number(self, key: str) -> str:
        numbers = (r["dynamodb"] for r in reversed(self.stream) if r["dynamodb"]["Keys"]["id"]["S"] == key)
        return str(next(numbers)["SequenceNumber"])

    def teardown(self) -> None:
        """P1: once traffic and faults stop, MongoDB equals DynamoDB."""
        try:
            while self.forwarded < len(self.stream):
                self.forward(100)
            letters = [
                (letter.body, letter.group) for letter in self.inbox.letters if changes_in(letter.body)
            ]
            for body, group in [*self.dead, *letters]:
                self.inbox.send(body, group)
            self.dead.clear()
            for _ in range(MOST_TURNS):
                if self.holders:
                    for writer in list(self.holders):
                        self.proceed(writer, 1)
                elif self.inbox.receivable:
                    self.take(10)
                else:
                    break
            else:
                raise AssertionError("the queue never became empty")
            self.sweep_all()
            self.nothing_is_lost()
            found = {key: document["n"] for key, document in self.documents.items()}
            assert found == {key: int(item["n"]["N"]) for key, item in self.items.items()}
        finally:
            for holder in self.holders.values():
                holder.way.close()
            self.runner.close()


def busy(model: Model) -> bool:
    return bool(model.holders)


def can_receive(model: Model) -> bool:
    return bool(model.inbox.receivable) and len(model.holders) < len(WRITERS)


some_writer = st.runner().flatmap(lambda model: st.sampled_from(sorted(model.holders)))


class Pipeline(Model):
    """Items change, the Lambda forwards, writers drain, and everything that can go wrong does."""

    @rule(key=st.sampled_from(KEYS), value=st.integers(0, 9))
    def put(self, key: str, value: int) -> None:
        self.change(key, value)

    @precondition(lambda self: self.items)
    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        self.change(data.draw(st.sampled_from(sorted(self.items))), None)

    @precondition(lambda self: self.forwarded < len(self.stream))
    @rule(
        count=st.integers(1, 6),
        refusing=st.frozensets(st.sampled_from([f"{TABLE}/{lane}" for lane in range(LANES)])),
        lost=st.booleans(),
    )
    def invoke(self, count: int, refusing: frozenset[str], *, lost: bool) -> None:
        self.forward(count, refusing, lost=lost)

    @rule()
    def five_minutes_pass(self) -> None:
        self.sqs.forget_deduplication_ids()

    @precondition(lambda self: self.sqs.sent)
    @rule(data=st.data())
    def an_old_message_comes_again(self, data: st.DataObject) -> None:
        self.inbox.send(*data.draw(st.sampled_from(self.sqs.sent)))

    @rule(lane=st.integers(0, LANES - 1))
    def somebody_sends_garbage(self, lane: int) -> None:
        self.inbox.send(GARBAGE, f"{TABLE}/{lane}")
        self.garbage += 1

    @precondition(lambda self: self.inbox.receivable)
    @rule(data=st.data())
    def a_message_was_received_too_often(self, data: st.DataObject) -> None:
        message = self.inbox.take_out(data.draw(st.sampled_from(self.inbox.receivable)))
        self.dead.append((message.body, message.group))

    @precondition(lambda self: self.dead)
    @rule(data=st.data())
    def redrive(self, data: st.DataObject) -> None:
        letter = data.draw(st.sampled_from(self.dead))
        self.dead.remove(letter)
        self.inbox.send(*letter)

    @precondition(can_receive)
    @rule(most=st.integers(1, 3))
    def receive(self, most: int) -> None:
        self.take(most)

    @precondition(busy)
    @rule(writer=some_writer, operations=st.integers(1, 5))
    def go_on(self, writer: int, operations: int) -> None:
        self.proceed(writer, operations)

    @precondition(busy)
    @rule(writer=some_writer)
    def crash(self, writer: int) -> None:
        self.kill(writer)

    @precondition(busy)
    @rule(writer=some_writer, noticed=st.booleans())
    def a_lock_lapses(self, writer: int, *, noticed: bool) -> None:
        self.lapse(writer, noticed=noticed)

    @rule()
    def sweep(self) -> None:
        self.sweep_all()


LABEL_OF_MODEL = "2020-04-30T17:47:21.395"
REST_OF_CHANGE: tuple[Any, ...] = ("put", {}, 0, "")


def changes_in(body: str) -> list[Change]:
    """The changes of a message; none of garbage."""
    try:
        return [entry for entry in decode(body).entries if isinstance(entry, Change)]
    except PoisonError:
        return []


QUICK = settings(max_examples=150, stateful_step_count=40)


def test_the_promises_hold_whatever_happens() -> None:
    """P1 to P3 under crashes, lapsed locks, redelivery, redrive, lost answers and refused lanes."""
    run_state_machine_as_test(Pipeline, settings=QUICK)


class Unguarded(FakeStore):
    def is_older(self, present: dict[str, Any], version: str) -> bool:  # noqa: ARG002 - whatever they are
        return True


class WithoutTombstones(FakeStore):
    async def write_tombstones(self, tombstones: Sequence[tuple[Write, Tombstone]]) -> None:
        pass


class AcknowledgesFirst(BatchProcessor):
    async def process(
        self, messages: Sequence[Message], lease: Lease, on_plan: Callable[[Plan], None] = lambda _: None
    ) -> Ending:
        await self._inbox.delete(messages)
        return await super().process(messages, lease, on_plan)


class ParksNothing(BatchProcessor):
    async def _settle(self, settlement: Settlement, lease: Lease) -> bool:
        return await super()._settle(replace(settlement, park=()), lease)


class ReportsSuccess(Producer):
    async def forward(self, event: Any, remaining: Any) -> Any:
        await super().forward(event, remaining)
        return {"batchItemFailures": []}


MUTANTS: dict[str, dict[str, Any]] = {
    "no guard": {"store_class": Unguarded},
    "no tombstones": {"store_class": WithoutTombstones},
    "acknowledging before the write": {"processor_class": AcknowledgesFirst},
    "acknowledging poison without parking it": {"processor_class": ParksNothing},
    "reporting a record that was not sent as sent": {"producer_class": ReportsSuccess},
}


@pytest.mark.parametrize("mutant", MUTANTS)
def test_the_model_notices_what_is_missing(mutant: str) -> None:
    """Each protection is needed: without it the model finds a broken promise."""
    search = settings(
        QUICK, max_examples=5000, phases=[Phase.generate], derandomize=True, report_multiple_bugs=False
    )
    with pytest.raises(AssertionError):
        run_state_machine_as_test(type("Mutant", (Pipeline,), MUTANTS[mutant]), settings=search)
