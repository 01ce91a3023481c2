"""A model of the whole pipeline: the real decisions, in every order that faults can bring about.

Producer, planning, applying, settling and the batch's way through the service are the real code. The queue
and the database are the fakes that the contract suites hold to the real ones; the model decides which writer
goes on to its next operation, crashes, or loses its lock. After every step the promises are checked. (The
steps of `writer.mongodb.apply` are too deep for random search: `test_delete_race` tries all interleavings of
them.)
"""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, ClassVar, cast

from botocore.exceptions import EndpointConnectionError
from hypothesis.stateful import RuleBasedStateMachine, invariant

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
from writer.processor import BatchProcessor

if TYPE_CHECKING:
    from collections.abc import Coroutine, Mapping, Sequence

    from writer.ports import Message
    from writer.sqs.lease import Lease

KEYS = ("a", "b", "c")
LANES = 2
WRITERS = (0, 1, 2)
QUEUE, DEAD_LETTERS = Queue("queue", 1024 * 1024), Queue("dead", 1024 * 1024)
GARBAGE = "{ this is no envelope"
MOST_TURNS = 2000
LESS_THAN_A_PAUSE = 0.04
"""Seconds that the Lambda has: each message is sent once. The fake answers at once, so no time passes."""


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
        answer = self.runner.run(self.producer.forward({"Records": batch}, lambda: LESS_THAN_A_PAUSE))
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
        lease = SimpleNamespace(lapsed=False, let_go=lambda _: None)
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


LABEL_OF_MODEL = "2020-04-30T17:47:21.395"
REST_OF_CHANGE: tuple[Any, ...] = ("put", {}, 0, "")


def changes_in(body: str) -> list[Change]:
    """The changes of a message; none of garbage."""
    try:
        return [entry for entry in decode(body).entries if isinstance(entry, Change)]
    except PoisonError:
        return []
