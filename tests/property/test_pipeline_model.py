"""The promises hold in the model of the pipeline, whatever happens to it; and the model can tell.

The mutants at the end take one protection away each, and the model must notice.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule, run_state_machine_as_test

from producer_lambda.forward import Producer
from tests.support.fake_sink import FakeStore
from tests.support.pipeline_model import GARBAGE, KEYS, LANES, WRITERS, Model
from tests.support.strategies import TABLE
from writer.processor import NO_TURN, BatchProcessor, Result, Turn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from writer.mongodb.apply import Tombstone
    from writer.planning.plan import Plan
    from writer.planning.settle import Settlement
    from writer.ports import Failure, Message
    from writer.sqs.lease import Lease
    from writer.write import Write

# Thousands of runs: the log lines of each would only hide the failure.
pytestmark = pytest.mark.usefixtures("_silence")


@pytest.fixture
def _silence() -> Iterator[None]:
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


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


QUICK = settings(max_examples=150, stateful_step_count=40)


def test_the_promises_hold_whatever_happens() -> None:
    """P1 to P3 under crashes, lapsed locks, redelivery, redrive, lost answers and refused lanes."""
    run_state_machine_as_test(Pipeline, settings=QUICK)


class Unguarded(FakeStore):
    def is_older(self, present: dict[str, Any], version: str) -> bool:  # noqa: ARG002 - whatever they are
        return True


class WithoutTombstones(FakeStore):
    async def write_tombstones(self, tombstones: Sequence[tuple[Write, Tombstone]]) -> Mapping[int, Failure]:  # noqa: ARG002 - it writes none
        return {}


class AcknowledgesFirst(BatchProcessor):
    async def process(
        self,
        messages: Sequence[Message],
        lease: Lease,
        on_plan: Callable[[Plan], None] = lambda _: None,
        turn: Turn = NO_TURN,
    ) -> Result:
        await self._inbox.delete(messages)
        return await super().process(messages, lease, on_plan, turn)


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
