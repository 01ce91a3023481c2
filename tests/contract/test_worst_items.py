"""The worst items that DynamoDB takes, through a real queue with messages of 1 MiB, into a real MongoDB.

The Lambda and the writer are the real ones, each with its own client; the judge is `tests.support.oracle`.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pymongo
import pytest

from local.polling import HANG_TIMEOUT_S
from producer_lambda import handler
from shared.attribute_values import encode_item
from shared.aws import sqs_client
from shared.change import Change
from shared.envelope import decode
from tests.support.lambda_environment import LONGEST_INVOCATION_S, Deadline
from tests.support.lambda_events import in_lambda_event
from tests.support.oracle import compare
from tests.support.strategies import TABLE, stream_record
from tests.support.worst_items import MOST_ITEM_BYTES, WORST_ITEMS, size_of_item
from tests.support.writer_context import context_on
from writer.mapping.rules import Rules
from writer.mongodb.sink import MongoSink
from writer.processor import BatchProcessor
from writer.runtime import SystemClock
from writer.sqs.inbox import SqsInbox
from writer.sqs.lease import Lease

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from pymongo.collection import Collection
    from types_boto3_sqs import SQSClient

    from local.stack import Stack
    from tests.conftest import DeployLambda, Queues
    from tests.support.strategies import Item
    from writer.context import Context
    from writer.ports import Message

# aiohttp finds a batch call of 1 MiB large; it is an error here, and nothing in Lambda.
pytestmark = pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning")

KEY: Item = {"id": {"S": "1"}}
KINDS = [
    *("random binary", "control characters", "control characters and text", "non-characters"),
    *("astral characters", "empty binaries", "set of long numbers", "set of short numbers", "short names"),
    *("long names", "deep nesting", "many tiny attributes", "attributes with long names"),
]
KINDS_THAT_FIT_TWICE = [
    "non-characters",
    "astral characters",
    "set of long numbers",
    "short names",
    "long names",
]


@dataclass
class Pipeline:
    """Lambda, queue, writer, database."""

    sqs: SQSClient
    queues: Queues
    inbox: SqsInbox
    context: Context
    processor: BatchProcessor
    collection: Collection[dict[str, Any]]

    async def replicate(self, name: str, sequence: int, new: Item, old: Item | None = None) -> Message:
        """One record, all the way; returns the message in which it travelled."""
        record = stream_record(
            name,
            sequence,
            key=KEY,
            new=in_lambda_event(new),
            old=None if old is None else in_lambda_event(old),
        )
        event = json.loads(json.dumps({"Records": [record]}))
        response = await asyncio.to_thread(handler.lambda_handler, event, Deadline(LONGEST_INVOCATION_S))
        assert response == {"batchItemFailures": []}
        assert self._letters() == []
        messages = await self.inbox.receive()
        lease = Lease(self.context, self.inbox, messages, self.context.clock.monotonic())
        await self.processor.process(messages, lease)
        assert self._letters() == []
        (message,) = messages
        return message

    def _letters(self) -> list[str]:
        """The reasons of the dead letters."""
        answer = self.sqs.receive_message(
            QueueUrl=self.queues.dead_letter_url, MaxNumberOfMessages=10, MessageAttributeNames=["All"]
        )
        return [str(letter.get("MessageAttributes")) for letter in answer.get("Messages", [])]


@pytest.fixture
async def pipeline(
    stack: Stack,
    queues: Queues,
    database: str,
    aws_environment: None,  # noqa: ARG001 - needed for its effect
) -> AsyncIterator[Pipeline]:
    sink = MongoSink.connect(stack.mongodb_uri, database, 4)
    await sink.open()
    with pymongo.MongoClient[dict[str, Any]](stack.mongodb_uri) as client:
        async with sqs_client(4, attempts=2, read_timeout=HANG_TIMEOUT_S) as sqs:
            inbox = SqsInbox(sqs, queues.url, queues.dead_letter_url)
            await inbox.open()
            context = context_on(SystemClock())
            processor = BatchProcessor(context, inbox, sink, Rules())
            yield Pipeline(stack.client("sqs"), queues, inbox, context, processor, client[database][TABLE])
    sink.close()


def worst(kind: str) -> Item:
    """Another item at each call, of legal size."""
    item = {**WORST_ITEMS[kind](), **KEY}
    assert size_of_item(item) <= MOST_ITEM_BYTES
    return item


@pytest.mark.parametrize("kind", KINDS)
async def test_the_worst_items_arrive(pipeline: Pipeline, deploy_lambda: DeployLambda, kind: str) -> None:
    """As a new item, and in place of one of its kind: nothing is parked, nothing is changed (P3, P6)."""
    deploy_lambda(pipeline.queues.url, pipeline.queues.dead_letter_url)
    before, after = worst(kind), worst(kind)
    await pipeline.replicate("INSERT", 1, before)
    comparison = compare([before], pipeline.collection.find(), list(KEY))
    assert comparison.is_same, str(comparison)
    await pipeline.replicate("MODIFY", 2, after, before)
    comparison = compare([after], pipeline.collection.find(), list(KEY))
    assert comparison.is_same, str(comparison)


@pytest.mark.parametrize("kind", KINDS_THAT_FIT_TWICE)
async def test_the_worst_items_arrive_with_old_values(
    pipeline: Pipeline, deploy_lambda: DeployLambda, kind: str
) -> None:
    """The old value of the large attribute travels in the same message, if the two fit into it."""
    deploy_lambda(pipeline.queues.url, pipeline.queues.dead_letter_url, old_image_fields="a")
    before, after = worst(kind), worst(kind)
    message = await pipeline.replicate("MODIFY", 2, after, before)
    (change,) = decode(message.body).entries
    assert isinstance(change, Change)
    assert change.old == encode_item({"a": before["a"]})[0]
    comparison = compare([after], pipeline.collection.find(), list(KEY))
    assert comparison.is_same, str(comparison)


@pytest.mark.parametrize("kind", ["random binary", "control characters and text"])
async def test_old_values_that_do_not_fit_do_not_stop_the_item(
    pipeline: Pipeline, deploy_lambda: DeployLambda, kind: str
) -> None:
    """The new image is what counts: it travels alone, and the writer takes its old values for unknown."""
    deploy_lambda(pipeline.queues.url, pipeline.queues.dead_letter_url, old_image_fields="a")
    before, after = worst(kind), worst(kind)
    message = await pipeline.replicate("MODIFY", 2, after, before)
    (change,) = decode(message.body).entries
    assert isinstance(change, Change)
    assert change.old is None
    comparison = compare([after], pipeline.collection.find(), list(KEY))
    assert comparison.is_same, str(comparison)
