"""A queue in memory that speaks SQS's protocol, in its own process: to measure the way to it.

    python -m bench.network_queue FILE    # writes its port, and serves until its standard input ends

The emulator hands out one message of each of many groups, which locks them all. SQS, and this one, hand out
as many messages of a group as there are. It serves one queue with the messages of a load, and an empty
dead-letter queue.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aiohttp import web

from bench.endpoint import HOST, Endpoint, action_of, serve
from bench.load import read
from follow.memory_inbox import MemoryInbox
from writer.runtime import SystemClock

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from writer.ports import Message

QUEUE, DEAD = "benchmark.fifo", "benchmark-dead-letter.fifo"

_PAUSE = 0.02  # seconds between two looks of a long poll
VISIBILITY = 60
_LIMIT = 1024 * 1024
_DEAD_ARN = f"arn:aws:sqs:us-east-1:000000000000:{DEAD}"


class NetworkQueue(Endpoint):
    """The queue with a load."""

    def __init__(self, load: Path) -> None:
        super().__init__("bench.network_queue", str(load))
        self.address = f"{HOST}:{self.port}"


class Answers:
    """What SQS answers about one queue; by the names of its actions."""

    def __init__(self, inbox: MemoryInbox) -> None:
        self._inbox = inbox
        self._held: dict[str, Message] = {}
        self._attempts: dict[str, Sequence[Message]] = {}
        self.again = 0
        """Messages that were handed out a second time, or more often."""

    async def to(self, action: str, content: Mapping[str, Any]) -> Mapping[str, Any]:
        """Answers one request."""
        actions: Mapping[str, Callable[[Mapping[str, Any]], Awaitable[Mapping[str, Any]]]] = {
            "GetQueueAttributes": self._attributes,
            "ReceiveMessage": self._receive,
            "DeleteMessageBatch": self._delete,
            "ChangeMessageVisibilityBatch": self._change_visibility,
        }
        return await actions[action](content)

    async def _attributes(self, content: Mapping[str, Any]) -> Mapping[str, Any]:
        found = {
            "FifoQueue": "true",
            "MaximumMessageSize": str(_LIMIT),
            "ApproximateNumberOfMessages": "0",
            "ApproximateNumberOfMessagesNotVisible": "0",
        }
        if content["QueueUrl"].endswith(DEAD):
            return {"Attributes": {**found, "QueueArn": _DEAD_ARN}}
        policy = {"deadLetterTargetArn": _DEAD_ARN, "maxReceiveCount": 10}
        of_queue = {"VisibilityTimeout": str(VISIBILITY), "RedrivePolicy": json.dumps(policy)}
        return {"Attributes": {**found, **of_queue}}

    async def _receive(self, content: Mapping[str, Any]) -> Mapping[str, Any]:
        attempt = content.get("ReceiveRequestAttemptId", "")
        if attempt not in self._attempts:
            until = asyncio.get_running_loop().time() + content.get("WaitTimeSeconds", 0)
            taken = self._inbox.take(content["MaxNumberOfMessages"])
            while not taken and asyncio.get_running_loop().time() < until:
                await asyncio.sleep(_PAUSE)
                taken = self._inbox.take(content["MaxNumberOfMessages"])
            self._held |= {message.receipt: message for message in taken}
            self.again += sum(message.receives > 1 for message in taken)
            if attempt:
                self._attempts[attempt] = taken
        else:
            taken = self._attempts[attempt]
        return {"Messages": [_told(message) for message in taken]}

    async def _delete(self, content: Mapping[str, Any]) -> Mapping[str, Any]:
        entries = content["Entries"]
        await self._inbox.delete([self._held[entry["ReceiptHandle"]] for entry in entries])
        return {"Successful": [{"Id": entry["Id"]} for entry in entries], "Failed": []}

    async def _change_visibility(self, content: Mapping[str, Any]) -> Mapping[str, Any]:
        entries = {entry["Id"]: self._held[entry["ReceiptHandle"]] for entry in content["Entries"]}
        if content["Entries"][0]["VisibilityTimeout"] == 0:
            await self._inbox.release(list(entries.values()), 0)
            lost: Sequence[Message] = ()
        else:
            lost = await self._inbox.extend(list(entries.values()))
        code = "ReceiptHandleIsInvalid"
        return {
            "Successful": [{"Id": name} for name, message in entries.items() if message not in lost],
            "Failed": [
                {"Id": name, "SenderFault": True, "Code": code, "Message": "the lock has ended"}
                for name, message in entries.items()
                if message in lost
            ],
        }


def _told(message: Message) -> Mapping[str, Any]:
    return {
        "MessageId": message.id,
        "ReceiptHandle": message.receipt,
        "Body": message.body,
        "Attributes": {
            "MessageGroupId": message.group,
            "ApproximateReceiveCount": str(message.receives),
            "SentTimestamp": str(message.sent_at),
        },
    }


def _serve(load: Path) -> None:
    inbox = MemoryInbox(SystemClock(), visibility=VISIBILITY)
    for group, body in read(load):
        inbox.send(body, group)
    answers = Answers(inbox)

    async def answer(request: web.Request) -> web.Response:
        found = await answers.to(action_of(request), json.loads(await request.read()))
        return web.json_response(found, content_type="application/x-amz-json-1.0")

    serve(answer, largest=_LIMIT)


if __name__ == "__main__":
    _serve(Path(sys.argv[1]))
