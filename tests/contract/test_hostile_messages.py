"""Hostile messages in a real queue, before good ones, into a real MongoDB: one bad record parks one."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import pymongo
import pytest

from local.polling import HANG_TIMEOUT_S
from shared.aws import sqs_client
from tests.support.builders import TABLE, body_of, put
from tests.support.hostile import HOSTILE
from tests.support.writer_context import context_on
from writer.mapping.rules import Rules
from writer.mongodb.sink import MongoSink
from writer.runtime import SystemClock
from writer.service import Service
from writer.sqs.inbox import SqsInbox

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.stack import Stack
    from tests.conftest import Queues

pytestmark = pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning")  # letters of 1 MiB

FIRST_GOOD = 10_000
REFUSED = 60
"""Changes of one key of which MongoDB takes none, by the collection's validator."""

TAKE_LONG = {"many entries that are none", "nested a thousand levels", "nested hundreds of levels"}
"""To park, because they make thousands of letters."""

MESSAGES: dict[str, Callable[[], str]] = {
    **{kind: make for kind, make in HOSTILE.items() if kind not in TAKE_LONG},
    "many changes of one document, refused": lambda: body_of(
        put(1, 9_000), *(put(number, 9_000, refused=True) for number in range(2, REFUSED + 2))
    ),
}


async def test_good_messages_arrive_behind_hostile_ones(
    stack: Stack,
    queues: Queues,
    database: str,
    aws_environment: None,  # noqa: ARG001 - needed for its effect
) -> None:
    """In the same lane, received together or not; what is hostile is written or parked, and nothing waits."""
    sqs = stack.client("sqs")
    good = range(FIRST_GOOD, FIRST_GOOD + len(MESSAGES))
    for number, make in zip(good, MESSAGES.values(), strict=True):
        for body in (make(), body_of(put(number, number, n=number))):
            sqs.send_message(
                QueueUrl=queues.url,
                MessageBody=body,
                MessageGroupId=f"lane-{number % 3}",
                MessageDeduplicationId=f"{number}-{len(body)}",
            )
    with pymongo.MongoClient[dict[str, Any]](stack.mongodb_uri) as client:
        client[database].create_collection(TABLE, validator={"refused": {"$exists": False}})
    sink = MongoSink.connect(stack.mongodb_uri, database, 2)
    await sink.open()
    context = context_on(SystemClock())
    with pymongo.MongoClient[dict[str, Any]](stack.mongodb_uri) as client:
        collection = client[database][TABLE]
        async with sqs_client(6, attempts=2, read_timeout=HANG_TIMEOUT_S) as aio:
            inbox = SqsInbox(aio, queues.url, queues.dead_letter_url)
            await inbox.open()
            running = asyncio.create_task(Service(context, inbox, sink, Rules()).run(2, 20))
            until = time.monotonic() + HANG_TIMEOUT_S
            while collection.count_documents({"_id": {"$in": list(good)}}) < len(good):
                assert time.monotonic() < until
                assert not running.done()
                await asyncio.sleep(0.05)
            context.stop.set()
            await running
        assert collection.find_one({"_id": 9_000}, {"_ddb.v": 1, "refused": 1}) == {
            "_id": 9_000,
            "_ddb": {"v": "2020-04-30T17:47:21.395 01 1"},
        }
    sink.close()
    assert _in(stack, queues.url) == 0
    assert _in(stack, queues.dead_letter_url) > REFUSED


def _in(stack: Stack, url: str) -> int:
    """Messages in a queue, in whatever state."""
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    answer = stack.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=names)  # type: ignore[arg-type]
    return sum(map(int, answer["Attributes"].values()))
